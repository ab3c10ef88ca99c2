//! Nacos as its own clients see it, and settings for the hub's view of it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test binaries, each of which uses a part"
)]

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::spec::{Credentials, Endpoint, Scheme, Tls};
use hub_registry_core::{
    ConnectSpec, Driver, GroupName, HealthStatus, Host, Instance, InstanceKey, InstanceStatus,
    Registry, RegistryKind, Secret, ServiceKey, ServiceName,
};
use hub_registry_nacos::NacosDriver;
use hub_registry_testkit::contract::Traits;
use hub_registry_testkit::stub::nacos::{NacosStub, Version};
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// The settings of a Nacos at this loopback port.
pub(crate) fn spec(port: u16) -> ConnectSpec {
    ConnectSpec {
        name: "nacos".to_owned(),
        kind: RegistryKind::Nacos,
        endpoints: vec![Endpoint { host: "127.0.0.1".to_owned(), port }],
        scheme: Scheme::Http,
        path: "/nacos".to_owned(),
        credentials: Credentials::default(),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
        max_retries: 0,
        retry_interval: Duration::from_secs(1),
        default_group: GroupName::default_group(),
        tls: Tls::default(),
        egress: Arc::default(),
        specific: serde_json::Map::new(),
    }
}

/// The same with these keys of `specificConfig`.
pub(crate) fn with(mut spec: ConnectSpec, specific: &Value) -> ConnectSpec {
    spec.specific = specific.as_object().unwrap().clone();
    spec
}

/// The registry of these settings.
pub(crate) async fn connect(spec: &ConnectSpec) -> Arc<dyn Registry> {
    NacosDriver.connect(spec).await.unwrap()
}

/// What any Nacos can hold.
pub(crate) fn traits() -> Traits {
    Traits {
        groups: vec![GroupName::default_group(), GroupName::parse("g2").unwrap()],
        states: vec![
            (InstanceStatus::OutOfService, HealthStatus::Unknown),
            (InstanceStatus::Up, HealthStatus::Unhealthy),
            (InstanceStatus::Up, HealthStatus::Healthy),
        ],
        initial: (InstanceStatus::Up, HealthStatus::Healthy),
        weight: true,
        tags: true,
        lag: Duration::from_secs(3),
        keeps_data: false,
    }
}

/// A client that registers by plain HTTP.
#[derive(Debug)]
pub(crate) struct Writer {
    base: String,
    client: Client,
    token: String,
    path: &'static str,
}

impl Writer {
    /// A client of the Nacos at this loopback port.
    pub(crate) fn new(port: u16) -> Self {
        Self {
            base: format!("http://127.0.0.1:{port}/nacos"),
            client: Client::builder().no_proxy().build().unwrap(),
            token: String::new(),
            path: "v1/ns/instance",
        }
    }

    /// A client of the stub that speaks as its version does.
    pub(crate) fn of(stub: &NacosStub) -> Self {
        let path = match stub.version() {
            Version::V3_2 => "v3/client/ns/instance",
            _ => "v1/ns/instance",
        };
        Self { path, ..Self::new(stub.port()) }
    }

    /// The same, logged in.
    pub(crate) async fn logged_in(mut self, user: &str, password: &str) -> Self {
        let url = format!("{}/v1/auth/users/login", self.base);
        let form = [("username", user), ("password", password)];
        let answer = self.client.post(url).form(&form).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        self.token = answer["accessToken"].as_str().unwrap().to_owned();
        self
    }

    /// Whether it is a 1.x.
    pub(crate) async fn is_1(&self) -> bool {
        let url = format!("{}/v1/console/server/state", self.base);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        text.contains(r#""version":"1."#)
    }

    /// How many clients subscribe to the service.
    pub(crate) async fn subscribers(&self, service: &ServiceKey) -> u64 {
        let url = format!("{}/v1/ns/service/subscribers", self.base);
        let name = format!("{}@@{}", service.group, service.name);
        let query = [("serviceName", name.as_str()), ("pageNo", "1"), ("pageSize", "9")];
        let request = self.client.get(url).query(&query);
        let answer = request.header("accessToken", &self.token).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        answer["count"].as_u64().unwrap()
    }

    /// Registers or updates.
    pub(crate) async fn put(&self, instance: &Instance) {
        let mut metadata = instance.metadata.clone();
        let tags: Vec<_> = instance.tags.iter().map(|tag| tag.replace(',', "\\,")).collect();
        metadata.insert("fed-tags".to_owned(), tags.join(","));
        // Nobody beats for it: it must not turn unhealthy, or go, by itself.
        for key in ["preserved.heart.beat.timeout", "preserved.ip.delete.timeout"] {
            metadata.insert(key.to_owned(), "3600000".to_owned());
        }
        let weight = f64::from(instance.weight.get()) / 100.0;
        self.send(
            Method::POST,
            &instance.key,
            &[
                ("metadata", json!(metadata).to_string()),
                ("weight", weight.to_string()),
                ("enabled", (instance.status == InstanceStatus::Up).to_string()),
                ("healthy", (instance.health != HealthStatus::Unhealthy).to_string()),
            ],
        )
        .await;
    }

    /// Deregisters.
    pub(crate) async fn remove(&self, key: &InstanceKey) {
        self.send(Method::DELETE, key, &[]).await;
    }

    /// One call of the instance API with these parameters beside the address.
    pub(crate) async fn send(&self, method: Method, key: &InstanceKey, more: &[(&str, String)]) {
        let port = key.port.to_string();
        let query = [
            ("serviceName", key.service.name.as_str()),
            ("groupName", key.service.group.as_str()),
            ("ip", key.host.as_str()),
            ("port", &port),
        ];
        let url = format!("{}/{}", self.base, self.path);
        let request = self.client.request(method, url).query(&query).query(more);
        let request = request.header("accessToken", &self.token);
        let request = match self.token.as_str() {
            "" => request,
            // 1.x knows no other way.
            token => request.bearer_auth(token),
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        let done = text == "ok" || text.contains(r#""code":0,"#);
        assert!(status.is_success() && done, "{status}: {text}");
    }
}

/// The settings of a stub.
pub(crate) fn stub_spec(stub: &NacosStub) -> ConnectSpec {
    with(spec(stub.port()), &json!({"grpcPortOffset": stub.grpc_offset()}))
}

/// What the stubs' logins want.
pub(crate) const LOGIN: (&str, &str) = ("nacos", "right");

/// A stub of this version and settings with which it can be read: 3.x wants a login.
pub(crate) async fn stub_of(version: Version) -> (NacosStub, ConnectSpec) {
    let stub = NacosStub::of(version).await;
    let mut spec = stub_spec(&stub);
    if version >= Version::V3_0 {
        stub.require_login(LOGIN.0, LOGIN.1);
        spec.credentials = credentials(LOGIN.0, LOGIN.1);
    }
    (stub, spec)
}

/// A name and a password.
pub(crate) fn credentials(username: &str, password: &str) -> Credentials {
    Credentials {
        username: username.to_owned(),
        password: Secret::new(password),
        ..Credentials::default()
    }
}

/// A service of the default group.
pub(crate) fn service(name: &str) -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
}

/// An instance of it, up and healthy.
pub(crate) fn instance(service: &ServiceKey, number: u16) -> Instance {
    let mut instance = Instance::new(InstanceKey {
        service: service.clone(),
        host: Host::parse(&format!("10.2.0.{number}")).unwrap(),
        port: 8080,
    });
    instance.health = HealthStatus::Healthy;
    instance
}
