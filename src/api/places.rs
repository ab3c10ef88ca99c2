//! Finding an instance by its id.

use std::collections::HashMap;
use std::sync::Arc;

use hub_registry_core::{ServiceKey, TenantId};
use parking_lot::Mutex;

use super::state::Api;
use crate::access::Caller;
use crate::catalog::{ServiceView, Snapshot};
use crate::model::names::InstanceId;

/// How many places are remembered.
const MAX_PLACES: usize = 100_000;

/// Where instances of other registries were found. An id does not say which service it is of, and
/// one that reports its load does so again and again: the second time nobody searches.
#[derive(Clone, Debug, Default)]
pub struct Places {
    found: Arc<Mutex<HashMap<InstanceId, (TenantId, ServiceKey)>>>,
}

impl Places {
    fn known(&self, tenant: &TenantId, id: InstanceId) -> Option<ServiceKey> {
        let found = self.found.lock();
        let (of, key) = found.get(&id)?;
        (of == tenant).then(|| key.clone())
    }

    fn remember(&self, tenant: &TenantId, id: InstanceId, key: &ServiceKey) {
        let mut found = self.found.lock();
        if found.len() >= MAX_PLACES {
            found.clear();
        }
        found.insert(id, (tenant.clone(), key.clone()));
    }
}

/// The instance of this id: its service, and its place in it. What the caller may not read is
/// not there.
pub(super) fn find_row(api: &Api, caller: &Caller, id: &str) -> Option<(Arc<ServiceView>, usize)> {
    let (tenant, parsed) = (caller.tenant(), id.parse().ok()?);
    let snapshot = api.view.snapshot(tenant);
    let found = match api.native.get(tenant, id) {
        Ok(native) => at(&snapshot, &native.key.service, parsed),
        Err(_) => search(api, tenant, &snapshot, parsed),
    };
    found.filter(|(view, _)| api.native.visible(caller).sees(&view.key.group))
}

fn at(snapshot: &Snapshot, key: &ServiceKey, id: InstanceId) -> Option<(Arc<ServiceView>, usize)> {
    let view = snapshot.service(key)?;
    let place = view.rows.iter().position(|row| row.id == id)?;
    Some((Arc::clone(view), place))
}

fn search(
    api: &Api,
    tenant: &TenantId,
    snapshot: &Snapshot,
    id: InstanceId,
) -> Option<(Arc<ServiceView>, usize)> {
    let known = api.places.known(tenant, id);
    if let Some(found) = known.and_then(|key| at(snapshot, &key, id)) {
        return Some(found);
    }
    let mut views = snapshot.services.values().flat_map(|groups| groups.values());
    let found = views.find_map(|view| at(snapshot, &view.key, id))?;
    api.places.remember(tenant, id, &found.0.key);
    Some(found)
}
