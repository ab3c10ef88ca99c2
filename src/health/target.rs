//! What is asked of an instance.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_registry_core::Protocol;
use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::config::HealthCheckConfig;
use crate::model::check::{Asks, Check, Decides, is_own_host};
use crate::model::health_url::{self, HealthUrl};
use crate::model::instance::NativeInstance;
use crate::model::service::{
    DEFAULT_CHECK_INTERVAL_SECONDS, DEFAULT_CHECK_TIMEOUT_SECONDS, NativeService,
};
use crate::model::words::HealthCheckType;
use crate::native::ToCheck;

/// What the URL of a check must be that an instance brought with it.
const NO_URL: &str = "must be an http or https URL; for TCP and GRPC, HOST:PORT";

/// What to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// For a connection.
    Tcp {
        /// An IP address or a name.
        host: String,
        /// The port.
        port: u16,
    },
    /// For a page.
    Http {
        /// An IP address or a name.
        host: String,
        /// The port.
        port: u16,
        /// Over TLS, and whom to trust then.
        tls: Option<Trust>,
        /// As the `Host` header has it.
        authority: String,
        /// Path and query.
        path: String,
        /// How it is asked for.
        by: Box<Request>,
    },
    /// Whether a service of it serves, by `grpc.health.v1`.
    Grpc {
        /// An IP address or a name.
        host: String,
        /// The port.
        port: u16,
        /// Over TLS, and whom to trust then.
        tls: Option<Trust>,
        /// Host and port as they are written together.
        authority: String,
        /// The service; empty: the server as a whole.
        service: String,
    },
    /// Nothing can be asked: the rule that its URL breaks.
    Nothing(&'static str),
}

/// Whom to trust over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Who has a certificate that is good by `healthCheck.tls`.
    Certified,
    /// Whoever answers: the check was registered so.
    Anybody,
}

/// How a page is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Headers besides, or instead of, the usual ones.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
}

impl Request {
    fn of(asks: &Asks) -> Self {
        // Both were looked at when they were registered.
        let method = asks.method.as_deref().and_then(|text| text.parse().ok());
        let headers = asks.header.iter().flat_map(|(name, values)| {
            values.iter().filter_map(move |value| Some((name.parse().ok()?, value.parse().ok()?)))
        });
        let mut headers: HeaderMap =
            headers.collect::<Vec<(HeaderName, HeaderValue)>>().into_iter().collect();
        if let (false, Some(basic)) = (headers.contains_key(AUTHORIZATION), basic(&asks.url)) {
            headers.insert(AUTHORIZATION, basic);
        }
        let body = Bytes::from(asks.body.clone());
        Self { method: method.unwrap_or_default(), headers, body }
    }
}

/// User and password of a URL, as Go's client sends them (`net/http/client.go`, `send`), which
/// asks for the pages of Consul's checks.
fn basic(url: &str) -> Option<HeaderValue> {
    let url = Url::parse(url).ok()?;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Ask {
    /// What a check that an instance brought with it asks.
    fn of(asks: &Asks) -> Self {
        let mut ask = Self::of_url(&asks.url);
        if let Self::Nothing(rule) = &mut ask {
            *rule = NO_URL;
        }
        if let Self::Http { tls: Some(trust), .. } | Self::Grpc { tls: Some(trust), .. } = &mut ask
            && asks.insecure
        {
            *trust = Trust::Anybody;
        }
        if let Self::Http { by, .. } = &mut ask {
            **by = Request::of(asks);
        }
        ask
    }

    /// For the page of this URL.
    pub(super) fn of_url(text: &str) -> Self {
        // Reading it brings `0x7f.1` and the like into the usual form.
        let Ok(url) = Url::parse(text) else { return Self::Nothing(health_url::RULE) };
        if let ("tcp", Some(host), Some(port)) = (url.scheme(), url.host_str(), url.port()) {
            return Self::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port };
        }
        if let ("grpc" | "grpcs", Some(host), Some(port)) =
            (url.scheme(), url.host_str(), url.port())
        {
            return Self::Grpc {
                host: host.trim_matches(['[', ']']).to_owned(),
                port,
                tls: (url.scheme() == "grpcs").then_some(Trust::Certified),
                authority: format!("{host}:{port}"),
                service: url.path().trim_start_matches('/').to_owned(),
            };
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Self::Nothing(health_url::RULE);
        };
        Self::Http {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            tls: (url.scheme() == "https").then_some(Trust::Certified),
            authority: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            path: match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            },
            by: Box::default(),
        }
    }

    /// Whether it is the host that the hub runs on which is asked.
    #[must_use]
    pub fn is_of_own_host(&self) -> bool {
        match self {
            Self::Tcp { host, .. } | Self::Http { host, .. } | Self::Grpc { host, .. } => {
                is_own_host(host)
            }
            Self::Nothing(_) => false,
        }
    }

    /// Its kind in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp { .. } => "tcp",
            Self::Grpc { .. } => "grpc",
            Self::Http { .. } | Self::Nothing(_) => "http",
        }
    }
}

