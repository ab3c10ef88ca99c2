//! What is asked of an instance.

use std::time::Duration;

use hub_registry_core::Protocol;
use reqwest::Url;

use crate::config::HealthCheckConfig;
use crate::model::health_url::{self, HealthUrl};
use crate::model::instance::NativeInstance;
use crate::model::service::{
    DEFAULT_CHECK_INTERVAL_SECONDS, DEFAULT_CHECK_TIMEOUT_SECONDS, NativeService,
};
use crate::model::terms;
use crate::model::words::HealthCheckType;

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
        /// Whether over TLS.
        tls: bool,
        /// As the `Host` header has it.
        authority: String,
        /// Path and query.
        path: String,
    },
    /// Whether a service of it serves, by `grpc.health.v1`.
    Grpc {
        /// An IP address or a name.
        host: String,
        /// The port.
        port: u16,
        /// Whether over TLS.
        tls: bool,
        /// Host and port as they are written together.
        authority: String,
        /// The service; empty: the server as a whole.
        service: String,
    },
    /// Nothing can be asked: the rule that `healthCheckUrl` breaks.
    Nothing(&'static str),
}

impl Ask {
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
                tls: url.scheme() == "grpcs",
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
            tls: url.scheme() == "https",
            authority: url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")),
            path: match url.query() {
                Some(query) => format!("{}?{query}", url.path()),
                None => url.path().to_owned(),
            },
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

/// What is asked of one instance, how often, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What is asked.
    pub ask: Ask,
    /// The time between two checks.
    pub interval: Duration,
    /// The bound of one, its connection included; no longer than the interval.
    pub timeout: Duration,
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
    /// What is asked of this instance of this service (docs/decisions/0023): the service's own
    /// numbers count, but for those of the table's defaults, which nobody chose.
    #[must_use]
    pub fn of(instance: &NativeInstance, service: &NativeService, defaults: Defaults) -> Self {
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
        // Somebody may have written the row by SQL.
        let own = |term: &str, otherwise: Duration| {
            let seconds = instance.native.get(term).and_then(|text| text.parse::<u64>().ok());
            seconds.map_or(otherwise, |seconds| Duration::from_secs(seconds.clamp(1, 86_400)))
        };
        let interval = own(terms::CHECK_INTERVAL, interval);
        let timeout = own(terms::CHECK_TIMEOUT, timeout);
        let ask = match (instance.check, instance.native.get(terms::CHECK_URL)) {
            (_, Some(url)) => Ask::of_url(url),
            (HealthCheckType::Tcp, None) => {
                Ask::Tcp { host: instance.key.host.to_string(), port: instance.key.port }
            }
            (HealthCheckType::Grpc, None) => Ask::of_url(&format!("grpc://{}", address(instance))),
            _ => page(instance, service),
        };
        Self { ask, interval, timeout: timeout.min(interval) }
    }

    /// The same in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.ask {
            Ask::Tcp { host, port } if host.contains(':') => format!("TCP [{host}]:{port}"),
            Ask::Tcp { host, port } => format!("TCP {host}:{port}"),
            Ask::Grpc { tls, authority, service, .. } => {
                let scheme = if *tls { "grpcs" } else { "grpc" };
                format!("health of {scheme}://{authority}/{service}")
            }
            Ask::Http { tls, authority, path, .. } => {
                let scheme = if *tls { "https" } else { "http" };
                format!("GET {scheme}://{authority}{path}")
            }
            Ask::Nothing(rule) => format!("nothing: healthCheckUrl {rule}"),
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
