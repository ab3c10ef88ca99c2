//! The removals that are being confirmed.

use std::sync::Arc;

use hub_registry_core::{Instance, InstanceKey, Presence, ServiceKey};
use tokio::time::{Duration, Instant};

use super::super::guard::{GuardPolicy, GuardRules, Hold, Needs};
use super::{Entry, Outcome, Shelf};

/// How often it is looked whether the bound of a hold is over.
const SWEEP: Duration = Duration::from_secs(1);

/// One held instance, and how far its removal is.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Held {
    /// The instance.
    pub instance: Arc<Instance>,
    /// Since when it is missing, and why it did not leave.
    pub hold: Hold,
    /// Good reads that lacked it.
    pub reads: u32,
    /// How many of them it takes.
    pub needed: u32,
    /// When it leaves at the earliest, while the registry answers.
    pub leaves_at: Instant,
}

impl Shelf {
    /// How many instances are held.
    #[must_use]
    pub(in crate::catalog) fn held_count(&self) -> usize {
        let entries = |key: &ServiceKey| self.services.get(key).map_or(&[][..], |s| &s.entries);
        let silent = |entry: &&Entry| entry.hold.is_some() && !entry.is_missing();
        let silent = |key: &ServiceKey| entries(key).iter().filter(silent).count();
        self.held_total + self.marks.services().map(silent).sum::<usize>()
    }

    /// Whether any instance is held.
    #[must_use]
    pub(in crate::catalog) fn has_held(&self) -> bool {
        self.held_total > 0 || !self.marks.is_empty()
    }

    /// Rises whenever more is held; what was accepted at one is all that was held then.
    #[must_use]
    pub(in crate::catalog) fn held_revision(&self) -> i64 {
        self.held_revision
    }

    /// More is held now.
    pub(in crate::catalog) fn raise_held_revision(&mut self, at_least: i64) -> i64 {
        self.held_revision = at_least.max(self.held_revision + 1);
        self.held_revision
    }

    /// The held instances the registry no longer lists, in the order of their keys.
    pub(in crate::catalog) fn held(&self) -> impl Iterator<Item = Held> {
        let rules = self.rules();
        self.missing().filter_map(move |entry| self.held_of(rules?, entry))
    }

    /// How this entry is held, if the registry no longer lists it.
    pub(in crate::catalog) fn held_entry(&self, entry: &Entry) -> Option<Held> {
        self.held_of(self.rules()?, entry)
    }

    fn held_of(&self, rules: &GuardRules, entry: &Entry) -> Option<Held> {
        let hold = **entry.hold.as_ref().filter(|_| entry.is_missing())?;
        let needs = self.needs(rules, &hold);
        Some(Held {
            instance: Arc::clone(&entry.instance),
            hold,
            reads: self.guard.reads(&hold),
            needed: needs.reads,
            leaves_at: self.guard.leaves_at(&needs, &hold),
        })
    }

    /// When the registry is to be asked again for what is held, having been asked at `last`;
    /// `None`: nothing is held.
    pub(in crate::catalog) fn next_look(&self, last: Instant) -> Option<Instant> {
        let rules = self.rules()?;
        let holds = self.missing().filter_map(|entry| entry.hold.as_deref());
        holds.map(|hold| self.guard.next_look(&self.needs(rules, hold), hold, last)).min()
    }

    /// What looks asked for at `asked` found.
    pub(in crate::catalog) fn confirm(
        &mut self,
        found: Vec<(InstanceKey, Presence)>,
        asked: Instant,
        now: Instant,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(rules) = self.rules().copied() else { return outcome };
        let mut found = found.into_iter().peekable();
        while let Some((first, _)) = found.peek() {
            let key = first.service.clone();
            let of_service = std::iter::from_fn(|| found.next_if(|(one, _)| one.service == key));
            let of_service: Vec<_> = of_service.collect();
            self.leave(&key, &mut outcome, |shelf, entry| {
                let place = of_service.binary_search_by(|(one, _)| one.cmp(&entry.instance.key));
                let presence = place.map_or(Presence::Unknown, |place| of_service[place].1);
                let Some(hold) = entry.hold.as_deref_mut() else { return false };
                match presence {
                    Presence::Unknown => false,
                    Presence::Listed => {
                        shelf.guard.seen(hold, &key, now);
                        hold.seen(now);
                        false
                    }
                    Presence::Absent => {
                        let needs = shelf.needs(&rules, hold);
                        shelf.guard.confirm(&needs, hold, asked, now)
                    }
                }
            });
        }
        self.calm_down();
        outcome
    }

    /// Lets go of all that is held.
    pub(in crate::catalog) fn accept(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        for key in self.held.keys().cloned().collect::<Vec<_>>() {
            self.leave(&key, &mut outcome, |_, _| true);
        }
        self.guard.accept();
        outcome
    }

    /// Lets go of what is over its bound: called with every good read, so that a registry that
    /// fails and returns holds nothing for ever, and one that is silent confirms nothing.
    pub(super) fn sweep(&mut self, now: Instant, outcome: &mut Outcome) {
        self.calm_down();
        let Some(rules) = self.rules().copied() else { return };
        if self.held_total == 0 || now < self.swept + SWEEP {
            return;
        }
        self.swept = now;
        for key in self.held.keys().cloned().collect::<Vec<_>>() {
            self.leave(&key, outcome, |shelf, entry| {
                let over = |hold: &Hold| now >= hold.since + shelf.needs(&rules, hold).bound;
                entry.hold.as_deref().is_some_and(over)
            });
        }
    }

    fn calm_down(&mut self) {
        if self.held_total == 0 {
            self.guard.calm();
        }
    }

    /// Goes through the missing instances of a service and removes those that leave.
    fn leave(
        &mut self,
        key: &ServiceKey,
        outcome: &mut Outcome,
        mut leaves: impl FnMut(&mut Self, &mut Entry) -> bool,
    ) {
        let Some(mut service) = self.services.remove(key) else { return };
        let before = service.entries.len();
        service.entries.retain_mut(|entry| !(entry.is_missing() && leaves(self, entry)));
        let left = before - service.entries.len();
        if left > 0 {
            let held = self.held.get(key).copied().unwrap_or_default();
            self.note_held(key, held - left);
            outcome.changed.insert(key.clone());
            outcome.left += left;
        }
        if service.listed || !service.entries.is_empty() {
            self.services.insert(key.clone(), service);
        }
    }

    /// Keeps count.
    pub(super) fn note_held(&mut self, key: &ServiceKey, count: usize) {
        let before = match count {
            0 => self.held.remove(key),
            _ => self.held.insert(key.clone(), count),
        };
        self.held_total = self.held_total + count - before.unwrap_or_default();
    }

    fn rules(&self) -> Option<&GuardRules> {
        match &self.policy {
            GuardPolicy::Off => None,
            GuardPolicy::On(rules) => Some(rules),
        }
    }

    fn needs(&self, rules: &GuardRules, hold: &Hold) -> Needs {
        self.guard.needs(rules, rules.settle.unwrap_or(self.usual_settle), hold)
    }

    fn missing(&self) -> impl Iterator<Item = &Entry> {
        let services = self.held.keys().filter_map(|key| self.services.get(key));
        services.flat_map(|service| &service.entries).filter(|entry| entry.is_missing())
    }
}
