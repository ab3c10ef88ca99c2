//! The discovery answer in all its parts, on native instances.

use std::io::Read;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::federation::rows;
use crate::hub::Hub;

const WEB: &str = "/api/v1/services/web/instances";

async fn register(hub: &Hub, more: Value) -> String {
    let mut body = json!({
        "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "leaseSeconds": 3600,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = hub.post("/api/v1/instances", &body).await;
    assert!(status == 201 || status == 200, "{answer}");
    answer["instanceId"].as_str().unwrap().to_owned()
}

fn ports(body: &Value) -> Vec<u64> {
    rows(body).iter().map(|row| row["portNumber"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_orders_and_limits() {
    let hub = Hub::start().await;
    register(
        &hub,
        json!({ "portNumber": 1, "tags": ["a", "b"], "metadata": { "zone": "z1", "v": "1" } }),
    )
    .await;
    register(
        &hub,
        json!({ "portNumber": 2, "tags": ["b"], "instanceStatus": "DOWN", "weightValue": 0 }),
    )
    .await;
    let third =
        register(&hub, json!({ "portNumber": 3, "metadata": { "zone": "z2", "v": "1" } })).await;
    let health = format!("/api/v1/instances/{third}/health");
    let (status, answer) = hub.put(&health, &json!({ "healthStatus": "UNHEALTHY" })).await;
    assert_eq!(status, 200, "{answer}");
    let cases: [(&str, &[u64]); 10] = [
        ("", &[1, 2, 3]),
        ("?status=UP", &[1, 3]),
        ("?status=UP&health=HEALTHY", &[1]),
        ("?health=UNHEALTHY", &[3]),
        ("?tag=b", &[1, 2]),
        ("?tag=b&tag=a", &[1]),
        ("?meta.v=1", &[1, 3]),
        ("?zone=z2", &[3]),
        ("?source=native&limit=2", &[1, 2]),
        ("?source=elsewhere", &[]),
    ];
    for (query, expected) in cases {
        let (status, body) = hub.get(&format!("{WEB}{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        assert_eq!(ports(&body), expected, "{query}");
        assert_eq!(body["count"], expected.len(), "{query}");
    }
    // Every strategy orders all of them; by key always in the same way.
    for strategy in [
        "ROUND_ROBIN",
        "WEIGHTED_ROUND_ROBIN",
        "RANDOM",
        "WEIGHTED_RANDOM",
        "LEAST_CONNECTIONS",
        "IP_HASH",
        "CONSISTENT_HASH",
        "ZONE_AFFINITY",
    ] {
        let (status, body) = hub.get(&format!("{WEB}?strategy={strategy}&key=user-7")).await;
        assert_eq!(status, 200, "{body}");
        let mut all = ports(&body);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3], "{strategy}");
    }
    let by_key = async || ports(&hub.get(&format!("{WEB}?strategy=CONSISTENT_HASH&key=k")).await.1);
    assert_eq!(by_key().await, by_key().await);
    let (status, one) = hub.get("/api/v1/services/web/select").await;
    assert_eq!((status.as_u16(), &one["portNumber"]), (200, &json!(1)), "{one}");
    let (status, body) = hub.get("/api/v1/services/web/select?tag=nobody").await;
    assert_eq!(status, 503, "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_lifts_the_health_filter_and_says_so() {
    let hub = Hub::start().await;
    let service = json!({ "serviceName": "web", "metadata": { "protectThreshold": "0.6" } });
    assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
    register(&hub, json!({ "portNumber": 1 })).await;
    let sick = register(&hub, json!({ "portNumber": 2 })).await;
    let health = format!("/api/v1/instances/{sick}/health");
    assert_eq!(hub.put(&health, &json!({ "healthStatus": "UNHEALTHY" })).await.0, 200);
    let (_, body) = hub.get(&format!("{WEB}?status=UP&health=HEALTHY")).await;
    assert_eq!((ports(&body), &body["protected"]), (vec![1, 2], &json!(true)), "{body:#}");
    assert_eq!(rows(&body)[1]["healthStatus"], "UNHEALTHY", "health is never rewritten");
    assert_eq!(hub.put("/api/v1/services/web", &json!({ "metadata": {} })).await.0, 200);
    let (_, body) = hub.get(&format!("{WEB}?status=UP&health=HEALTHY")).await;
    assert_eq!((ports(&body), &body["protected"]), (vec![1], &json!(false)), "{body:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocking_query_returns_on_change_and_only_then() {
    let hub = Hub::start().await;
    register(&hub, json!({ "portNumber": 1 })).await;
    let (_, body) = hub.get(WEB).await;
    let index = body["revision"].as_i64().unwrap();
    let start = Instant::now();
    let answer =
        hub.client.get(hub.url(&format!("{WEB}?index={index}&wait=700ms"))).send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(650), "it waited {:?}", start.elapsed());
    assert_eq!(answer.headers()["x-registry-index"].to_str().unwrap(), index.to_string());
    let url = hub.url(&format!("{WEB}?index={index}&wait=60s"));
    let waiting = tokio::spawn(hub.client.get(url).send());
    register(&hub, json!({ "serviceName": "other" })).await;
    register(&hub, json!({ "portNumber": 2 })).await;
    let body: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(body["count"], 2);
    // An unknown service is waited for, and its 404 carries the index to wait from.
    let answer = hub.client.get(hub.url("/api/v1/services/new/instances")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let index = answer.headers()["x-registry-index"].to_str().unwrap().to_owned();
    let url = hub.url(&format!("/api/v1/services/new/instances?index={index}&wait=60s"));
    let waiting = tokio::spawn(hub.client.get(url).send());
    register(&hub, json!({ "serviceName": "new" })).await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    let (status, _) = hub.get(&format!("{WEB}?index=900000000000&wait=60s")).await;
    assert_eq!(status, 200, "an index from the future is answered at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn entity_tags_and_compression() {
    let hub = Hub::start().await;
    for port in 1..30 {
        register(&hub, json!({ "portNumber": port })).await;
    }
    let get = async |name: &'static str, value: String| {
        hub.client.get(hub.url(WEB)).header(name, value).send().await.unwrap()
    };
    let plain = get("accept", "*/*".to_owned()).await;
    let tag = plain.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with("W/"), "{tag}");
    let plain: Value = plain.json().await.unwrap();
    let same = get("if-none-match", format!("\"x\", {tag}")).await;
    assert_eq!(same.status(), 304);
    assert_eq!(same.text().await.unwrap(), "");
    let zipped = get("accept-encoding", "br, gzip".to_owned()).await;
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let bytes = zipped.bytes().await.unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    let unzipped: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(unzipped["instances"], plain["instances"]);
    assert!(bytes.len() * 2 < text.len(), "{} of {}", bytes.len(), text.len());
    assert!(
        get("accept-encoding", "gzip;q=0".to_owned())
            .await
            .headers()
            .get("content-encoding")
            .is_none()
    );
    register(&hub, json!({ "portNumber": 99 })).await;
    assert_eq!(get("if-none-match", tag).await.status(), 200, "a change changes the tag");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_is_not_said_while_a_source_was_never_heard() {
    let hub = Hub::start().await;
    register(&hub, json!({})).await;
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let (status, body) = hub.post("/api/v1/external/configs", &config).await;
    assert_eq!(status, 201, "{body}");
    let id = body["configId"].as_str().unwrap().to_owned();
    let path = "/api/v1/services/nowhere/instances";
    let answer = hub.client.get(hub.url(path)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["details"]["sources"][0]["source"], "deaf", "{body}");
    let (status, body) = hub.get(&format!("{path}?onPartial=use")).await;
    assert_eq!((status.as_u16(), &body["details"]["partial"]), (404, &json!(true)), "{body}");
    let (status, body) = hub.get(WEB).await;
    assert_eq!((status.as_u16(), &body["partial"]), (200, &json!(true)), "{body}");
    assert_eq!(hub.get(&format!("{WEB}?onPartial=fail")).await.0, 503);
    let (status, body) =
        hub.post(&format!("/api/v1/external/configs/{id}/connect"), &json!({})).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(body["details"]["code"], "unreachable", "{body}");
    assert_eq!(
        hub.send(Method::DELETE, &format!("/api/v1/external/configs/{id}"), None).await.0,
        200
    );
    assert_eq!(hub.get(path).await.0, 404, "now everybody was heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_and_groups_are_kept_apart() {
    let hub = Hub::start().await;
    register(&hub, json!({ "groupName": "g1", "portNumber": 1 })).await;
    assert_eq!(ports(&hub.get(WEB).await.1), [1], "the only group that holds the name");
    register(&hub, json!({ "groupName": "g2", "portNumber": 2 })).await;
    let (status, body) = hub.get(WEB).await;
    assert_eq!(
        (status.as_u16(), &body["details"]["groups"]),
        (409, &json!(["g1", "g2"])),
        "{body}"
    );
    assert_eq!(ports(&hub.get(&format!("{WEB}?groupName=*")).await.1), [1, 2]);
    assert_eq!(ports(&hub.get(&format!("{WEB}?groupName=g2")).await.1), [2]);
    // The group a reader without a group was answered from leaves: the reader is told.
    register(&hub, json!({ "portNumber": 3 })).await;
    let gone = |group: &str| format!("/api/v1/services/web?groupName={group}&force=true");
    assert_eq!(hub.send(Method::DELETE, &gone("g2"), None).await.0, 200);
    let (_, body) = hub.get(WEB).await;
    assert_eq!(ports(&body), [3]);
    let index = body["revision"].as_i64().unwrap();
    let url = hub.url(&format!("{WEB}?index={index}&wait=60s"));
    let waiting = tokio::spawn(hub.client.get(url).send());
    assert_eq!(hub.send(Method::DELETE, &gone("DEFAULT_GROUP"), None).await.0, 200);
    let told = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    let body: Value = told.expect("told within 10 s").unwrap().unwrap().json().await.unwrap();
    assert_eq!(ports(&body), [1]);
    assert!(body["revision"].as_i64().unwrap() > index, "revisions never fall: {body:#}");
    let (_, other) = hub.get("/api/v1/services?tenantId=other").await;
    assert_eq!(other["count"], 0);
    // A tenant nobody wrote for yet is waited for like any other.
    let answer = hub.client.get(hub.url(&format!("{WEB}?tenantId=new"))).send().await.unwrap();
    let index = answer.headers()["x-registry-index"].to_str().unwrap().to_owned();
    let url = hub.url(&format!("{WEB}?tenantId=new&index={index}&wait=60s"));
    let waiting = tokio::spawn(hub.client.get(url).send());
    let one = json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 1 });
    assert_eq!(hub.post("/api/v1/instances?tenantId=new", &one).await.0, 201);
    let told = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert_eq!(told.expect("told within 10 s").unwrap().unwrap().status(), 200);
    assert_eq!(hub.get(&format!("{WEB}?groupName=g1&tenantId=other")).await.0, 404);
    let body = json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 1, "groupName": "g1" });
    let (status, answer) = hub.post("/api/v1/instances?tenantId=other", &body).await;
    assert_eq!(status, 201, "the same address in another tenant is another instance");
    let id = answer["instanceId"].as_str().unwrap();
    assert_eq!(hub.get(&format!("/api/v1/instances/{id}")).await.0, 404);
    assert_eq!(hub.get(&format!("/api/v1/instances/{id}?tenantId=other")).await.0, 200);
}

/// What a client does with one instance, from the first word to the last.
#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_an_instance() {
    let hub = Hub::start().await;
    let body = json!({ "serviceName": "web", "hostAddress": "Web-1.Example", "portNumber": 80, "tags": ["a"] });
    let (status, first) = hub.post("/api/v1/instances", &body).await;
    assert_eq!(status, 201);
    let (status, again) = hub.post("/api/v1/instances", &body).await;
    assert_eq!((status.as_u16(), &again["instanceId"]), (200, &first["instanceId"]));
    let path = format!("/api/v1/instances/{}", first["instanceId"].as_str().unwrap());
    let (_, one) = hub.get(&path).await;
    assert_eq!(
        (&one["hostAddress"], &one["tagsJson"]),
        (&json!("web-1.example"), &json!("[\"a\"]")),
        "{one:#}"
    );
    let (status, answer) = hub.put(&path, &one).await;
    assert_eq!(status, 200, "a GET answer put back is accepted: {answer}");
    let (status, answer) =
        hub.put(&path, &json!({ "weightValue": 250, "currentVersion": 99 })).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(hub.put(&path, &json!({ "weightValue": 250 })).await.0, 200);
    let status_path = format!("{path}/status");
    assert_eq!(hub.put(&status_path, &json!({ "instanceStatus": "OUT_OF_SERVICE" })).await.0, 200);
    let (_, one) = hub.get(&path).await;
    assert_eq!(
        (&one["weightValue"], &one["instanceStatus"], &one["tags"]),
        (&json!(250), &json!("OUT_OF_SERVICE"), &json!(["a"]))
    );
    let (status, beat) = hub.put(&format!("{path}/heartbeat"), &json!({})).await;
    assert_eq!((status.as_u16(), &beat["leaseSeconds"]), (200, &json!(30)), "{beat}");
    let ids = json!({ "instanceIds": [first["instanceId"], "00000000000000000000000000000000"] });
    let (_, beats) = hub.put("/api/v1/heartbeats", &ids).await;
    assert_eq!(
        (&beats["renewed"], beats["unknown"].as_array().unwrap().len()),
        (&json!(1), 1),
        "{beats}"
    );
    let (status, answer) = hub.send(Method::DELETE, "/api/v1/services/web", None).await;
    assert_eq!(status, 409, "a service with instances stays: {answer}");
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200);
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 404);
    assert_eq!(hub.put(&format!("{path}/heartbeat"), &json!({})).await.0, 404);
    let (status, body) = hub.get(WEB).await;
    assert_eq!((status.as_u16(), &body["count"]), (200, &json!(0)), "known, and empty");
    assert_eq!(hub.send(Method::DELETE, "/api/v1/services/web", None).await.0, 200);
    assert_eq!(hub.get(WEB).await.0, 404);
}

/// Without heartbeats UNHEALTHY after one lease, removed after three.
#[tokio::test(flavor = "multi_thread")]
async fn leases_run_out() {
    let hub = Hub::start().await;
    let start = Instant::now();
    register(&hub, json!({ "portNumber": 1, "leaseSeconds": 1 })).await;
    register(&hub, json!({ "portNumber": 2, "leaseSeconds": 1, "healthCheckType": "NONE" })).await;
    let unhealthy = |_, body: &Value| rows(body)[0]["healthStatus"] == "UNHEALTHY";
    hub.until(WEB, Duration::from_secs(4), unhealthy).await;
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    hub.until(WEB, Duration::from_secs(6), |_, body| ports(body) == [2]).await;
    assert!(start.elapsed() >= Duration::from_millis(2900), "{:?}", start.elapsed());
}
