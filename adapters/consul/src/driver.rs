//! Settings, and from them a registry.

use std::sync::Arc;

use async_trait::async_trait;
use hub_registry_core::http::HttpClient;
use hub_registry_core::spec::Credentials;
use hub_registry_core::{ConnectSpec, Driver, Registry, RegistryKind, Result, SpecError};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::client::Client;
use crate::registry::Consul;

/// The driver of Consul.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConsulDriver;

/// The keys of `specificConfig` for Consul.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// The datacenter asked for; absent: that of the agent.
    pub datacenter: Option<String>,
    /// The namespace (Consul Enterprise; the open one answers 400 to any).
    pub namespace: Option<String>,
    /// The admin partition (Consul Enterprise).
    pub partition: Option<String>,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// Leave out what does not pass its checks. The hub then cannot tell unhealthy from gone.
    pub only_passing: bool,
    /// How registrations are written.
    pub write: Write,
}

/// How registrations are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Write {
    /// By which of Consul's two ways.
    pub mode: WriteMode,
    /// The node written to in [`WriteMode::Catalog`].
    pub node: Option<String>,
}

/// Consul's two ways of registering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMode {
    /// Into the catalog, on a node that has no agent: stays until it is removed.
    #[default]
    Catalog,
    /// On the agent, with a time-to-live check: expires when we stop.
    Agent,
}

impl Settings {
    /// Reads and checks the driver's keys.
    ///
    /// # Errors
    /// Unknown keys, wrong types, empty texts, and a node where none is used.
    pub fn parse(spec: &ConnectSpec) -> Result<Self, SpecError> {
        let settings: Self = spec.specific()?;
        let texts = [
            ("datacenter", &settings.datacenter),
            ("namespace", &settings.namespace),
            ("partition", &settings.partition),
            ("tag", &settings.tag),
            ("write.node", &settings.write.node),
        ];
        for (key, text) in texts {
            let text = text.as_deref().unwrap_or("-");
            if text.trim().is_empty() || text.chars().any(char::is_control) {
                let rule = format!("{text:?} must be text without control characters, or absent");
                return Err(SpecError::new(format!("specificConfig.{key}"), rule));
            }
        }
        if settings.write.mode == WriteMode::Agent && settings.write.node.is_some() {
            let rule = "is for mode \"catalog\": an agent writes on its own node";
            return Err(SpecError::new("specificConfig.write.node", rule));
        }
        Ok(settings)
    }

    /// The query that names the datacenter, for calls that say in their body what else is where.
    pub(crate) fn datacenter(&self) -> Vec<(&'static str, &str)> {
        self.datacenter.as_deref().map(|name| ("dc", name)).into_iter().collect()
    }
}

fn client(spec: &ConnectSpec) -> Result<Client, SpecError> {
    if spec.kind != RegistryKind::Consul {
        let rule = format!("{} is not CONSUL", spec.kind);
        return Err(SpecError::new("registryType", rule));
    }
    if spec.endpoints.is_empty() {
        return Err(SpecError::new("serverAddress", "must name an address"));
    }
    let settings = Settings::parse(spec)?;
    let http = HttpClient::new(spec, headers(&spec.credentials)?)?;
    Ok(Client::new(&spec.name, http, settings))
}

fn headers(credentials: &Credentials) -> Result<HeaderMap, SpecError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if !credentials.access_token.is_empty() {
        let mut value = HeaderValue::from_str(credentials.access_token.expose())
            .map_err(|_| SpecError::new("accessToken", "must be text of one line"))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static("x-consul-token"), value);
    }
    if !credentials.username.is_empty() {
        headers.insert(AUTHORIZATION, basic(credentials)?);
    }
    Ok(headers)
}

/// The header of basic authentication, as reqwest writes it: it has the base 64 we need.
fn basic(credentials: &Credentials) -> Result<HeaderValue, SpecError> {
    let bad = || SpecError::new("username", "cannot be sent as basic authentication");
    let request = reqwest::Client::new()
        .get("http://localhost")
        .basic_auth(&credentials.username, Some(credentials.password.expose()))
        .build()
        .map_err(|_| bad())?;
    let value = request.headers().get(AUTHORIZATION);
    value.cloned().ok_or_else(bad)
}

#[async_trait]
impl Driver for ConsulDriver {
    fn kind(&self) -> RegistryKind {
        RegistryKind::Consul
    }

    fn check(&self, spec: &ConnectSpec) -> Result<(), SpecError> {
        client(spec).map(|_| ())
    }

    async fn connect(&self, spec: &ConnectSpec) -> Result<Arc<dyn Registry>> {
        Ok(Arc::new(Consul::new(spec, client(spec)?)))
    }
}
