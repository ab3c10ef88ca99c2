//! What the tests of this adapter share: its settings, and Consul as its own clients see it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod subject;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_consul::ConsulDriver;
use hub_registry_core::spec::{Credentials, Endpoint, Scheme, Tls};
use hub_registry_core::{
    ConnectSpec, Driver, GroupName, Registry, RegistryKind, ServiceKey, ServiceName,
};
use serde_json::{Map, Value};

/// Settings for a Consul at this address, with a short read time-out.
pub fn spec(address: SocketAddr) -> ConnectSpec {
    ConnectSpec {
        name: "consul".to_owned(),
        kind: RegistryKind::Consul,
        endpoints: vec![Endpoint { host: address.ip().to_string(), port: address.port() }],
        scheme: Scheme::Http,
        path: String::new(),
        credentials: Credentials::default(),
        connect_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(2),
        max_retries: 0,
        retry_interval: Duration::from_millis(100),
        default_group: GroupName::default_group(),
        tls: Tls::default(),
        egress: Arc::default(),
        specific: Map::new(),
    }
}

/// The same with these keys of `specificConfig`.
pub fn specific(mut spec: ConnectSpec, keys: Value) -> ConnectSpec {
    spec.specific = keys.as_object().unwrap().clone();
    spec
}

pub async fn connect(spec: &ConnectSpec) -> Arc<dyn Registry> {
    ConsulDriver.connect(spec).await.unwrap()
}

pub fn key(name: &str) -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
}
