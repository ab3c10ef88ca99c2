//! The hub's own database.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Maker;

/// Its connections, and the rows that are removed.
#[derive(Clone, Debug)]
pub struct DatabaseMetrics {
    connections: IntGaugeVec,
    retired: IntCounterVec,
}

impl DatabaseMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            connections: maker.gauges(
                "hub_registry_database_connections",
                "Open connections to the database, by whether they are in use.",
                &["state"],
            ),
            retired: maker.counters(
                "hub_registry_retention_removed_rows_total",
                "Rows removed from the database for their age or because nothing needs them.",
                &["what"],
            ),
        }
    }

    /// How many connections are idle and in use now.
    pub fn set_connections(&self, idle: usize, used: usize) {
        for (state, count) in [("idle", idle), ("used", used)] {
            self.connections.with_label_values(&[state]).set(count as i64);
        }
    }

    /// Rows were removed for their age or because nothing needs them.
    pub fn retired(&self, what: &str, rows: u64) {
        self.retired.with_label_values(&[what]).inc_by(rows);
    }
}
