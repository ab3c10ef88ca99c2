//! Everything the registry holds.

use std::sync::Arc;

use hub_registry_core::{GroupName, Instance, InstanceKey, ServiceKey, ServiceState, TenantId};
use rpds::{HashTrieMapSync, HashTrieSetSync, RedBlackTreeMapSync};

use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;
use crate::model::print::Print;
use crate::model::service::NativeService;

/// Everything the registry holds. A clone costs nothing and does not see later changes.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Counts the changes readers of instances can see.
    pub(super) revision: u64,
    tenants: HashTrieMapSync<TenantId, Tenant>,
}

/// What one tenant has.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenant {
    pub(super) groups: RedBlackTreeMapSync<GroupName, Arc<NativeGroup>>,
    pub(super) services: RedBlackTreeMapSync<ServiceKey, ServiceEntry>,
    pub(super) instances: HashTrieMapSync<InstanceId, Arc<NativeInstance>>,
    /// Groups whose rows do not count, being deactivated or unreadable, with what is to be known
    /// of who may read and write them: such a group must not come back without its lists.
    closed_groups: HashTrieMapSync<GroupName, Arc<NativeGroup>>,
    /// Services whose rows do not count.
    closed_services: HashTrieSetSync<ServiceKey>,
    /// Of all services and instances as readers see them.
    print: Print,
}

impl Tenant {
    /// Groups whose rows do not count.
    pub(super) fn closed_groups(&self) -> impl Iterator<Item = &GroupName> {
        self.closed_groups.keys()
    }

    /// Services whose rows do not count.
    pub(super) fn closed_services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.closed_services.iter()
    }
}

/// A service and its instances.
#[derive(Clone, Debug)]
pub(super) struct ServiceEntry {
    pub(super) service: Arc<NativeService>,
    pub(super) instances: RedBlackTreeMapSync<InstanceKey, Arc<NativeInstance>>,
    /// The same as readers see them, made once per change and shared from then on.
    shown: RedBlackTreeMapSync<InstanceKey, Shown>,
    /// Of the service and what is shown.
    print: Print,
}

/// An instance as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    instance: Arc<Instance>,
    print: Print,
}

/// The name of the native registry among the sources of the view.
pub(super) const SOURCE: &str = "native";

impl ServiceEntry {
    /// As readers see it.
    pub(super) fn to_core(&self) -> ServiceState {
        // The map is sorted by key: no need to sort again.
        let instances = self.shown.values().map(|shown| Arc::clone(&shown.instance)).collect();
        ServiceState { key: self.service.key.clone(), instances }
    }

    /// Whether readers see no difference.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        self.shown.size() == other.shown.size() && self.shown.values().eq(other.shown.values())
    }

    fn new(service: Arc<NativeService>) -> Self {
        let (instances, shown) = (RedBlackTreeMapSync::default(), RedBlackTreeMapSync::default());
        let print = Print::service(&service.key);
        Self { service, instances, shown, print }
    }

    /// Changes it; by how much its print moved.
    fn following(&mut self, change: impl FnOnce(&mut Self)) -> Print {
        let before = self.print;
        change(self);
        self.print - before
    }

    /// Takes other settings, which readers may see in every instance.
    fn set_service(&mut self, service: Arc<NativeService>) {
        self.service = service;
        for instance in self.instances.clone().values() {
            self.show(instance);
        }
    }

    fn put(&mut self, instance: &Arc<NativeInstance>) {
        self.instances.insert_mut(instance.key.clone(), Arc::clone(instance));
        self.show(instance);
    }

    fn remove(&mut self, key: &InstanceKey) {
        self.instances.remove_mut(key);
        if let Some(shown) = self.shown.get(key) {
            self.print -= shown.print;
        }
        self.shown.remove_mut(key);
    }

    fn show(&mut self, instance: &NativeInstance) {
        let shown = instance.to_core(&self.service);
        let before = self.shown.get(&instance.key);
        // What looks the same stays the same, so that nobody looks at it again.
        if before.is_some_and(|before| *before.instance == shown) {
            return;
        }
        self.print -= before.map(|before| before.print).unwrap_or_default();
        let print = Print::instance(SOURCE, &shown);
        self.print += print;
        self.shown.insert_mut(instance.key.clone(), Shown { instance: Arc::new(shown), print });
    }
}

impl State {
    pub(super) fn tenant(&self, tenant: &TenantId) -> Option<&Tenant> {
        self.tenants.get(tenant)
    }

    pub(super) fn tenants(&self) -> impl Iterator<Item = (&TenantId, &Tenant)> {
        self.tenants.iter()
    }

    pub(super) fn group(&self, tenant: &TenantId, name: &GroupName) -> Option<&Arc<NativeGroup>> {
        self.tenant(tenant)?.groups.get(name)
    }

    /// The group whose lists say who may do what there, whether or not it counts otherwise.
    pub(super) fn rules(&self, tenant: &TenantId, name: &GroupName) -> Option<&Arc<NativeGroup>> {
        let found = self.tenant(tenant)?;
        found.groups.get(name).or_else(|| found.closed_groups.get(name))
    }

