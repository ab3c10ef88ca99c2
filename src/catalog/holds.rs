//! Held removals, for the source that has them confirmed and for those who look at them.

use std::sync::Arc;

use hub_registry_core::{Instance, InstanceKey, Presence, RegistryKind, ServiceKey, TenantId};
use tokio::time::Instant;

use super::desk::Slot;
use super::guard::Why;
use super::shelf::{Began, Entry, Held, Outcome};
use super::source::{Link, SourceId, SourceInfo};
use super::writer::{Catalog, Written};
use crate::telemetry::metrics::RemovalOutcome;

/// How many of the instances that began to be held are named in the event, which is a row.
const NAMED: usize = 10;

/// Removals that a source's guard began to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovalsHeld {
    /// Which source.
    pub source: SourceId,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: RegistryKind,
    /// What `accept-removals` takes to let go of these and of all that was held before.
    pub held_revision: i64,
    /// Why they are held.
    pub why: Why,
    /// How many.
    pub count: usize,
    /// The first ten of them.
    pub instances: Vec<InstanceKey>,
    /// How many instances the source lost within the last minute,
    pub lost: u64,
    /// of how many.
    pub of: u64,
}

/// How a held instance is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Why it did not leave at once.
    pub why: Why,
    /// For how long it has been missing, in milliseconds.
    pub missing_ms: u64,
    /// How many good reads lacked it, of those that count.
    pub reads: u32,
    /// How many of them it takes.
    pub reads_needed: u32,
    /// In how many milliseconds it leaves at the earliest; `None`: not while its registry does not
    /// answer.
    pub leaves_in_ms: Option<u64>,
}

/// More is held than the caller saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewerHolds {
    /// The number that stands for all that is held now.
    pub held_revision: i64,
}

impl Catalog {
    /// The instances a source no longer lists and that are held, in the order of their keys.
    #[must_use]
    pub fn missing(&self, tenant: &TenantId, id: &SourceId) -> Vec<Arc<Instance>> {
        self.with_slot(tenant, id, |slot| slot.shelf.held().map(|held| held.instance).collect())
            .unwrap_or_default()
    }

    /// A number that rises whenever more of a source is held.
    #[must_use]
    pub fn held_revision(&self, tenant: &TenantId, id: &SourceId) -> i64 {
        self.with_slot(tenant, id, |slot| slot.shelf.held_revision()).unwrap_or_default()
    }

    /// When a source is to be asked again for what is held, having been asked at `last`; `None`:
    /// nothing is held.
    #[must_use]
    pub fn next_look(&self, tenant: &TenantId, id: &SourceId, last: Instant) -> Option<Instant> {
        self.with_slot(tenant, id, |slot| slot.shelf.next_look(last))?
    }

    /// Takes what looks asked for at `asked` found, in the order of the keys. What was confirmed
    /// leaves. Which services changed.
    pub fn confirm(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        found: Vec<(InstanceKey, Presence)>,
        asked: Instant,
    ) -> Vec<ServiceKey> {
        let now = Instant::now();
        let answered = found.iter().any(|(_, presence)| *presence != Presence::Unknown);
        self.shelve(tenant, id, |slot| {
            if answered {
                slot.cell.touch(0);
            }
            slot.shelf.confirm(found, asked, now)
        })
    }

    /// The first of the held instances a source no longer lists, in the order of their keys.
    #[must_use]
    pub fn held(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        at_most: usize,
    ) -> Vec<(InstanceKey, Waiting)> {
        let now = Instant::now();
        let all = |slot: &Slot| {
            let held = slot.shelf.held().take(at_most);
            held.map(|held| (held.instance.key.clone(), waiting(&held, slot.link, now))).collect()
        };
        self.with_slot(tenant, id, all).unwrap_or_default()
    }

    /// Lets all leave that a source no longer lists. Which services changed, and how many left.
    ///
    /// # Errors
    /// When more is held than was at `seen`; then nothing leaves.
    pub fn accept_removals(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        seen: i64,
    ) -> Result<(Vec<ServiceKey>, usize), NewerHolds> {
        let mut newer = None;
        let outcome = self.shelve_as(tenant, id, RemovalOutcome::Accepted, |slot| {
            let held_revision = slot.shelf.held_revision();
            if held_revision == seen {
                return slot.shelf.accept();
            }
            newer = Some(NewerHolds { held_revision });
            Outcome::default()
        });
        let accepted = (outcome.changed.into_iter().collect(), outcome.left);
        newer.map_or(Ok(accepted), Err)
    }

