//! From the tables to the state.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{GroupName, ServiceKey, ServiceName, TenantId};

use super::rows;
use super::state::State;
use crate::access::HUB;
use crate::error::Error;
use crate::model::audit::Audit;
use crate::model::group::NativeGroup;
use crate::model::service::NativeService;
use crate::model::words::Flag;
use crate::storage::{GroupRow, InstanceRow, NativeRows, NativeWrite, ServiceRow};

/// The state the rows make, and the writes that bring the tables in line with it. Rows that are
/// invalid are left where they are, with a warning; inactive ones count as not there, and so does
/// what is in them.
pub(super) fn load(rows: NativeRows, now: DateTime<Utc>) -> (State, Vec<NativeWrite>) {
    let mut loading = Loading { now, ..Loading::default() };
    rows.groups.into_iter().for_each(|row| loading.group(row));
    rows.services.into_iter().for_each(|row| loading.service(row));
    rows.instances.into_iter().for_each(|row| loading.instance(row));
    (loading.state, loading.repairs)
}

#[derive(Default)]
struct Loading {
    now: DateTime<Utc>,
    state: State,
    repairs: Vec<NativeWrite>,
    hidden_groups: HashSet<(String, String)>,
    hidden_services: HashSet<(String, String, String)>,
}

impl Loading {
    fn group(&mut self, row: GroupRow) {
        let (id, active) = (row.service_group_id.clone(), row.common.is_active());
        let place = (row.tenant_id.clone(), row.group_name.clone());
        let read = rows::group(row, self.now);
        if !active || read.is_err() {
            self.close_group(&place, read.as_ref().ok());
            self.hidden_groups.insert(place);
        }
        match read {
            Ok(_) if !active => {}
            Ok(group) => {
                if group.id != id {
                    self.repairs.push(NativeWrite::PutGroup(rows::group_row(&group)));
                }
                self.state.put_group(Arc::new(group));
            }
            Err(error) => skipped("group", &id, &error),
        }
    }

    fn service(&mut self, row: ServiceRow) {
        let group = (row.tenant_id.clone(), row.group_name.clone());
        if self.hidden_groups.contains(&group) {
            return;
        }
        let (name, active) = (row.service_name.clone(), row.common.is_active());
        let read = rows::service(row, self.now);
        if !active || read.is_err() {
            self.close_service(&group, &name);
            self.hidden_services.insert((group.0, group.1, name.clone()));
        }
        match read {
            Ok(_) if !active => {}
            Ok(service) => {
                self.need_group(&service.tenant, &service.key.group);
                self.state.put_service(Arc::new(service));
            }
            Err(error) => skipped("service", &name, &error),
        }
    }

    fn instance(&mut self, row: InstanceRow) {
        let service = (row.tenant_id.clone(), row.group_name.clone(), row.service_name.clone());
        let group = (row.tenant_id.clone(), row.group_name.clone());
        let hidden = self.hidden_services.contains(&service) || self.hidden_groups.contains(&group);
        if hidden || !row.common.is_active() {
            return;
        }
        let id = row.service_instance_id.clone();
        let mut instance = match rows::instance(row, self.now) {
            Ok(instance) => instance,
            Err(error) => return skipped("instance", &id, &error),
        };
        if self.state.instance(&instance.tenant, instance.id).is_some() {
            let error = Error::conflict("another row has the same address");
            return skipped("instance", &id, &error);
        }
        if instance.id.to_string() != id {
            let tenant_id = instance.tenant.to_string();
            self.repairs.push(NativeWrite::DeleteInstance { tenant_id, service_instance_id: id });
            self.repairs.push(NativeWrite::PutInstance(rows::instance_row(&instance)));
        }
        instance.key.service = self.need_service(&instance.tenant, &instance.key.service);
        self.state.put_instance(Arc::new(instance));
    }

    /// The row does not count, and neither does what is in the group. Who could read and write it
    /// still can and nobody else; of a row that cannot be read: nobody but administrators.
    fn close_group(&mut self, (tenant, name): &(String, String), group: Option<&NativeGroup>) {
        let parsed = TenantId::parse(tenant).ok().zip(GroupName::parse(name).ok());
        let stub = parsed.map(|(tenant, name)| NativeGroup {
            access_control: Flag::Yes,
            ..NativeGroup::new(tenant, name, Audit::new(self.now, HUB))
        });
        if let Some(group) = group.cloned().or(stub) {
            self.state.close_group(group);
        }
    }

    fn close_service(&mut self, (tenant, group): &(String, String), name: &str) {
        let tenant = TenantId::parse(tenant).ok();
        let group = GroupName::parse(group).ok();
        if let (Some(tenant), Some(group), Ok(name)) = (tenant, group, ServiceName::parse(name)) {
            self.state.close_service(&tenant, ServiceKey::new(group, name));
        }
    }

    fn need_group(&mut self, tenant: &TenantId, name: &GroupName) -> Arc<NativeGroup> {
        if let Some(group) = self.state.group(tenant, name) {
            return Arc::clone(group);
        }
        let audit = Audit::new(self.now, HUB);
        let group = Arc::new(NativeGroup::new(tenant.clone(), name.clone(), audit));
        self.repairs.push(NativeWrite::PutGroup(rows::group_row(&group)));
        self.state.put_group(Arc::clone(&group));
        group
    }

    /// Its key, whose text all its instances share.
    fn need_service(&mut self, tenant: &TenantId, key: &ServiceKey) -> ServiceKey {
        if let Some(entry) = self.state.service(tenant, key) {
            return entry.service.key.clone();
        }
        let group = self.need_group(tenant, &key.group);
        let service = NativeService::new(key.clone(), &group, Audit::new(self.now, HUB));
        let shared = service.key.clone();
        self.repairs.push(NativeWrite::PutService(rows::service_row(&service)));
        self.state.put_service(Arc::new(service));
        shared
    }
}

fn skipped(what: &'static str, id: &str, error: &Error) {
    tracing::warn!(row.id = id, %error, "native {what} row skipped: it is invalid");
}
