//! Service discovery for Prometheus: the list itself, and a real Prometheus that goes by it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hub_registry_testkit::servers;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::federation::rows;
use crate::hub::{Hub, free_port};

const TARGETS: &str = "/api/v1/sd/prometheus";

async fn register(hub: &Hub, more: Value) {
    let mut body = json!({
        "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "leaseSeconds": 3600,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = hub.post("/api/v1/instances", &body).await;
    assert!(status == 201 || status == 200, "{answer}");
}

/// A registry that nobody has heard of yet; its id.
async fn deaf(hub: &Hub) -> String {
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let (status, body) = hub.post("/api/v1/external/configs", &config).await;
    assert_eq!(status, 201, "{body}");
    body["configId"].as_str().unwrap().to_owned()
}

fn addresses(list: &Value) -> Vec<&str> {
    let groups = list.as_array().unwrap_or_else(|| panic!("{list}"));
    groups.iter().map(|group| group["targets"][0].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_instance_is_a_target_with_its_labels() {
    let hub = Hub::start().await;
    let (status, none) = hub.get(TARGETS).await;
    assert_eq!((status.as_u16(), &none), (200, &json!([])), "nothing there, and all was heard");
    let full = json!({
        "metadata": { "app.version": "1.4.2", "app-version": "other", "名": "x" },
        "tags": ["blue", "new"], "weightValue": 50, "contextPath": "/api",
    });
    register(&hub, full).await;
    register(&hub, json!({ "hostAddress": "2001:db8::1", "serviceName": "six" })).await;
    let down = json!({ "groupName": "night", "portNumber": 81, "instanceStatus": "DOWN" });
    register(&hub, down).await;

    let answer = hub.client.get(hub.url(TARGETS)).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let list: Value = answer.json().await.unwrap();
    assert_eq!(addresses(&list), ["[2001:db8::1]:80", "10.0.0.1:80", "10.0.0.1:81"]);
    let (_, web) = hub.get("/api/v1/services/web/instances").await;
    let labels = json!({
        "__meta_hub_registry_tenant": "default",
        "__meta_hub_registry_group": "DEFAULT_GROUP",
        "__meta_hub_registry_service": "web",
        "__meta_hub_registry_instance_id": web["instances"][0]["instanceId"],
        "__meta_hub_registry_host": "10.0.0.1",
        "__meta_hub_registry_port": "80",
        "__meta_hub_registry_status": "UP",
        "__meta_hub_registry_health": "HEALTHY",
        "__meta_hub_registry_weight": "50",
        "__meta_hub_registry_protocol": "HTTP",
        "__meta_hub_registry_context_path": "/api",
        "__meta_hub_registry_registry_type": "SYSTEM",
        "__meta_hub_registry_sources": ",native,",
        "__meta_hub_registry_tags": ",blue,new,",
        "__meta_hub_registry_held": "false",
        "__meta_hub_registry_metadata_app_version": "other",
        "__meta_hub_registry_metadata__": "x",
    });
    assert_eq!(list[1], json!({ "targets": ["10.0.0.1:80"], "labels": labels }));

    for (query, expected) in [
        ("?groupName=night", vec!["10.0.0.1:81"]),
        ("?status=UP", vec!["[2001:db8::1]:80", "10.0.0.1:80"]),
        ("?name=s*", vec!["[2001:db8::1]:80"]),
        ("?tag=blue&meta.app.version=1.4.2", vec!["10.0.0.1:80"]),
        ("?source=nowhere", vec![]),
        ("?tenantId=other", vec![]),
    ] {
        let (status, list) = hub.get(&format!("{TARGETS}{query}")).await;
        assert_eq!((status.as_u16(), addresses(&list)), (200, expected), "{query}");
    }
    let (status, body) = hub.get(&format!("{TARGETS}?state=UP")).await;
    assert_eq!((status.as_u16(), &body["details"]["field"]), (400, &json!("state")), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_source_was_never_heard_there_is_no_list() {
    let hub = Hub::start().await;
    register(&hub, json!({})).await;
    let id = deaf(&hub).await;
    let answer = hub.client.get(hub.url(TARGETS)).send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["details"]["sources"][0]["source"], "deaf", "{body}");
    let (status, list) = hub.get(&format!("{TARGETS}?onPartial=use")).await;
    assert_eq!((status.as_u16(), addresses(&list)), (200, vec!["10.0.0.1:80"]));
    hub.send(Method::DELETE, &format!("/api/v1/external/configs/{id}"), None).await;
    assert_eq!(hub.get(TARGETS).await.0, 200, "now everybody was heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_whole() {
    let hub = Hub::start().await;
    for service in 0..100 {
        let instance = |port| {
            json!({
                "serviceName": format!("service-{service}"), "hostAddress": "10.0.0.1",
                "portNumber": port, "leaseSeconds": 3600,
            })
        };
        let batch = json!({ "instances": (1..=5).map(instance).collect::<Vec<_>>() });
        assert_eq!(hub.post("/api/v1/instances/batch", &batch).await.0, 200);
    }
    let (status, list) = hub.get(TARGETS).await;
    assert_eq!((status.as_u16(), addresses(&list).len()), (200, 500));
    // The first services have none of what is asked for.
    let (status, list) = hub.get(&format!("{TARGETS}?name=service-9*&status=UP")).await;
    assert_eq!((status.as_u16(), addresses(&list).len()), (200, 55));
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_not_there() {
    let hub = Hub::with_config("facades:\n  httpSd:\n    enabled: false\n").await;
    assert_eq!(hub.get(TARGETS).await.0, 404);
}

/// A Prometheus that goes by the hub's list.
struct Prometheus {
    port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn start(program: &Path, hub: &Hub) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = std::fs::read_to_string("deploy/prometheus/discovery.yml").unwrap();
        let config = shipped
            .replace("http://localhost:8080", &hub.url(""))
            .replace("refresh_interval: 15s", "refresh_interval: 1s");
        assert!(config.contains(&hub.url(TARGETS)) && config.contains("refresh_interval: 1s"));
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, format!("global:\n  scrape_interval: 1s\n{config}")).unwrap();
        let port = free_port();
        let child = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { port, child, _folder: folder }
    }

    /// Asks until the answer is as expected.
    async fn until(&self, path: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        let mut last = Value::Null;
        while Instant::now() < end {
            if let Ok(answer) = client.get(&url).send().await {
                last = answer.json().await.unwrap_or_default();
                if expected(&last) {
                    return last;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{path}: {last:#}")
    }
}

fn instances(answer: &Value) -> Vec<&str> {
    let targets = answer["data"]["activeTargets"].as_array().into_iter().flatten();
    targets.map(|target| target["labels"]["instance"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_what_the_hub_knows_and_keeps_it_when_the_hub_does_not() {
    let Some(program) = servers::require_client("prometheus") else { return };
    let mut hub = Hub::start().await;
    let scraped = |port: u16| {
        json!({
            "serviceName": "hub", "hostAddress": "127.0.0.1", "portNumber": port,
            "metadata": { "prometheus.scrape": "true", "prometheus.path": "/metrics" },
        })
    };
    register(&hub, scraped(hub.port)).await;
    register(&hub, json!({ "serviceName": "not-scraped" })).await;
    let mut prometheus = Prometheus::start(&program, &hub);
    // By the labels that relabelling made, and with the path the instance asked for.
    let query = "/api/v1/query?query=up%7Bservice%3D%22hub%22,group%3D%22DEFAULT_GROUP%22%7D";
    prometheus.until(query, |answer| answer["data"]["result"][0]["value"][1] == "1").await;
    let own = format!("127.0.0.1:{}", hub.port);
    let (targets, other) = ("/api/v1/targets?state=active", format!("127.0.0.1:{}", free_port()));
    let answer = prometheus.until(targets, |answer| !instances(answer).is_empty()).await;
    assert_eq!(instances(&answer), [own.as_str()]);

    // A source that was never heard, then a hub that starts again: nothing leaves.
    let id = deaf(&hub).await;
    let refused = r#"hub_registry_http_requests_total{method="GET",route="/api/v1/sd/prometheus",status="5xx"}"#;
    let end = Instant::now() + Duration::from_secs(30);
    while hub.metric(refused).await < 2.0 {
        assert!(Instant::now() < end, "{}", hub.log_end());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(instances(&prometheus.until(targets, |_| true).await), [own.as_str()]);
    hub.kill().await;
    hub.run().await;
    assert_eq!(instances(&prometheus.until(targets, |_| true).await), [own.as_str()]);
    hub.send(Method::DELETE, &format!("/api/v1/external/configs/{id}"), None).await;

    // One more, then one less.
    register(&hub, scraped(other.rsplit_once(':').unwrap().1.parse().unwrap())).await;
    prometheus.until(targets, |answer| instances(answer).len() == 2).await;
    let (_, list) = hub.get("/api/v1/services/hub/instances").await;
    let mut rows = rows(&list).iter();
    let gone = rows.find(|row| row["portNumber"] == hub.port).unwrap();
    let path = format!("/api/v1/instances/{}", gone["instanceId"].as_str().unwrap());
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200);
    let answer = prometheus.until(targets, |answer| instances(answer).len() == 1).await;
    assert_eq!(instances(&answer), [other.as_str()]);
    prometheus.child.kill().await.unwrap();
}
