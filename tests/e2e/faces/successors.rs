//! What one says of an instance after another did, each by a protocol of its own: the last word counts,
//! and nothing of an earlier one comes back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::Hub;

const INSTANCE: &str = "/eureka/apps/WEB/web-1";

/// Registers as a client of Eureka that says this of itself.
async fn registers(hub: &Hub, status: &str) {
    let instance = json!({ "instance": {
        "instanceId": "web-1", "hostName": "10.24.0.1", "ipAddr": "10.24.0.1", "app": "WEB",
        "port": { "$": 80, "@enabled": "true" }, "vipAddress": "web", "status": status,
        "dataCenterInfo": { "name": "MyOwn" }, "leaseInfo": { "durationInSecs": 3600 },
    } });
    let answer = hub.client.post(hub.url("/eureka/apps/WEB")).json(&instance).send().await;
    assert_eq!(answer.unwrap().status(), 204);
}

async fn send(hub: &Hub, method: Method, path: &str) -> u16 {
    hub.client.request(method, hub.url(path)).send().await.unwrap().status().as_u16()
}

async fn set_by_rest(hub: &Hub, word: &str) {
    let (_, list) = hub.get("/api/v1/services/web/instances").await;
    let id = list["instances"][0]["instanceId"].as_str().unwrap();
    let path = format!("/api/v1/instances/{id}/status");
    assert_eq!(hub.put(&path, &json!({ "instanceStatus": word })).await.0, 200);
}

/// Sets the status by another protocol than Eureka's.
async fn set(hub: &Hub, by: &str, up: bool) {
    if by == "nacos" {
        let path = format!(
            "/nacos/v1/ns/instance?serviceName=web&ip=10.24.0.1&port=80&ephemeral=true&enabled={up}"
        );
        assert_eq!(send(hub, Method::PUT, &path).await, 200, "{path}");
        return;
    }
    set_by_rest(hub, if up { "UP" } else { "OUT_OF_SERVICE" }).await;
}

/// Status and override as clients of Eureka read them, and how many a client of Nacos has.
async fn seen(hub: &Hub) -> (String, String, usize) {
    let get = hub.client.get(hub.url(INSTANCE)).header("accept", "application/json");
    let one: Value = get.send().await.unwrap().json().await.unwrap();
    let word = |name: &str| one["instance"][name].as_str().unwrap().to_owned();
    let (_, list) = hub.get("/nacos/v1/ns/instance/list?serviceName=web").await;
    (word("status"), word("overriddenStatus"), list["hosts"].as_array().unwrap().len())
}

