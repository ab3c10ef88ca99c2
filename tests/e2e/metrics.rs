//! Metrics: bounded, without anybody's data, and written down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hub_registry_testkit::stub::consul::StubConsul;
use reqwest::Method;
use serde_json::json;

use crate::hub::Hub;

const TABLE: &str = "docs/metrics.md";

/// A family as `/metrics` has it.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub kind: String,
    pub help: String,
    pub labels: BTreeSet<String>,
    pub series: usize,
}

/// The families of a scrape, by name.
pub(crate) fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let suffix =
                ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let family = match suffix.filter(|name| families.contains_key(*name)) {
                Some(name) => name,
                None => name,
            };
            let family = families.get_mut(family).unwrap_or_else(|| panic!("no TYPE: {line}"));
            family.series += 1;
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let names = labels.split("=\"").filter_map(|part| part.rsplit(['"', ',', '{']).next());
            let names =
                names.filter(|name| !name.is_empty() && !name.contains('}') && *name != "le");
            family.labels.extend(names.map(str::to_owned));
        }
    }
    families
}

/// A server with everything that has metrics: a registry, its standby, a rule of copying, a migration, a log
/// file, a database on a disk.
pub(crate) async fn scrape() -> String {
    let consul = StubConsul::start().await;
    let hub = Hub::with("", &[("REGISTRY__LOG__FILE__PATH", "logs/registry.log")]).await;
    let address = consul.address().to_string();
    let body =
        json!({ "configName": "consul-a", "registryType": "CONSUL", "serverAddress": address });
    let (status, made) = hub.post("/api/v1/external/configs", &body).await;
    assert_eq!(status, 201, "{made}");
    let body = json!({ "configName": "consul-b", "registryType": "CONSUL", "serverAddress": address,
        "failoverEnabled": "Y", "failoverConfigId": made["configId"], "syncEnabled": "Y",
        "specificConfig": { "sync": { "direction": "out", "targets": ["native"] } } });
    let (status, made) = hub.post("/api/v1/external/configs", &body).await;
    assert_eq!(status, 201, "{made}");
    let body = json!({ "name": "away", "from": "native", "to": "consul-a" });
    let (status, made) = hub.post("/api/v1/migrations", &body).await;
    assert_eq!(status, 201, "{made}");
    let id = made["migrationId"].as_str().unwrap();
    let path = format!("/api/v1/migrations/{id}/advance?force=true");
    let (status, answer) = hub.post(&path, &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let read = "hub_registry_source_call_duration_seconds_count{kind=\"CONSUL\"";
    let up = "hub_registry_source_up{kind=\"CONSUL\"";
    hub.until("/metrics", Duration::from_secs(30), |_, text| {
        let text = text.as_str().unwrap();
        text.contains(read)
            && text.contains("hub_registry_failover_state{")
            && text.contains("hub_registry_sync_copies{")
            && text.contains("hub_registry_migration_parity_percent{")
            && text.lines().any(|line| line.starts_with(up) && line.ends_with(" 1"))
    })
    .await;
    let (_, text) = hub.get("/metrics").await;
    text.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_registered_or_asked_for_is_a_series() {
    let hub = Hub::start().await;
    let (batches, services) = (25, 20_000);
    let each = services / batches;
    for batch in 0..batches {
        let instances: Vec<_> = (0..each)
            .map(|number| {
                let number = batch * each + number;
                json!({
                    "serviceName": format!("canary-{number}"),
                    "groupName": format!("canary-group-{}", number % 20),
                    "hostAddress": format!("10.{}.{}.{}", number / 65_536, number / 256 % 256, number % 256),
                    "portNumber": 80,
                    "metadata": { "canary": "canary" },
                })
            })
            .collect();
        let answer = hub
            .client
            .post(hub.url("/api/v1/instances/batch"))
            .header("x-tenant-id", format!("canary-tenant-{batch}"))
            .json(&json!({ "instances": instances }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["results"].as_array().unwrap().len(), each);
        assert!(body["results"][0]["instanceId"].is_string(), "{}", body["results"][0]);
    }
    let methods =
        ["GET", "PUT", "PATCH", "CANARY", "OPTIONS", "TRACE", "PROPFIND", "DELETE", "POST"];
    let paths = [
        "/canary",
        "/api/v1/canary/",
        "/api/v1/services/canary-",
        "/api/v1/instances/canary",
        "/",
        "//",
        "/%63anary",
    ];
    for number in 0..400 {
        let method = Method::from_bytes(methods[number % methods.len()].as_bytes()).unwrap();
        let path = format!("{}{number}?canary={number}", paths[number % paths.len()]);
        hub.client
            .request(method, hub.url(&path))
            .header("x-request-id", format!("canary-{number}"))
            .header("user-agent", "canary")
            .header("content-type", "application/json")
            .body("{}")
            .send()
            .await
            .unwrap();
    }
    for route in crate::input::routes() {
        let path = route.path.replace('{', "canary-").replace('}', "");
        for method in methods {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request =
                hub.client.request(method, hub.url(&path)).timeout(Duration::from_secs(5));
            // Streams do not end; whatever comes is no label.
            request.header("content-type", "application/json").body("{}").send().await.ok();
        }
    }
    let (_, text) = hub.get("/metrics").await;
    let text = text.as_str().unwrap();
    assert!(text.contains("hub_registry_view_services 200"), "all of them are there");
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    println!("{series} series");
    assert!(series < 2000, "{series} series");
    assert!(!text.to_ascii_lowercase().contains("canary"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_counted_by_their_states() {
    let hub = Hub::start().await;
    let count = async |status: &str, health: &str| {
        hub.metric(&format!("hub_registry_instances{{health=\"{health}\",status=\"{status}\"}}"))
            .await
    };
    let mut ids = Vec::new();
    for port in 1..=5 {
        let body = json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": port, "healthCheckType": "NONE" });
        let (_, made) = hub.post("/api/v1/instances", &body).await;
        ids.push(made["instanceId"].as_str().unwrap().to_owned());
    }
    let path = |id: &str, what: &str| format!("/api/v1/instances/{id}/{what}");
    for id in &ids {
        hub.put(&path(id, "health"), &json!({ "healthStatus": "HEALTHY" })).await;
    }
    assert_eq!(count("UP", "HEALTHY").await, 5.0);
    hub.put(&path(&ids[0], "health"), &json!({ "healthStatus": "UNHEALTHY" })).await;
    hub.put(&path(&ids[1], "status"), &json!({ "instanceStatus": "OUT_OF_SERVICE" })).await;
    hub.send(Method::DELETE, &format!("/api/v1/instances/{}", ids[2]), None).await;
    assert_eq!(
        (
            count("UP", "HEALTHY").await,
            count("UP", "UNHEALTHY").await,
            count("OUT_OF_SERVICE", "HEALTHY").await
        ),
        (2.0, 1.0, 1.0)
    );
    assert_eq!(hub.metric("hub_registry_view_instances").await, 4.0);
    assert_eq!(hub.metric("hub_registry_database_up").await, 1.0);
    assert!(hub.metric("process_resident_memory_bytes").await > 1e6);
    assert!(hub.metric("hub_registry_disk_free_bytes{folder=\"data\"}").await > 0.0);
    assert!(hub.metric("hub_registry_database_wait_seconds_count").await > 0.0);
}

const INTRODUCTION: &str = "\
# Metrics

<!-- Written by tests/e2e/metrics.rs from a running server: run the tests with UPDATE_DOCS=1. -->

Prometheus text at `GET /metrics`, on the port of metrics (`server.metrics`, 9091) and on the main one. No label ever holds
a tenant, a group, a service, an instance or a path; what has the name of a registry (`source`) ends with its configuration.
`deploy/prometheus` has a scrape configuration and alerts, `deploy/grafana` a dashboard, [Operations](operations.md) what to do.

| name | type | labels | what |
|---|---|---|---|
";

#[tokio::test(flavor = "multi_thread")]
async fn the_table_in_the_documentation_is_up_to_date() {
    let mut table = INTRODUCTION.to_owned();
    for (name, family) in families(&scrape().await) {
        let Family { kind, help, labels, .. } = family;
        let labels = labels.into_iter().collect::<Vec<_>>().join(", ");
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {help} |\n"));
    }
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(TABLE, &table).unwrap();
    }
    let committed = std::fs::read_to_string(Path::new(TABLE)).unwrap_or_default();
    assert!(
        committed == table,
        "{TABLE} is not what the server says: run the tests with UPDATE_DOCS=1"
    );
}
