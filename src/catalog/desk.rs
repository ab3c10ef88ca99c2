//! What the writers of a tenant work on, one at a time.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use hub_registry_core::{ServiceKey, TenantId};

use super::attributes::Attributes;
use super::diff::{self, ServiceDelta};
use super::lead::Lead;
use super::merge::{Contribution, merge};
use super::shelf::Shelf;
use super::snapshot::{ServiceView, Snapshot};
use super::source::{Link, SourceCell, SourceId, SourceInfo, SourceState};
use super::standby::StandIn;
use super::tail::{SourceSet, Sources};
use crate::model::migration::MigrationId;
use crate::model::print::Print;

/// One source: what readers see of it, what it said, how its connection stands.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) cell: Arc<SourceCell>,
    pub(super) shelf: Shelf,
    pub(super) link: Link,
}

/// What the writers of a tenant work on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) slots: BTreeMap<SourceId, Slot>,
    // By the source whose standby it is.
    pub(super) stand_ins: BTreeMap<SourceId, StandIn>,
    /// By the migration that says so.
    pub(super) leads: BTreeMap<MigrationId, Lead>,
    pub(super) attributes: HashMap<ServiceKey, Attributes>,
    pub(super) sets: HashMap<Vec<SourceId>, Arc<SourceSet>>,
    /// The print of what the native registry holds.
    pub(super) native_print: Print,
    /// Sources that were closed and that nobody was told of.
    pub(super) closed: Vec<StateChange>,
}

impl Desk {
    /// Merges one service anew into `next`; what changed in it, if anything did.
    pub(super) fn publish(
        &mut self,
        tenant: &TenantId,
        key: &ServiceKey,
        next: &mut Snapshot,
    ) -> Option<ServiceDelta> {
        let before = next.service(key).cloned();
        let shown = self.shown(key);
        let contributions: Vec<_> = shown
            .iter()
            .map(|shown| Contribution::new(&shown.info, shown.current, &shown.entries))
            .collect();
        let key = key.clone();
        if contributions.is_empty() {
            let before = before?;
            next.set(&key, None);
            return Some(ServiceDelta {
                rows: diff::rows(&before.rows, &[]),
                existence: Some(false),
                key,
                before: Some(before),
                after: None,
            });
        }
        let old = before.as_ref().map_or(&[][..], |view| &view.rows);
        let rows = merge(tenant, &contributions, old);
        let attributes = self.attributes.get(&key).cloned().unwrap_or_default();
        let ids: Vec<_> = contributions.iter().map(|c| c.source.id.clone()).collect();
        drop(contributions);
        drop(shown);
        let sources = self.source_set(ids);
        let changes = diff::rows(old, &rows);
        let same = before.as_ref().is_some_and(|view| {
            changes.is_empty()
                && view.attributes == attributes
                && Arc::ptr_eq(&view.sources, &sources)
        });
        if same {
            return None;
        }
        let existence = before.is_none().then_some(true);
        let made_from = before.as_deref();
        let view =
            ServiceView::new(key.clone(), next.revision, rows, attributes, sources, made_from);
        let after = Some(Arc::new(view));
        next.set(&key, after.clone());
        Some(ServiceDelta { key, existence, rows: changes, before, after })
    }

    fn source_set(&mut self, mut ids: Vec<SourceId>) -> Arc<SourceSet> {
        let slots = &self.slots;
        ids.sort_by_key(|id| slots.get(id).map(|slot| slot.cell.info.rank()));
        let make = |ids: &[SourceId]| {
            let cells =
                ids.iter().filter_map(|id| slots.get(id)).map(|slot| Arc::clone(&slot.cell));
            Arc::new(SourceSet::new(cells.collect()))
        };
        if let Some(set) = self.sets.get(&ids) {
            return Arc::clone(set);
        }
        let set = make(&ids);
        self.sets.insert(ids, Arc::clone(&set));
        set
    }
}

/// A source whose state changed.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// Which.
    pub info: SourceInfo,
    /// Its state before.
    pub before: SourceState,
    /// Its state now.
    pub after: SourceState,
    /// How many of its instances are held now.
    pub held: usize,
}

/// Brings the readers' copy of the sources and their states up to date; which changed.
pub(super) fn refresh_states(desk: &Desk, sources: &Sources) -> Vec<StateChange> {
    let mut cells: Vec<_> = desk.slots.values().map(|slot| Arc::clone(&slot.cell)).collect();
    cells.sort_by_key(|cell| cell.info.rank());
    let (mut changes, mut missed) = (Vec::new(), false);
    for slot in desk.slots.values() {
        let state = SourceState::of(slot.link, slot.shelf.is_loaded(), slot.shelf.has_held());
        let before = slot.cell.state();
        if slot.cell.set_state(state) {
            let source = slot.cell.info.name.as_str();
            tracing::info!(source, %before, %state, "source changed its state");
            let (info, after, held) = (slot.cell.info.clone(), state, slot.shelf.held_count());
            changes.push(StateChange { info, before, after, held });
        }
        missed |= !desk.is_accounted_for(slot) && slot.cell.set_accounted_for(false);
    }
    let listed = sources.all();
    let same = cells.len() == listed.len()
        && cells.iter().zip(listed.iter()).all(|(a, b)| Arc::ptr_eq(a, b));
    if !same {
        sources.set(cells);
    } else if missed || !changes.is_empty() {
        sources.changed();
    }
    changes
}

pub(super) fn currency(desk: &Desk) -> Vec<(SourceId, Option<bool>)> {
    desk.slots.keys().map(|id| (id.clone(), currency_of(desk, id))).collect()
}

pub(super) fn currency_of(desk: &Desk, id: &SourceId) -> Option<bool> {
    desk.slots.get(id).map(|slot| slot.cell.state().is_current())
}

/// The services this source shares with others: the only ones whose rows depend on its state.
pub(super) fn shared_services(desk: &Desk, id: &SourceId) -> Vec<ServiceKey> {
    let Some(slot) = desk.slots.get(id) else {
        return Vec::new();
    };
    let others = || desk.slots.iter().filter(|(other, _)| *other != id);
    let shared = |key: &ServiceKey| others().any(|(_, other)| other.shelf.service(key).is_some());
    slot.shelf.services().map(|(key, _)| key).filter(|key| shared(key)).cloned().collect()
}

/// Tells readers whom they need not wait for any more, once what those said is in the snapshot.
pub(super) fn settle(desk: &Desk, sources: &Sources) {
    let accounted = desk.slots.values().filter(|slot| desk.is_accounted_for(slot));
    // Each of them, not any.
    let told = accounted.filter(|slot| slot.cell.set_accounted_for(true)).count();
    if told > 0 {
        sources.changed();
    }
}
