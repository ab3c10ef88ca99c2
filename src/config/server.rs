//! `server`: the listeners.

use std::time::Duration;

use hub_registry_core::duration;
use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::{PORT, Rule};

/// The listeners.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ServerConfig {
    /// The REST API.
    pub http: HttpConfig,
    /// The listener that has nothing but `/metrics`.
    pub metrics: MetricsConfig,
}

/// The REST API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on.
    pub host: String,
    /// The port; 0 is any free one.
    pub port: u16,
    /// Whether browsers of other origins may call.
    #[serde(rename = "enableCORS")]
    pub enable_cors: bool,
    /// The origins that may; `*` is any.
    pub cors_origins: Vec<String>,
    /// Whether answers may be compressed.
    pub enable_gzip: bool,
    /// How long a request may take; what waits by its nature brings its own bound.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// The largest body of a batch, in bytes.
    pub batch_body_limit: usize,
    /// How many connections may be open at once.
    pub max_connections: usize,
    /// How long the server goes on before it stops, so that others go elsewhere.
    #[serde(with = "duration")]
    pub shutdown_delay: Duration,
    /// How long open requests get to end when the server stops.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8080,
            enable_cors: false,
            cors_origins: Vec::new(),
            enable_gzip: true,
            request_timeout: Duration::from_secs(30),
            body_limit: 1024 * 1024,
            batch_body_limit: 8 * 1024 * 1024,
            max_connections: 10_000,
            shutdown_delay: Duration::from_millis(500),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// The listener that has nothing but `/metrics`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// The address to listen on.
    pub host: String,
    /// The port; 0 is any free one, `None` is no such listener.
    pub port: Option<u16>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: Some(9091) }
    }
}

const BYTES: Rule = Rule::Integer { min: 1024, max: 1024 * 1024 * 1024 };
const LIMIT: Rule =
    Rule::Span { min: Duration::from_millis(100), max: Duration::from_secs(60 * 60) };

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "server.http.host",
        Rule::Host,
        "The address the REST API listens on; one that other machines can reach turns \
         security.enabled on.",
    ),
    Key::new("server.http.port", PORT, "The port of the REST API; 0 is any free one."),
    Key::new(
        "server.http.enableCORS",
        Rule::Switch,
        "Lets browsers call from the origins in corsOrigins.",
    ),
    Key::new(
        "server.http.corsOrigins",
        Rule::Origins,
        "The origins that may call; an empty list is none.",
    ),
    Key::new(
        "server.http.enableGzip",
        Rule::Switch,
        "Compresses answers (gzip, zstd) for clients that ask for it.",
    ),
    Key::new(
        "server.http.requestTimeout",
        LIMIT,
        "How long a request may take; a blocking query has its own wait.",
    ),
    Key::new("server.http.bodyLimit", BYTES, "The largest request body, in bytes."),
    Key::new("server.http.batchBodyLimit", BYTES, "The largest body of a batch, in bytes."),
    Key::new(
        "server.http.maxConnections",
        Rule::Integer { min: 1, max: 1_000_000 },
        "How many connections may be open at once; more wait to be accepted.",
    ),
    Key::new(
        "server.http.shutdownDelay",
        Rule::Span { min: Duration::ZERO, max: Duration::from_secs(10 * 60) },
        "How long the server goes on when it is asked to stop: /ready is 503 and each answer closes \
         its connection, so that clients and load balancers go elsewhere.",
    ),
    Key::new(
        "server.http.shutdownTimeout",
        LIMIT,
        "How long open requests get to end when the server stops.",
    ),
    Key::new("server.metrics.host", Rule::Host, "The address the metrics listener listens on."),
    Key::new(
        "server.metrics.port",
        PORT,
        "The port with nothing but /metrics; 0 is any free one, null is no such listener \
         (/metrics is on the main port too).",
    )
    .optional(),
];
