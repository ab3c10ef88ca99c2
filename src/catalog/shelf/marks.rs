//! Instances a registry lists and says itself that it waits for, since their clients fell silent.
//! The guard has no part in them: it is their registry that says when one leaves.

use std::collections::{BTreeSet, HashMap, HashSet};

use hub_registry_core::{InstanceKey, ServiceKey};
use tokio::time::Instant;

use super::super::guard::{Hold, Why};
use super::{Entry, Shelf};

/// Since when each is waited for.
#[derive(Debug, Default)]
pub(super) struct Marks(HashMap<ServiceKey, HashMap<InstanceKey, Instant>>);

impl Marks {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The services that have some.
    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.0.keys()
    }

    /// Marks the entries of this service.
    pub(super) fn set(&self, key: &ServiceKey, entries: &mut [Entry]) {
        let Some(marked) = self.0.get(key) else { return };
        for entry in entries.iter_mut().filter(|entry| entry.hold.is_none()) {
            let since = marked.get(&entry.instance.key);
            entry.hold = since.map(|since| Box::new(Hold::new(*since, Why::SilentClient)));
        }
    }
}

impl Shelf {
    /// The registry waits for these of its instances itself, and no more for those; which
    /// services changed.
    pub(in crate::catalog) fn mark(
        &mut self,
        held: Vec<InstanceKey>,
        freed: &HashSet<InstanceKey>,
        now: Instant,
    ) -> BTreeSet<ServiceKey> {
        let mut touched = BTreeSet::new();
        for key in freed {
            if let Some(marked) = self.marks.0.get_mut(&key.service) {
                marked.remove(key);
                if marked.is_empty() {
                    self.marks.0.remove(&key.service);
                }
                touched.insert(key.service.clone());
            }
        }
        for key in held {
            touched.insert(key.service.clone());
            self.marks.0.entry(key.service.clone()).or_default().insert(key, now);
        }
        for key in &touched {
            if let Some(service) = self.services.get_mut(key) {
                let was = |entry: &&mut Entry| freed.contains(&entry.instance.key);
                service.entries.iter_mut().filter(was).for_each(|entry| entry.hold = None);
                self.marks.set(key, &mut service.entries);
            }
        }
        touched
    }
}
