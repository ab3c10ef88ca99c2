//! The writers' door: sources come, say something, fail, and go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hub_registry_core::{Change, InstanceKey, ServiceKey, ServiceState, TenantId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::attributes::Attributes;
use super::change::{ChangeSet, OwnChange};
use super::desk::{
    Desk, Slot, StateChange, currency, currency_of, refresh_states, settle, shared_services,
};
use super::diff::{RowChange, ServiceDelta};
use super::follow::Followers;
use super::guard::GuardPolicy;
use super::holds::RemovalsHeld;
use super::lead::Migrated;
use super::merge::Row;
use super::revision::Revisions;
use super::shelf::Shelf;
use super::snapshot::Snapshot;
use super::source::{Link, SourceCell, SourceId, SourceInfo, SourceState};
use super::standby::Handover;
use super::tail::Sources;
use super::teller::Told;
use super::tenant::{Tenant, Tenants};
use super::view::View;
use super::wait::Waiters;
use crate::clock::{self, Clock};
use crate::events::{Events, Facts, Prints};
use crate::telemetry::metrics::{Metrics, RowChanges};

/// What a write did.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The services that changed.
    pub changed: BTreeSet<ServiceKey>,
    /// Removals that began to be held.
    pub held: Option<RemovalsHeld>,
    /// A source and its standby took a step.
    pub handover: Option<Handover>,
    /// A migration took a step.
    pub step: Option<Migrated>,
    /// What is told of it.
    pub facts: Facts,
}

impl Written {
    /// Whether there is something to tell besides the services.
    fn is_news(&self, states: &[StateChange]) -> bool {
        let told = self.held.is_some()
            || self.handover.is_some()
            || self.step.is_some()
            || !self.facts.rows.is_empty();
        told || !states.is_empty()
    }
}

/// How much a source holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    /// Its services.
    pub services: usize,
    /// Its instances, held ones included.
    pub instances: usize,
    /// Its held instances.
    pub held: usize,
    /// Rises whenever more is held; 0: nothing ever was.
    pub held_revision: i64,
}

/// The writers' side of the view. Calls for one tenant run one after the other; none of them
/// waits for anything but the other.
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(super) tenants: Arc<Tenants>,
    pub(super) revisions: Revisions,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    origin: Instant,
    pub(super) told: Option<Told>,
    pub(super) followers: Arc<Followers>,
}

impl Catalog {
    /// An empty catalog.
    #[must_use]
    pub fn new(revisions: Revisions, clock: Clock, metrics: Metrics) -> Self {
        let (tenants, origin) = (Arc::default(), Instant::now());
        let (told, followers) = (None, Arc::default());
        Self { tenants, revisions, clock, metrics, origin, told, followers }
    }

    /// The same, and what changes from now on is told to these events once they have begun.
    #[must_use]
    pub fn telling(self, events: Events) -> Self {
        Self { told: Some(Told { bus: Arc::default(), events }), ..self }
    }

