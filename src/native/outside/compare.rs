//! What differs between the tables and the state.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hub_registry_core::{GroupName, ServiceKey, ServiceName, TenantId};

use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::service::NativeService;
use crate::native::load::Loaded;
use crate::native::repair::RowKey;
use crate::native::state::{ServiceEntry, State};
use crate::storage::{NativeWrite, Place};

/// A row that is not what the state says.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// What is to be read again if it cannot be taken over yet.
    pub(super) place: Place,
    pub(super) what: What,
    /// What brings the row in line, as at a start.
    pub(super) repairs: Vec<NativeWrite>,
}

/// What the tables say.
#[derive(Clone, Debug)]
pub(super) enum What {
    Group(Arc<NativeGroup>),
    Service(Arc<NativeService>),
    Instance(Arc<NativeInstance>),
    /// There is no such row, or it does not count.
    NoInstance(Arc<NativeInstance>),
    NoService(TenantId, ServiceKey),
    /// The row is there and does not count.
    ClosedService(TenantId, ServiceKey),
    NoGroup(TenantId, GroupName),
    /// The row is there and does not count.
    ClosedGroup(Arc<NativeGroup>),
}

impl What {
    /// The row it is about.
    pub(super) fn key(&self) -> RowKey {
        let group = |tenant: &TenantId, name: &GroupName| {
            RowKey::Group(tenant.to_string(), name.to_string())
        };
        let service = |tenant: &TenantId, key: &ServiceKey| {
            RowKey::Service(tenant.to_string(), key.group.to_string(), key.name.to_string())
        };
        match self {
            Self::Group(it) | Self::ClosedGroup(it) => group(&it.tenant, &it.name),
            Self::NoGroup(tenant, name) => group(tenant, name),
            Self::Service(it) => service(&it.tenant, &it.key),
            Self::NoService(tenant, key) | Self::ClosedService(tenant, key) => service(tenant, key),
            Self::Instance(it) | Self::NoInstance(it) => {
                RowKey::Instance(it.tenant.to_string(), it.id.to_string())
            }
        }
    }
}

/// What differs between these places' rows and the state, in an order in which it can be taken
/// over: what comes from the outside in, what leaves from the inside out.
pub(super) fn compare(places: &[Place], disk: Loaded, state: &State) -> Vec<Finding> {
    let mut repairs: HashMap<RowKey, Vec<NativeWrite>> = HashMap::new();
    for (key, write) in disk.repairs {
        repairs.entry(key).or_default().push(write);
    }
    let mut compared = Compared { disk: &disk.state, state, repairs, found: Vec::new() };
    let asked: Vec<_> = places.iter().filter_map(parse).collect();
    let groups: BTreeSet<_> = asked.iter().map(|(tenant, group, _)| (tenant, group)).collect();
    let services: Vec<_> = asked
        .iter()
        .filter_map(|(tenant, group, name)| {
            Some((tenant, ServiceKey::new(group.clone(), name.clone()?)))
        })
        .collect();
    groups.iter().for_each(|(tenant, name)| compared.group(tenant, name));
    services.iter().for_each(|(tenant, key)| compared.service(tenant, key));
    services.iter().for_each(|(tenant, key)| compared.instances(tenant, key));
    services.iter().for_each(|(tenant, key)| compared.no_service(tenant, key));
    groups.iter().for_each(|(tenant, name)| compared.closed_group(tenant, name));
    // Only who asked for the group asked for all of its services.
    let alone = asked.iter().filter(|(_, _, service)| service.is_none());
    alone.for_each(|(tenant, name, _)| compared.no_group(tenant, name));
    compared.found
}

/// A place with valid names; no other can be in the state.
fn parse(place: &Place) -> Option<(TenantId, GroupName, Option<ServiceName>)> {
    let service = match place.service_name.as_str() {
        "" => None,
        name => Some(ServiceName::parse(name).ok()?),
    };
    let group = GroupName::parse(&place.group_name).ok()?;
    Some((TenantId::parse(&place.tenant_id).ok()?, group, service))
}

