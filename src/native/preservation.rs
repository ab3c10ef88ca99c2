//! Whether to believe that many clients are silent at once (docs/decisions/0012).
//!
//! Clients that fall silent together are more likely cut off than dead. Per tenant:
//!
//! - A lease that ran out **counts** as lost for two of its lengths, at least a minute and at most
//!   `max`, its instance removed or not; it stops to count when it is heard or deregistered.
//! - **Hold**: from the moment at least `min_instances` and more than `percent` of those that
//!   promised to beat count as lost. Then neither the health nor the removal of any of them moves.
//! - **Waiting to be sure**: leases of a cut run out over a third of their length. While so many
//!   have missed beats that a hold may be near, one that ran out is not shown for that long.
//! - A hold ends when the loss was below the threshold for a third of the longest lease that is
//!   silent still; what is silent then is believed to be gone. Or after `max`: health moves then,
//!   and removals follow in sweeps.
//! - Whoever was once believed gone does not count for the next hold.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::InstanceKey;

use super::lease::Lease;
use super::leases::{Due, Leases};
use crate::config::RegistryConfig;
use crate::model::names::CheckKey;

/// A lost lease counts at least so long, so that a loss piece by piece is one loss.
const COUNTS_AT_LEAST: u64 = 60_000;
/// Who is alive beats within a third of its lease, and this, for the network.
const SLACK: u64 = 1_000;

/// A removal that failed, since the database was away, is tried again after this.
const AGAIN: u64 = 5_000;

/// The constants of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preservation {
    /// Fewer lost instances are never held.
    pub min_instances: usize,
    /// A loss of no more than this share is never held.
    pub percent: usize,
    /// How long a hold lasts at most.
    pub max: Duration,
    /// The time between two sweeps after it.
    pub sweep_interval: Duration,
    /// The share of the instances there were that one sweep removes at most.
    pub sweep_percent: usize,
}

impl From<&RegistryConfig> for Preservation {
    fn from(config: &RegistryConfig) -> Self {
        let (preservation, sweep) = (&config.self_preservation, &config.sweep);
        Self {
            min_instances: preservation.min_instances,
            percent: preservation.percent,
            max: preservation.max,
            sweep_interval: sweep.interval,
            sweep_percent: sweep.percent,
        }
    }
}

impl Default for Preservation {
    fn default() -> Self {
        Self::from(&RegistryConfig::default())
    }
}

impl Preservation {
    fn max_ms(&self) -> u64 {
        millis(self.max)
    }

    /// How long a lease of this length counts as lost.
    fn counts_for(&self, length: u64) -> u64 {
        (2 * length).min(self.max_ms()).max(COUNTS_AT_LEAST)
    }

    /// How many of so many may leave at once: the most that is never held, and at least one.
    #[must_use]
    pub fn at_once(&self, total: usize) -> usize {
        self.min_instances.saturating_sub(1).max(total * self.percent / 100).max(1)
    }

    /// Whether so many of `total` that are lost together are more likely cut off than dead.
    #[must_use]
    pub fn is_over(&self, lost: usize, total: usize) -> bool {
        lost >= self.min_instances && lost * 100 > self.percent * total
    }
}

/// How far the hub believes that an instance is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    /// Its lease ran out a moment ago.
    New,
    /// It is unhealthy, and counts as lost.
    Lost,
    /// A hold ran out over it: it is removed by a sweep.
    Sweep,
    /// Swept: it is removed as soon as it is due.
    Swept,
    /// It is gone for good and counts no more; removed when it is due.
    Gone,
}

/// An instance whose lease ran out.
#[derive(Debug)]
struct Silent {
    lease: Arc<Lease>,
    key: InstanceKey,
    belief: Belief,
    /// When its lease ran out.
    since: u64,
    shown: bool,
    /// Its removal is under way.
    leaving: bool,
    /// Its removal failed and is not tried before this.
    not_before: u64,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    since: u64,
    /// How many had promised to beat when it began.
    size: usize,
    /// Since when the loss is below the threshold.
    below: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Sweeping {
    size: usize,
    next: u64,
}

/// Something to tell the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A hold began.
    Began { lost: usize, of: usize },
    /// Enough clients returned; so many did not.
    Returned { lost: usize, after_ms: u64 },
    /// It lasted as long as it may.
    RanOut { lost: usize, of: usize },
    /// A sweep chose so many to be removed; so many wait for the next.
    Swept { count: usize, left: usize, seed: u64 },
    /// Nothing is left to sweep.
    SweptAll,
}

