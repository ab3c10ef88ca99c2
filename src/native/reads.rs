//! Reading: from memory, without waiting for anything.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{
    GroupName, HealthStatus, Instance, InstanceStatus, Scope, ServiceKey, ServiceState, TenantId,
};

use super::intake::parse;
use super::plan::{no_group, no_instance, no_service};
use super::preservation::Preservation;
use super::start::Native;
use crate::access::{Action, Caller, Visible};
use crate::error::Result;
use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::names::{CheckKey, InstanceId};
use crate::model::service::NativeService;

/// A service with what its instances add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSummary {
    /// The service.
    pub service: Arc<NativeService>,
    /// All its instances.
    pub instances: usize,
    /// Those that are up and healthy.
    pub healthy: usize,
}

impl Native {
    /// Refuses what the caller may not do in the group, by the lists of the native registry.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn need(&self, caller: &Caller, action: Action, group: &GroupName) -> Result<()> {
        if caller.is_unlimited() {
            return Ok(());
        }
        let state = self.shared.state.load();
        caller.need_in(action, group, state.rules(caller.tenant(), group).map(AsRef::as_ref))
    }

    /// The groups this caller may read, by the lists of the native registry.
    #[must_use]
    pub fn visible(&self, caller: &Caller) -> Visible {
        Visible::to(caller, || {
            let (shared, tenant) = (Arc::clone(&self.shared), caller.tenant().clone());
            move |group: &GroupName| shared.state.load().rules(&tenant, group).cloned()
        })
    }

    /// Who alone may read what happens in a group now, for those who ask later.
    #[must_use]
    pub fn readers(&self, tenant: &TenantId, group: &GroupName) -> Option<String> {
        self.shared.state.load().rules(tenant, group)?.readers()
    }

    /// One instance, with its last heartbeat.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, tenant: &TenantId, id: &str) -> Result<NativeInstance> {
        let state = self.shared.state.load();
        let instance = state.instance(tenant, parse(id)?).ok_or_else(no_instance)?;
        Ok(self.with_heartbeat(instance))
    }

    /// The instance with its last heartbeat and check, which [`list`](Self::list) leaves as it was when the
    /// instance was last written.
    #[must_use]
    pub fn with_heartbeat(&self, instance: &NativeInstance) -> NativeInstance {
        let last_heartbeat = self.shared.leases.heard_at(instance, self.shared.clock.now());
        let last_health_check = self.shared.checks.last(instance);
        NativeInstance { last_heartbeat, last_health_check, ..instance.clone() }
    }

    /// All instances of a tenant, in the order of their keys.
    #[must_use]
    pub fn list(&self, tenant: &TenantId) -> Vec<Arc<NativeInstance>> {
        let state = self.shared.state.load();
        let services = state.tenant(tenant).map(|tenant| tenant.services.values());
        let instances = services.into_iter().flatten().flat_map(|entry| entry.instances());
        instances.cloned().collect()
    }

    /// The numbers of self-preservation.
    #[must_use]
    pub fn preservation(&self) -> &Preservation {
        &self.shared.settings.preservation
    }

    /// When an instance last registered or beat by itself: milliseconds of a monotonic clock, 0 if not
    /// since the start.
    #[must_use]
    pub fn last_heard(&self, id: InstanceId) -> u64 {
        self.shared.leases.last_heard(CheckKey::own(id))
    }

    /// Whether such a lease of the tenant's, of an instance or of a check, ran out, and silence of the
    /// tenant's clients is believed.
    #[must_use]
    pub fn is_gone(&self, tenant: &TenantId, key: CheckKey) -> bool {
        self.shared.leases.is_overdue(key) && self.lease_stats(tenant).preserving_since.is_none()
    }

    /// Whether the client of such a check was heard since the start and within the length of its lease.
    #[must_use]
    pub fn is_heard(&self, key: CheckKey) -> bool {
        self.shared.leases.is_heard(key)
    }

    /// When the process was stopped last for at least so long (SIGSTOP, a suspended machine) and went on,
    /// or else when it started: milliseconds of a monotonic clock.
    #[must_use]
    pub fn paused_until(&self, at_least: Duration) -> u64 {
        let at_least = u64::try_from(at_least.as_millis()).unwrap_or(u64::MAX);
        self.shared.leases.notice_pause();
        self.shared.leases.paused_until(at_least)
    }

    /// One service.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_service(&self, tenant: &TenantId, key: &ServiceKey) -> Result<Arc<NativeService>> {
        let state = self.shared.state.load();
        let entry = state.service(tenant, key).ok_or_else(|| no_service(key))?;
        Ok(Arc::clone(&entry.service))
    }

    /// All services of a tenant, in the order of their keys.
    #[must_use]
    pub fn list_services(&self, tenant: &TenantId) -> Vec<ServiceSummary> {
        let state = self.shared.state.load();
        let services = state.tenant(tenant).map(|tenant| tenant.services.values());
        let summary = |entry: &super::state::ServiceEntry| {
            let healthy = |instance: &&Arc<NativeInstance>| {
                instance.status == InstanceStatus::Up && instance.health == HealthStatus::Healthy
            };
            ServiceSummary {
                service: Arc::clone(&entry.service),
                instances: entry.instances().len(),
                healthy: entry.instances().filter(healthy).count(),
            }
        };
        services.into_iter().flatten().map(summary).collect()
    }

    /// One group.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get_group(&self, tenant: &TenantId, name: &GroupName) -> Result<Arc<NativeGroup>> {
        let state = self.shared.state.load();
        Ok(Arc::clone(state.group(tenant, name).ok_or_else(|| no_group(name))?))
    }

    /// All groups of a tenant, by name.
    #[must_use]
    pub fn list_groups(&self, tenant: &TenantId) -> Vec<Arc<NativeGroup>> {
        let state = self.shared.state.load();
        let groups = state.tenant(tenant).map(|tenant| tenant.groups.values());
        groups.into_iter().flatten().cloned().collect()
    }

    /// The services in the scope as readers of any source see them, and the revision that is.
    pub(super) fn states(&self, tenant: &TenantId, scope: &Scope) -> (u64, Vec<ServiceState>) {
        let state = self.shared.state.load();
        let services = state.tenant(tenant).map(|tenant| tenant.services.iter());
        let wanted = services.into_iter().flatten().filter(|(key, _)| scope.contains(key));
        (state.revision, wanted.map(|(_, entry)| entry.to_core()).collect())
    }

    /// One service's instances as readers of any source see them.
    pub(super) fn instances(&self, tenant: &TenantId, key: &ServiceKey) -> Vec<Instance> {
        let state = self.shared.state.load();
        state.service(tenant, key).map_or_else(Vec::new, |entry| entry.to_core().into_instances())
    }
}
