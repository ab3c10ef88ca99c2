//! The settings of one external registry, as a driver gets them.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::egress::EgressPolicy;
use crate::error::{Error, ErrorKind};
use crate::id::GroupName;
use crate::registry::{RegistryInfo, RegistryKind};
use crate::secret::Secret;

/// A setting that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SpecError {
    /// The column or `specificConfig` key.
    pub field: String,
    /// The value and the rule it breaks.
    pub message: String,
}

impl SpecError {
    /// An error in this field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl From<SpecError> for Error {
    fn from(error: SpecError) -> Self {
        Self::new(ErrorKind::Invalid, "connect", error.to_string())
    }
}

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// One address of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host name or IP, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// `host:port`, IPv6 in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// How to prove who we are; empty parts are not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name, for basic authentication (Consul, Eureka) or a login (Nacos).
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// A token sent as it is (Consul's `X-Consul-Token`, a Nacos access token).
    pub access_token: Secret,
    /// A second secret for schemes that need one.
    pub secret_key: Secret,
}

/// TLS settings for `https`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Further trusted certificates, PEM.
    pub ca_pem: Option<String>,
    /// Do not verify the server. Shown in the status.
    pub insecure_skip_verify: bool,
}

/// The settings of one external registry. Equal values make equal connections.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectSpec {
    /// The configuration's name.
    pub name: String,
    /// Which driver.
    pub kind: RegistryKind,
    /// Its addresses, at least one, in order of preference.
    pub endpoints: Vec<Endpoint>,
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Path prefix, empty or beginning with `/`, without a trailing `/`.
    pub path: String,
    /// How to log in; empty when authentication is off.
    pub credentials: Credentials,
    /// Bound of one connection attempt.
    pub connect_timeout: Duration,
    /// Bound of one read, its body included.
    pub read_timeout: Duration,
    /// How often a failed read is tried again.
    pub max_retries: u32,
    /// Pause before the first of these tries.
    pub retry_interval: Duration,
    /// The group of services whose registry has no groups.
    pub default_group: GroupName,
    /// TLS settings.
    pub tls: Tls,
    /// Which addresses may be connected to.
    pub egress: Arc<EgressPolicy>,
    /// The driver's own keys of `specificConfig`; the keys common to all drivers are taken out.
    pub specific: Map<String, Value>,
}

impl ConnectSpec {
    /// Reads the driver's own keys.
    ///
    /// # Errors
    /// Unknown keys (for types with `deny_unknown_fields`) and values of the wrong type.
    pub fn specific<T: DeserializeOwned>(&self) -> Result<T, SpecError> {
        serde_json::from_value(Value::Object(self.specific.clone()))
            .map_err(|error| SpecError::new("specificConfig", error.to_string()))
    }

    /// Judges the endpoints that are IP addresses, in whatever spelling. Names are judged when
    /// they are connected to.
    ///
    /// # Errors
    /// The first endpoint that [`egress`](Self::egress) does not let through.
    pub fn check_egress(&self) -> Result<(), SpecError> {
        for endpoint in &self.endpoints {
            // A URL that cannot be read is refused by the first call, which cannot be made either.
            let Ok(url) = Url::parse(&self.url_of(endpoint)) else { continue };
            self.egress.check_literal(&url).map_err(|denied| {
                let message = format!("{} is not allowed: {denied}", endpoint.authority());
                SpecError::new("serverAddress", message)
            })?;
        }
        Ok(())
    }

    /// The public face of these settings.
    #[must_use]
    pub fn info(&self) -> RegistryInfo {
        RegistryInfo {
            kind: self.kind,
            name: self.name.clone(),
            endpoints: self.endpoints.iter().map(|endpoint| self.url_of(endpoint)).collect(),
        }
    }

    /// `scheme://host:port/path` of one address.
    #[must_use]
    pub fn url_of(&self, endpoint: &Endpoint) -> String {
        format!("{}://{}{}", self.scheme.as_str(), endpoint.authority(), self.path)
    }
}
