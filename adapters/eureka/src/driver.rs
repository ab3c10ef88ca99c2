//! Settings of a configuration row, and the connection.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::http::HttpClient;
use hub_registry_core::spec::Credentials;
use hub_registry_core::{
    ConnectSpec, Driver, Error, ErrorKind, Registry, RegistryKind, Result, SpecError, duration,
};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::client::Client;
use crate::convert::{HostPreference, Rules};
use crate::registry::EurekaRegistry;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
const MIN_INTERVAL: Duration = Duration::from_millis(500);
/// A watch owes an item every 30 s and an error 30 s after the server fell silent: some of that
/// must be left for the call itself.
const MAX_INTERVAL: Duration = Duration::from_secs(20);
/// Regions of one server.
const MAX_REGIONS: usize = 32;
/// The bound of a watch's silence, with a margin.
const MAX_SILENCE: Duration = Duration::from_secs(28);

/// The driver of Eureka. Its keys of `specificConfig`:
///
/// | key | meaning |
/// |---|---|
/// | `pollInterval` | pause between two looks of a watch: 500ms to 20s, default 5s |
/// | `useDelta` | ask for changes only (default); false: for everything each time |
/// | `hostPreference` | `ip` (default) or `hostname` |
/// | `regions` | names of remote regions to be read with the server's own, at most 32, in lower case; default none |
#[derive(Clone, Copy, Debug, Default)]
pub struct EurekaDriver;

/// What the driver's own keys say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) poll_interval: Duration,
    pub(crate) use_delta: bool,
    pub(crate) host: HostPreference,
    pub(crate) regions: Vec<String>,
}

impl Settings {
    fn read(spec: &ConnectSpec) -> Result<Self, SpecError> {
        let mut settings = Self {
            poll_interval: DEFAULT_INTERVAL,
            use_delta: true,
            host: HostPreference::default(),
            regions: Vec::new(),
        };
        for (key, value) in &spec.specific {
            let wrong = |rule: &str| SpecError::new(format!("specificConfig.{key}"), rule);
            match key.as_str() {
                "pollInterval" => {
                    let text =
                        value.as_str().ok_or_else(|| wrong("must be a text such as \"5s\""))?;
                    let interval = duration::parse(text).map_err(|rule| wrong(&rule))?;
                    if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&interval) {
                        return Err(wrong(&format!("{text:?} is not from 500ms to 20s")));
                    }
                    settings.poll_interval = interval;
                }
                "useDelta" => {
                    let flag = value.as_bool();
                    settings.use_delta = flag.ok_or_else(|| wrong("must be true or false"))?;
                }
                "hostPreference" => {
                    settings.host = match value {
                        Value::String(text) if text == "ip" => HostPreference::Ip,
                        Value::String(text) if text == "hostname" => HostPreference::Hostname,
                        _ => return Err(wrong("must be \"ip\" or \"hostname\"")),
                    };
                }
                "regions" => settings.regions = regions(value).map_err(wrong)?,
                _ => {
                    let known =
                        "unknown; Eureka has pollInterval, useDelta, hostPreference, regions";
                    return Err(wrong(known));
                }
            }
        }
        Ok(settings)
    }
}

/// The names of regions, each once, in the order of the alphabet.
fn regions(value: &Value) -> Result<Vec<String>, &'static str> {
    // What its configuration is split at cannot be in a name (`getRemoteRegionUrlsWithName`). It
    // looks for what it was asked for in lower case, so another spelling would never be found.
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let rule = "must be a list of at most 32 names of a-z 0-9 . _ -, each of 1 to 64 characters";
    let list = value.as_array().filter(|list| list.len() <= MAX_REGIONS).ok_or(rule)?;
    let mut regions = Vec::new();
    for name in list {
        let name = name.as_str().filter(|name| (1..=64).contains(&name.len())).ok_or(rule)?;
        if !name.chars().all(is_name) {
            return Err(rule);
        }
        regions.push(name.to_owned());
    }
    regions.sort();
    regions.dedup();
    Ok(regions)
}

#[async_trait]
impl Driver for EurekaDriver {
    fn kind(&self) -> RegistryKind {
        RegistryKind::Eureka
    }

    fn check(&self, spec: &ConnectSpec) -> Result<(), SpecError> {
        if spec.endpoints.is_empty() {
            return Err(SpecError::new("serverAddress", "names no host"));
        }
        if spec.credentials.username.contains(':') {
            // RFC 7617, 2: the first colon ends the user.
            let rule = "must have no colon in basic authentication";
            return Err(SpecError::new("username", rule));
        }
        Settings::read(spec).map(drop)
    }

    async fn connect(&self, spec: &ConnectSpec) -> Result<Arc<dyn Registry>> {
        self.check(spec)?;
        let settings = Settings::read(spec)?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(login) = basic(&spec.credentials)? {
            headers.insert(AUTHORIZATION, login);
        }
        let http = HttpClient::new(spec, headers)?;
        let deadline = spec.read_timeout.min(MAX_SILENCE - settings.poll_interval);
        let client = Client::new(http, deadline, &settings.regions);
        let rules = Rules { group: spec.default_group.clone(), host: settings.host };
        let registry = EurekaRegistry::new(spec.info(), client, settings, rules);
        Ok(Arc::new(registry))
    }
}

/// The header of basic authentication, marked as not to be printed.
fn basic(credentials: &Credentials) -> Result<Option<HeaderValue>> {
    let Credentials { username, password, .. } = credentials;
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    // The request is never sent: it only lends its encoding of the pair.
    let request = reqwest::Client::new().get("http://localhost/");
    let request = request.basic_auth(username, Some(password.expose()));
    let mut request = request.build().map_err(|error| {
        let problem = "user and password cannot be sent";
        Error::new(ErrorKind::Invalid, "connect", problem).with_source(error)
    })?;
    Ok(request.headers_mut().remove(AUTHORIZATION))
}