    /// Puts something on the shelf of a source, publishes it, and tells what began and ended to be
    /// held. Which services changed.
    pub(super) fn shelve(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        work: impl FnOnce(&mut Slot) -> Outcome,
    ) -> Vec<ServiceKey> {
        let outcome = self.shelve_as(tenant, id, RemovalOutcome::Confirmed, work);
        outcome.changed.into_iter().collect()
    }

    fn shelve_as(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        leaving: RemovalOutcome,
        work: impl FnOnce(&mut Slot) -> Outcome,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.write_told(tenant, id, |desk, revision| {
            let Some(slot) = desk.slots.get_mut(id) else { return Written::default() };
            outcome = work(slot);
            let held = outcome.began.take().map(|began| {
                let held_revision = slot.shelf.raise_held_revision(revision + 1);
                removals_held(&slot.cell.info, held_revision, began)
            });
            self.tell(tenant, slot, held.as_ref(), &outcome, leaving);
            Written { changed: outcome.changed.clone(), held, ..Written::default() }
        });
        outcome
    }

    fn tell(
        &self,
        tenant: &TenantId,
        slot: &Slot,
        began: Option<&RemovalsHeld>,
        outcome: &Outcome,
        leaving: RemovalOutcome,
    ) {
        let (id, name) = (slot.cell.info.id.as_str(), slot.cell.info.name.as_str());
        let ended = [(RemovalOutcome::Returned, outcome.returned), (leaving, outcome.left)];
        for (outcome, count) in ended.into_iter().filter(|(_, count)| *count > 0) {
            self.metrics.removals.ended(id, name, outcome, count as u64);
            let (outcome, still_held) = (outcome.as_str(), slot.shelf.held_count());
            tracing::info!(source = name, tenant.id = %tenant, outcome, count, still_held,
                "held removals ended");
        }
        if let Some(began) = began {
            self.metrics.removals.began(id, name, began.count as u64);
            warn(tenant, began);
        }
    }

    fn with_slot<T>(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        look: impl FnOnce(&Slot) -> T,
    ) -> Option<T> {
        self.with_desk(tenant, |desk| desk.slots.get(id).map(look))?
    }
}

/// How this entry is being waited for, if it is.
pub(super) fn waiting_of(slot: &Slot, entry: &Entry, now: Instant) -> Option<Waiting> {
    if let Some(held) = slot.shelf.held_entry(entry) {
        return Some(waiting(&held, slot.link, now));
    }
    let hold = entry.hold.as_deref()?;
    let missing_ms = ms_between(hold.since, now);
    Some(Waiting { why: hold.why, missing_ms, reads: 0, reads_needed: 0, leaves_in_ms: None })
}

fn waiting(held: &Held, link: Link, now: Instant) -> Waiting {
    Waiting {
        why: held.hold.why,
        missing_ms: ms_between(held.hold.since, now),
        reads: held.reads,
        reads_needed: held.needed,
        leaves_in_ms: (link == Link::Up).then(|| ms_between(now, held.leaves_at)),
    }
}

fn ms_between(from: Instant, to: Instant) -> u64 {
    to.saturating_duration_since(from).as_millis() as u64
}

fn removals_held(info: &SourceInfo, held_revision: i64, mut began: Began) -> RemovalsHeld {
    let count = began.instances.len();
    began.instances.truncate(NAMED);
    RemovalsHeld {
        source: info.id.clone(),
        name: info.name.clone(),
        kind: info.kind,
        held_revision,
        why: began.why,
        count,
        instances: began.instances,
        lost: began.lost,
        of: began.of,
    }
}

fn warn(tenant: &TenantId, held: &RemovalsHeld) {
    let first = held.instances.first().map(ToString::to_string);
    tracing::warn!(
        source = held.name,
        tenant.id = %tenant,
        why = %held.why,
        held = held.count,
        lost = held.lost,
        of = held.of,
        held_revision = held.held_revision,
        first,
        "removals are held: {}",
        held.why.explanation()
    );
}
