//! From the tables to the state.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{GroupName, ServiceKey, ServiceName, TenantId};
use serde_json::Value;

use super::repair::RowKey;
use super::rows;
use super::state::State;
use crate::access::HUB;
use crate::error::Error;
use crate::model::audit::Audit;
use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::service::NativeService;
use crate::model::words::Flag;
use crate::storage::{
    GroupRow, InstanceRow, NativeReader, NativeRows, NativeWrite, Place, ServiceRow,
};

/// What rows come to.
#[derive(Default)]
pub(super) struct Loaded {
    /// The state they make. Of invalid rows what was known stays, if anything was; inactive ones count
    /// as not there, and so does what is in them.
    pub(super) state: State,
    /// What brings the tables in line with it, and for which row.
    pub(super) repairs: Vec<(RowKey, NativeWrite)>,
    /// The rows that are invalid. They stay where they are.
    pub(super) skipped: Vec<Skipped>,
}

/// A row that is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Skipped {
    pub(super) place: Place,
    what: &'static str,
    id: String,
    /// Which rule it breaks.
    error: String,
}

impl Skipped {
    pub(super) fn warn(&self) {
        let Self { place, what, id, error } = self;
        tracing::warn!(
            tenant.id = place.tenant_id,
            group = place.group_name,
            service = place.service_name,
            row.id = id,
            error,
            "native {what} row skipped: it is invalid"
        );
    }
}

/// Reads rows; `now` stands for times that are missing, `known` is what was read before.
pub(super) fn load(rows: NativeRows, now: DateTime<Utc>, known: &State) -> Loaded {
    let mut loading = Loading::new(now, known);
    rows.groups.into_iter().for_each(|row| loading.group(row));
    rows.services.into_iter().for_each(|row| loading.service(row));
    rows.instances.into_iter().for_each(|row| loading.instance(row));
    loading.loaded
}

/// Rows being read.
#[derive(Default)]
pub(super) struct Loading {
    now: DateTime<Utc>,
    known: State,
    pub(super) loaded: Loaded,
    hidden_groups: HashSet<(String, String)>,
    hidden_services: HashSet<(String, String, String)>,
}

impl NativeReader for Loading {
    fn group(&mut self, row: GroupRow) {
        let (id, active) = (row.service_group_id.clone(), row.common.is_active());
        let place = (row.tenant_id.clone(), row.group_name.clone());
        let read = rows::group(row, self.now);
        let known = read.is_err().then(|| self.known_group(&place)).flatten();
        if let (true, Some(known), Err(error)) = (active, known, &read) {
            self.loaded.state.put_group(known);
            return self.skip((place.0, place.1, String::new()), "group", id, error);
        }
        if !active || read.is_err() {
            self.close_group(&place, read.as_ref().ok());
            self.hidden_groups.insert(place.clone());
        }
        match read {
            Ok(_) if !active => {}
            Ok(group) => {
                if group.id != id {
                    self.repair(NativeWrite::PutGroup(rows::group_row(&group)));
                }
                self.loaded.state.put_group(Arc::new(group));
            }
            Err(error) => self.skip((place.0, place.1, String::new()), "group", id, &error),
        }
    }

    fn service(&mut self, row: ServiceRow) {
        let group = (row.tenant_id.clone(), row.group_name.clone());
        if self.hidden_groups.contains(&group) {
            return;
        }
        let (name, active) = (row.service_name.clone(), row.common.is_active());
        let read = rows::service(row, self.now);
        let known = read.is_err().then(|| self.known_service(&group, &name)).flatten();
        if let (true, Some(known), Err(error)) = (active, known, &read) {
            self.need_group(&known.tenant, &known.key.group);
            self.loaded.state.put_service(known);
            return self.skip((group.0, group.1, name.clone()), "service", name, error);
        }
        if !active || read.is_err() {
            self.close_service(&group, &name);
            self.hidden_services.insert((group.0.clone(), group.1.clone(), name.clone()));
        }
        match read {
            Ok(_) if !active => {}
            Ok(service) => {
                self.need_group(&service.tenant, &service.key.group);
                self.loaded.state.put_service(Arc::new(service));
            }
            Err(error) => self.skip((group.0, group.1, name.clone()), "service", name, &error),
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
            Err(error) => {
                if let Some(known) = self.known_instance(&service, &id) {
                    self.need_service(&known.tenant, &known.key.service);
                    self.loaded.state.put_instance(known);
                }
                return self.skip(service, "instance", id, &error);
            }
        };
        if self.loaded.state.instance(&instance.tenant, instance.id).is_some() {
            let error = Error::conflict("another row has the same address");
            return self.skip(service, "instance", id, &error);
        }
        if instance.id.to_string() != id {
            let tenant_id = instance.tenant.to_string();
            let key = RowKey::Instance(tenant_id.clone(), instance.id.to_string());
            let gone = NativeWrite::DeleteInstance { tenant_id, service_instance_id: id };
            self.loaded.repairs.push((key, gone));
            self.repair(NativeWrite::PutInstance(rows::instance_row(&instance)));
        }
        self.need_service(&instance.tenant, &instance.key.service);
        self.loaded.state.share(&mut instance);
        self.loaded.state.put_instance(Arc::new(instance));
    }
}

