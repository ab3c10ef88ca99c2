//! What handlers work with.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::places::Places;
use super::serve::Leaving;
use crate::access::{Authenticator, Tokens};
use crate::catalog::{Catalog, View};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::federation::Manager;
use crate::health::HealthChecks;
use crate::native::Native;
use crate::storage::{ConfigStore, Database};
use crate::sync::Engine;
use crate::sync::migration::Bridge;
use crate::task::TaskGroup;
use crate::telemetry::logging::Levels;
use crate::telemetry::metrics::Metrics;

/// What can be set about the API.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// The bound of a request other than a blocking query.
    pub request_timeout: Duration,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// The largest body of a batch, in bytes.
    pub batch_body_limit: usize,
    /// Compress answers when asked to.
    pub gzip: bool,
    /// Origins browsers may call from; `None`: CORS is off.
    pub cors_origins: Option<Vec<String>>,
    /// From the start until then, a source that was never read keeps `/ready` at 503.
    pub startup_deadline: Duration,
    /// Whether there is service discovery for Prometheus.
    pub http_sd: bool,
}

impl From<&Config> for ApiSettings {
    fn from(config: &Config) -> Self {
        let http = &config.server.http;
        Self {
            request_timeout: http.request_timeout,
            body_limit: http.body_limit,
            batch_body_limit: http.batch_body_limit,
            gzip: http.enable_gzip,
            cors_origins: http.enable_cors.then(|| http.cors_origins.clone()),
            startup_deadline: config.external.startup_deadline,
            http_sd: config.facades.http_sd.enabled,
        }
    }
}

/// Everything handlers are handed; a clone is cheap, and each request takes several.
#[derive(Clone, Debug)]
pub struct Api(Arc<Parts>);

impl Api {
    /// With these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What handlers work with.
#[derive(Debug)]
pub struct Parts {
    /// The readers' side of the view.
    pub view: View,
    /// The state of the sources.
    pub catalog: Catalog,
    /// The hub's own registry.
    pub native: Arc<Native>,
    /// Its checks.
    pub health: Arc<HealthChecks>,
    /// The external registries.
    pub federation: Arc<Manager>,
    /// What is copied between them.
    pub sync: Arc<Engine>,
    /// Services on their way from one to another.
    pub migrations: Arc<Bridge>,
    /// Their configurations.
    pub configs: Arc<dyn ConfigStore>,
    /// Who may ask.
    pub authenticator: Authenticator,
    /// The tokens that count.
    pub tokens: Arc<Tokens>,
    /// The database's sign of life.
    pub database: Arc<dyn Database>,
    /// How much is logged.
    pub levels: Levels,
    /// What happens; `None`: nothing is told.
    pub events: Option<Events>,
    /// Metrics.
    pub metrics: Metrics,
    /// Folders that are written to, by name, so that their disks are watched.
    pub folders: Vec<(&'static str, PathBuf)>,
    /// Wall time.
    pub clock: Clock,
    /// Settings.
    pub settings: ApiSettings,
    /// Where instances of other registries were found.
    pub places: Places,
    /// When the process began to serve.
    pub started: Instant,
    /// Whether the server was asked to stop, and is about to.
    pub leaving: Leaving,
    /// Counts what is left of connections that became something else than HTTP.
    pub streams: TaskGroup,
    /// Cancelled when the server stops.
    pub stopping: CancellationToken,
}
