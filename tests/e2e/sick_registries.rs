//! Registries that answer nonsense, refuse, or hang: a clear state, and nobody else suffers.

use std::time::Duration;

use hub_registry_testkit::stub::consul::StubConsul;
use hub_registry_testkit::stub::eureka::EurekaStub;
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

fn consul_instance(number: u32) -> Value {
    let address = format!("10.0.0.{number}");
    json!({ "ID": format!("web-{number}"), "Name": "web", "Address": address, "Port": 80 })
}

async fn register(stub: &StubConsul, number: u32) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v1/agent/service/register", stub.address());
    let answer = client.put(url).json(&consul_instance(number)).send().await.unwrap();
    assert!(answer.status().is_success());
}

/// Of several addresses of one registry the first that answers serves; when it dies, the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_address_is_left_for_the_next() {
    let hub = Hub::start().await;
    let stub = StubConsul::start().await;
    register(&stub, 1).await;
    let second = FaultProxy::start(stub.address()).await;
    let addresses = format!("127.0.0.1:1,{},{}", second.address(), stub.address());
    let body = json!({
        "configName": "c", "registryType": "CONSUL", "serverAddress": addresses, "retryInterval": 100,
    });
    assert_eq!(hub.post("/api/v1/external/configs", &body).await.0, 201);
    let web = "/api/v1/services/web/instances";
    hub.until(web, Duration::from_secs(10), |_, body| body["count"] == 1).await;
    second.set(Fault::Refuse).await;
    register(&stub, 2).await;
    hub.until(web, Duration::from_secs(10), |_, body| body["count"] == 2).await;
}

/// An answer that says "there is nothing" about a whole registry is not believed at once, even
/// within a running watch.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_suddenly_lists_nothing_is_waited_for() {
    let hub = Hub::start().await;
    let stub = EurekaStub::start().await;
    for number in 0..30 {
        let app = format!("app-{number}");
        let instance = json!({ "instance": {
            "instanceId": app, "hostName": "10.0.0.1", "ipAddr": "10.0.0.1", "app": app.to_uppercase(),
            "vipAddress": app, "status": "UP", "port": { "$": 8000 + number, "@enabled": "true" },
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
            },
            "lastDirtyTimestamp": "1700000000000",
        }});
        let url = format!("{}/apps/{}", stub.base(), app.to_uppercase());
        let answer = hub.client.post(url).json(&instance).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    let body = json!({
        "configName": "e", "registryType": "EUREKA", "serverAddress": format!("127.0.0.1:{}", stub.port()),
        "specificConfig": { "pollInterval": "500ms", "removalGuard": { "holdSeconds": 2, "emptyHoldSeconds": 4 } },
    });
    let (_, answer) = hub.post("/api/v1/external/configs", &body).await;
    let status =
        format!("/api/v1/external/configs/{}/status", answer["configId"].as_str().unwrap());
    hub.until(&status, Duration::from_secs(10), |_, body| body["instances"] == 30).await;
    let nothing =
        r#"{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}"#;
    stub.proxy().set(Fault::answer(200, "application/json", nothing)).await;
    hub.until(&status, Duration::from_secs(10), |_, body| body["state"] == "PROTECTED").await;
    let (_, body) = hub.get(&status).await;
    assert_eq!((&body["instances"], &body["heldRemovals"]), (&json!(30), &json!(30)), "{body:#}");
    let (status_code, body) = hub.get("/api/v1/services/app-7/instances").await;
    assert_eq!(
        (status_code.as_u16(), &body["instances"][0]["held"]),
        (200, &json!(true)),
        "{body:#}"
    );
    // It was true: after its time the truth gets through.
    hub.until(&status, Duration::from_secs(15), |_, body| body["instances"] == 0).await;
    assert_eq!(hub.get("/api/v1/services/app-7/instances").await.0, 404);
}
