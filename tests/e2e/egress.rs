//! What the server does not connect to, whoever asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::hub::Hub;

const CONFIGS: &str = "/api/v1/external/configs";

/// Counts who connects, on every address of 127/8.
pub(crate) async fn counting() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (port, count)
}

fn config(name: &str, kind: &str, address: &str) -> Value {
    json!({
        "configName": name, "registryType": kind, "serverAddress": address,
        "connectionTimeout": 1000, "readTimeout": 2000, "maxRetries": 0,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_not_allowed_is_refused_when_it_is_configured() {
    let hub = Hub::start().await;
    for kind in ["CONSUL", "EUREKA", "NACOS"] {
        for address in
            ["169.254.169.254", "0xa9fea9fe:80", "2852039166", "[fe80::1]:8500", "0.0.0.0"]
        {
            let (status, body) = hub.post(CONFIGS, &config("evil", kind, address)).await;
            assert_eq!(
                (status.as_u16(), &body["details"]["field"]),
                (400, &json!("serverAddress"))
            );
            let rule = body["details"]["rule"].as_str().unwrap();
            assert!(rule.contains("is not allowed"), "{rule}");
            let path = format!("{CONFIGS}/test");
            let (status, body) = hub.post(&path, &config("evil", kind, address)).await;
            assert_eq!(status, 400, "{body}");
        }
    }
    let (_, body) = hub.get(CONFIGS).await;
    assert_eq!(body["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_judged_by_the_address_it_leads_to() {
    let (port, connections) = counting().await;
    let hub = Hub::with_config(
        "external:\n  egress:\n    deny: [\"127.0.0.0/8\", \"::1\"]\n  pollInterval: 100ms\n",
    )
    .await;
    for kind in ["CONSUL", "EUREKA", "NACOS"] {
        let name = kind.to_lowercase();
        let address = format!("localhost:{port}");
        let (status, body) = hub.post(CONFIGS, &config(&name, kind, &address)).await;
        assert_eq!(status, 201, "{body}");
        let path = format!("{CONFIGS}/{}/status", body["configId"].as_str().unwrap());
        let within = Duration::from_secs(10);
        hub.until(&path, within, |_, body| {
            let message = body["lastErrorMessage"].as_str().unwrap_or_default();
            body["state"] == "DOWN" && message.contains("its address is in egress.deny")
        })
        .await;
    }
    // By plain SQL nobody is told no; the row is an error, and nothing is connected to.
    let database = hub.dir.path().join("registry.db");
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    sqlx::query(
        "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG \
         (tenantId, externalConfigId, configName, registryType, serverAddress, serverPort) \
         VALUES ('default', 'sql', 'sql', 'CONSUL', '0x7f.0.0.1', ?)",
    )
    .bind(i64::from(port))
    .execute(&pool)
    .await
    .unwrap();
    hub.until(&format!("{CONFIGS}/sql/status"), Duration::from_secs(10), |_, body| {
        let message = body["lastErrorMessage"].as_str().unwrap_or_default();
        body["connectionStatus"] == "ERROR" && message.contains("serverAddress")
    })
    .await;
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}
