//! One tenant's view, and the set of them.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hub_registry_core::TenantId;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::desk::Desk;
use super::snapshot::Snapshot;
use super::tail::Sources;
use super::wait::Waiters;

/// Everything of one tenant.
#[derive(Debug)]
pub(super) struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What readers see.
    pub snapshot: ArcSwap<Snapshot>,
    /// The states of its sources.
    pub sources: Sources,
    /// Who waits for a change of a name.
    pub waiters: Waiters,
    /// Wakes those who wait for any change.
    pub changed: Notify,
    /// What writers work on, one at a time.
    pub(super) desk: Mutex<Desk>,
}

/// All tenants; reading takes no lock.
#[derive(Debug, Default)]
pub(super) struct Tenants {
    map: ArcSwap<HashMap<TenantId, Arc<Tenant>>>,
    growing: Mutex<()>,
    /// Wakes those who wait for a tenant that was not there.
    pub grown: Notify,
}

impl Tenants {
    /// The tenant, if anything was ever written for it.
    #[must_use]
    pub(super) fn get(&self, id: &str) -> Option<Arc<Tenant>> {
        self.map.load().get(id).cloned()
    }

    /// All tenants.
    #[must_use]
    pub(super) fn all(&self) -> Vec<Arc<Tenant>> {
        self.map.load().values().cloned().collect()
    }

    /// The tenant, made by `make` if it is new.
    pub(super) fn get_or_make(&self, id: &TenantId, make: impl FnOnce() -> Tenant) -> Arc<Tenant> {
        if let Some(tenant) = self.get(id.as_str()) {
            return tenant;
        }
        let _growing = self.growing.lock();
        if let Some(tenant) = self.get(id.as_str()) {
            return tenant;
        }
        let tenant = Arc::new(make());
        let mut map = HashMap::clone(&self.map.load());
        map.insert(id.clone(), Arc::clone(&tenant));
        self.map.store(Arc::new(map));
        self.grown.notify_waiters();
        tenant
    }
}
