//! When each copy is to be renewed.

use std::collections::{BTreeSet, HashMap};

use hub_registry_core::InstanceKey;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Beats {
    at: HashMap<InstanceKey, Instant>,
    order: BTreeSet<(Instant, InstanceKey)>,
}

impl Beats {
    pub(super) fn put(&mut self, key: InstanceKey, at: Instant) {
        self.forget(&key);
        self.order.insert((at, key.clone()));
        self.at.insert(key, at);
    }

    pub(super) fn forget(&mut self, key: &InstanceKey) {
        if let Some((key, at)) = self.at.remove_entry(key) {
            self.order.remove(&(at, key));
        }
    }

    /// When the first one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes those that are due, `most` of them; they have to be put again.
    pub(super) fn due(&mut self, now: Instant, most: usize) -> Vec<InstanceKey> {
        let mut due = Vec::new();
        while due.len() < most
            && self.next().is_some_and(|at| at <= now)
            && let Some((_, key)) = self.order.pop_first()
        {
            self.at.remove(&key);
            due.push(key);
        }
        due
    }
}