impl Loading {
    /// None yet; see [`load`].
    pub(super) fn new(now: DateTime<Utc>, known: &State) -> Self {
        Self { now, known: known.clone(), ..Self::default() }
    }

    fn known_group(&self, (tenant, name): &(String, String)) -> Option<Arc<NativeGroup>> {
        let tenant = TenantId::parse(tenant).ok()?;
        self.known.group(&tenant, &GroupName::parse(name).ok()?).cloned()
    }

    fn known_service(
        &self,
        (tenant, group): &(String, String),
        name: &str,
    ) -> Option<Arc<NativeService>> {
        let tenant = TenantId::parse(tenant).ok()?;
        let group = GroupName::parse(group).ok()?;
        let key = ServiceKey::new(group, ServiceName::parse(name).ok()?);
        self.known.service(&tenant, &key).map(|entry| Arc::clone(&entry.service))
    }

    fn known_instance(
        &self,
        (tenant, group, service): &(String, String, String),
        id: &str,
    ) -> Option<Arc<NativeInstance>> {
        let tenant = TenantId::parse(tenant).ok()?;
        let known = self.known.instance(&tenant, id.parse().ok()?)?;
        let place = &known.key.service;
        let same = place.group.as_str() == group && place.name.as_str() == service;
        same.then(|| Arc::clone(known))
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
            self.loaded.state.close_group(group);
        }
    }

    fn close_service(&mut self, (tenant, group): &(String, String), name: &str) {
        let tenant = TenantId::parse(tenant).ok();
        let group = GroupName::parse(group).ok();
        if let (Some(tenant), Some(group), Ok(name)) = (tenant, group, ServiceName::parse(name)) {
            self.loaded.state.close_service(&tenant, ServiceKey::new(group, name));
        }
    }

    fn need_group(&mut self, tenant: &TenantId, name: &GroupName) -> Arc<NativeGroup> {
        if let Some(group) = self.loaded.state.group(tenant, name) {
            return Arc::clone(group);
        }
        let audit = Audit::new(self.now, HUB);
        let group = Arc::new(NativeGroup::new(tenant.clone(), name.clone(), audit));
        self.repair(NativeWrite::PutGroup(rows::group_row(&group)));
        self.loaded.state.put_group(Arc::clone(&group));
        group
    }

    fn need_service(&mut self, tenant: &TenantId, key: &ServiceKey) {
        if self.loaded.state.service(tenant, key).is_some() {
            return;
        }
        let group = self.need_group(tenant, &key.group);
        let service = NativeService::new(key.clone(), &group, Audit::new(self.now, HUB));
        self.repair(NativeWrite::PutService(rows::service_row(&service)));
        self.loaded.state.put_service(Arc::new(service));
    }

    fn repair(&mut self, write: NativeWrite) {
        if let Some(key) = RowKey::of(&write) {
            self.loaded.repairs.push((key, write));
        }
    }

    fn skip(
        &mut self,
        (tenant_id, group_name, service_name): (String, String, String),
        what: &'static str,
        id: String,
        error: &Error,
    ) {
        let place = Place { tenant_id, group_name, service_name };
        // With its details, which name the column, the value and the rule.
        let error = match &error.details {
            Value::Null => error.to_string(),
            details => format!("{error}: {details}"),
        };
        self.loaded.skipped.push(Skipped { place, what, id, error });
    }
}
