//! A Consul agent as its own clients see it: plain HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use hub_registry_core::{GroupName, HealthStatus, Instance, InstanceKey, InstanceStatus};
use hub_registry_testkit::contract::Traits;
use serde_json::{Value, json};

/// What the suite may expect of a Consul.
pub fn traits(keeps_data: bool) -> Traits {
    Traits {
        groups: vec![GroupName::default_group()],
        states: vec![
            (InstanceStatus::Up, HealthStatus::Unhealthy),
            (InstanceStatus::OutOfService, HealthStatus::Unknown),
            (InstanceStatus::Up, HealthStatus::Healthy),
        ],
        initial: (InstanceStatus::Up, HealthStatus::Healthy),
        weight: true,
        tags: true,
        lag: Duration::from_secs(3),
        keeps_data,
    }
}

/// A client of one agent.
#[derive(Clone, Debug)]
pub struct Agent {
    address: SocketAddr,
    http: reqwest::Client,
}

impl Agent {
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::new();
        Self { address, http }
    }

    /// Sends a body; the answer must be good.
    pub async fn send(&self, path: &str, body: Value) {
        let url = format!("http://{}/v1/{path}", self.address);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.http.put(url).body(body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
    }

    pub async fn put(&self, instance: &Instance) {
        let id = id_of(&instance.key);
        let status = match instance.health {
            HealthStatus::Unhealthy => "critical",
            HealthStatus::Healthy | HealthStatus::Unknown => "passing",
        };
        let body = json!({
            "ID": id,
            "Name": instance.key.service.name.as_str(),
            "Address": instance.key.host.as_str(),
            "Port": instance.key.port,
            "Tags": instance.tags,
            "Meta": instance.metadata,
            "Weights": {"Passing": instance.weight.get() / 100, "Warning": 1},
            "Check": {"CheckID": format!("service:{id}"), "TTL": "1h", "Status": status},
        });
        self.send("agent/service/register", body).await;
        // A second registration keeps the status of a check that is there already.
        let update = format!("agent/check/update/service:{id}");
        self.send(&update, json!({"Status": status})).await;
        let out = instance.status == InstanceStatus::OutOfService;
        let maintenance = format!("agent/service/maintenance/{id}?enable={out}");
        self.send(&maintenance, Value::Null).await;
    }

    pub async fn remove(&self, instance: &InstanceKey) {
        let path = format!("agent/service/deregister/{}", id_of(instance));
        self.send(&path, Value::Null).await;
    }
}

fn id_of(key: &InstanceKey) -> String {
    format!("{}-{}-{}", key.service.name, key.host, key.port)
}
