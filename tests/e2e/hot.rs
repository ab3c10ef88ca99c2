//! The hot path answers what the router would. A name with a percent in it is the router's, so each
//! question can be asked both ways.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::events::SOON;
use crate::hub::Hub;

/// The same service, for the hot path and for the router.
const NAMES: [&str; 2] = ["web", "%77eb"];

type Headers<'a> = &'a [(&'static str, &'a str)];

#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn ask(hub: &Hub, method: &Method, path: &str, headers: Headers<'_>) -> Answer {
    let mut request = hub.client.request(method.clone(), hub.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let own = ["date", "x-request-id"];
    let headers = answer.headers().iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let (status, headers) = (answer.status(), headers.collect());
    assert!(answer.headers().contains_key("x-request-id"), "{path}");
    Answer { status, headers, body: answer.bytes().await.unwrap().to_vec() }
}

async fn both(hub: &Hub, method: &Method, query: &str, headers: Headers<'_>) -> Answer {
    let path = |name: &str| format!("/api/v1/services/{name}/instances{query}");
    same(hub, method, NAMES.map(path), headers).await
}

/// A heartbeat both ways: the same id, and the same with its first character in percent-encoding.
async fn beats(
    hub: &Hub,
    method: &Method,
    (id, more): (&str, &str),
    headers: Headers<'_>,
) -> Answer {
    let encoded = format!("%{:02x}{}", id.as_bytes()[0], &id[1..]);
    let path = |id: &str| format!("/api/v1/instances/{id}/heartbeat{more}");
    same(hub, method, [path(id), path(&encoded)], headers).await
}

async fn same(hub: &Hub, method: &Method, paths: [String; 2], headers: Headers<'_>) -> Answer {
    let [mut hot, mut router] =
        [ask(hub, method, &paths[0], headers).await, ask(hub, method, &paths[1], headers).await];
    // Errors say when they were.
    let untimed = |answer: &mut Answer| {
        if let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(&answer.body)
            && body.remove("time").is_some()
        {
            answer.body = json!(body).to_string().into_bytes();
        }
    };
    untimed(&mut hot);
    untimed(&mut router);
    assert_eq!(hot, router, "{method} {} {headers:?}", paths[0]);
    hot
}

async fn filled(more: &str) -> Hub {
    let hub = Hub::with_config(more).await;
    for number in 0..12 {
        let body = json!({
            "serviceName": "web", "hostAddress": format!("10.0.0.{number}"), "portNumber": 80,
            "leaseSeconds": 3600, "metadata": { "zone": format!("z{}", number % 2), "filler": "x".repeat(100) },
        });
        assert_eq!(hub.post("/api/v1/instances", &body).await.0, 201);
    }
    let sick = json!({"serviceName": "web", "hostAddress": "10.0.1.1", "portNumber": 80, "leaseSeconds": 3600, "instanceStatus": "DOWN"});
    assert_eq!(hub.post("/api/v1/instances", &sick).await.0, 201);
    hub
}

#[tokio::test]
async fn the_hot_path_answers_what_the_router_would() {
    let hub = filled("").await;
    let get = &Method::GET;
    let plain = both(&hub, get, "", &[]).await;
    assert_eq!(plain.status, 200);
    let etag = plain.headers["etag"].clone();
    let index = plain.headers["x-registry-index"].clone();
    let up = both(&hub, get, "?status=UP&health=HEALTHY", &[]).await;
    assert!(up.body.len() < plain.body.len());
    for query in [
        "?",
        "?health=HEALTHY&status=UP",
        "?status=DOWN",
        "?zone=z1&limit=2",
        "?meta.zone=z1",
        "?groupName=DEFAULT_GROUP",
        "?group=*",
        "?strategy=CONSISTENT_HASH&key=a",
        "?strategy=CONSISTENT_HASH",
        "?status=UP&status=DOWN",
        "?status=LOST",
        "?nobody=1",
        "?index=0",
        "?index=x",
        "?index=1&wait=1s",
        "?maxStaleness=1h",
        "?onPartial=fail",
        "?tenantId=other",
        "?tenantId=a&tenantId=b",
        "?userId=me",
        "?a=%ff",
    ] {
        both(&hub, get, query, &[]).await;
    }
    let waited = both(&hub, get, &format!("?index={index}&wait=200ms"), &[]).await;
    assert_eq!(waited.body, plain.body);
    let gzip = both(&hub, get, "", &[("accept-encoding", "gzip")]).await;
    assert_eq!(gzip.headers["content-encoding"], "gzip");
    let known = both(&hub, get, "", &[("if-none-match", &etag)]).await;
    assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0));
    for headers in [
        &[("x-tenant-id", "other")][..],
        &[("x-tenant-id", "a b")],
        &[("x-forwarded-for", "1.2.3.4")],
        &[("accept", "application/problem+json")],
        &[("authorization", "Bearer nobody")],
        &[("if-none-match", "\"else\"")],
    ] {
        both(&hub, get, "?nobody=1", headers).await;
        both(&hub, get, "", headers).await;
    }
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        both(&hub, &method, "", &[]).await;
    }
    let asked = hub.client.get(hub.url("/api/v1/services/web/instances"));
    let answer = asked.header("x-request-id", "mine").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "mine");
}