/// The instance as it is in the table, with what only the state knows.
pub(super) fn as_known(disk: &NativeInstance, known: &NativeInstance) -> NativeInstance {
    let mut instance = NativeInstance { last_heartbeat: known.last_heartbeat, ..disk.clone() };
    if disk.said == known.said {
        instance.said = Arc::clone(&known.said);
    }
    if known.is_checked() && disk.is_checked() {
        // The row has the time of the last check, the state that of the last statement.
        instance.last_health_check = known.last_health_check;
    }
    instance
}

struct Compared<'a> {
    disk: &'a State,
    state: &'a State,
    repairs: HashMap<RowKey, Vec<NativeWrite>>,
    found: Vec<Finding>,
}

impl Compared<'_> {
    fn group(&mut self, tenant: &TenantId, name: &GroupName) {
        let Some(group) = self.disk.group(tenant, name) else { return };
        let same = self.state.group(tenant, name) == Some(group);
        let closed = self.state.is_group_closed(tenant, name);
        self.find(same && !closed, place(tenant, name, ""), What::Group(Arc::clone(group)));
    }

    fn service(&mut self, tenant: &TenantId, key: &ServiceKey) {
        let Some(entry) = self.disk.service(tenant, key) else { return };
        let known = self.state.service(tenant, key).map(|entry| &entry.service);
        let closed = self.state.is_service_closed(tenant, key);
        let what = What::Service(Arc::clone(&entry.service));
        self.find(known == Some(&entry.service) && !closed, of_service(tenant, key), what);
    }

    fn instances(&mut self, tenant: &TenantId, key: &ServiceKey) {
        let (disk, known) = (self.disk.service(tenant, key), self.state.service(tenant, key));
        for instance in disk.into_iter().flat_map(ServiceEntry::instances) {
            let before = known.and_then(|known| known.instance(&instance.key));
            let same = before.is_some_and(|before| as_known(instance, before) == **before);
            self.find(same, of_service(tenant, key), What::Instance(Arc::clone(instance)));
        }
        let is_on_disk =
            |one: &NativeInstance| disk.is_some_and(|disk| disk.instance(&one.key).is_some());
        let known = known.into_iter().flat_map(ServiceEntry::instances);
        for instance in known.filter(|known| !is_on_disk(known)) {
            self.find(false, of_service(tenant, key), What::NoInstance(Arc::clone(instance)));
        }
    }

    fn no_service(&mut self, tenant: &TenantId, key: &ServiceKey) {
        if self.disk.service(tenant, key).is_some() {
            return;
        }
        let known = self.state.service(tenant, key).is_some();
        let closed = self.state.is_service_closed(tenant, key);
        let (same, what) = match self.disk.is_service_closed(tenant, key) {
            true => (closed && !known, What::ClosedService(tenant.clone(), key.clone())),
            false => (!closed && !known, What::NoService(tenant.clone(), key.clone())),
        };
        self.find(same, of_service(tenant, key), what);
    }

    fn closed_group(&mut self, tenant: &TenantId, name: &GroupName) {
        if !self.disk.is_group_closed(tenant, name) {
            return;
        }
        let Some(group) = self.disk.rules(tenant, name) else { return };
        let known = self.state.group(tenant, name).is_some();
        let same = !known && self.state.rules(tenant, name) == Some(group);
        self.find(same, place(tenant, name, ""), What::ClosedGroup(Arc::clone(group)));
    }

    fn no_group(&mut self, tenant: &TenantId, name: &GroupName) {
        if self.disk.rules(tenant, name).is_none() {
            let same = self.state.rules(tenant, name).is_none();
            let what = What::NoGroup(tenant.clone(), name.clone());
            self.find(same, place(tenant, name, ""), what);
        }
    }

    /// Finds a row, unless it is the same and in line.
    fn find(&mut self, same: bool, place: Place, what: What) {
        let repairs = match self.repairs.is_empty() {
            true => Vec::new(),
            false => self.repairs.remove(&what.key()).unwrap_or_default(),
        };
        if !same || !repairs.is_empty() {
            self.found.push(Finding { place, what, repairs });
        }
    }
}

fn of_service(tenant: &TenantId, key: &ServiceKey) -> Place {
    place(tenant, &key.group, key.name.as_str())
}

fn place(tenant: &TenantId, group: &GroupName, service: &str) -> Place {
    Place {
        tenant_id: tenant.to_string(),
        group_name: group.to_string(),
        service_name: service.to_owned(),
    }
}
