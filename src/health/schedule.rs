//! Whose turn it is.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::names::CheckKey;

/// Each check is moved from its slot at random by up to this part of the interval, both ways, so
/// that nothing that beats as regularly is met at the same moment each time.
const JITTER: u32 = 20;
/// The first check of an instance that has just come is made within this time.
const SOON: Duration = Duration::from_secs(1);

/// Slots of checks, one per interval, each at a phase of its own drawn at random: so checks are
/// spread over the interval however many instances came together, and stay spread.
///
/// A slot is counted from the one before it, never from when a check began or ended: nothing
/// drifts. Slots that were missed are left out.
#[derive(Debug)]
pub(super) struct Schedule {
    queue: BTreeSet<(Instant, CheckKey)>,
    slots: HashMap<CheckKey, Slot>,
    random: fastrand::Rng,
}

#[derive(Debug)]
struct Slot {
    /// When its turn is: the slot, moved a little.
    due: Instant,
    slot: Instant,
    interval: Duration,
}

/// When an instance is checked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// Within a second: somebody waits for it.
    Soon,
    /// In its slot: there may be many.
    InTurn,
}

impl Schedule {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self { queue: BTreeSet::new(), slots: HashMap::new(), random }
    }

    /// Gives an instance slots, or others than it had; no other instance's move.
    pub(super) fn put(&mut self, id: CheckKey, interval: Duration, first: First, now: Instant) {
        self.remove(id);
        let slot = now + self.part_of(interval);
        let due = match first {
            First::Soon => now + self.part_of(interval.min(SOON)),
            First::InTurn => slot,
        };
        self.slots.insert(id, Slot { due, slot, interval });
        self.queue.insert((due, id));
    }

    pub(super) fn remove(&mut self, id: CheckKey) {
        if let Some(slot) = self.slots.remove(&id) {
            self.queue.remove(&(slot.due, id));
        }
    }

    /// When the next turn is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(due, _)| *due)
    }

    /// The instance whose turn has come first, and when that was; its next turn is in its first
    /// slot to come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(CheckKey, Instant)> {
        let (due, id) = *self.queue.first().filter(|(due, _)| *due <= now)?;
        self.queue.pop_first();
        let jitter = self.random.f64();
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.advance(now, jitter);
            self.queue.insert((slot.due, id));
        }
        Some((id, due))
    }

    /// The process was stopped: whoever missed a turn gets a phase of its own again, so that not
    /// all are checked at once.
    pub(super) fn spread(&mut self, now: Instant) -> usize {
        let missed: Vec<_> = self.overdue(now).collect();
        for id in &missed {
            if let Some(interval) = self.slots.get(id).map(|slot| slot.interval) {
                self.put(*id, interval, First::InTurn, now);
            }
        }
        missed.len()
    }

    /// Those whose turn has come, earliest first.
    pub(super) fn overdue(&self, now: Instant) -> impl Iterator<Item = CheckKey> {
        self.queue.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| *id)
    }

    fn part_of(&mut self, interval: Duration) -> Duration {
        interval.mul_f64(self.random.f64())
    }
}

impl Slot {
    fn advance(&mut self, now: Instant, jitter: f64) {
        let most = self.interval / JITTER;
        // The first slot that lies behind now however it is moved; the one it has, if its turn
        // came before that.
        if let Some(behind) = (now + most).checked_duration_since(self.slot) {
            let steps = behind.as_nanos() / self.interval.as_nanos().max(1) + 1;
            self.slot += self.interval * u32::try_from(steps).unwrap_or(u32::MAX);
        }
        self.due = self.slot - most + (most * 2).mul_f64(jitter);
    }
}
