//! Several checks of one instance, registered by Consul's API and run by the real server.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::SOON;
use super::service::Service;
use super::tls;
use crate::hub::Hub;

const CONFIG: &str = "healthCheck:\n  interval: 600ms\n  timeout: 400ms\n";

/// Registers a service with these checks; the path of its instance.
async fn register(hub: &Hub, name: &str, checks: Value) -> String {
    let body = json!({ "Name": name, "Address": "10.6.0.1", "Port": 80, "Checks": checks });
    assert_eq!(put(hub, "/v1/agent/service/register", &body).await, 200, "{name}");
    let (_, body) = hub.get(&format!("/api/v1/services/{name}/instances")).await;
    format!("/api/v1/instances/{}", body["instances"][0]["instanceId"].as_str().unwrap())
}

async fn put(hub: &Hub, path: &str, body: &Value) -> StatusCode {
    hub.client.put(hub.url(path)).json(body).send().await.unwrap().status()
}

/// The statuses of the checks of an answer, by their order.
fn statuses(body: &Value) -> Vec<&str> {
    let checks = body["checks"].as_array().unwrap();
    checks.iter().map(|check| check["status"].as_str().unwrap()).collect()
}

async fn consul(hub: &Hub, name: &str) -> Vec<String> {
    let url = hub.url(&format!("/v1/health/checks/{name}"));
    let body: Value = hub.client.get(url).send().await.unwrap().json().await.unwrap();
    let checks = body.as_array().unwrap().iter();
    checks.map(|check| check["Status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worst_decides_and_is_named() {
    let (service, hub) = (Service::start().await, Hub::with_config(CONFIG).await);
    let at = |path: &str| format!("http://127.0.0.1:{}{path}", service.port);
    let checks = json!([
        { "CheckID": "a", "HTTP": at("/ok"), "Interval": "1s", "Timeout": "1s" },
        { "CheckID": "b", "HTTP": at("/busy"), "Interval": "1s" },
        { "CheckID": "c", "TCP": format!("127.0.0.1:{}", service.port), "Interval": "1s" },
        { "CheckID": "d", "TTL": "1h", "Status": "passing" },
    ]);
    let path = register(&hub, "several", checks).await;
    hub.until(&path, SOON, |_, body| {
        body["healthStatus"] == "HEALTHY"
            && body["healthCheckType"] == "CHECKS"
            && statuses(body) == ["passing", "warning", "passing", "passing"]
            && body["checks"][1]["lastCheck"]["output"] == "HTTP 429"
            && body["checks"][3]["lastCheck"].is_null()
    })
    .await;
    assert_eq!(consul(&hub, "several").await, ["passing", "warning", "passing", "passing"]);
    let passing = hub.url("/v1/health/service/several?passing");
    let body: Value = hub.client.get(passing).send().await.unwrap().json().await.unwrap();
    assert_eq!(body, json!([]), "who warns does not pass");
    // One of them falls, and says which.
    let sick = json!({ "Name": "e", "ServiceID": "several", "HTTP": at("/500"), "Interval": "1s" });
    assert_eq!(put(&hub, "/v1/agent/check/register", &sick).await, 200);
    hub.until(&path, SOON, |_, body| {
        body["healthStatus"] == "UNHEALTHY"
            && body["checks"][4]["lastCheck"]["output"] == "HTTP 500"
    })
    .await;
    let (_, body) = hub.get("/api/v1/services/several/explain").await;
    let text = body.to_string();
    let says = "the worst of its checks (5) decides: critical: e (http: HTTP 500)";
    assert!(text.contains(says), "{body:#}");
    assert_eq!(put(&hub, "/v1/agent/check/deregister/e", &Value::Null).await, 200);
    hub.until(&path, SOON, |_, body| body["healthStatus"] == "HEALTHY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_asked_for_as_its_check_says_and_nobody_is_shown_its_headers() {
    let (service, hub) = (Service::start().await, Hub::with_config(CONFIG).await);
    let check = json!({
        "HTTP": format!("http://127.0.0.1:{}/ok", service.port), "Interval": "1s",
        "Method": "POST", "Body": "{\"deep\":true}",
        "Header": { "Authorization": ["Bearer key-of-it"], "X-A": ["1", "2"], "Host": ["of.it"], "User-Agent": ["me"] },
    });
    let path = register(&hub, "post", json!([check])).await;
    hub.until(&path, SOON, |_, body| body["healthStatus"] == "HEALTHY").await;
    let head = service.asked.lock()["/ok"].to_ascii_lowercase();
    assert!(head.starts_with("post /ok http/1.1\r\n"), "{head}");
    for line in [
        "authorization: bearer key-of-it",
        "x-a: 1",
        "x-a: 2",
        "host: of.it",
        "user-agent: me",
        "content-length: 13",
        "connection: close",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    assert!(!head.contains("hub-registry"), "{head}");
    for path in [
        path.clone(),
        "/api/v1/services/post/explain".to_owned(),
        "/api/v1/services/post/instances".to_owned(),
        "/api/v1/services/post/select".to_owned(),
        "/api/v1/events".to_owned(),
        "/v1/health/service/post".to_owned(),
        "/v1/agent/checks".to_owned(),
        "/v1/agent/service/post".to_owned(),
        "/eureka/apps".to_owned(),
        "/nacos/v1/ns/instance/list?serviceName=post".to_owned(),
    ] {
        let answer = hub.client.get(hub.url(&path)).header("X-Registry-Carry", "true");
        let text = answer.send().await.unwrap().text().await.unwrap();
        assert!(!text.contains("key-of-it"), "{path}: {text}");
    }
    assert!(!hub.log().contains("key-of-it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_so_trusts_anybody_and_nobody_else_does() {
    let (hub, dir) = (Hub::with_config(CONFIG).await, tempfile::tempdir().unwrap());
    let port = tls::server(&dir.path().join("ca.pem")).await;
    let https = |skips: bool| {
        json!([{
            "HTTP": format!("https://127.0.0.1:{port}/"), "Interval": "1s", "TLSSkipVerify": skips,
        }])
    };
    let (blind, strict) =
        (register(&hub, "blind", https(true)).await, register(&hub, "strict", https(false)).await);
    hub.until(&blind, SOON, |_, body| body["healthStatus"] == "HEALTHY").await;
    hub.until(&strict, SOON, |_, body| {
        body["healthStatus"] == "UNHEALTHY" && body["checks"][0]["lastCheck"]["outcome"] == "tls"
    })
    .await;
}

/// What checks found stays over a crash, and is not what their clients said long ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_forgets_no_status() {
    let mut hub = Hub::with_config("healthCheck:\n  unhealthyThreshold: 1\n").await;
    let checks = json!([
        // Asked in its first second, and then not for an hour.
        { "CheckID": "asked", "TCP": "127.0.0.1:9", "Interval": "1h", "Status": "passing" },
        { "CheckID": "said", "TTL": "1h", "Status": "passing" },
        { "CheckID": "warned", "TTL": "1h", "Status": "passing" },
    ]);
    let path = register(&hub, "kept", checks).await;
    hub.until(&path, SOON, |_, body| statuses(body) == ["critical", "passing", "passing"]).await;
    assert_eq!(put(&hub, "/v1/agent/check/warn/warned", &Value::Null).await, 200);
    // What is said is on disk when it is answered; what is found, a little later.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    hub.kill().await;
    hub.run().await;
    let (_, body) = hub.get(&path).await;
    assert_eq!(statuses(&body), ["critical", "passing", "warning"]);
    assert_eq!(
        (&body["healthStatus"], &body["checks"][0]["lastCheck"]),
        (&json!("UNHEALTHY"), &Value::Null)
    );
    assert_eq!(put(&hub, "/v1/agent/check/pass/warned", &Value::Null).await, 200);
}
