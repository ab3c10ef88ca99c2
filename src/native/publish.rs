//! What others are told of the native registry.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hub_registry_core::{Change, InstanceKey, ServiceKey, TenantId};

use crate::events::{Facts, mark_of};
use crate::model::print::Print;
use crate::model::service::NativeService;
use crate::storage::{EventMark, EventRow, NativeWrite};

use super::state::State;

/// What one commit did for one tenant, or what its leases moved.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// Services that look different to readers, each once. The first of a tenant that had rows at
    /// the start is a `Reset`.
    pub changes: Vec<Change>,
    /// Services whose settings are new or changed, or (`None`) that are no more.
    pub described: Vec<(ServiceKey, Option<Arc<NativeService>>)>,
    /// What is told of it; there may be nothing but this.
    pub facts: Facts,
    /// The print of all that the registry then holds of the tenant.
    pub print: Print,
}

/// Takes what changed in the native registry.
pub trait Publish: fmt::Debug + Send + Sync + 'static {
    /// Called after the commit and before the caller is acknowledged, one call at a time, in the
    /// order of the changes; who reads after it returns sees all of them, and before it none.
    fn publish(&self, tenant: &TenantId, publication: Publication);

    /// These instances are silent, and it is not believed yet that they are gone (`held`); of
    /// those that were it is known by now (`freed`).
    fn hold(&self, tenant: &TenantId, held: Vec<InstanceKey>, freed: Vec<InstanceKey>);
}

/// Gives the events among these writes the mark of their commit, and their places; which marks
/// that makes. `after`: the state that the commit leads to.
pub(super) fn stamp(writes: &mut [NativeWrite], commit: u64, after: &State) -> Vec<EventMark> {
    let mut stamped: BTreeMap<String, (String, i64)> = BTreeMap::new();
    for write in writes {
        let NativeWrite::AddEvent(row) = write else { continue };
        let (mark, place) = match stamped.get_mut(&row.tenant_id) {
            Some(known) => known,
            None => {
                let mark = mark_of(commit, after.print(&row.tenant_id));
                stamped.entry(row.tenant_id.clone()).or_insert((mark, 0))
            }
        };
        (row.mark, row.place) = (mark.clone(), *place);
        *place += 1;
    }
    let marks = stamped.into_iter();
    marks.map(|(tenant_id, (mark, _))| EventMark { tenant_id, mark }).collect()
}

/// The events of a commit that is on disk, by tenant.
pub(super) fn facts(writes: Vec<NativeWrite>) -> BTreeMap<TenantId, Facts> {
    by_tenant(writes.into_iter().filter_map(|write| match write {
        NativeWrite::AddEvent(row) => Some(row),
        _ => None,
    }))
}

/// Events by tenant, in their order.
pub(super) fn by_tenant(rows: impl Iterator<Item = EventRow>) -> BTreeMap<TenantId, Facts> {
    let mut facts: BTreeMap<TenantId, Facts> = BTreeMap::new();
    for row in rows {
        let facts = match facts.get_mut(row.tenant_id.as_str()) {
            Some(facts) => facts,
            // It was made from a tenant.
            None => match TenantId::parse(&row.tenant_id) {
                Ok(tenant) => facts.entry(tenant).or_default(),
                Err(_) => continue,
            },
        };
        if facts.mark.is_none() && !row.mark.is_empty() {
            facts.mark = Some(row.mark.clone());
        }
        facts.rows.push(row);
    }
    facts
}
