//! A real Prometheus that finds its targets by the protocol of Eureka. (Debian builds it without
//! Consul's.)

use std::process::Stdio;
use std::time::Duration;

use hub_registry_testkit::servers;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::Instant;

use crate::hub::{Hub, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_finds_by_the_protocol_of_eureka_what_the_hub_knows() {
    let Some(program) = servers::require_client("prometheus") else { return };
    let hub = Hub::start().await;
    let instance = json!({
        "serviceName": "scraped", "hostAddress": "127.0.0.1", "portNumber": hub.port, "leaseSeconds": 3600,
        "tags": ["blue"], "metadata": { "team": "x" },
    });
    assert_eq!(hub.post("/api/v1/instances", &instance).await.0, 201);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let config = json!({ "global": { "scrape_interval": "1s" }, "scrape_configs": [
        { "job_name": "eureka", "eureka_sd_configs": [
            { "server": hub.url("/eureka"), "refresh_interval": "1s" },
        ] },
    ] });
    // JSON is YAML.
    std::fs::write(&file, config.to_string()).unwrap();
    let port = free_port();
    let _prometheus = Command::new(program)
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let found = async |count: usize| {
        let url = format!("http://127.0.0.1:{port}/api/v1/targets?state=active");
        let end = Instant::now() + Duration::from_secs(30);
        let mut last = Value::Null;
        while Instant::now() < end {
            if let Ok(answer) = hub.client.get(&url).send().await {
                last = answer.json().await.unwrap_or_default();
                let targets = last["data"]["activeTargets"].as_array().cloned().unwrap_or_default();
                let up = targets.iter().filter(|target| target["health"] == "up").count();
                if targets.len() == count && up == count {
                    return targets;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{last:#}")
    };
    let targets = found(1).await;
    let said = |label: &str| targets[0]["discoveredLabels"][label].clone();
    assert_eq!(said("__address__"), json!(format!("127.0.0.1:{}", hub.port)));
    assert_eq!(said("__meta_eureka_app_name"), "SCRAPED");
    assert_eq!(said("__meta_eureka_app_instance_metadata_team"), "x");
    // A change comes too.
    let instance = json!({
        "serviceName": "more", "hostAddress": "127.0.0.1", "portNumber": hub.port, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &instance).await.0, 201);
    found(2).await;
}
