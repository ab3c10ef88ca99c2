//! A hub that follows another one by all three protocols at once: each adapter against its face.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::grpc::client::Client;
use crate::hub::Hub;

/// Eureka is polled every five seconds.
const SOON: Duration = Duration::from_secs(20);

fn sources(body: &Value) -> Vec<&str> {
    let all = body["instances"][0]["sources"].as_array();
    let mut names: Vec<_> =
        all.into_iter().flatten().map(|source| source["source"].as_str().unwrap()).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_follows_another_by_each_protocol() {
    let (far, near) = (Hub::start().await, Hub::start().await);
    let mut client = Client::start(far.port + 1000).await;
    client.register("followed", "10.16.0.1", &json!({ "metadata": { "k": "ä <1>" } })).await;
    let nacos = format!("127.0.0.1:{}", far.port);
    for (name, kind, address) in [
        ("as-consul", "CONSUL", nacos.clone()),
        ("as-eureka", "EUREKA", nacos.clone()),
        ("as-nacos", "NACOS", nacos),
    ] {
        let config = json!({ "configName": name, "registryType": kind, "serverAddress": address });
        let (status, answer) = near.post("/api/v1/external/configs", &config).await;
        assert_eq!(status, 201, "{answer}");
    }
    let path = "/api/v1/services/followed/instances";
    let all = ["as-consul", "as-eureka", "as-nacos"];
    near.until(path, SOON, |_, body| sources(body) == all).await;
    let (_, body) = near.get(path).await;
    let instance = &body["instances"][0];
    assert_eq!(
        (&instance["hostAddress"], &instance["portNumber"], &instance["metadata"]["k"]),
        (&json!("10.16.0.1"), &json!(8080), &json!("ä <1>")),
        "{body}"
    );
    // Another comes, by another way, and the first one leaves with its connection.
    let other = json!({ "serviceName": "followed", "hostAddress": "10.16.0.2", "portNumber": 80 });
    let (_, made) = far.post("/api/v1/instances", &other).await;
    near.until(path, SOON, |_, body| body["count"] == 2).await;
    drop(client);
    let first = |body: &Value| body["instances"][0]["hostAddress"].clone();
    let is_other = |body: &Value| body["count"] == 1 && first(body) == "10.16.0.2";
    near.until(path, SOON, |_, body| is_other(body) && sources(body) == all).await;
    let id = made["instanceId"].as_str().unwrap();
    let word = json!({ "instanceStatus": "OUT_OF_SERVICE" });
    let status = format!("/api/v1/instances/{id}/status");
    assert_eq!(far.send(Method::PUT, &status, Some(&word)).await.0, 200);
    let is_out = |body: &Value| body["instances"][0]["instanceStatus"] == "OUT_OF_SERVICE";
    near.until(path, SOON, |_, body| is_out(body)).await;
}
