//! Which source is shown in the place of which.

use std::borrow::Cow;
use std::collections::BTreeSet;

use hub_registry_core::{ConfigId, Mark, RegistryKind, Scope, ServiceKey, TenantId};

use super::desk::{Desk, Slot};
use super::shelf::Entry;
use super::source::{Conflict, SourceId, SourceInfo, SourceState};
use super::writer::{Catalog, Written};
use crate::model::words::FailoverStatus;

/// How many stand-ins of stand-ins are followed; configurations never make a circle.
const DEPTH: usize = 8;

/// The standby of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct StandIn {
    /// Which source it is.
    pub id: SourceId,
    /// It is shown for itself too.
    pub visible: bool,
    /// It serves: what it has of a service is shown instead of the primary's.
    pub serving: bool,
    /// The services the primary is read for: no others are shown through it.
    pub scope: Scope,
}

/// A step of a source that has a standby, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Its name.
    pub source: String,
    /// Its kind.
    pub kind: RegistryKind,
    /// Which it is.
    pub id: ConfigId,
    /// Which is its standby.
    pub standby: ConfigId,
    /// How it stood before.
    pub before: FailoverStatus,
    /// How it stands now.
    pub after: FailoverStatus,
    /// An operator decided it.
    pub by_operator: bool,
    /// The instances it lists, or listed last.
    pub instances: usize,
    /// Those of the standby.
    pub standby_instances: usize,
}

/// What is shown of one service by one source, in its own place or another's.
#[derive(Debug)]
pub(super) struct Shown<'d> {
    pub(super) info: SourceInfo,
    pub(super) current: bool,
    pub(super) entries: Cow<'d, [Entry]>,
}

/// How a source stands, as those need it who decide about a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Its state.
    pub state: SourceState,
    /// The instances it lists, or listed last.
    pub instances: usize,
    /// Removals are held.
    pub held: bool,
}

impl Desk {
    /// Whether a source is shown only through the one whose standby it is.
    pub(super) fn is_hidden(&self, id: &SourceId) -> bool {
        let mut links = self.stand_ins.values().filter(|link| link.id == *id).peekable();
        links.peek().is_some() && links.all(|link| !link.visible)
    }

    /// Whether readers need not wait for it: it said something, or is excused.
    pub(super) fn is_accounted_for(&self, slot: &Slot) -> bool {
        slot.cell.state().is_loaded() || self.is_excused(&slot.cell.info.id)
    }

    /// Whether readers need not care that a source never said anything: it is hidden, or another
    /// one serves in its place.
    fn is_excused(&self, id: &SourceId) -> bool {
        let serving = self.stand_ins.get(id).filter(|link| link.serving);
        let loaded = |link: &StandIn| self.slots.get(&link.id).is_some_and(|s| s.shelf.is_loaded());
        self.is_hidden(id) || serving.is_some_and(loaded)
    }

    /// The services that standbys serve in the place of a source: they come into view, and leave it,
    /// with its place, whether or not it has anything to say itself.
    pub(super) fn served_for(&self, id: &SourceId) -> Vec<ServiceKey> {
        let serving = |id: &SourceId| self.stand_ins.get(id).filter(|link| link.serving);
        let chain = std::iter::successors(serving(id), |link| serving(&link.id)).take(DEPTH);
        let slots = chain.filter_map(|link| self.slots.get(&link.id));
        slots.flat_map(|slot| slot.shelf.services()).map(|(key, _)| key.clone()).collect()
    }

    /// Notes who stands in for a source; which services may look another way.
    fn stand_in(&mut self, primary: &SourceId, stand_in: Option<StandIn>) -> BTreeSet<ServiceKey> {
        let before = self.stand_ins.get(primary).cloned();
        if before == stand_in {
            return BTreeSet::new();
        }
        match stand_in.clone() {
            Some(link) => self.stand_ins.insert(primary.clone(), link),
            None => self.stand_ins.remove(primary),
        };
        let ids = before.into_iter().chain(stand_in).map(|link| link.id);
        let touched: BTreeSet<_> = ids.chain([primary.clone()]).collect();
        // Those behind it in a chain may come into view with it.
        let concerned = |id: &SourceId| touched.contains(id) || self.is_hidden(id);
        let slots = self.slots.iter().filter(|(id, _)| concerned(id));
        slots.flat_map(|(_, slot)| slot.shelf.services()).map(|(key, _)| key.clone()).collect()
    }

