//! Whatever comes in, a clear error goes out, and nothing breaks.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::hub::Hub;

fn good() -> Value {
    json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80 })
}

fn with(key: &str, value: Value) -> Value {
    let mut body = good();
    body[key] = value;
    body
}

fn many_pairs(count: usize) -> Value {
    (0..count).map(|n| (format!("k{n}"), json!(""))).collect::<serde_json::Map<_, _>>().into()
}

/// The shape every error has.
fn check_shape(status: reqwest::StatusCode, body: &Value) {
    assert_eq!(body["status"], status.as_u16(), "{body}");
    assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    chrono::DateTime::parse_from_rfc3339(body["time"].as_str().unwrap()).unwrap();
    let text = body.to_string();
    assert!(!text.contains("SELECT") && !text.contains("panicked"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_registration_names_the_field() {
    let hub = Hub::start().await;
    let cases = [
        (with("portNumber", json!(0)), "portNumber"),
        (with("portNumber", json!(70_000)), "portNumber"),
        (with("portNumber", json!(-1)), "portNumber"),
        (with("portNumber", json!("80")), "portNumber"),
        (with("portNumber", json!(80.5)), "portNumber"),
        (with("portNumber", Value::Null), "portNumber"),
        (with("serviceName", json!("")), "serviceName"),
        (with("serviceName", json!("a b")), "serviceName"),
        (with("serviceName", json!("x".repeat(101))), "serviceName"),
        (with("serviceName", json!(7)), "serviceName"),
        (with("groupName", json!("a/b")), "groupName"),
        (with("hostAddress", json!("http://x")), "hostAddress"),
        (with("hostAddress", json!("h".repeat(300))), "hostAddress"),
        (with("hostAddress", json!("10.0.0.1:80")), "hostAddress"),
        (with("hostAddress", json!("999.1.1.1")), "hostAddress"),
        (with("hostAddress", json!("a..b")), "hostAddress"),
        (with("hostAddress", json!("[]")), "hostAddress"),
        (with("contextPath", json!("/a\r\nb")), "contextPath"),
        (with("instanceStatus", json!("up")), "instanceStatus"),
        (with("healthStatus", json!("FINE")), "healthStatus"),
        (with("protocolType", json!("GOPHER")), "protocolType"),
        (with("weightValue", json!(-1)), "weightValue"),
        (with("weightValue", json!(1_000_001)), "weightValue"),
        (with("metadata", json!([1])), "metadata"),
        (with("metadata", json!({ "a": 1 })), "metadata"),
        // As many as a body has room for: what went through them anew for each would not be over
        // before the request's time is.
        (with("metadata", many_pairs(80_000)), "metadata"),
        (with("tags", json!("a")), "tags"),
        (with("leaseSeconds", json!(0)), "leaseSeconds"),
        (with("nonsense", json!(1)), "nonsense"),
    ];
    for (body, field) in &cases {
        let (status, answer) = hub.post("/api/v1/instances", body).await;
        assert_eq!(status, 400, "{body} gave {answer}");
        check_shape(status, &answer);
        let named = answer["details"]["field"].as_str().unwrap_or_default();
        assert!(named.starts_with(field), "{body}: {answer}");
        assert!(answer["details"]["rule"].is_string(), "{answer}");
    }
    let bodies: Vec<_> = cases.iter().map(|(body, _)| body.clone()).chain([good()]).collect();
    let count = bodies.len();
    let (status, answer) =
        hub.post("/api/v1/instances/batch", &json!({ "instances": bodies })).await;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), count);
    assert_eq!(results[count - 1]["status"], 201, "{answer}");
    assert!(results[..count - 1].iter().all(|r| r["status"] == 400), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_the_right_status_in_the_one_shape() {
    let hub = Hub::start().await;
    let raw = async |method: Method, path: &str, kind: &str, body: String| {
        let request = hub.client.request(method, hub.url(path)).header("content-type", kind);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status();
        (status, answer.json::<Value>().await.unwrap())
    };
    let json_type = "application/json";
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    let huge = format!("{{\"serviceName\":\"{}\"}}", "x".repeat(2 << 20));
    let posts = [
        (json_type, "{".to_owned(), 400),
        (json_type, "[]".to_owned(), 400),
        (json_type, format!("{{\"metadata\":{deep}}}"), 400),
        (json_type, huge, 413),
        ("text/plain", good().to_string(), 415),
        ("application/x-www-form-urlencoded", "a=b".to_owned(), 415),
    ];
    for (kind, body, expected) in posts {
        let shown: String = body.chars().take(60).collect();
        let (status, answer) = raw(Method::POST, "/api/v1/instances", kind, body).await;
        assert_eq!(status, expected, "{kind} {shown}: {answer}");
        check_shape(status, &answer);
    }
    let gets = [
        ("/nowhere", 404),
        ("/api/v1/instances/0123", 404),
        ("/api/v1/instances?page=0", 400),
        ("/api/v1/instances?pageSize=1001", 400),
        ("/api/v1/services/web", 404),
        ("/api/v1/services/web/instances", 404),
        ("/api/v1/services/web/instances?status=up", 400),
        ("/api/v1/services/web/instances?health=OK", 400),
        ("/api/v1/services/web/instances?helath=HEALTHY", 400),
        ("/api/v1/services/web/instances?wait=5", 400),
        ("/api/v1/services/web/instances?wait=11m&index=1", 400),
        ("/api/v1/services/web/instances?index=-1", 400),
        ("/api/v1/services/web/instances?limit=0", 400),
        ("/api/v1/services/web/instances?strategy=BEST", 400),
        ("/api/v1/services/web/instances?onPartial=maybe", 400),
        ("/api/v1/services/web/instances?status=UP&status=DOWN", 400),
        ("/api/v1/services/web/instances?groupName=", 400),
        ("/api/v1/external/configs/none", 404),
        ("/api/v1/external/configs/none/status", 404),
    ];
    for (path, expected) in gets {
        let (status, answer) = hub.get(path).await;
        assert_eq!(status, expected, "{path}: {answer}");
        check_shape(status, &answer);
    }
    let (status, answer) = hub.send(Method::DELETE, "/api/v1/instances", None).await;
    assert_eq!(status, 405);
    check_shape(status, &answer);
    let tenant = hub.client.get(hub.url("/api/v1/services")).header("x-tenant-id", "a b");
    assert_eq!(tenant.send().await.unwrap().status(), 400);
    let problem = hub.client.get(hub.url("/nowhere")).header("accept", "application/problem+json");
    let problem = problem.send().await.unwrap();
    assert_eq!(problem.headers()["content-type"], "application/problem+json");
    assert_eq!(problem.json::<Value>().await.unwrap()["status"], 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configurations_are_refused_with_the_field() {
    let hub = Hub::start().await;
    let good =
        json!({ "configName": "c", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let specific = |value: Value| with("specificConfig", value);
    let cases = [
        (with("serverPort", json!(0)), 400, "serverPort"),
        (with("serverPort", json!(70_000)), 400, "serverPort"),
        (with("registryType", json!("ETCD")), 422, "registryType"),
        (with("registryType", json!("ZOOKEEPER")), 422, "registryType"),
        (with("registryType", json!("ETCDX")), 400, "registryType"),
        (with("serverAddress", json!("http://a/b")), 400, "serverAddress"),
        (with("configName", json!("")), 400, "configName"),
        (with("configname", json!("x")), 400, "configname"),
        (with("authEnabled", json!("yes")), 400, "authEnabled"),
        (specific(json!({ "nonsense": 1 })), 400, "specificConfig"),
        (specific(json!({ "datacenter": 7 })), 400, "specificConfig"),
        (specific(json!("{")), 400, "specificConfig"),
        (with("registryType", Value::Null), 400, "registryType"),
    ];
    for (body, expected, field) in cases {
        let (status, answer) = hub.post("/api/v1/external/configs", &body).await;
        assert_eq!(status, expected, "{body} gave {answer}");
        check_shape(status, &answer);
        let named = answer["details"]["field"].as_str().unwrap_or_default();
        assert!(named.starts_with(field), "{body}: {answer}");
    }
    let (_, list) = hub.get("/api/v1/external/configs").await;
    assert_eq!(list["count"], 0, "nothing of it was kept");
}

/// A body that never ends is not waited for: the bound of a request, set by the environment.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_is_ended() {
    let hub = Hub::with_environment(&[("REGISTRY__SERVER__HTTP__REQUESTTIMEOUT", "500ms")]).await;
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", hub.port)).await.unwrap();
    let head = "POST /api/v1/instances HTTP/1.1\r\nhost: x\r\n\
        content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await;
    read.expect("an answer within 10 s").unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 503");
    assert_eq!(hub.get("/health").await.0, 200, "the others do not suffer");
}

#[test]
fn a_wrong_configuration_file_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("server:\n  http:\n    prot: 80\n", ["3", "prot"]),
        ("server:\n  http:\n    port: many\n", ["3", "port"]),
        ("log:\n  level: loud\n", ["2", "level"]),
        ("external:\n  pollInterval: 5\n", ["2", "pollInterval"]),
    ];
    for (text, words) in cases {
        let file = dir.path().join("registry.yaml");
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_registry-server"))
            .args(["-config".as_ref(), file.as_os_str()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}: {said}");
        for word in words {
            assert!(said.contains(word), "{text} gave {said}, without {word}");
        }
        assert!(said.contains("registry.yaml"), "{said}");
    }
}