/// What is to be done for one tenant.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// Instances that are unhealthy from now on.
    pub(super) lapsed: Vec<Arc<Lease>>,
    /// Instances to remove.
    pub(super) expired: Vec<Arc<Lease>>,
    /// Instances that are held from now on.
    pub(super) held: Vec<InstanceKey>,
    /// Instances that are held no more.
    pub(super) freed: Vec<InstanceKey>,
    pub(super) notes: Vec<Note>,
}

/// The silent instances of one tenant.
#[derive(Debug, Default)]
pub(super) struct Silence {
    // Sorted, so that a seed repeats a sweep.
    silent: BTreeMap<CheckKey, Silent>,
    /// Removed for their silence a moment ago, and until when they count as lost.
    removed: HashMap<CheckKey, u64>,
    hold: Option<Hold>,
    sweeping: Option<Sweeping>,
    /// What readers see as held.
    marked: BTreeMap<CheckKey, InstanceKey>,
    sweeps: u64,
    expired: u64,
}

impl Silence {
    /// Takes note that a lease ran out. `known`: it is of an instance that stays for ever and was
    /// unhealthy before: that is no news.
    pub(super) fn lapsed(&mut self, lease: Arc<Lease>, key: InstanceKey, since: u64, known: bool) {
        let belief = if known { Belief::Gone } else { Belief::New };
        let new = Silent { lease, key, belief, since, shown: false, leaving: false, not_before: 0 };
        // Of a check: somebody wrote over what was found of it.
        let stays_shown = new.lease.check.is_none() || known;
        let entry = self.silent.entry(new.lease.key);
        entry.and_modify(|one| one.shown &= stays_shown).or_insert(new);
    }

    /// Its removal did not come about.
    pub(super) fn stays(&mut self, id: CheckKey, now: u64) {
        if let Some(silent) = self.silent.get_mut(&id) {
            silent.leaving = false;
            silent.not_before = now + AGAIN;
        }
    }

    /// The instance was written or removed; `silent`: its lease is run out all the same. The key
    /// of one that is held no more.
    pub(super) fn written(
        &mut self,
        id: CheckKey,
        silent: bool,
        exists: bool,
        now: u64,
        rules: &Preservation,
    ) -> Option<InstanceKey> {
        if exists {
            self.removed.remove(&id);
            if silent {
                return None;
            }
        }
        if let Some(gone) = self.silent.remove(&id)
            && gone.leaving
            && !exists
        {
            self.expired += 1;
            let until = gone.since + rules.counts_for(gone.lease.length());
            if gone.belief == Belief::Lost && until > now {
                self.removed.insert(id, until);
            }
        }
        let key = self.marked.remove(&id)?;
        (!self.is_marked(id)).then_some(key)
    }

    /// Whether anything else of its instance is held.
    fn is_marked(&self, key: CheckKey) -> bool {
        self.marked.range(CheckKey::all_of(key.instance)).next().is_some()
    }

    /// Whether there is nothing to decide.
    pub(super) fn is_quiet(&self) -> bool {
        self.silent.is_empty()
            && self.removed.is_empty()
            && self.hold.is_none()
            && self.sweeping.is_none()
            && self.marked.is_empty()
    }

    /// Whether anything is held or swept.
    pub(super) fn is_preserving(&self) -> bool {
        self.hold.is_some() || self.sweeping.is_some()
    }

    /// Whether instances wait to be swept out.
    pub(super) fn is_sweeping(&self) -> bool {
        self.sweeping.is_some()
    }

    /// Since when the tenant is held, in the milliseconds of the leases.
    pub(super) fn held_since(&self) -> Option<u64> {
        self.hold.map(|hold| hold.since)
    }

    /// Instances that are overdue, and that are held.
    pub(super) fn instances(&self) -> (usize, usize) {
        (instances(self.silent.iter()), instances(self.marked.iter()))
    }

