//! 201 means on disk.

use hub_registry_testkit::stub::consul::StubConsul;
use serde_json::json;

use crate::hub::Hub;

/// SIGTERM answers what is under way, loses nothing, and ends with 0.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_in_order() {
    let mut hub = Hub::start().await;
    let one = json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80 });
    let (status, body) = hub.post("/api/v1/instances", &one).await;
    assert_eq!(status, 201, "{body}");
    let index = hub.get("/api/v1/services/web/instances").await.1["revision"].as_i64().unwrap();
    let path = format!("/api/v1/services/web/instances?index={index}&wait=60s");
    let waiting = hub.client.get(hub.url(&path)).send();
    let waiting = tokio::spawn(waiting);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
    assert_eq!(waiting.await.unwrap().unwrap().status(), 200, "the waiting reader was answered");
    hub.run().await;
    let (_, body) = hub.get("/api/v1/services/web/instances").await;
    assert_eq!(body["count"], 1);
    let revision = body["revision"].as_i64().unwrap();
    assert!(revision > index, "revisions fell over the restart: {index} then {revision}");
}

/// What a source said is on disk within a second: killed then, and with the registry gone, the
/// hub serves it again at once, with its true age.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_known_good_is_kept_within_a_second() {
    let mut hub = Hub::start().await;
    let stub = StubConsul::start().await;
    let register = async |number: u32| {
        let body = json!({
            "ID": format!("w{number}"), "Name": "web", "Address": format!("10.0.0.{number}"), "Port": 80,
        });
        let url = format!("http://{}/v1/agent/service/register", stub.address());
        let answer = hub.client.put(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success());
    };
    register(1).await;
    let config = json!({
        "configName": "stub", "registryType": "CONSUL", "serverAddress": stub.address().to_string(),
    });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let web = "/api/v1/services/web/instances";
    let seconds = std::time::Duration::from_secs;
    hub.until(web, seconds(10), |_, body| body["count"] == 1).await;
    register(2).await;
    hub.until(web, seconds(5), |_, body| body["count"] == 2).await;
    // The promise under test is a time: nothing tells a client that it was kept.
    tokio::time::sleep(seconds(1)).await;
    hub.kill().await;
    stub.down().await;
    tokio::time::sleep(seconds(2)).await;
    hub.run().await;
    let (status, body) = hub.get(web).await;
    assert_eq!((status.as_u16(), &body["count"]), (200, &json!(2)), "{body:#}");
    let source = &body["sources"][0];
    assert_eq!(source["state"], "STALE", "{body:#}");
    assert!(source["ageMs"].as_i64().unwrap() >= 2000, "older than the time without it: {source}");
    assert_eq!(body["partial"], false);
}
