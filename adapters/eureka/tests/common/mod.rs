//! What the tests share: settings for a server, and a plain client of Eureka's own API.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hub_registry_core::http::HttpClient;
use hub_registry_core::spec::{Credentials, Endpoint, Scheme, Tls};
use hub_registry_core::{
    ConnectSpec, Driver, GroupName, Instance, InstanceKey, InstanceStatus, Registry, RegistryKind,
};
use hub_registry_eureka::EurekaDriver;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Settings for servers on these loopback ports.
pub(crate) fn spec(ports: &[u16], specific: &Value) -> ConnectSpec {
    let endpoint = |&port: &u16| Endpoint { host: "127.0.0.1".to_owned(), port };
    ConnectSpec {
        name: "test".to_owned(),
        kind: RegistryKind::Eureka,
        endpoints: ports.iter().map(endpoint).collect(),
        scheme: Scheme::Http,
        path: "/eureka".to_owned(),
        credentials: Credentials::default(),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
        max_retries: 0,
        retry_interval: Duration::from_millis(100),
        default_group: GroupName::default_group(),
        tls: Tls::default(),
        egress: Arc::default(),
        specific: specific.as_object().unwrap().clone(),
    }
}

/// A registry for these settings.
pub(crate) async fn connect(spec: &ConnectSpec) -> Arc<dyn Registry> {
    EurekaDriver.connect(spec).await.unwrap()
}

// An older `lastDirtyTimestamp` than the stored one makes the real server ignore a registration.
static DIRTY: AtomicU64 = AtomicU64::new(1_700_000_000_000);

/// A client of Eureka, as applications are.
#[derive(Debug)]
pub(crate) struct Plain {
    base: String,
    client: reqwest::Client,
}

impl Plain {
    /// A client of the server with this base URL.
    pub(crate) fn new(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn url(&self, key: &InstanceKey) -> String {
        let app = HttpClient::segment(&key.service.name.as_str().to_uppercase());
        let id = HttpClient::segment(&id(key));
        format!("{}/apps/{app}/{id}", self.base)
    }

    /// Registers it and brings it into its state.
    pub(crate) async fn put(&self, instance: &Instance) {
        let word = instance.status.as_str();
        let body = json!({ "instance": body(instance) });
        let app = instance.key.service.name.as_str().to_uppercase();
        let url = format!("{}/apps/{}", self.base, HttpClient::segment(&app));
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        // A new registration moves an instance neither from UP to OUT_OF_SERVICE nor back
        // (LeaseExistsRule): that takes an operator.
        if let InstanceStatus::Up | InstanceStatus::OutOfService = instance.status {
            let status = format!("{}/status?value={word}", self.url(&instance.key));
            let answer = self.client.put(status).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
        }
    }

    /// Deregisters it.
    pub(crate) async fn remove(&self, key: &InstanceKey) {
        let answer = self.client.delete(self.url(key)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

fn id(key: &InstanceKey) -> String {
    format!("{}:{}:{}", key.host, key.service.name, key.port)
}

fn body(instance: &Instance) -> Value {
    let key = &instance.key;
    let name = key.service.name.as_str();
    let dirty = DIRTY.fetch_add(1, Ordering::Relaxed);
    json!({
        "instanceId": id(key),
        "hostName": key.host,
        "app": name.to_uppercase(),
        "ipAddr": key.host,
        "status": instance.status.as_str(),
        "port": {"$": key.port, "@enabled": "true"},
        "securePort": {"$": 443, "@enabled": "false"},
        "vipAddress": name,
        "dataCenterInfo": {"@class": hub_registry_eureka::wire::DEFAULT_DATA_CENTER, "name": "MyOwn"},
        "leaseInfo": {"renewalIntervalInSecs": 30, "durationInSecs": 90},
        "metadata": instance.metadata,
        "lastDirtyTimestamp": dirty.to_string(),
    })
}
