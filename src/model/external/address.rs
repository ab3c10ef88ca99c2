//! Where a row leads: the columns that make the addresses of a registry.

use hub_registry_core::spec::{Endpoint, Scheme};
use hub_registry_core::{Host, RegistryKind};
use serde_json::{Value, json};

use super::row::ExternalConfigRow;
use crate::error::{Error, Result};

/// The addresses of a registry.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) scheme: Scheme,
    pub(super) path: String,
}

impl Address {
    /// The addresses of a row.
    ///
    /// # Errors
    /// The first column that breaks a rule.
    pub(super) fn of_row(row: &ExternalConfigRow, kind: RegistryKind) -> Result<Self> {
        let (default_port, default_path) = defaults(kind);
        let port = match row.server_port {
            None => default_port,
            Some(port) => port_number("serverPort", port)?,
        };
        Ok(Self {
            endpoints: endpoints(&row.server_address, port)?,
            scheme: scheme(row.server_scheme.as_deref())?,
            path: path(row.server_path.as_deref(), default_path)?,
        })
    }

    fn urls(&self) -> Vec<String> {
        let (scheme, path) = (self.scheme.as_str(), &self.path);
        let url = |endpoint: &Endpoint| format!("{scheme}://{}{path}", endpoint.authority());
        self.endpoints.iter().map(url).collect()
    }
}

impl ExternalConfigRow {
    /// Which server the row's secrets are sent to, and what makes that one trusted, as text. Left
    /// out and said as the default are the same; whether other columns are right does not count.
    ///
    /// Secrets are sealed for this text: it never changes for a row that does not, from version to
    /// version.
    #[must_use]
    pub fn server(&self) -> String {
        let text = self.specific_config.as_deref().unwrap_or("{}");
        let specific: Value = serde_json::from_str(text).unwrap_or_default();
        let trust = json!([
            specific.get("caPem").filter(|pem| !pem.is_null()),
            specific.get("caName").filter(|name| !name.is_null()),
            specific.get("insecureSkipVerify") == Some(&Value::Bool(true)),
        ]);
        // Of a Nacos: its pushes come over another port, and the credentials go there too.
        let offset = specific.get("grpcPortOffset").filter(|offset| **offset != 1000);
        let kind = self.registry_type.parse::<RegistryKind>().ok();
        let address = kind.and_then(|kind| Self::address(self, kind));
        // The path counts: another one can be another server behind the same gate.
        let address = address.unwrap_or_else(|| {
            let (port, path) = (self.server_port, &self.server_path);
            json!([self.server_address, port, self.server_scheme, path])
        });
        json!([self.registry_type, address, trust, offset]).to_string()
    }

    fn address(&self, kind: RegistryKind) -> Option<Value> {
        Address::of_row(self, kind).ok().map(|address| json!(address.urls()))
    }
}

/// The port and path a kind of registry uses unless told otherwise.
fn defaults(kind: RegistryKind) -> (u16, &'static str) {
    match kind {
        RegistryKind::Consul => (8500, ""),
        RegistryKind::Nacos => (8848, "/nacos"),
        RegistryKind::Eureka => (8761, "/eureka"),
        RegistryKind::Etcd => (2379, ""),
        RegistryKind::Zookeeper => (2181, ""),
        RegistryKind::System => (8080, ""),
    }
}

fn port_number(field: &str, port: i64) -> Result<u16> {
    let rule = "must be a port, 1 to 65535";
    u16::try_from(port)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| Error::invalid(field, port, rule))
}

fn endpoints(addresses: &str, default_port: u16) -> Result<Vec<Endpoint>> {
    let rule = "must be host or host:port, several separated by commas; no scheme, no path";
    let bad = |address: &str| Error::invalid("serverAddress", address, rule);
    if addresses.len() > 500 {
        return Err(Error::invalid("serverAddress", addresses, "must be at most 500 characters"));
    }
    let mut list = Vec::new();
    for address in addresses.split(',').map(str::trim) {
        let (host, port) = match address.rsplit_once(':') {
            // A bare IPv6 address has colons of its own.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let port = port.parse::<i64>().map_err(|_| bad(address))?;
                (host, port_number("serverAddress", port)?)
            }
            _ => (address, default_port),
        };
        let host = Host::parse(host).map_err(|_| bad(address))?;
        list.push(Endpoint { host: host.to_string(), port });
    }
    Ok(list)
}

fn scheme(value: Option<&str>) -> Result<Scheme> {
    match value {
        None | Some("http") => Ok(Scheme::Http),
        Some("https") => Ok(Scheme::Https),
        Some(other) => Err(Error::invalid("serverScheme", other, "must be http or https")),
    }
}

fn path(value: Option<&str>, default: &str) -> Result<String> {
    let Some(value) = value else {
        return Ok(default.to_owned());
    };
    let bare = value.trim().trim_matches('/');
    if bare.chars().any(|c| c.is_whitespace() || c.is_control() || "?#".contains(c)) {
        return Err(Error::invalid("serverPath", value, "must be a path without ? and #"));
    }
    Ok(if bare.is_empty() { String::new() } else { format!("/{bare}") })
}
