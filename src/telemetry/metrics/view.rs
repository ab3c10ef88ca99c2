//! What readers see.

use hub_registry_core::{HealthStatus, InstanceStatus};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use super::Maker;

/// The size of the view, and how it changes.
#[derive(Clone, Debug)]
pub struct ViewMetrics {
    changes: IntCounterVec,
    rows: IntGaugeVec,
    services: IntGauge,
    instances: IntGauge,
    waiting: IntGauge,
    revision: IntGauge,
}

/// The view at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ViewSample {
    /// Its services.
    pub services: usize,
    /// Its instances.
    pub instances: usize,
    /// Names that blocking queries wait for.
    pub waiting: usize,
    /// The highest revision of any tenant.
    pub revision: i64,
}

/// Rows of one change set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowChanges {
    /// New ones.
    pub added: u64,
    /// Those with other content.
    pub updated: u64,
    /// Those that are no more.
    pub removed: u64,
}

impl ViewMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let changes = maker.counters(
            "hub_registry_view_instance_changes_total",
            "Rows of the view that were added, updated or removed.",
            &["change"],
        );
        for change in ["added", "updated", "removed"] {
            changes.with_label_values(&[change]);
        }
        let rows = maker.gauges(
            "hub_registry_instances",
            "Instances in the view, by their status and health.",
            &["status", "health"],
        );
        for status in InstanceStatus::ALL {
            for health in HealthStatus::ALL {
                rows.with_label_values(&[status.as_str(), health.as_str()]);
            }
        }
        Self {
            changes,
            rows,
            services: maker.gauge("hub_registry_view_services", "Services in the view."),
            instances: maker.gauge("hub_registry_view_instances", "Instances in the view."),
            waiting: maker
                .gauge("hub_registry_view_waited_services", "Services blocking queries wait for."),
            revision: maker
                .gauge("hub_registry_view_revision", "The highest revision of any tenant's view."),
        }
    }

    /// Rows changed.
    pub fn changed(&self, rows: RowChanges) {
        let RowChanges { added, updated, removed } = rows;
        for (change, count) in [("added", added), ("updated", updated), ("removed", removed)] {
            self.changes.with_label_values(&[change]).inc_by(count);
        }
    }

    /// There is one more instance of these states.
    pub fn came(&self, status: InstanceStatus, health: HealthStatus) {
        self.rows.with_label_values(&[status.as_str(), health.as_str()]).inc();
    }

    /// There is one less.
    pub fn went(&self, status: InstanceStatus, health: HealthStatus) {
        self.rows.with_label_values(&[status.as_str(), health.as_str()]).dec();
    }

    /// It is like this now.
    pub fn set(&self, sample: ViewSample) {
        self.services.set(sample.services as i64);
        self.instances.set(sample.instances as i64);
        self.waiting.set(sample.waiting as i64);
        self.revision.set(sample.revision);
    }
}
