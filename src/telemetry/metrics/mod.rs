//! Metrics: closed label sets, never a service name, a path or a tenant.
//!
//! One file per family. A new family is a file with a struct whose `new` takes a [`Maker`], and one
//! line in [`Families`]; what can be told only when metrics are read is set by `api/scrape.rs`.
//! Names begin with `hub_registry_`, end in their base unit (`_seconds`, `_bytes`) and, where they
//! only grow, in `_total`. Series that stand for something that may happen exist from the start, at
//! zero: an alert on the first time sees it.
//!
//! | file | what |
//! |---|---|
//! | `maker` | makes metrics and registers them |
//! | `build` | the version, and how long it runs |
//! | `checks` | checks of native instances |
//! | `database` | its connections, and the rows that are removed |
//! | `http` | requests |
//! | `leases` | the native registry's leases |
//! | `native` | its operations |
//! | `sources` | the registries |
//! | `view` | what readers see |

use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{Encoder, Registry, TextEncoder};

mod build;
mod checks;
mod database;
mod http;
mod leases;
mod maker;
mod native;
mod sources;
mod view;

pub use build::BuildMetrics;
pub use checks::CheckMetrics;
pub use database::DatabaseMetrics;
pub use http::HttpMetrics;
pub use leases::LeaseMetrics;
pub use maker::Maker;
pub use native::NativeMetrics;
pub use sources::{SourceMetrics, SourceSample};
pub use view::{ViewMetrics, ViewSample};

/// Every metric of this process; a clone is the same ones.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

/// The families.
#[derive(Debug)]
pub struct Families {
    registry: Registry,
    measuring: Mutex<()>,
    /// The version, and how long it runs.
    pub build: BuildMetrics,
    /// Checks of native instances.
    pub checks: CheckMetrics,
    /// The hub's own database.
    pub database: DatabaseMetrics,
    /// Requests.
    pub http: HttpMetrics,
    /// The native registry's leases.
    pub leases: LeaseMetrics,
    /// The native registry's operations.
    pub native: NativeMetrics,
    /// The registries.
    pub sources: SourceMetrics,
    /// What readers see.
    pub view: ViewMetrics,
}

impl Metrics {
    /// All metrics, at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let maker = Maker::new(&registry);
        let families = Families {
            build: BuildMetrics::new(&maker),
            checks: CheckMetrics::new(&maker),
            database: DatabaseMetrics::new(&maker),
            http: HttpMetrics::new(&maker),
            leases: LeaseMetrics::new(&maker),
            native: NativeMetrics::new(&maker),
            sources: SourceMetrics::new(&maker),
            view: ViewMetrics::new(&maker),
            registry,
            measuring: Mutex::default(),
        };
        Self(Arc::new(families))
    }

    /// The text format of Prometheus, after `measure` has set what is told only when it is asked
    /// for. One scrape at a time, since each sets the same gauges anew.
    #[must_use]
    pub fn scrape(&self, measure: impl FnOnce()) -> Vec<u8> {
        let _measuring = self.measuring.lock();
        measure();
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render the metrics");
        }
        text
    }
}

impl Deref for Metrics {
    type Target = Families;

    fn deref(&self) -> &Families {
        &self.0
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::proto::MetricType;

    use super::*;

    #[test]
    fn names_say_what_they_are() {
        for family in Metrics::new().registry.gather() {
            let (name, help) = (family.name(), family.help());
            assert!(name.starts_with("hub_registry_"), "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
            let counts = family.get_field_type() == MetricType::COUNTER;
            assert_eq!(counts, name.ends_with("_total"), "{name}");
        }
    }
}