/// What is asked of one instance, or by one check of it, how often, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is asked.
    pub ask: Ask,
    /// The time between two checks.
    pub interval: Duration,
    /// The bound of one, its connection included; no longer than the interval.
    pub timeout: Duration,
    /// What it says itself of how many in a row count.
    pub thresholds: Thresholds,
}

/// How many in a row count; `None`: as the hub has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// So many passes.
    pub passes: Option<u32>,
    /// So many failures.
    pub failures: Option<u32>,
}

/// What counts where a service says nothing of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The time between two checks.
    pub interval: Duration,
    /// The bound of one.
    pub timeout: Duration,
}

impl From<&HealthCheckConfig> for Defaults {
    fn from(config: &HealthCheckConfig) -> Self {
        Self { interval: config.interval, timeout: config.timeout }
    }
}

impl Target {
    /// All that is asked of this instance, and by which of the checks it brought with it.
    #[must_use]
    pub fn all(of: &ToCheck, defaults: Defaults) -> Vec<(Option<Arc<str>>, Self)> {
        if of.instance.check != HealthCheckType::Checks {
            return vec![(None, Self::of(&of.instance, &of.service, defaults))];
        }
        let asks = |check: &Check| match &check.decides {
            Decides::Asks(asks) => {
                Some((Some(check.id.as_str().into()), Self::of_check(asks, defaults)))
            }
            Decides::Ttl(_) => None,
        };
        of.instance.checks().iter().filter_map(asks).collect()
    }

    pub(super) fn of_check(asks: &Asks, defaults: Defaults) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.clamp(1, 86_400).into());
        let interval = seconds(asks.interval);
        let timeout = asks.timeout.map_or(defaults.timeout, seconds).min(interval);
        let thresholds = Thresholds { passes: asks.passes, failures: asks.failures };
        Self { ask: Ask::of(asks), interval, timeout, thresholds }
    }

    /// What is asked of this instance of this service (docs/decisions/0023): the service's own
    /// numbers count, but for those of the table's defaults, which nobody chose.
    #[must_use]
    fn of(instance: &NativeInstance, service: &NativeService, defaults: Defaults) -> Self {
        let own = |seconds: u32, usual: u32, default: Duration| {
            if seconds == usual { default } else { Duration::from_secs(seconds.max(1).into()) }
        };
        let interval = own(
            service.health_check_interval_seconds,
            DEFAULT_CHECK_INTERVAL_SECONDS,
            defaults.interval,
        );
        let timeout = own(
            service.health_check_timeout_seconds,
            DEFAULT_CHECK_TIMEOUT_SECONDS,
            defaults.timeout,
        );
        let ask = match instance.check {
            HealthCheckType::Tcp => {
                Ask::Tcp { host: instance.key.host.to_string(), port: instance.key.port }
            }
            HealthCheckType::Grpc => Ask::of_url(&format!("grpc://{}", address(instance))),
            _ => page(instance, service),
        };
        let thresholds = Thresholds::default();
        Self { ask, interval, timeout: timeout.min(interval), thresholds }
    }

    /// The same in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.ask {
            Ask::Tcp { host, port } if host.contains(':') => format!("TCP [{host}]:{port}"),
            Ask::Tcp { host, port } => format!("TCP {host}:{port}"),
            Ask::Grpc { tls, authority, service, .. } => {
                let scheme = if tls.is_some() { "grpcs" } else { "grpc" };
                format!("health of {scheme}://{authority}/{service}")
            }
            Ask::Http { tls, authority, path, by, .. } => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                format!("{} {scheme}://{authority}{path}", by.method)
            }
            Ask::Nothing(rule) => format!("nothing: its URL {rule}"),
        }
    }
}

fn host(instance: &NativeInstance) -> String {
    let host = instance.key.host.as_str();
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn address(instance: &NativeInstance) -> String {
    format!("{}:{}", host(instance), instance.key.port)
}

fn page(instance: &NativeInstance, service: &NativeService) -> Ask {
    let (host, port) = (host(instance), instance.key.port);
    let text = match health_url::parse(&service.health_check_url) {
        Ok(HealthUrl::Path(path)) => {
            let scheme = if service.protocol == Protocol::Https { "https" } else { "http" };
            format!("{scheme}://{host}:{port}{path}")
        }
        Ok(HealthUrl::Whole(url)) => {
            url.replace("{host}", &host).replace("{port}", &port.to_string())
        }
        Err(rule) => return Ask::Nothing(rule),
    };
    Ask::of_url(&text)
}