    /// The readers' side.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.tenants), self.revisions.base())
    }

    /// Adds a source of which nothing is known yet, or takes over new settings (name, order) of
    /// one that is there.
    pub fn open(&self, tenant: &TenantId, info: SourceInfo, policy: GuardPolicy) {
        let id = info.id.clone();
        if policy != GuardPolicy::Off {
            self.metrics.removals.known(id.as_str(), &info.name);
        }
        self.write(tenant, &id.clone(), |desk| {
            let cell = Arc::new(SourceCell::new(info, self.origin));
            let Some(slot) = desk.slots.get_mut(&id) else {
                let slot = Slot { cell, shelf: Shelf::new(policy), link: Link::Connecting };
                let served = desk.served_for(&id);
                desk.slots.insert(id, slot);
                return served;
            };
            slot.shelf.set_policy(policy);
            if slot.cell.info == cell.info {
                return Vec::new();
            }
            cell.set_state(slot.cell.state());
            cell.set_accounted_for(slot.cell.is_accounted_for());
            if let Some(age) = slot.cell.age_ms() {
                cell.touch(age);
            }
            slot.cell = cell;
            // Rows and answers name the old cell: all of the source's services are made anew.
            desk.sets.retain(|ids, _| !ids.contains(&id));
            let own: Vec<_> = slot.shelf.services().map(|(key, _)| key.clone()).collect();
            own.into_iter().chain(desk.served_for(&id)).collect()
        });
    }

    /// Removes a source; what only it knew leaves the view at once.
    pub fn close(&self, tenant: &TenantId, id: &SourceId) {
        self.write(tenant, id, |desk| {
            desk.sets.retain(|ids, _| !ids.contains(id));
            let Some(slot) = desk.slots.remove(id) else { return Vec::new() };
            let (info, before) = (slot.cell.info.clone(), slot.cell.state());
            let after = SourceState::Disconnected;
            desk.closed.push(StateChange { info, before, after, held: 0 });
            let own = slot.shelf.services().map(|(key, _)| key.clone());
            own.chain(desk.served_for(id)).collect()
        });
    }

    /// Gives a source what was known before a restart, read `age_ms` milliseconds ago.
    pub fn restore(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        states: Vec<ServiceState>,
        age_ms: i64,
    ) {
        let observed_at = self.clock.now_ms() - age_ms.max(0);
        self.write(tenant, id, |desk| {
            let Some(slot) = desk.slots.get_mut(id) else {
                return Vec::new();
            };
            slot.cell.touch(age_ms);
            slot.shelf.restore(states, observed_at)
        });
    }

    /// Takes what a source says; a good read, so its age starts anew, and what was waited for long
    /// enough leaves. Which of its services changed.
    pub fn apply(&self, tenant: &TenantId, id: &SourceId, changes: Vec<Change>) -> Vec<ServiceKey> {
        let (now, wall_ms) = (Instant::now(), self.clock.now_ms());
        self.shelve(tenant, id, |slot| {
            slot.cell.touch(0);
            slot.link = Link::Up;
            slot.shelf.apply(changes, now, wall_ms)
        })
    }

    /// A source says of instances it lists that it waits for them itself, since they fell silent
    /// (`held`), and of others that it does no more (`freed`).
    pub fn mark_held(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        held: Vec<InstanceKey>,
        freed: Vec<InstanceKey>,
    ) {
        let (now, freed) = (Instant::now(), freed.into_iter().collect());
        self.write(tenant, id, |desk| {
            let Some(slot) = desk.slots.get_mut(id) else { return Vec::new() };
            slot.shelf.mark(held, &freed, now).into_iter().collect()
        });
    }

    /// Notes how a source's connection stands. A failing one keeps what it said.
    pub fn set_link(&self, tenant: &TenantId, id: &SourceId, link: Link) {
        self.write(tenant, id, |desk| {
            if let Some(slot) = desk.slots.get_mut(id) {
                slot.link = link;
                if link == Link::Failing {
                    slot.shelf.outage();
                }
            }
            Vec::new()
        });
    }

    /// Tells that the source's next full read comes from another registry and replaces all.
    pub fn expect_other_registry(&self, tenant: &TenantId, id: &SourceId) {
        self.write(tenant, id, |desk| {
            if let Some(slot) = desk.slots.get_mut(id) {
                slot.shelf.expect_other_registry();
            }
            Vec::new()
        });
    }

    /// Sets how long a source's kind of registry usually takes until its clients are back.
    pub fn set_usual_settle(&self, tenant: &TenantId, id: &SourceId, settle: Duration) {
        self.write(tenant, id, |desk| {
            if let Some(slot) = desk.slots.get_mut(id) {
                slot.shelf.set_usual_settle(settle);
            }
            Vec::new()
        });
    }

    /// Takes what the native registry did, all of it at one revision.
    pub fn apply_own(&self, tenant: &TenantId, own: OwnChange) {
        let (now, wall_ms, id) = (Instant::now(), self.clock.now_ms(), SourceId::Native);
        let OwnChange { changes, attributes, facts, print } = own;
        self.write_told(tenant, &id, |desk, _| {
            let mut changed = BTreeSet::new();
            for (key, attributes) in attributes {
                // What is not there counts as the default.
                match attributes.filter(|said| *said != Attributes::default()) {
                    Some(said) => desk.attributes.insert(key.clone(), said),
                    None => desk.attributes.remove(&key),
                };
                changed.insert(key);
            }
            desk.native_print = print;
            if let Some(slot) = desk.slots.get_mut(&id) {
                slot.cell.touch(0);
                slot.link = Link::Up;
                changed.extend(slot.shelf.apply(changes, now, wall_ms).changed);
            }
            Written { changed, facts, ..Written::default() }
        });
    }

    /// The state of a source, if it is open.
    #[must_use]
    pub fn state(&self, tenant: &TenantId, id: &SourceId) -> Option<(SourceState, Option<i64>)> {
        let tenant = self.tenants.get(tenant.as_str())?;
        let cells = tenant.sources.all();
        let cell = cells.iter().find(|cell| cell.info.id == *id)?;
        Some((cell.state(), cell.age_ms()))
    }

    /// How much a source holds.
    #[must_use]
    pub fn counts(&self, tenant: &TenantId, id: &SourceId) -> SourceCounts {
        let Some(tenant) = self.tenants.get(tenant.as_str()) else {
            return SourceCounts::default();
        };
        let desk = tenant.desk.lock();
        let Some(slot) = desk.slots.get(id) else {
            return SourceCounts::default();
        };
        SourceCounts {
            services: slot.shelf.service_count(),
            instances: slot.shelf.instance_count(),
            held: slot.shelf.held_count(),
            held_revision: slot.shelf.held_revision(),
        }
    }

    /// The services of a source.
    #[must_use]
    pub fn keys(&self, tenant: &TenantId, id: &SourceId) -> Vec<ServiceKey> {
        let Some(tenant) = self.tenants.get(tenant.as_str()) else {
            return Vec::new();
        };
        let desk = tenant.desk.lock();
        let slot = desk.slots.get(id);
        slot.map_or_else(Vec::new, |slot| {
            slot.shelf.services().map(|(key, _)| key.clone()).collect()
        })
    }

    /// What a source holds of these services, to be kept on disk, and the revision of the view
    /// that shows it; `Err` names a service it has nothing of.
    #[must_use]
    pub fn states(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        keys: &[ServiceKey],
    ) -> (i64, Vec<Result<ServiceState, ServiceKey>>) {
        let Some(tenant) = self.tenants.get(tenant.as_str()) else {
            return (0, Vec::new());
        };
        let desk = tenant.desk.lock();
        let revision = tenant.snapshot.load().revision;
        let Some(slot) = desk.slots.get(id) else {
            return (revision, Vec::new());
        };
        let state = |key: &ServiceKey| {
            let service = slot.shelf.service(key).ok_or_else(|| key.clone())?;
            let instances =
                service.entries.iter().map(|entry| Arc::clone(&entry.instance)).collect();
            Ok(ServiceState { key: key.clone(), instances })
        };
        (revision, keys.iter().map(state).collect())
    }

    /// Looks at what the writers of a tenant work on, while none of them works.
    pub(super) fn with_desk<T>(
        &self,
        tenant: &TenantId,
        look: impl FnOnce(&Desk) -> T,
    ) -> Option<T> {
        let tenant = self.tenants.get(tenant.as_str())?;
        let desk = tenant.desk.lock();
        Some(look(&desk))
    }

    /// Runs one write and publishes what it changed. `by`: the source whose word it is.
    fn write(&self, id: &TenantId, by: &SourceId, work: impl FnOnce(&mut Desk) -> Vec<ServiceKey>) {
        self.write_told(id, by, |desk, _| {
            let changed = work(desk).into_iter().collect();
            Written { changed, ..Written::default() }
        });
    }

    /// The same, with what is told of it; `work` is told the revision before it.
    pub(super) fn write_told(
        &self,
        id: &TenantId,
        by: &SourceId,
        work: impl FnOnce(&mut Desk, i64) -> Written,
    ) {
        let tenant = self.tenants.get_or_make(id, || self.new_tenant(id));
        let mut desk = tenant.desk.lock();
        let before = currency(&desk);
        let mut written = work(&mut desk, tenant.snapshot.load().revision);
        let mut states = refresh_states(&desk, &tenant.sources);
        states.append(&mut desk.closed);
        for (id, _) in before.into_iter().filter(|(id, was)| currency_of(&desk, id) != *was) {
            written.changed.extend(shared_services(&desk, &id));
        }
        self.followers.tell(id, &written.changed, !states.is_empty());
        if !written.changed.is_empty() || written.is_news(&states) {
            self.publish(&tenant, &mut desk, by, written, states);
        }
        settle(&desk, &tenant.sources);
    }

    pub(super) fn new_tenant(&self, id: &TenantId) -> Tenant {
        let snapshot = Snapshot::starting_at(self.revisions.base());
        Tenant {
            id: id.clone(),
            snapshot: ArcSwap::from_pointee(snapshot),
            sources: Sources::default(),
            waiters: Waiters::default(),
            changed: Notify::new(),
            desk: Mutex::default(),
        }
    }

    fn publish(
        &self,
        tenant: &Tenant,
        desk: &mut Desk,
        by: &SourceId,
        written: Written,
        states: Vec<StateChange>,
    ) {
        let news = written.is_news(&states);
        let Written { changed, held, handover, step, facts } = written;
        let mut next = Snapshot::clone(&tenant.snapshot.load());
        next.revision += 1;
        let mut services = Vec::new();
        for key in &changed {
            services.extend(desk.publish(&tenant.id, key, &mut next));
        }
        // What readers do not see needs a revision only if somebody is told.
        if services.is_empty() && (!news || self.told.is_none()) {
            return;
        }
        let (revision, after) = (next.revision, Arc::new(next));
        self.revisions.note(revision);
        tenant.snapshot.store(Arc::clone(&after));
        for delta in &services {
            tenant.waiters.wake(&delta.key.name);
        }
        tenant.changed.notify_waiters();
        self.count(&services);
        let Some(told) = &self.told else { return };
        told.events.give(&tenant.id, revision);
        let source = desk.slots.get(by).map(|slot| slot.cell.info.name.clone());
        let closed = || states.iter().find(|state| state.info.id == *by);
        let source = source.or_else(|| Some(closed()?.info.name.clone()));
        let prints = Prints { view: after.print, native: desk.native_print };
        // Under the lock, so that they come in the order of revisions.
        told.bus.push(ChangeSet {
            tenant: tenant.id.clone(),
            revision,
            time: clock::at(self.clock.now_ms()),
            source: source.unwrap_or_else(|| by.as_str().to_owned()),
            services,
            states,
            held,
            handover,
            step,
            facts,
            after,
            prints,
        });
    }

    fn count(&self, services: &[ServiceDelta]) {
        let (metrics, mut changes) = (&self.metrics.view, RowChanges::default());
        let came = |row: &Row| metrics.came(row.instance.status, row.instance.health);
        let went = |row: &Row| metrics.went(row.instance.status, row.instance.health);
        for change in services.iter().flat_map(|service| &service.rows) {
            match change {
                RowChange::Added(row) => {
                    changes.added += 1;
                    came(row);
                }
                RowChange::Updated { before, after } => {
                    changes.updated += 1;
                    went(before);
                    came(after);
                }
                RowChange::Removed(row) => {
                    changes.removed += 1;
                    went(row);
                }
            }
        }
        metrics.changed(changes);
    }
}