fn is(status: &str, overridden: &str, found: usize) -> (String, String, usize) {
    (status.to_owned(), overridden.to_owned(), found)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_ends_with_another_status_by_whatever_way() {
    for by in ["rest", "nacos"] {
        let hub = Hub::start().await;
        registers(&hub, "UP").await;
        let status = format!("{INSTANCE}/status?value=OUT_OF_SERVICE");
        assert_eq!(send(&hub, Method::PUT, &status).await, 200);
        assert_eq!(seen(&hub).await, is("OUT_OF_SERVICE", "OUT_OF_SERVICE", 0), "{by}");
        // The same again is no other.
        set(&hub, by, false).await;
        registers(&hub, "UP").await;
        assert_eq!(seen(&hub).await, is("OUT_OF_SERVICE", "OUT_OF_SERVICE", 0), "{by}");
        // The client's own bad news goes before it, and does not end it.
        registers(&hub, "DOWN").await;
        assert_eq!(seen(&hub).await, is("DOWN", "OUT_OF_SERVICE", 0), "{by}");
        registers(&hub, "UP").await;
        assert_eq!(seen(&hub).await, is("OUT_OF_SERVICE", "OUT_OF_SERVICE", 0), "{by}");
        set(&hub, by, true).await;
        assert_eq!(seen(&hub).await, is("UP", "UNKNOWN", 1), "{by}");
        registers(&hub, "UP").await;
        assert_eq!(seen(&hub).await, is("UP", "UNKNOWN", 1), "{by}");
        // And the other way: one that was to stay up is taken out.
        assert_eq!(send(&hub, Method::PUT, &format!("{INSTANCE}/status?value=UP")).await, 200);
        set(&hub, by, false).await;
        assert_eq!(seen(&hub).await, is("OUT_OF_SERVICE", "OUT_OF_SERVICE", 0), "{by}");
        // Nor does its client bring it back before whoever took it out does.
        registers(&hub, "UP").await;
        assert_eq!(seen(&hub).await, is("OUT_OF_SERVICE", "OUT_OF_SERVICE", 0), "{by}");
        set(&hub, by, true).await;
        assert_eq!(seen(&hub).await, is("UP", "UNKNOWN", 1), "{by}");
    }
    let hub = Hub::start().await;
    // What its client says of itself is no override, also when an answer is taken back for something else.
    registers(&hub, "OUT_OF_SERVICE").await;
    let (_, list) = hub.get("/api/v1/services/web/instances").await;
    let path =
        format!("/api/v1/instances/{}", list["instances"][0]["instanceId"].as_str().unwrap());
    let body = json!({ "instanceStatus": "OUT_OF_SERVICE", "weightValue": 50 });
    assert_eq!(hub.put(&path, &body).await.0, 200);
    registers(&hub, "UP").await;
    assert_eq!(seen(&hub).await, is("UP", "UNKNOWN", 1));
    let status = format!("{INSTANCE}/status?value=OUT_OF_SERVICE");
    assert_eq!(send(&hub, Method::PUT, &status).await, 200);
    set_by_rest(&hub, "DOWN").await;
    assert_eq!(seen(&hub).await, is("DOWN", "UNKNOWN", 0));
    registers(&hub, "UP").await;
    assert_eq!(seen(&hub).await, is("UP", "UNKNOWN", 1));
}

/// An override is there again when a maintenance ends that was above it.
#[tokio::test(flavor = "multi_thread")]
async fn an_override_outlives_the_maintenance_of_its_agent() {
    for (word, critical) in [("DOWN", 1), ("UP", 0), ("UNKNOWN", 1), ("OUT_OF_SERVICE", 1)] {
        let hub = Hub::start().await;
        let body = json!({ "ID": "b", "Name": "web", "Address": "10.24.0.2", "Port": 83 });
        let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
        assert_eq!(put.send().await.unwrap().status(), 200);
        let id = "/eureka/apps/WEB/10.24.0.2:web:83";
        assert_eq!(send(&hub, Method::PUT, &format!("{id}/status?value={word}")).await, 200);
        let shown = async || {
            let get = hub.client.get(hub.url(id)).header("accept", "application/json");
            let one: Value = get.send().await.unwrap().json().await.unwrap();
            let word = |name: &str| one["instance"][name].as_str().unwrap().to_owned();
            (word("status"), word("overriddenStatus"))
        };
        let before = shown().await;
        assert_eq!(before, (word.to_owned(), word.to_owned()));
        for (enable, status) in [(true, "OUT_OF_SERVICE"), (false, word)] {
            let path = format!("/v1/agent/maintenance?enable={enable}");
            assert_eq!(send(&hub, Method::PUT, &path).await, 200);
            let (now, overridden) = shown().await;
            // What the hub has no word for is down when it comes back.
            let expected = if (word, enable) == ("UNKNOWN", false) { "DOWN" } else { status };
            assert_eq!((&*now, &*overridden), (expected, word), "{word} {enable}");
        }
        let (_, all) = hub.get("/v1/health/service/web?passing").await;
        assert_eq!(all.as_array().unwrap().len(), 1 - critical, "{word}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_ends_with_another_status_by_whatever_way() {
    for by in ["rest", "nacos"] {
        let hub = Hub::start().await;
        registers(&hub, "UNKNOWN").await;
        assert_eq!(seen(&hub).await, is("UNKNOWN", "UNKNOWN", 0), "{by}");
        assert_eq!(send(&hub, Method::PUT, INSTANCE).await, 404, "it is to say what it is");
        set(&hub, by, true).await;
        assert_eq!(seen(&hub).await, is("UP", "UNKNOWN", 1), "{by}");
        assert_eq!(send(&hub, Method::PUT, INSTANCE).await, 200, "{by}");
    }
    let hub = Hub::start().await;
    registers(&hub, "UNKNOWN").await;
    set_by_rest(&hub, "DOWN").await;
    assert_eq!(seen(&hub).await, is("DOWN", "UNKNOWN", 0));
    assert_eq!(send(&hub, Method::PUT, INSTANCE).await, 200);
}

/// Two write pairs at once, by two protocols: both have them.
#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_are_added_by_two_protocols_at_once_are_all_there() {
    let hub = Hub::start().await;
    registers(&hub, "UP").await;
    for round in 0..50 {
        let eureka = format!("{INSTANCE}/metadata?e{round}=1");
        let nacos = format!(
            "/nacos/v1/ns/instance?serviceName=web&ip=10.24.0.1&port=80&metadata=n{round}%3D1"
        );
        let (by_eureka, by_nacos) =
            tokio::join!(send(&hub, Method::PUT, &eureka), send(&hub, Method::PATCH, &nacos));
        assert_eq!((by_eureka, by_nacos), (200, 200));
    }
    let (_, list) = hub.get("/api/v1/services/web/instances").await;
    let metadata = &list["instances"][0]["metadata"];
    for round in 0..50 {
        for key in [format!("e{round}"), format!("n{round}")] {
            assert_eq!(metadata[&key], "1", "{key} is lost: {metadata}");
        }
    }
}

/// A share of well ones that is too small, counted as each protocol shows who is well.
#[tokio::test(flavor = "multi_thread")]
async fn protection_counts_those_as_well_who_are_shown_so() {
    let hub = Hub::start().await;
    let service = json!({ "serviceName": "web", "metadata": { "protectThreshold": "0.5" } });
    assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
    let mut ids = Vec::new();
    for number in 1..=4 {
        let body = json!({
            "serviceName": "web", "hostAddress": format!("10.24.1.{number}"), "portNumber": 80,
            "healthCheckType": "NONE",
        });
        let (status, made) = hub.post("/api/v1/instances", &body).await;
        assert_eq!(status, 201, "{made}");
        ids.push(made["instanceId"].as_str().unwrap().to_owned());
    }
    let sick = async |number: usize| {
        let path = format!("/api/v1/instances/{}/health", ids[number - 1]);
        assert_eq!(hub.put(&path, &json!({ "healthStatus": "UNHEALTHY" })).await.0, 200);
    };
    // Whether it is protected, and how many are said to be well.
    let told = async || {
        let (_, list) = hub.get("/nacos/v1/ns/instance/list?serviceName=web").await;
        let hosts = list["hosts"].as_array().unwrap();
        let well = hosts.iter().filter(|host| host["healthy"] == true).count();
        let (_, only) =
            hub.get("/nacos/v1/ns/instance/list?serviceName=web&healthyOnly=true").await;
        assert_eq!(only["hosts"].as_array().unwrap().len(), well, "{only}");
        (list["reachProtectionThreshold"].as_bool().unwrap(), well)
    };
    assert_eq!(told().await, (false, 4), "nobody knows that any is sick");
    sick(1).await;
    assert_eq!(told().await, (false, 3));
    sick(2).await;
    // At the threshold, as a Nacos has it.
    assert_eq!(told().await, (true, 4));
    // Those that are out of use count for nothing.
    let path = format!("/api/v1/instances/{}/status", ids[0]);
    assert_eq!(hub.put(&path, &json!({ "instanceStatus": "OUT_OF_SERVICE" })).await.0, 200);
    assert_eq!(told().await, (false, 2));
}
