//! Registries that answer nonsense, refuse, or hang: a clear state, and nobody else suffers.

use std::time::Duration;

use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use serde_json::{Value, json};

use crate::hub::Hub;

const HTML: &str = "<html><body><h1>Welcome to nginx!</h1></body></html>";

async fn add(hub: &Hub, name: &str, kind: &str, port: u16) -> String {
    let body = json!({
        "configName": name, "registryType": kind, "serverAddress": format!("127.0.0.1:{port}"),
        "connectionTimeout": 500, "readTimeout": 1000, "maxRetries": 0,
    });
    let (status, answer) = hub.post("/api/v1/external/configs", &body).await;
    assert_eq!(status, 201, "{answer}");
    format!("/api/v1/external/configs/{}/status", answer["configId"].as_str().unwrap())
}

/// Whatever an address answers that is not a registry: DOWN with a reason, never an empty list.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_nonsense_is_a_named_error() {
    let hub = Hub::start().await;
    let own = json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80 });
    assert_eq!(hub.post("/api/v1/instances", &own).await.0, 201);
    // The proxy's target is never reached: every answer is canned.
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let faults: [(&str, Fault, &[&str]); 8] = [
        ("html", Fault::answer(200, "text/html", HTML), &["protocol"]),
        ("unauthorized", Fault::answer(401, "application/json", "{}"), &["unauthorized"]),
        ("forbidden", Fault::answer(403, "text/plain", "no"), &["forbidden", "not_ready"]),
        ("missing", Fault::answer(404, "text/plain", "no"), &["not_found"]),
        ("failing", Fault::answer(500, "text/plain", "oops"), &["server_error", "not_ready"]),
        (
            "half",
            Fault::answer(200, "application/json", "{\"applications\":{\"applica"),
            &["protocol"],
        ),
        ("hanging", Fault::Hang, &["timeout"]),
        ("refusing", Fault::Refuse, &["unreachable"]),
    ];
    let mut proxies = Vec::new();
    let mut statuses = Vec::new();
    for (name, fault, codes) in faults {
        let proxy = FaultProxy::start(nowhere).await;
        proxy.set(fault).await;
        for kind in ["CONSUL", "NACOS", "EUREKA"] {
            let name = format!("{name}-{}", kind.to_lowercase());
            statuses.push((add(&hub, &name, kind, proxy.port()).await, name, codes));
        }
        proxies.push(proxy);
    }
    for (status, name, codes) in &statuses {
        let down = |_, body: &Value| body["state"] == "DOWN";
        hub.until(status, Duration::from_secs(15), down).await;
        let (_, body) = hub.get(status).await;
        let code = body["errorDetails"]["code"].as_str().unwrap_or_default();
        assert!(codes.contains(&code), "{name}: {body:#}");
        assert_eq!(body["connectionStatus"], "ERROR", "{body:#}");
        assert_eq!((&body["services"], &body["instances"]), (&json!(0), &json!(0)));
    }
    let (status, body) = hub.get("/api/v1/services/web/instances").await;
    assert_eq!((status.as_u16(), &body["count"], &body["partial"]), (200, &json!(1), &json!(true)));
    assert_eq!(
        body["sources"][0]["state"], "LIVE",
        "the native registry does not suffer: {body:#}"
    );
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}
