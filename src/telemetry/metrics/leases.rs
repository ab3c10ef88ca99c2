//! The native registry's leases.

use prometheus::{IntCounter, IntGauge};

use super::Maker;

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
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            leases: maker.gauge("hub_registry_leases", "Native instances that promised to beat."),
            overdue: maker
                .gauge("hub_registry_leases_overdue", "Those of them whose lease ran out."),
            held: maker.gauge(
                "hub_registry_leases_held",
                "Silent native instances that self-preservation keeps.",
            ),
            preserving: maker.gauge(
                "hub_registry_self_preservation",
                "Tenants in which self-preservation holds or sweeps silent instances.",
            ),
            expirations: maker.counter(
                "hub_registry_lease_expirations_total",
                "Native instances removed for their silence.",
            ),
            revivals: maker.counter(
                "hub_registry_lease_revivals_total",
                "Native instances that a heartbeat made healthy again.",
            ),
            sweeps: maker.counter(
                "hub_registry_lease_sweeps_total",
                "Sweeps of silent instances after self-preservation ran out.",
            ),
        }
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
