//! One service before and after its registry listed it. Pure.

use std::sync::Arc;

use hub_registry_core::{Instance, InstanceKey};
use tokio::time::Instant;

use super::super::guard::{Fate, Hold, Why};
use super::Entry;

/// What was listed put on top of what was known; nothing is decided yet of what is missing.
#[derive(Debug, Default)]
pub(super) struct Merged {
    /// Sorted by key, missing ones included.
    pub entries: Vec<Entry>,
    /// The places of those that were listed before and are missing now.
    pub missing: Vec<usize>,
    /// How many were missing before and still are.
    pub held: usize,
    /// How many are new.
    pub added: usize,
    /// The holds of those that are listed again.
    pub returned: Vec<Hold>,
    /// Whether any entry is another than before.
    pub changed: bool,
}

impl Merged {
    /// The entries of one service after a read listed `listed`.
    ///
    /// An instance that did not change keeps its entry. With `partial` nothing is missing: what is
    /// not listed may be there all the same.
    pub(super) fn new(
        before: &[Entry],
        mut listed: Vec<Arc<Instance>>,
        partial: bool,
        wall_ms: i64,
    ) -> Self {
        if !listed.is_sorted_by(|a, b| a.key <= b.key) {
            listed.sort_by(|a, b| a.key.cmp(&b.key));
        }
        let mut merged = Self { entries: Vec::with_capacity(listed.len()), ..Self::default() };
        let mut old = before.iter().peekable();
        for instance in listed {
            while let Some(entry) = old.next_if(|entry| entry.instance.key < instance.key) {
                merged.miss(entry, partial);
            }
            let same = old.next_if(|entry| entry.instance.key == instance.key);
            merged.list(same, instance, wall_ms);
        }
        old.for_each(|entry| merged.miss(entry, partial));
        merged
    }

    /// How many are listed.
    pub(super) fn listed(&self) -> usize {
        self.entries.len() - self.missing.len() - self.held
    }

    fn miss(&mut self, entry: &Entry, partial: bool) {
        if entry.is_missing() {
            self.held += 1;
        } else if !partial {
            self.missing.push(self.entries.len());
            self.changed = true;
        }
        self.entries.push(entry.clone());
    }

    fn list(&mut self, before: Option<&Entry>, instance: Arc<Instance>, wall_ms: i64) {
        let Some(before) = before else {
            (self.added, self.changed) = (self.added + 1, true);
            self.entries.push(Entry { instance, observed_at: wall_ms, hold: None });
            return;
        };
        let mut entry = before.clone();
        if let Some(hold) = entry.hold.take_if(|_| before.is_missing()) {
            self.changed = true;
            self.returned.push(*hold);
        }
        if entry.instance != instance {
            self.changed = true;
            (entry.instance, entry.observed_at) = (instance, wall_ms);
        }
        self.entries.push(entry);
    }

    /// Decides what becomes of those that are missing. Which began to be held, and how many that
    /// were held left.
    pub(super) fn decide(&mut self, fate: Fate, now: Instant) -> (Vec<InstanceKey>, usize) {
        match fate {
            Fate::Leave => (Vec::new(), self.keep(|_| true)),
            Fate::LeaveAll => (Vec::new(), self.keep(|_| false)),
            Fate::Replaced(since) => {
                let stays = |hold: &Hold| hold.why == Why::AfterOutage || hold.since <= since;
                (Vec::new(), self.keep(stays))
            }
            Fate::Hold(why) => (self.hold(Hold::new(now, why)), 0),
            Fate::Settle => {
                let held = self.entries.iter_mut().filter(|entry| entry.is_missing());
                held.filter_map(|entry| entry.hold.as_mut()).for_each(|hold| hold.resume(now));
                (self.hold(Hold::new(now, Why::AfterOutage)), 0)
            }
        }
    }

    fn hold(&mut self, hold: Hold) -> Vec<InstanceKey> {
        self.held += self.missing.len();
        let entries = &mut self.entries;
        let hold = |place: usize| {
            let entry = &mut entries[place];
            entry.hold = Some(Box::new(hold));
            entry.instance.key.clone()
        };
        self.missing.drain(..).map(hold).collect()
    }

    /// Those missing since now leave, and of those held before the ones that do not stay.
    fn keep(&mut self, stays: impl Fn(&Hold) -> bool) -> usize {
        let before = std::mem::take(&mut self.held);
        if self.missing.is_empty() && before == 0 {
            return 0;
        }
        let (mut missing, mut place) = (self.missing.drain(..).peekable(), 0);
        self.entries.retain(|entry| {
            let leaves = missing.next_if_eq(&place).is_some();
            place += 1;
            if leaves {
                return false;
            }
            match &entry.hold {
                Some(hold) if entry.is_missing() => {
                    let stays = stays(hold);
                    self.held += usize::from(stays);
                    stays
                }
                _ => true,
            }
        });
        self.changed |= before != self.held;
        before - self.held
    }
}