    /// Sweeps so far, removals for silence so far.
    pub(super) fn so_far(&self) -> (u64, u64) {
        (self.sweeps, self.expired)
    }

    /// Whether one has just run out and it is asked how many have missed beats.
    pub(super) fn wonders(&self) -> bool {
        self.hold.is_none() && self.silent.values().any(|silent| silent.belief == Belief::New)
    }

    /// Decides what is believed now. `beating`: how many promised to beat; `late`: how many of
    /// them have missed a beat; `busy`: being written, to be left alone.
    pub(super) fn decide(
        &mut self,
        rules: &Preservation,
        leases: &Leases,
        (beating, late): (usize, usize),
        busy: impl Fn(CheckKey) -> bool,
    ) -> Decision {
        let now = leases.now();
        let mut decision = Decision::default();
        self.removed.retain(|_, until| *until > now);
        let overdue = |lease: &Lease| matches!(leases.due(lease, now).0, Due::Lapse | Due::Expire);
        self.silent.retain(|_, one| one.leaving || (!one.lease.is_closed() && overdue(&one.lease)));

        // An instance may have several leases, and is lost once.
        let counting = instances(self.silent.iter().filter(|(_, one)| one.counts()));
        let lost = counting + self.removed.len();
        let written_off = instances(self.silent.iter()) - counting;
        let total = (beating + self.removed.len()).saturating_sub(written_off);
        let late = (late + self.removed.len()).saturating_sub(written_off);
        match self.hold {
            None if rules.is_over(lost, total) => {
                self.hold = Some(Hold { since: now, size: total, below: None });
                decision.notes.push(Note::Began { lost, of: total });
            }
            None => self.believe(rules, now, rules.is_over(late, total)),
            Some(hold) => self.keep(hold, rules, (lost, total, counting), now, &mut decision),
        }
        self.sweep(rules, leases, now, &mut decision);
        self.act(leases, now, busy, &mut decision);
        self.mark(&mut decision);
        decision
    }

    /// No hold: what ran out is lost, at once or when it is sure that no hold is near.
    fn believe(&mut self, rules: &Preservation, now: u64, hold_is_near: bool) {
        for one in self.silent.values_mut() {
            let length = one.lease.length();
            match one.belief {
                Belief::New if !hold_is_near || now >= one.since + length / 3 + SLACK => {
                    one.belief = Belief::Lost;
                }
                Belief::Lost if now >= one.since + rules.counts_for(length) && !one.leaving => {
                    one.belief = Belief::Gone;
                }
                _ => {}
            }
        }
    }

    /// Whether the hold goes on.
    fn keep(
        &mut self,
        mut hold: Hold,
        rules: &Preservation,
        (lost, total, silent): (usize, usize, usize),
        now: u64,
        decision: &mut Decision,
    ) {
        let after_ms = now.saturating_sub(hold.since);
        let ran_out = after_ms >= rules.max_ms();
        if rules.is_over(lost, total) {
            hold.below = None;
            self.hold = Some(hold);
            if !ran_out {
                return;
            }
            let next = self.sweeping.map_or(now, |sweeping| sweeping.next);
            self.sweeping = Some(Sweeping { size: hold.size, next });
            self.end(|lease| if lease.is_ephemeral() { Belief::Sweep } else { Belief::Gone });
            decision.notes.push(Note::RanOut { lost: silent, of: hold.size });
            return;
        }
        let below = *hold.below.get_or_insert(now);
        self.hold = Some(hold);
        let counting = self.silent.values().filter(|one| one.counts());
        let longest = counting.map(|one| one.lease.length()).max().unwrap_or(0);
        // Two leases pass between the beginning of a hold and the first removal it holds back:
        // what `max` can hold back has a lease of half of it, and beats every sixth.
        let settle = (longest / 3).min(rules.max_ms() / 6) + SLACK;
        if silent == 0 || ran_out || now >= below + settle {
            self.end(|_| Belief::Gone);
            decision.notes.push(Note::Returned { lost: silent, after_ms });
        }
    }

