//! Metrics of the native registry's leases.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntGauge};

/// How the leases of all tenants stand, and what became of them.
#[derive(Clone, Debug)]
pub struct LeaseMetrics {
    leases: IntGauge,
    overdue: IntGauge,
    held: IntGauge,
    preserving: IntGauge,
    expirations: IntCounter,
    revivals: IntCounter,
    sweeps: IntCounter,
}

impl LeaseMetrics {
    /// All at zero.
    ///
    /// # Panics
    /// Never: the names are valid.
    #[expect(clippy::expect_used, reason = "the names are constants; any start shows a mistake")]
    pub(super) fn new() -> Self {
        let gauge = |name, help| IntGauge::new(name, help).expect("a valid gauge");
        let counter = |name, help| IntCounter::new(name, help).expect("a valid counter");
        Self {
            leases: gauge("hub_registry_leases", "Native instances that promised to beat."),
            overdue: gauge("hub_registry_leases_overdue", "Those of them whose lease ran out."),
            held: gauge(
                "hub_registry_leases_held",
                "Silent native instances that self-preservation keeps.",
            ),
            preserving: gauge(
                "hub_registry_self_preservation",
                "Tenants in which self-preservation holds or sweeps silent instances.",
            ),
            expirations: counter(
                "hub_registry_lease_expirations_total",
                "Native instances removed for their silence.",
            ),
            revivals: counter(
                "hub_registry_lease_revivals_total",
                "Native instances that a heartbeat made healthy again.",
            ),
            sweeps: counter(
                "hub_registry_lease_sweeps_total",
                "Sweeps of silent instances after self-preservation ran out.",
            ),
        }
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.leases.clone()),
            Box::new(self.overdue.clone()),
            Box::new(self.held.clone()),
            Box::new(self.preserving.clone()),
            Box::new(self.expirations.clone()),
            Box::new(self.revivals.clone()),
            Box::new(self.sweeps.clone()),
        ]
    }

    /// How they stand now: promised to beat, overdue, held; and the tenants that are preserved.
    pub fn set(&self, leases: usize, overdue: usize, held: usize, preserving: usize) {
        self.leases.set(leases as i64);
        self.overdue.set(overdue as i64);
        self.held.set(held as i64);
        self.preserving.set(preserving as i64);
    }

    /// So many were removed for their silence.
    pub fn expired(&self, count: u64) {
        self.expirations.inc_by(count);
    }

    /// A heartbeat made one healthy again.
    pub fn revived(&self) {
        self.revivals.inc();
    }

    /// A sweep was made.
    pub fn swept(&self) {
        self.sweeps.inc();
    }
}
