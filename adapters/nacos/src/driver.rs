//! Settings, and from a configuration row to a registry.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hub_registry_core::egress::{Egress, EgressError};
use hub_registry_core::spec::{Endpoint, Scheme};
use hub_registry_core::{
    ConnectSpec, Driver, GroupName, Registry, RegistryKind, Result, SpecError,
};
use serde::Deserialize;

use crate::registry::NacosRegistry;

/// Nacos' own offset between its HTTP and its gRPC port, the one nacos-sdk adds by itself.
const SDK_OFFSET: u16 = 1000;

/// The keys of `specificConfig` this driver knows.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The namespace's id; empty is `public`.
    pub namespace: String,
    /// Only these groups; none: every group there is.
    pub groups: Vec<GroupName>,
    /// Only instances of these clusters; none: every cluster.
    pub clusters: Vec<String>,
    /// The gRPC port is the HTTP port plus this.
    pub grpc_port_offset: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            groups: Vec::new(),
            clusters: Vec::new(),
            grpc_port_offset: SDK_OFFSET,
        }
    }
}

impl Settings {
    /// Reads and checks the settings of a row.
    ///
    /// # Errors
    /// The first key that breaks a rule.
    pub fn read(spec: &ConnectSpec) -> Result<Self, SpecError> {
        let mut settings: Self = spec.specific()?;
        if settings.namespace.is_empty() {
            // Lists of namespace "" count 0 on 2.2 while its instances are in `public`.
            "public".clone_into(&mut settings.namespace);
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if settings.namespace.len() > 64 || !settings.namespace.chars().all(valid) {
            let rule = "a namespace id has at most 64 of A-Z a-z 0-9 - _";
            return Err(SpecError::new("specificConfig.namespace", rule));
        }
        if spec.endpoints.is_empty() {
            return Err(SpecError::new("serverAddress", "names no server"));
        }
        settings.grpc_port(spec)?;
        Ok(settings)
    }

    /// The gRPC port to hand to nacos-sdk; `None` where its own rule (each port plus 1000) fits.
    fn grpc_port(&self, spec: &ConnectSpec) -> Result<Option<u16>, SpecError> {
        const FIELD: &str = "specificConfig.grpcPortOffset";
        let mut ports = Vec::new();
        for endpoint in &spec.endpoints {
            let port = endpoint.port.checked_add(self.grpc_port_offset);
            let port = port.ok_or_else(|| {
                let offset = self.grpc_port_offset;
                let message = format!("{} plus {offset} is above 65535", endpoint.port);
                SpecError::new(FIELD, message)
            })?;
            ports.push(port);
        }
        if self.grpc_port_offset == SDK_OFFSET {
            return Ok(None);
        }
        ports.dedup();
        match ports.as_slice() {
            [one] => Ok(Some(*one)),
            // nacos-sdk takes one gRPC port for all servers, or adds 1000 to each HTTP port.
            _ => Err(SpecError::new(
                FIELD,
                "another offset than 1000 needs one HTTP port for all servers",
            )),
        }
    }

    /// Where nacos-sdk finds the servers; `None` where it cannot reach them as it should.
    pub(crate) fn push_target(&self, spec: &ConnectSpec) -> Option<PushTarget> {
        // Its TLS is a compile-time choice for all clients, so an https registry would get its
        // access token in clear text; and it cannot read IPv6 addresses.
        let fits =
            spec.scheme == Scheme::Http && spec.endpoints.iter().all(|e| !e.host.contains(':'));
        fits.then(|| PushTarget {
            endpoints: spec.endpoints.clone(),
            egress: Egress::new(Arc::clone(&spec.egress)),
            grpc_port: self.grpc_port(spec).unwrap_or_default(),
            namespace: self.namespace.clone(),
        })
    }
}

/// Where nacos-sdk finds the servers, as the settings say it.
#[derive(Clone, Debug)]
pub(crate) struct PushTarget {
    endpoints: Vec<Endpoint>,
    egress: Egress,
    pub(crate) grpc_port: Option<u16>,
    namespace: String,
}

/// What nacos-sdk is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PushServers {
    pub(crate) addresses: String,
    pub(crate) grpc_port: Option<u16>,
    pub(crate) namespace: String,
}

impl PushTarget {
    /// The servers by address: nacos-sdk has no hook for its resolver, so it is given no names.
    ///
    /// # Errors
    /// When none of them has an address that may be connected to; why the last one has none.
    pub(crate) async fn resolve(&self) -> std::result::Result<PushServers, EgressError> {
        let mut addresses = Vec::new();
        let mut refused = None;
        for endpoint in &self.endpoints {
            match self.egress.resolve(&endpoint.host).await {
                Ok(found) => {
                    let plain = found.into_iter().filter(IpAddr::is_ipv4);
                    addresses.extend(plain.map(|ip| format!("{ip}:{}", endpoint.port)));
                }
                Err(error) => refused = Some(error),
            }
        }
        if addresses.is_empty() {
            let none = || EgressError::Unknown(io::ErrorKind::NotFound.into());
            return Err(refused.unwrap_or_else(none));
        }
        // Name servers change the order of their answers.
        addresses.sort();
        addresses.dedup();
        Ok(PushServers {
            addresses: addresses.join(","),
            grpc_port: self.grpc_port,
            namespace: self.namespace.clone(),
        })
    }
}

/// Connects to Nacos.
#[derive(Clone, Copy, Debug, Default)]
pub struct NacosDriver;

#[async_trait]
impl Driver for NacosDriver {
    fn kind(&self) -> RegistryKind {
        RegistryKind::Nacos
    }

    fn check(&self, spec: &ConnectSpec) -> Result<(), SpecError> {
        Settings::read(spec).map(|_| ())
    }

    async fn connect(&self, spec: &ConnectSpec) -> Result<Arc<dyn Registry>> {
        let settings = Settings::read(spec)?;
        Ok(Arc::new(NacosRegistry::new(spec, settings)?))
    }
}
