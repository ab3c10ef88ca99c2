//! Services on their way from one registry to another.

use prometheus::{GaugeVec, IntGaugeVec};

use super::Maker;
use crate::model::migration::MigrationState;

/// How migrations stand.
#[derive(Clone, Debug)]
pub struct MigrationMetrics {
    migrations: IntGaugeVec,
    parity: GaugeVec,
}

impl MigrationMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let metrics = Self {
            migrations: maker.gauges(
                "hub_registry_migrations",
                "Migrations, by how far they have come.",
                &["state"],
            ),
            parity: maker.fractions(
                "hub_registry_migration_parity_percent",
                "How much of the source the target has just so, in percent.",
                &["migration"],
            ),
        };
        MigrationState::ALL.iter().for_each(|state| metrics.set(*state, 0));
        metrics
    }

    /// So many are in this state.
    pub fn set(&self, state: MigrationState, count: usize) {
        self.migrations.with_label_values(&[state.as_str()]).set(count as i64);
    }

    /// How equal source and target of a migration are.
    pub fn parity(&self, migration: &str, percent: f64) {
        self.parity.with_label_values(&[migration]).set(percent);
    }

    /// A migration is no more.
    pub fn forget(&self, migration: &str) {
        // What was never there cannot be removed, which is as good.
        self.parity.remove_label_values(&[migration]).ok();
    }
}
