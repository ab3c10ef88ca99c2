//! Everything the registry holds.

use std::sync::Arc;

use hub_registry_core::{GroupName, Instance, InstanceKey, ServiceKey, ServiceState, TenantId};
use rpds::{HashTrieMapSync, HashTrieSetSync, RedBlackTreeMapSync};

use super::by_id::ById;
use super::sorted;
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
    pub(super) instances: ById,
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
    /// Its instances, sorted by key: a map of nodes would take several times the memory, and whoever
    /// shows a service goes through all of them anyway.
    instances: Arc<Vec<Registered>>,
    /// Of the service and what is shown.
    print: Print,
}

/// An instance.
#[derive(Clone, Debug)]
struct Registered {
    instance: Arc<NativeInstance>,
    /// The same as readers see it, shared with all of them.
    shown: Arc<Instance>,
    print: Print,
}

/// The name of the native registry among the sources of the view.
pub(super) const SOURCE: &str = "native";

impl ServiceEntry {
    /// As readers see it.
    pub(super) fn to_core(&self) -> ServiceState {
        // They are sorted by key: no need to sort again.
        let instances = self.shown().cloned().collect();
        ServiceState { key: self.service.key.clone(), instances }
    }

    /// Whether readers see no difference.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        self.print == other.print && self.shown().eq(other.shown())
    }

    fn shown(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.iter().map(|one| &one.shown)
    }

    fn new(service: Arc<NativeService>) -> Self {
        let print = Print::service(&service.key);
        Self { service, instances: Arc::default(), print }
    }

    /// Its instances, sorted by key.
    pub(super) fn instances(
        &self,
    ) -> impl ExactSizeIterator<Item = &Arc<NativeInstance>> + use<'_> {
        self.instances.iter().map(|one| &one.instance)
    }

    /// The text of the service's name is one for all its instances, who are found the faster for
    /// it; and most of them say what the first one says.
    fn share(&self, instance: &mut NativeInstance) {
        let said = Arc::make_mut(&mut instance.said);
        said.key.service = self.service.key.clone();
        if let Some(Registered { instance: other, .. }) = self.instances.first() {
            if said.metadata == other.metadata {
                said.metadata = other.metadata.clone();
            }
            if said.tags == other.tags {
                said.tags = Arc::clone(&other.tags);
            }
            instance.audit.share(&other.audit);
        }
    }

    /// One of them.
    pub(super) fn instance(&self, key: &InstanceKey) -> Option<&Arc<NativeInstance>> {
        self.find(key).ok().map(|place| &self.instances[place].instance)
    }

    /// Where it is, or belongs.
    fn find(&self, key: &InstanceKey) -> Result<usize, usize> {
        self.instances.binary_search_by(|one| one.instance.key.cmp(key))
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
        for instance in Arc::clone(&self.instances).iter().map(|one| &one.instance) {
            self.put(instance);
        }
    }

    fn put(&mut self, instance: &Arc<NativeInstance>) {
        let shown = instance.shown(&self.service);
        let instance = Arc::clone(instance);
        match self.find(&instance.key) {
            Ok(place) => {
                let one = &mut Arc::make_mut(&mut self.instances)[place];
                one.instance = instance;
                // What looks the same stays the same, so that nobody looks at it again.
                if one.shown != shown {
                    self.print -= one.print;
                    one.print = Print::instance(SOURCE, &shown);
                    self.print += one.print;
                    one.shown = shown;
                }
            }
            Err(place) => {
                let print = Print::instance(SOURCE, &shown);
                self.print += print;
                let one = Registered { instance, shown, print };
                sorted::insert(&mut self.instances, place, one);
            }
        }
    }

    fn remove(&mut self, key: &InstanceKey) {
        if let Ok(place) = self.find(key) {
            let gone = Arc::make_mut(&mut self.instances).remove(place);
            self.print -= gone.print;
        }
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
        entry.find(key).ok().map(|place| &entry.instances[place].shown)
    }

    pub(super) fn instance(
        &self,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Option<&Arc<NativeInstance>> {
        self.tenant(tenant)?.instances.get(id)
    }

    /// Lets an instance that is to be put share what those of its service say alike.
    pub(super) fn share(&self, instance: &mut NativeInstance) {
        if let Some(entry) = self.service(&instance.tenant, &instance.key.service) {
            entry.share(instance);
        }
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
                tenant.instances.insert(instance);
            }
        });
    }

    pub(super) fn remove_instance(&mut self, tenant: &TenantId, id: InstanceId) {
        self.edit(tenant, |tenant| {
            let Some(instance) = tenant.instances.remove(id) else { return };
            if let Some(entry) = tenant.services.get_mut(&instance.key.service) {
                tenant.print += entry.following(|entry| entry.remove(&instance.key));
            }
        });
    }
}
