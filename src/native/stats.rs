//! How a tenant's leases stand.

use chrono::{DateTime, Utc};
use hub_registry_core::TenantId;

use super::start::Native;

/// How the leases of a tenant stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseStats {
    /// Instances that promised to beat, silent ones included.
    pub heart_beating: usize,
    /// Those whose lease ran out.
    pub overdue: usize,
    /// Those of them whose removal is held.
    pub held: usize,
    /// Since when too many are silent together to be believed.
    pub preserving_since: Option<DateTime<Utc>>,
    /// Whether instances that self-preservation ran out over leave in sweeps.
    pub sweeping: bool,
    /// Sweeps since the start.
    pub sweeps: u64,
    /// Instances removed for their silence since the start.
    pub expired: u64,
}

impl Native {
    /// How the leases of a tenant stand.
    #[must_use]
    pub fn lease_stats(&self, tenant: &TenantId) -> LeaseStats {
        let stats = self.shared.stats.get(tenant).map(|stats| *stats).unwrap_or_default();
        LeaseStats { heart_beating: self.shared.leases.beating(tenant), ..stats }
    }
}