    /// What is shown of a service, in the order of origins, each source once. One of which all is
    /// hidden does not know the service.
    pub(super) fn shown(&self, key: &ServiceKey) -> Vec<Shown<'_>> {
        let lead = self.lead(key);
        let places = self.slots.iter().filter(|(id, _)| !self.is_hidden(id));
        let mut all: Vec<_> = places
            .filter_map(|(id, place)| {
                let slot = self.in_place_of(id, key, DEPTH)?;
                let speaker = &slot.cell.info;
                let all = &slot.shelf.service(key)?.entries;
                let entries = self.originals(all, |mark, source| {
                    let led = lead.is_some_and(|lead| lead.shows(id, mark, source));
                    // A standby's copies of what it stands in for are why it can.
                    led || (speaker.id != *id && source == id.as_str())
                });
                if entries.is_empty() && !all.is_empty() {
                    return None;
                }
                let current = slot.cell.state().is_current();
                // It stands in the order where the one stands whose place it takes.
                let place = &place.cell.info;
                let (conflict, priority) = match lead.is_some_and(|lead| lead.to == *id) {
                    true => (Conflict::SecondaryWins, i32::MIN),
                    false => (place.conflict, place.priority),
                };
                let info = SourceInfo { conflict, priority, ..speaker.clone() };
                Some(Shown { info, current, entries })
            })
            .collect();
        all.sort_by_key(|shown| shown.info.rank());
        let mut seen = BTreeSet::new();
        all.retain(|shown| seen.insert(shown.info.id.clone()));
        all
    }

    /// These without the copies of what a source of this view lists itself: they are shown as what
    /// they were copied from, and gone when that is. But those stay that are shown `too`.
    fn originals<'e>(
        &self,
        entries: &'e [Entry],
        too: impl Fn(&Mark, &str) -> bool,
    ) -> Cow<'e, [Entry]> {
        let is_hidden = |entry: &Entry| {
            let mark = entry.instance.mark.as_deref();
            let source = mark.and_then(|mark| Some((mark, mark.source.as_deref()?)));
            source.is_some_and(|(mark, source)| self.knows(source) && !too(mark, source))
        };
        if !entries.iter().any(is_hidden) {
            return Cow::Borrowed(entries);
        }
        Cow::Owned(entries.iter().filter(|entry| !is_hidden(entry)).cloned().collect())
    }

    fn knows(&self, source: &str) -> bool {
        let mut slots = self.slots.iter();
        slots.any(|(id, slot)| id.as_str() == source && slot.shelf.is_loaded())
    }

    /// Who speaks for a source about a service: the standby that serves, where it has instances.
    fn in_place_of(&self, id: &SourceId, key: &ServiceKey, depth: usize) -> Option<&Slot> {
        let has = |slot: &&Slot| slot.shelf.service(key).is_some_and(|s| !s.entries.is_empty());
        let link = self.stand_ins.get(id).filter(|link| link.serving && link.scope.contains(key));
        let stand_in =
            link.filter(|_| depth > 0).and_then(|link| self.in_place_of(&link.id, key, depth - 1));
        stand_in.filter(has).or_else(|| self.slots.get(id))
    }
}

impl Catalog {
    /// Says which source is the standby of which, and whether it serves; `None`: it has none any
    /// more. What readers see changes at once and as a whole, and they are told of `handover` with
    /// it.
    pub fn set_stand_in(
        &self,
        tenant: &TenantId,
        primary: &SourceId,
        stand_in: Option<StandIn>,
        handover: Option<Handover>,
    ) {
        self.write_told(tenant, primary, |desk, _| {
            let changed = desk.stand_in(primary, stand_in);
            Written { changed, handover, ..Written::default() }
        });
    }

    /// How a source stands, if it is open.
    #[must_use]
    pub fn figures(&self, tenant: &TenantId, id: &SourceId) -> Option<Figures> {
        self.with_desk(tenant, |desk| {
            let slot = desk.slots.get(id)?;
            Some(Figures {
                state: slot.cell.state(),
                instances: slot.shelf.live(),
                held: slot.shelf.has_held(),
            })
        })?
    }
}

#[cfg(test)]
mod tests;
