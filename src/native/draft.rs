//! A state being changed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{GroupName, ServiceKey, TenantId};

use super::events::Cause;
use super::leases::Leases;
use super::rows;
use super::start::{EventsWanted, Settings};
use super::state::State;
use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;
use crate::model::service::NativeService;
use crate::storage::{EventRow, NativeWrite};

/// The state as it will be once the writes are committed.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) next: State,
    pub(super) writes: Vec<NativeWrite>,
    /// Instances that are written, removed or heard from; `true`: this counts as a heartbeat.
    pub(super) touched: HashMap<InstanceId, (TenantId, bool)>,
    /// Instances that batches before it heard from, and that are not shown yet.
    pub(super) heard: HashSet<InstanceId>,
    /// Services that readers may see differently.
    pub(super) changed: BTreeSet<(TenantId, ServiceKey)>,
    pub(super) now: DateTime<Utc>,
    pub(super) settings: Settings,
    pub(super) leases: Arc<Leases>,
}

impl Draft {
    pub(super) fn put_group(&mut self, group: NativeGroup) -> Arc<NativeGroup> {
        let group = Arc::new(group);
        self.writes.push(NativeWrite::PutGroup(rows::group_row(&group)));
        self.take_group(&group, &group.audit.edit_who);
        group
    }

    /// Takes over a group as it is in the table.
    pub(super) fn take_group(&mut self, group: &Arc<NativeGroup>, who: &str) {
        let before = self.next.group(&group.tenant, &group.name).cloned();
        self.next.put_group(Arc::clone(group));
        let rules = (&group.tenant, &group.name, None);
        self.tell(rules, who, |cause, _| cause.group(before.as_deref(), Some(group)));
    }

    pub(super) fn remove_group(&mut self, tenant: &TenantId, name: &GroupName, who: &str) {
        let (tenant_id, group_name) = (tenant.to_string(), name.to_string());
        self.writes.push(NativeWrite::DeleteGroup { tenant_id, group_name });
        self.drop_group(tenant, name, who);
    }

    /// Its row is gone, or does not count.
    pub(super) fn drop_group(&mut self, tenant: &TenantId, name: &GroupName, who: &str) {
        let before = self.next.group(tenant, name).cloned();
        self.next.remove_group(tenant, name);
        let rules = (tenant, name, before.as_deref());
        self.tell(rules, who, |cause, _| cause.group(before.as_deref(), None));
    }

    pub(super) fn put_service(&mut self, service: NativeService) -> Arc<NativeService> {
        let service = Arc::new(service);
        self.writes.push(NativeWrite::PutService(rows::service_row(&service)));
        self.take_service(&service, &service.audit.edit_who);
        service
    }

    /// Takes over a service as it is in the table.
    pub(super) fn take_service(&mut self, service: &Arc<NativeService>, who: &str) {
        let entry = self.next.service(&service.tenant, &service.key);
        let before = entry.map(|entry| Arc::clone(&entry.service));
        self.changed.insert((service.tenant.clone(), service.key.clone()));
        self.next.put_service(Arc::clone(service));
        let rules = (&service.tenant, &service.key.group, None);
        self.tell(rules, who, |cause, _| cause.service(before.as_deref(), Some(service)));
    }

    pub(super) fn remove_service(&mut self, tenant: &TenantId, key: &ServiceKey, who: &str) {
        self.writes.push(NativeWrite::DeleteService {
            tenant_id: tenant.to_string(),
            group_name: key.group.to_string(),
            service_name: key.name.to_string(),
        });
        self.drop_service(tenant, key, who);
    }

    /// Its row is gone, or does not count; its instances left before.
    pub(super) fn drop_service(&mut self, tenant: &TenantId, key: &ServiceKey, who: &str) {
        let entry = self.next.service(tenant, key);
        let before = entry.map(|entry| Arc::clone(&entry.service));
        self.next.remove_service(tenant, key);
        self.changed.insert((tenant.clone(), key.clone()));
        self.tell((tenant, &key.group, None), who, |cause, _| {
            cause.service(before.as_deref(), None)
        });
    }

