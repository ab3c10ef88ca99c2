//! 201 means on disk.

use std::sync::Arc;

use hub_registry_testkit::stub::consul::StubConsul;
use parking_lot::Mutex;
use serde_json::json;

use crate::hub::Hub;

/// kill -9 in the middle of 2,000 registrations by 16 clients: every 201 is there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_no_acknowledged_registration() {
    let mut hub = Hub::start().await;
    let acknowledged: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut clients = Vec::new();
    for client in 0..16_u32 {
        let (http, url) = (hub.client.clone(), hub.url("/api/v1/instances"));
        let acknowledged = Arc::clone(&acknowledged);
        clients.push(tokio::spawn(async move {
            for number in 0..125_u32 {
                let body = json!({
                    "serviceName": format!("svc-{}", number % 10),
                    "hostAddress": format!("10.9.{client}.{number}"),
                    "portNumber": 8080,
                    "leaseSeconds": 3600,
                });
                let Ok(answer) = http.post(&url).json(&body).send().await else {
                    return;
                };
                if answer.status() != reqwest::StatusCode::CREATED {
                    return;
                }
                // A 201 whose body got lost in the crash is a 201 all the same.
                if let Ok(body) = answer.json::<serde_json::Value>().await {
                    let id = body["instanceId"].as_str().unwrap().to_owned();
                    acknowledged.lock().push(id);
                }
            }
        }));
    }
    while acknowledged.lock().len() < 700 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    hub.kill().await;
    for client in clients {
        client.await.unwrap();
    }
    let acknowledged = acknowledged.lock().clone();
    println!("killed after {} acknowledged registrations of 2,000", acknowledged.len());
    assert!(acknowledged.len() < 2000, "the kill came too late to prove anything");
    hub.run().await;
    for id in &acknowledged {
        let (status, _) = hub.get(&format!("/api/v1/instances/{id}")).await;
        assert_eq!(status, 200, "{id} was acknowledged and is lost");
    }
    let mut shown = 0;
    for number in 0..10 {
        let (_, body) = hub.get(&format!("/api/v1/services/svc-{number}/instances")).await;
        shown += body["count"].as_u64().unwrap();
    }
    assert!(shown >= acknowledged.len() as u64);
}

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