    fn end(&mut self, belief: impl Fn(&Lease) -> Belief) {
        self.hold = None;
        self.removed.clear();
        for one in self.silent.values_mut().filter(|one| one.counts()) {
            one.belief = belief(&one.lease);
        }
    }

    /// Chooses who is removed next of those a hold ran out over.
    fn sweep(&mut self, rules: &Preservation, leases: &Leases, now: u64, decision: &mut Decision) {
        let Some(sweeping) = &mut self.sweeping else {
            return;
        };
        let waits = |one: &Silent| one.belief == Belief::Sweep;
        if !self.silent.values().any(|one| waits(one) || one.belief == Belief::Swept) {
            self.sweeping = None;
            decision.notes.push(Note::SweptAll);
            return;
        }
        if now < sweeping.next {
            return;
        }
        let due = |one: &Silent| waits(one) && leases.due(&one.lease, now).0 == Due::Expire;
        let mut chosen: Vec<_> =
            self.silent.iter().filter(|(_, one)| due(one)).map(|(id, _)| *id).collect();
        if chosen.is_empty() {
            return;
        }
        let seed = fastrand::u64(..);
        fastrand::Rng::with_seed(seed).shuffle(&mut chosen);
        chosen.truncate((sweeping.size * rules.sweep_percent / 100).max(1));
        for id in &chosen {
            if let Some(one) = self.silent.get_mut(id) {
                one.belief = Belief::Swept;
            }
        }
        sweeping.next = now + millis(rules.sweep_interval);
        self.sweeps += 1;
        let left = self.silent.values().filter(|one| waits(one)).count();
        decision.notes.push(Note::Swept { count: chosen.len(), left, seed });
    }

    /// Shows and removes what is believed.
    fn act(
        &mut self,
        leases: &Leases,
        now: u64,
        busy: impl Fn(CheckKey) -> bool,
        decision: &mut Decision,
    ) {
        let held = self.hold.is_some();
        for (id, one) in &mut self.silent {
            let (shows, leaves) = match one.belief {
                Belief::New => (false, false),
                Belief::Lost => (!held, !held),
                Belief::Sweep => (true, false),
                Belief::Swept | Belief::Gone => (true, true),
            };
            if one.leaving || busy(*id) {
                continue;
            }
            if shows && !one.shown {
                one.shown = true;
                decision.lapsed.push(Arc::clone(&one.lease));
            }
            if leaves && now >= one.not_before && leases.due(&one.lease, now).0 == Due::Expire {
                one.leaving = true;
                decision.expired.push(Arc::clone(&one.lease));
            }
        }
    }

    /// Brings what readers see as held up to date.
    fn mark(&mut self, decision: &mut Decision) {
        let held = self.hold.is_some();
        let is_held = |one: &Silent| match one.belief {
            Belief::New | Belief::Lost => held && !one.leaving,
            Belief::Sweep | Belief::Swept => true,
            Belief::Gone => false,
        };
        let silent = &self.silent;
        let marked = |id: &CheckKey| self.marked.contains_key(id);
        let new = silent.iter().filter(|(id, one)| is_held(one) && !marked(id));
        let new: Vec<_> = new.map(|(id, one)| (*id, one.key.clone())).collect();
        // An instance of which anything else is held is held by now.
        for (id, key) in new {
            if !self.is_marked(id) {
                decision.held.push(key.clone());
            }
            self.marked.insert(id, key);
        }
        let silent = &self.silent;
        let ends = |id: &CheckKey| !silent.get(id).is_some_and(is_held);
        let ended: Vec<_> = self.marked.keys().filter(|id| ends(id)).copied().collect();
        for id in ended {
            let key = self.marked.remove(&id).filter(|_| !self.is_marked(id));
            decision.freed.extend(key);
        }
    }
}

impl Silent {
    /// Whether it counts as lost.
    fn counts(&self) -> bool {
        matches!(self.belief, Belief::New | Belief::Lost)
    }
}

/// How many instances these leases are of.
fn instances<'a, T: 'a>(leases: impl Iterator<Item = (&'a CheckKey, T)>) -> usize {
    let mut last = None;
    leases.filter(|(key, _)| last.replace(key.instance) != Some(key.instance)).count()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