#[tokio::test]
async fn a_heartbeat_is_answered_as_the_router_would() {
    let hub = filled("").await;
    let (_, list) = hub.get("/api/v1/services/web/instances").await;
    let id = list["instances"][0]["instanceId"].as_str().unwrap();
    let put = &Method::PUT;
    let requests = "hub_registry_http_requests_total{method=\"PUT\",route=\"/api/v1/instances/{instanceId}/heartbeat\",status=\"2xx\"}";
    let operations = "hub_registry_native_operations_total{operation=\"heartbeat\",outcome=\"ok\"}";
    let before = [hub.metric(requests).await, hub.metric(operations).await];
    let plain = beats(&hub, put, (id, ""), &[]).await;
    assert_eq!(plain.status, 200);
    let body: Value = serde_json::from_slice(&plain.body).unwrap();
    assert_eq!((&body["leaseSeconds"], &body["heartbeatSeconds"]), (&json!(3600), &json!(1200)));
    beats(&hub, put, (id, "?userId=me"), &[("accept-encoding", "gzip")]).await;
    let after = [hub.metric(requests).await, hub.metric(operations).await];
    assert_eq!(after.map(|count| count - 4.0), before, "each is counted once");
    let unknown = "0".repeat(32);
    for (id, more, headers, status) in [
        (unknown.as_str(), "", &[][..], 404),
        ("nonsense", "", &[], 404),
        (id, "?tenantId=other", &[], 404),
        (id, "", &[("x-tenant-id", "other")], 404),
        (id, "", &[("x-tenant-id", "a b")], 400),
        (id, "", &[("x-forwarded-for", "1.2.3.4")], 403),
        (unknown.as_str(), "", &[("accept", "application/problem+json")], 404),
    ] {
        let answer = beats(&hub, put, (id, more), headers).await;
        assert_eq!(answer.status.as_u16(), status, "{id} {more} {headers:?}");
    }
    for method in [Method::GET, Method::POST, Method::DELETE] {
        assert_eq!(beats(&hub, &method, (id, ""), &[]).await.status, 405);
    }
    let answer = hub.client.put(hub.url(&format!("/api/v1/instances/{id}/heartbeat")));
    assert_eq!(answer.json(&json!({ "any": "thing" })).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn both_ways_are_counted_alike_and_logged_when_that_is_asked_for() {
    let hub = filled("").await;
    let line = "hub_registry_http_requests_total{method=\"GET\",route=\"/api/v1/services/{serviceName}/instances\",status=\"2xx\"}";
    let before = hub.metric(line).await;
    for _ in 0..10 {
        both(&hub, &Method::GET, "", &[]).await;
    }
    assert_eq!(hub.metric(line).await - before, 20.0);
    let debug = json!({ "level": "debug" });
    assert_eq!(hub.put("/api/v1/ops/log-level", &debug).await.0, 200);
    both(&hub, &Method::GET, "?limit=7", &[]).await;
    // The log is written beside the answer: one request more, and the line of that is the last.
    let seen = || hub.log().lines().filter(|line| line.contains("eb/instances")).count();
    hub.until("/health", SOON, |_, _| seen() == 2).await;
}

#[tokio::test]
async fn with_security_on_a_credential_counts_on_both_ways() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let token = hub.command(&["token", "create", "--role", "admin", "--user", "me"]).await;
    let bearer = format!("Bearer {token}");
    let body = json!({"serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80});
    let request = hub.client.post(hub.url("/api/v1/instances")).header("authorization", &bearer);
    assert_eq!(request.json(&body).send().await.unwrap().status(), 201);
    let get = &Method::GET;
    let answer = both(&hub, get, "", &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(both(&hub, get, "", &[]).await.status, 401);
    let wrong = both(&hub, get, "", &[("authorization", "Bearer nobody")]).await;
    assert_eq!(wrong.status, 401);
    let elsewhere = [("authorization", bearer.as_str()), ("x-tenant-id", "other")];
    both(&hub, get, "", &elsewhere).await;

    let id = serde_json::from_slice::<Value>(&answer.body).unwrap()["instances"][0]["instanceId"]
        .clone();
    let (id, put) = (id.as_str().unwrap(), &Method::PUT);
    let reader = hub.command(&["token", "create", "--role", "reader", "--user", "you"]).await;
    let reader = format!("Bearer {reader}");
    for (credential, status) in [(&bearer, 200), (&reader, 403), (&"Bearer nobody".to_owned(), 401)]
    {
        let answer = beats(&hub, put, (id, ""), &[("authorization", credential)]).await;
        assert_eq!(answer.status.as_u16(), status);
    }
    assert_eq!(beats(&hub, put, (id, ""), &[]).await.status, 401);
}
