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
//! | `events` | what is told, and to how many |
//! | `dns` | questions by DNS |
//! | `failovers` | registries with a standby |
//! | `http` | requests |
//! | `leases` | the native registry's leases |
//! | `log` | the log itself |
//! | `migrations` | services on their way from one registry to another |
//! | `nacos` | clients of Nacos that speak gRPC |
//! | `native` | its operations |
//! | `removals` | removals that are not believed at once |
//! | `runtime` | what runs the tasks |
//! | `sources` | the registries |
//! | `sync` | copies from one registry to another |
//! | `system` | the process and its disks |
//! | `view` | what readers see |

use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{Encoder, Registry, TextEncoder};

mod build;
mod checks;
mod database;
mod dns;
mod events;
mod failovers;
mod http;
mod leases;
mod log;
mod maker;
mod migrations;
mod nacos;
mod native;
mod removals;
mod runtime;
mod sources;
mod sync;
mod system;
mod view;

pub use build::BuildMetrics;
pub use checks::CheckMetrics;
pub use database::{DatabaseMetrics, DatabaseSample};
pub use dns::DnsMetrics;
pub use events::{EventMetrics, Resync, Stream, Transport};
pub use failovers::FailoverMetrics;
pub use http::{HttpMetrics, Open, RouteMetrics};
pub use leases::LeaseMetrics;
pub use log::{LogMetrics, Lost};
pub use maker::Maker;
pub use migrations::MigrationMetrics;
pub use nacos::{Connected, NacosMetrics, Pushed};
pub use native::{Look, NativeMetrics};
pub use removals::{RemovalMetrics, RemovalOutcome};
pub use runtime::RuntimeMetrics;
pub use sources::{SourceMetrics, SourceSample};
pub use sync::SyncMetrics;
pub use system::SystemMetrics;
pub use view::{RowChanges, ViewMetrics, ViewSample};

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
    /// What is told.
    pub events: EventMetrics,
    /// Questions by DNS.
    pub dns: DnsMetrics,
    /// Registries with a standby.
    pub failovers: FailoverMetrics,
    /// Requests.
    pub http: HttpMetrics,
    /// The native registry's leases.
    pub leases: LeaseMetrics,
    /// The log itself.
    pub log: LogMetrics,
    /// The native registry's operations.
    pub native: NativeMetrics,
    /// Services on their way from one registry to another.
    pub migrations: MigrationMetrics,
    /// Clients of Nacos that speak gRPC.
    pub nacos: NacosMetrics,
    /// Removals that are not believed at once.
    pub removals: RemovalMetrics,
    /// What runs the tasks.
    pub runtime: RuntimeMetrics,
    /// The registries.
    pub sources: SourceMetrics,
    /// Copies from one registry to another.
    pub sync: SyncMetrics,
    /// The process and its disks.
    pub system: SystemMetrics,
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
            events: EventMetrics::new(&maker),
            dns: DnsMetrics::new(&maker),
            failovers: FailoverMetrics::new(&maker),
            http: HttpMetrics::new(&maker),
            leases: LeaseMetrics::new(&maker),
            log: LogMetrics::new(&maker),
            migrations: MigrationMetrics::new(&maker),
            nacos: NacosMetrics::new(&maker),
            native: NativeMetrics::new(&maker),
            removals: RemovalMetrics::new(&maker),
            runtime: RuntimeMetrics::new(&maker),
            sources: SourceMetrics::new(&maker),
            sync: SyncMetrics::new(&maker),
            system: SystemMetrics::new(&maker),
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
            // The latter are everybody's names.
            let prefix = ["hub_registry_", "process_"];
            assert!(prefix.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            assert!(help.ends_with('.'), "{name}: {help}");
            let counts = family.get_field_type() == MetricType::COUNTER;
            assert_eq!(counts, name.ends_with("_total"), "{name}");
        }
    }
}
