//! `facades`: the same view in the words of others.

use std::time::Duration;

use hub_registry_core::{TenantId, duration};
use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::{PORT, Rule};

/// The same view in the words of others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FacadesConfig {
    /// Consul's HTTP API.
    pub consul: ConsulConfig,
    /// DNS.
    pub dns: DnsConfig,
    /// Eureka's protocol.
    pub eureka: EurekaConfig,
    /// Nacos' protocols.
    pub nacos: NacosConfig,
    /// Prometheus' HTTP service discovery.
    pub http_sd: HttpSdConfig,
}

/// Consul's HTTP API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ConsulConfig {
    /// Whether it is answered.
    pub enabled: bool,
    /// The address of its own port.
    pub host: String,
    /// Its own port besides the main one; 0 is any free one, `None`: it has none.
    pub port: Option<u16>,
    /// The name of the data centre.
    pub datacenter: String,
    /// Whose services are answered, where it is not the token that says it.
    pub tenant: Option<TenantId>,
}

impl Default for ConsulConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            host: "127.0.0.1".to_owned(),
            port: None,
            datacenter: "dc1".to_owned(),
            tenant: None,
        }
    }
}

/// DNS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DnsConfig {
    /// The address to listen on.
    pub host: String,
    /// The port, UDP and TCP; 0 is any free one, `None`: DNS is not answered.
    pub port: Option<u16>,
    /// What names end with.
    pub domain: String,
    /// The name of the data centre in names.
    pub datacenter: String,
    /// Whose services are answered.
    pub tenant: TenantId,
    /// How long an answer may be kept.
    #[serde(with = "duration")]
    pub ttl: Duration,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: None,
            domain: "consul".to_owned(),
            datacenter: "dc1".to_owned(),
            tenant: TenantId::default_tenant(),
            ttl: Duration::from_secs(1),
        }
    }
}

/// Eureka's protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EurekaConfig {
    /// Whether it is answered.
    pub enabled: bool,
}

impl Default for EurekaConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// Nacos' protocols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NacosConfig {
    /// Whether it is answered.
    pub enabled: bool,
    /// The address of its own port.
    pub host: String,
    /// Its own port besides the main one; 0 is any free one, `None`: it has none.
    pub port: Option<u16>,
}

impl Default for NacosConfig {
    fn default() -> Self {
        Self { enabled: true, host: "127.0.0.1".to_owned(), port: None }
    }
}

/// Prometheus' HTTP service discovery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HttpSdConfig {
    /// Whether it is answered.
    pub enabled: bool,
}

impl Default for HttpSdConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "facades.consul.enabled",
        Rule::Switch,
        "Answers clients of Consul under /v1. Off, they are 404.",
    ),
    Key::new(
        "facades.consul.host",
        Rule::Host,
        "The address that clients of Consul are answered on beside the main one.",
    ),
    Key::new(
        "facades.consul.port",
        PORT,
        "The port on which clients of Consul are answered beside the main one; 0 is any free one, \
         null: on none.",
    )
    .optional(),
    Key::new(
        "facades.consul.datacenter",
        Rule::Label,
        "The name of the data centre; clients that ask for another are refused.",
    ),
    Key::new(
        "facades.consul.tenant",
        Rule::Tenant,
        "Whose services clients of Consul see, where it is not their token that says it.",
    )
    .optional(),
    Key::new("facades.dns.host", Rule::Host, "The address that questions by DNS are answered on."),
    Key::new(
        "facades.dns.port",
        PORT,
        "The port, UDP and TCP, on which names of services are answered; 0 is any free one, null: \
         none are.",
    )
    .optional(),
    Key::new(
        "facades.dns.domain",
        Rule::Domain,
        "What names end with: SERVICE.service.DOMAIN, TAG.SERVICE.service.DOMAIN, \
         _SERVICE._tcp.service.DOMAIN, SERVICE.GROUP.DOMAIN.",
    ),
    Key::new(
        "facades.dns.datacenter",
        Rule::Label,
        "The name of the data centre, for names that say it: SERVICE.service.DATACENTER.DOMAIN.",
    ),
    Key::new(
        "facades.dns.tenant",
        Rule::Tenant,
        "Whose services are answered. With security on only those of groups that every reader sees: \
         DNS knows no credentials.",
    ),
    Key::new(
        "facades.dns.ttl",
        Rule::Span { min: Duration::ZERO, max: Duration::from_secs(3600) },
        "How long an answer may be kept, and that there is none, in whole seconds.",
    ),
    Key::new(
        "facades.eureka.enabled",
        Rule::Switch,
        "Answers clients of Eureka under /eureka, /eureka/v2 and /eureka/t/TENANT. Off, they are 404.",
    ),
    Key::new(
        "facades.nacos.enabled",
        Rule::Switch,
        "Answers clients of Nacos: its HTTP API under /nacos, and gRPC. Off, they are 404 and refused.",
    ),
    Key::new(
        "facades.nacos.host",
        Rule::Host,
        "The address that clients of Nacos are answered on beside the main one.",
    ),
    Key::new(
        "facades.nacos.port",
        // Another is above it by 1000.
        Rule::Integer { min: 0, max: 64_535 },
        "The port on which clients of Nacos are answered beside the main one, those of 2.x and later \
         by gRPC on the port above it by 1000; 0 is any free one, null: on the main one only, and by \
         gRPC on the port above that, if it is free.",
    )
    .optional(),
    Key::new(
        "facades.httpSd.enabled",
        Rule::Switch,
        "Answers /api/v1/sd/prometheus, for the http_sd_configs of Prometheus. Off, it is 404.",
    ),
];