    /// Whether the table has a row of this group that does not count.
    pub(super) fn is_group_closed(&self, tenant: &TenantId, name: &GroupName) -> bool {
        self.tenant(tenant).is_some_and(|tenant| tenant.closed_groups.contains_key(name))
    }

    /// Whether the table has a row of this service that does not count.
    pub(super) fn is_service_closed(&self, tenant: &TenantId, key: &ServiceKey) -> bool {
        self.tenant(tenant).is_some_and(|tenant| tenant.closed_services.contains(key))
    }

    pub(super) fn close_group(&mut self, group: NativeGroup) {
        let tenant = group.tenant.clone();
        self.edit(&tenant, |tenant| {
            tenant.closed_groups.insert_mut(group.name.clone(), Arc::new(group));
        });
    }

    pub(super) fn close_service(&mut self, tenant: &TenantId, key: ServiceKey) {
        self.edit(tenant, |tenant| tenant.closed_services.insert_mut(key));
    }

    /// The row counts again, or is gone.
    pub(super) fn open_group(&mut self, tenant: &TenantId, name: &GroupName) {
        if self.is_group_closed(tenant, name) {
            self.edit(tenant, |tenant| tenant.closed_groups.remove_mut(name));
        }
    }

    /// The row counts again, or is gone.
    pub(super) fn open_service(&mut self, tenant: &TenantId, key: &ServiceKey) {
        if self.is_service_closed(tenant, key) {
            self.edit(tenant, |tenant| tenant.closed_services.remove_mut(key));
        }
    }

    /// How many instances there are, over all tenants.
    pub(super) fn count(&self) -> usize {
        self.tenants.values().map(|tenant| tenant.instances.size()).sum()
    }

    pub(super) fn service(&self, tenant: &TenantId, key: &ServiceKey) -> Option<&ServiceEntry> {
        self.tenant(tenant)?.services.get(key)
    }

    /// An instance as readers see it.
    pub(super) fn shown(&self, tenant: &TenantId, key: &InstanceKey) -> Option<&Arc<Instance>> {
        let entry = self.service(tenant, &key.service)?;
        entry.shown.get(key).map(|shown| &shown.instance)
    }

    pub(super) fn instance(
        &self,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Option<&Arc<NativeInstance>> {
        self.tenant(tenant)?.instances.get(&id)
    }

    /// The print of all that a tenant has, as readers see it.
    pub(super) fn print(&self, tenant: &str) -> Print {
        self.tenants.get(tenant).map(|tenant| tenant.print).unwrap_or_default()
    }

    fn edit<T>(&mut self, id: &TenantId, change: impl FnOnce(&mut Tenant) -> T) -> Option<T> {
        if !self.tenants.contains_key(id) {
            self.tenants.insert_mut(id.clone(), Tenant::default());
        }
        self.tenants.get_mut(id).map(change)
    }

    pub(super) fn put_group(&mut self, group: Arc<NativeGroup>) {
        let tenant = group.tenant.clone();
        self.edit(&tenant, |tenant| tenant.groups.insert_mut(group.name.clone(), group));
    }

    pub(super) fn remove_group(&mut self, tenant: &TenantId, name: &GroupName) {
        self.edit(tenant, |tenant| tenant.groups.remove_mut(name));
    }

    pub(super) fn put_service(&mut self, service: Arc<NativeService>) {
        let tenant = service.tenant.clone();
        self.edit(&tenant, |tenant| match tenant.services.get_mut(&service.key) {
            Some(entry) => tenant.print += entry.following(|entry| entry.set_service(service)),
            None => {
                let (key, entry) = (service.key.clone(), ServiceEntry::new(service));
                tenant.print += entry.print;
                tenant.services.insert_mut(key, entry);
            }
        });
    }

    /// Removes a service; its instances are removed before.
    pub(super) fn remove_service(&mut self, tenant: &TenantId, key: &ServiceKey) {
        self.edit(tenant, |tenant| {
            if let Some(entry) = tenant.services.get(key) {
                tenant.print -= entry.print;
            }
            tenant.services.remove_mut(key);
        });
    }

    /// Adds or replaces an instance; its service is there.
    pub(super) fn put_instance(&mut self, instance: Arc<NativeInstance>) {
        let tenant = instance.tenant.clone();
        self.edit(&tenant, |tenant| {
            if let Some(entry) = tenant.services.get_mut(&instance.key.service) {
                tenant.print += entry.following(|entry| entry.put(&instance));
                tenant.instances.insert_mut(instance.id, instance);
            }
        });
    }

    pub(super) fn remove_instance(&mut self, tenant: &TenantId, id: InstanceId) {
        self.edit(tenant, |tenant| {
            let Some(instance) = tenant.instances.get(&id).cloned() else {
                return;
            };
            tenant.instances.remove_mut(&id);
            if let Some(entry) = tenant.services.get_mut(&instance.key.service) {
                tenant.print += entry.following(|entry| entry.remove(&instance.key));
            }
        });
    }
}
