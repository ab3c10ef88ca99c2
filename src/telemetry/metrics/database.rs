//! The hub's own database.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, IntGauge, IntGaugeVec, Registry};

use super::Maker;

/// From a connection that is there to one that is waited for as long as it may be, in seconds.
const SECONDS: &[f64] = &[0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0];

/// Its connections and its errors, and the rows that are removed.
#[derive(Clone, Debug)]
pub struct DatabaseMetrics {
    up: IntGauge,
    connections: IntGaugeVec,
    most: IntGauge,
    wait: Histogram,
    errors: IntCounterVec,
    retired: IntCounterVec,
}

/// The database at one moment.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseSample {
    /// Whether it answers.
    pub up: bool,
    /// Open connections that nobody uses.
    pub idle: usize,
    /// Open connections in use.
    pub used: usize,
    /// How many there may be.
    pub most: usize,
}

impl DatabaseMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let errors = maker.counters(
            "hub_registry_database_errors_total",
            "Failed calls to the database, by class of error.",
            &["code"],
        );
        for code in ["unavailable", "conflict", "corrupt", "internal"] {
            errors.with_label_values(&[code]);
        }
        let retired = maker.counters(
            "hub_registry_retention_removed_rows_total",
            "Rows removed from the database for their age or because nothing needs them.",
            &["what"],
        );
        for what in ["events", "instances", "services", "groups", "statuses", "snapshots"] {
            retired.with_label_values(&[what]);
        }
        Self {
            up: maker.gauge("hub_registry_database_up", "1 when the database answers."),
            connections: maker.gauges(
                "hub_registry_database_connections",
                "Open connections to the database, by whether they are in use.",
                &["state"],
            ),
            most: maker.gauge(
                "hub_registry_database_max_connections",
                "How many connections to the database there may be.",
            ),
            wait: maker.histogram(
                "hub_registry_database_wait_seconds",
                "How long calls waited for a connection, and writes for the lock of SQLite.",
                SECONDS,
            ),
            errors,
            retired,
        }
    }

    /// It is like this now.
    pub fn set(&self, sample: DatabaseSample) {
        self.up.set(sample.up.into());
        self.most.set(sample.most as i64);
        for (state, count) in [("idle", sample.idle), ("used", sample.used)] {
            self.connections.with_label_values(&[state]).set(count as i64);
        }
    }

    /// A call waited so long for a connection.
    pub fn waited(&self, wait: Duration) {
        self.wait.observe(wait.as_secs_f64());
    }

    /// A call failed, for a reason of this class.
    pub fn failed(&self, code: &'static str) {
        self.errors.with_label_values(&[code]).inc();
    }

    /// Rows were removed for their age or because nothing needs them.
    pub fn retired(&self, what: &'static str, rows: u64) {
        self.retired.with_label_values(&[what]).inc_by(rows);
    }
}

/// Metrics that nobody reads.
impl Default for DatabaseMetrics {
    fn default() -> Self {
        Self::new(&Maker::new(&Registry::new()))
    }
}