    pub(super) fn put_instance(&mut self, instance: NativeInstance, heard: bool) {
        let instance = Arc::new(instance);
        self.writes.push(NativeWrite::PutInstance(rows::instance_row(&instance)));
        self.take_instance(&instance, heard, &instance.audit.edit_who);
    }

    /// Takes over an instance as it is in the table.
    pub(super) fn take_instance(&mut self, instance: &Arc<NativeInstance>, heard: bool, who: &str) {
        let before = self.next.instance(&instance.tenant, instance.id).cloned();
        self.changed.insert((instance.tenant.clone(), instance.key.service.clone()));
        self.touch(&instance.tenant, instance.id, heard);
        self.next.put_instance(Arc::clone(instance));
        let rules = (&instance.tenant, &instance.key.service.group, None);
        self.tell(rules, who, |cause, next| match &before {
            Some(before) => cause.updated(before, instance),
            // One whose service is missing is not shown, and cannot be put.
            None => next
                .shown(&instance.tenant, &instance.key)
                .map_or_else(Vec::new, |shown| cause.registered(instance, shown)),
        });
    }

    /// `why`: for people, when nobody asked for it.
    pub(super) fn remove_instance(
        &mut self,
        instance: &NativeInstance,
        who: &str,
        why: Option<String>,
    ) {
        self.writes.push(NativeWrite::DeleteInstance {
            tenant_id: instance.tenant.to_string(),
            service_instance_id: instance.id.to_string(),
        });
        self.drop_instance(instance, who, why);
    }

    /// Its row is gone, or does not count.
    pub(super) fn drop_instance(
        &mut self,
        instance: &NativeInstance,
        who: &str,
        why: Option<String>,
    ) {
        let tenant = &instance.tenant;
        self.next.remove_instance(tenant, instance.id);
        self.changed.insert((tenant.clone(), instance.key.service.clone()));
        self.touch(tenant, instance.id, false);
        let rules = (tenant, &instance.key.service.group, None);
        self.tell(rules, who, |cause, _| vec![cause.deregistered(instance, why)]);
    }

    /// Adds events to what is written, if they are told. Whoever may not read the group now (or,
    /// of one that is removed, as `it` was) may not read them later either.
    fn tell(
        &mut self,
        (tenant, group, it): (&TenantId, &GroupName, Option<&NativeGroup>),
        who: &str,
        events: impl FnOnce(Cause<'_>, &State) -> Vec<EventRow>,
    ) {
        if self.settings.events == EventsWanted::Nothing {
            return;
        }
        let rules = it.or_else(|| self.next.rules(tenant, group).map(AsRef::as_ref));
        let readers = rules.and_then(NativeGroup::readers);
        for mut row in events(Cause { time: self.now, who }, &self.next) {
            row.readers.clone_from(&readers);
            self.writes.push(NativeWrite::AddEvent(row));
        }
    }

    /// Takes the events out of what is written.
    pub(super) fn take_events(&mut self) -> Vec<EventRow> {
        let writes = std::mem::take(&mut self.writes).into_iter();
        let mut events = Vec::new();
        self.writes = writes
            .filter_map(|write| match write {
                NativeWrite::AddEvent(row) => {
                    events.push(row);
                    None
                }
                other => Some(other),
            })
            .collect();
        events
    }

    /// Whether it writes, removes or heard this instance.
    pub(super) fn plans(&self, id: InstanceId) -> bool {
        self.touched.contains_key(&id)
    }

    /// Whether it, or a batch before it that is not shown yet, heard from this instance.
    pub(super) fn hears(&self, id: InstanceId) -> bool {
        self.heard.contains(&id) || self.touched.get(&id).is_some_and(|(_, heard)| *heard)
    }

    pub(super) fn touch(&mut self, tenant: &TenantId, id: InstanceId, heard: bool) {
        let entry = self.touched.entry(id).or_insert_with(|| (tenant.clone(), false));
        entry.1 |= heard;
    }
}
