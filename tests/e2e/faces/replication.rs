//! What Eurekas send to each other.

use hub_registry_testkit::servers::{self, EurekaOptions, ServerKind, ServerOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::scenario::{self, Side};
use crate::hub::Hub;

const STEPS: &str = "tests/scenarios/eureka/replication.yaml";

#[tokio::test(flavor = "multi_thread")]
async fn each_action_does_what_it_does_at_a_real_eureka() {
    let steps = scenario::steps(STEPS);
    let hub = Hub::start().await;
    for base in ["/eureka", "/eureka/t/a/v2"] {
        let wrong = scenario::run(&steps, &hub.url(base), Side::Hub).await;
        assert!(wrong.is_empty(), "the hub at {base}:\n{}", wrong.join("\n"));
    }
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let real = servers::start(ServerKind::Eureka, options).await.unwrap();
    let wrong = scenario::run(&steps, &real.base_url(), Side::Real).await;
    assert!(wrong.is_empty(), "the real server:\n{}", wrong.join("\n"));
}

/// An element of a list.
fn one(action: &str, id: &str, more: Value) -> Value {
    let mut one = json!({
        "appName": "COPY", "id": id, "action": action, "lastDirtyTimestamp": 1_700_000_000_000_i64,
    });
    for (key, value) in more.as_object().unwrap() {
        one[key] = value.clone();
    }
    one
}

fn registers(id: &str, number: u16) -> Value {
    let host = format!("10.19.0.{number}");
    let info = json!({
        "instanceId": id, "hostName": host, "ipAddr": host, "app": "COPY", "vipAddress": "copy",
        "status": "UP", "port": { "$": 80, "@enabled": "true" },
        "dataCenterInfo": { "name": "MyOwn" }, "leaseInfo": { "durationInSecs": 3600 },
        "lastDirtyTimestamp": "1700000000000",
    });
    one("Register", id, json!({ "status": "UP", "instanceInfo": info }))
}

async fn send(hub: &Hub, body: &Value) -> (StatusCode, Value) {
    let url = hub.url("/eureka/peerreplication/batch");
    let request = hub.client.request(Method::POST, url).json(body);
    let answer = request.header("accept", "application/json").send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

/// The codes of a list that is answered.
async fn batch(hub: &Hub, all: &[Value]) -> Vec<u64> {
    let (status, answer) = send(hub, &json!({ "replicationList": all })).await;
    assert_eq!(status, 200, "{answer}");
    let codes = answer["responseList"].as_array().unwrap().iter();
    codes.map(|one| one["statusCode"].as_u64().unwrap()).collect()
}

/// The ids of the application and their states.
async fn states(hub: &Hub) -> Vec<(String, String, String)> {
    let request = hub.client.get(hub.url("/eureka/apps/COPY")).header("accept", "application/json");
    let app: Value = request.send().await.unwrap().json().await.unwrap_or_default();
    let all = app["application"]["instance"].as_array().cloned().unwrap_or_default();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let state =
        |one: &Value| (text(one, "instanceId"), text(one, "status"), text(one, "overriddenStatus"));
    all.iter().map(state).collect()
}

fn state(id: &str, status: &str, overridden: &str) -> (String, String, String) {
    (id.to_owned(), status.to_owned(), overridden.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_answered_for_alone_and_what_was_done_is_on_disk() {
    let mut hub = Hub::start().await;
    let out = json!({ "status": "OUT_OF_SERVICE" });
    let mut nameless = registers("odd", 9);
    nameless["instanceInfo"]["ipAddr"] = json!("");
    let mut other = registers("odd", 9);
    other["appName"] = json!("OTHER");
    let codes = batch(
        &hub,
        &[
            one("Register", "odd", json!({ "status": "UP" })),
            nameless,
            other,
            registers("a", 1),
            registers("b", 2),
            one("StatusUpdate", "odd", out.clone()),
            one("StatusUpdate", "a", json!({ "status": "SICK" })),
            one("StatusUpdate", "a", out.clone()),
            one("StatusUpdate", "b", out.clone()),
            one("DeleteStatusOverride", "odd", json!({ "status": "UP" })),
            one("DeleteStatusOverride", "b", json!({ "status": "UP" })),
        ],
    )
    .await;
    assert_eq!(codes, [400, 400, 400, 200, 200, 404, 400, 200, 200, 404, 200]);
    let expected = [state("a", "OUT_OF_SERVICE", "OUT_OF_SERVICE"), state("b", "UP", "UNKNOWN")];
    assert_eq!(states(&hub).await, expected);
    // The others see it too.
    let (_, list) = hub.get("/api/v1/services/copy/instances?status=OUT_OF_SERVICE").await;
    assert_eq!(list["instances"][0]["hostAddress"], "10.19.0.1", "{list}");
    hub.kill().await;
    hub.run().await;
    assert_eq!(states(&hub).await, expected);
    let codes = batch(&hub, &[one("DeleteStatusOverride", "a", json!({ "status": "UP" }))]).await;
    assert_eq!((codes, states(&hub).await[0].clone()), (vec![200], state("a", "UP", "UNKNOWN")));
    // An override that there is not ends nothing.
    let codes = batch(&hub, &[one("DeleteStatusOverride", "a", json!({ "status": "DOWN" }))]).await;
    assert_eq!((codes, states(&hub).await[0].clone()), (vec![200], state("a", "UP", "UNKNOWN")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_read_does_nothing() {
    let hub = Hub::start().await;
    for list in [
        json!([registers("a", 1), one("Explode", "a", json!({}))]),
        json!([registers("a", 1), { "action": "Cancel" }]),
        json!([registers("a", 1), "Cancel"]),
        json!({ "0": registers("a", 1) }),
    ] {
        let (status, _) = send(&hub, &json!({ "replicationList": list })).await;
        assert_eq!(status, 400, "{list}");
    }
    assert!(states(&hub).await.is_empty());
    let (status, answer) = send(&hub, &json!({ "replicationList": [] })).await;
    assert_eq!((status.as_u16(), answer), (200, json!({ "responseList": [] })));
}
