//! What one source last said.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{Change, Instance, InstanceKey, ServiceKey, ServiceState};
use tokio::time::Instant;

use super::guard::{GuardPolicy, Hold, Missing, replace};

/// One instance of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The instance, shared with the rows of the view.
    pub instance: Arc<Instance>,
    /// When this source last changed it, in milliseconds since 1970.
    pub observed_at: i64,
    /// Set while its removal is being confirmed.
    pub hold: Option<Hold>,
}

/// One service of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceShelf {
    /// Whether the registry lists the service; held instances can outlive it.
    pub listed: bool,
    /// Its instances, sorted by key.
    pub entries: Vec<Entry>,
}

impl ServiceShelf {
    /// How many of its instances the registry lists.
    fn live(&self) -> usize {
        self.entries.iter().filter(|entry| entry.hold.is_none()).count()
    }
}

/// Until the registry has said what is usual for it.
const USUAL_SETTLE: Duration = Duration::from_secs(30);

/// What a source last said, service by service.
#[derive(Debug)]
pub(super) struct Shelf {
    policy: GuardPolicy,
    usual_settle: Duration,
    services: HashMap<ServiceKey, ServiceShelf>,
    held: BTreeSet<(Instant, ServiceKey)>,
    // Instances the registry lists and says itself that it waits for.
    marked: HashMap<ServiceKey, HashMap<InstanceKey, Instant>>,
    // Instances the registry lists.
    live: usize,
    loaded: bool,
    after_outage: bool,
    unguarded: bool,
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub(super) fn new(policy: GuardPolicy) -> Self {
        Self {
            policy,
            usual_settle: USUAL_SETTLE,
            services: HashMap::new(),
            held: BTreeSet::new(),
            marked: HashMap::new(),
            live: 0,
            loaded: false,
            after_outage: false,
            unguarded: false,
        }
    }

    /// Takes other constants for the rules from now on.
    pub(super) fn set_policy(&mut self, policy: GuardPolicy) {
        self.policy = policy;
    }

    /// Fills the shelf with what was known before a restart. The first full read is then one
    /// after an outage.
    pub(super) fn restore(&mut self, states: Vec<ServiceState>, wall_ms: i64) -> Vec<ServiceKey> {
        let now = Instant::now();
        let changed = self.reset(states, now, wall_ms);
        self.outage();
        changed
    }

    /// Sets how long this kind of registry usually takes until its clients are back.
    pub(super) fn set_usual_settle(&mut self, settle: Duration) {
        self.usual_settle = settle;
    }

    /// Whether anything was ever loaded or restored.
    #[must_use]
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// How many instances are held.
    #[must_use]
    pub(super) fn held_count(&self) -> usize {
        let services = self.held.iter().map(|(_, key)| key);
        let services = services.chain(self.marked.keys()).collect::<BTreeSet<_>>();
        let entries = services.into_iter().filter_map(|key| self.services.get(key));
        entries.flat_map(|s| &s.entries).filter(|entry| entry.hold.is_some()).count()
    }

    /// Whether any instance is held.
    #[must_use]
    pub(super) fn has_held(&self) -> bool {
        !self.held.is_empty() || !self.marked.is_empty()
    }

    /// The registry waits for these of its instances itself, and no more for those; which
    /// services changed.
    pub(super) fn mark(
        &mut self,
        held: Vec<InstanceKey>,
        freed: &HashSet<InstanceKey>,
        now: Instant,
    ) -> BTreeSet<ServiceKey> {
        let mut touched = BTreeSet::new();
        for key in freed {
            if let Some(marked) = self.marked.get_mut(&key.service) {
                marked.remove(key);
                if marked.is_empty() {
                    self.marked.remove(&key.service);
                }
                touched.insert(key.service.clone());
            }
        }
        for key in held {
            touched.insert(key.service.clone());
            self.marked.entry(key.service.clone()).or_default().insert(key, now);
        }
        for key in &touched {
            if let Some(service) = self.services.get_mut(key) {
                let was = |entry: &&mut Entry| freed.contains(&entry.instance.key);
                service.entries.iter_mut().filter(was).for_each(|entry| entry.hold = None);
                set_marks(&mut service.entries, self.marked.get(key));
            }
        }
        touched
    }

    /// One service.
    #[must_use]
    pub(super) fn service(&self, key: &ServiceKey) -> Option<&ServiceShelf> {
        self.services.get(key)
    }

    /// All its services.
    pub(super) fn services(&self) -> impl Iterator<Item = (&ServiceKey, &ServiceShelf)> {
        self.services.iter()
    }

    /// Notes that the registry stopped answering: nothing held leaves until it answers again,
    /// and what its first full read then lacks is waited for.
    pub(super) fn outage(&mut self) {
        self.after_outage = true;
        for (_, key) in std::mem::take(&mut self.held) {
            for entry in self.services.get_mut(&key).into_iter().flat_map(|s| &mut s.entries) {
                if let Some(hold) = &mut entry.hold {
                    hold.until = None;
                }
            }
        }
    }

    /// The next full read comes from another registry: it replaces everything at once.
    pub(super) fn expect_other_registry(&mut self) {
        self.unguarded = true;
    }

    /// Takes items of a watch that came together; which services changed.
    pub(super) fn apply(
        &mut self,
        changes: Vec<Change>,
        now: Instant,
        wall_ms: i64,
    ) -> BTreeSet<ServiceKey> {
        let missing = if self.would_empty(&changes) { self.hold(now) } else { Missing::Leave };
        let mut changed = BTreeSet::new();
        for change in changes {
            let (key, listed, instances, missing) = match change {
                Change::Unchanged => continue,
                Change::Reset(states) => {
                    changed.extend(self.reset(states, now, wall_ms));
                    continue;
                }
                Change::Put(ServiceState { key, instances }) => (key, true, instances, missing),
                Change::Gone(key) => (key, false, Vec::new(), missing),
                Change::Partial(ServiceState { key, instances }) => {
                    (key, true, instances, Missing::Stay)
                }
            };
            if self.put(&key, listed, instances, missing, wall_ms) {
                changed.insert(key);
            }
        }
        changed
    }

    /// Whether these changes leave the source without any instance it lists. A full read is
    /// judged by itself.
    fn would_empty(&self, changes: &[Change]) -> bool {
        let mut after: HashMap<&ServiceKey, usize> = HashMap::new();
        for change in changes {
            match change {
                Change::Unchanged => {}
                Change::Reset(_) => return false,
                Change::Put(state) => {
                    after.insert(&state.key, state.instances.len());
                }
                Change::Gone(key) => {
                    after.insert(key, 0);
                }
                Change::Partial(state) => {
                    after.insert(&state.key, usize::MAX);
                }
            }
        }
        let before: usize =
            after.keys().filter_map(|key| self.services.get(*key)).map(ServiceShelf::live).sum();
        before > 0 && self.live == before && after.values().all(|count| *count == 0)
    }

    fn hold(&self, now: Instant) -> Missing {
        let settle = self.policy.settle.unwrap_or(self.usual_settle);
        if settle.is_zero() { Missing::LeaveAll } else { Missing::Hold(now, settle) }
    }

    /// Lets every held instance leave whose time has come. Called with a good read only: what is
    /// silent confirms nothing. Which services changed.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<ServiceKey> {
        let mut changed = Vec::new();
        while let Some((until, _)) = self.held.first() {
            if *until > now {
                break;
            }
            let Some((_, key)) = self.held.pop_first() else {
                break;
            };
            let Some(service) = self.services.get_mut(&key) else {
                continue;
            };
            let due = |hold: &Hold| hold.until.is_some_and(|until| until <= now);
            service.entries.retain(|entry| !entry.hold.as_ref().is_some_and(due));
            if service.entries.is_empty() && !service.listed {
                self.services.remove(&key);
            }
            changed.push(key);
        }
        changed
    }

    fn reset(&mut self, states: Vec<ServiceState>, now: Instant, wall_ms: i64) -> Vec<ServiceKey> {
        let empties = self.live > 0 && states.iter().all(|state| state.instances.is_empty());
        let missing = if self.unguarded {
            Missing::LeaveAll
        } else if self.after_outage || empties {
            self.hold(now)
        } else {
            Missing::Leave
        };
        let mut absent: BTreeSet<ServiceKey> = self.services.keys().cloned().collect();
        let mut changed = Vec::new();
        for ServiceState { key, instances } in states {
            absent.remove(&key);
            if self.put(&key, true, instances, missing, wall_ms) {
                changed.push(key);
            }
        }
        for key in absent {
            if self.put(&key, false, Vec::new(), missing, wall_ms) {
                changed.push(key);
            }
        }
        (self.loaded, self.after_outage, self.unguarded) = (true, false, false);
        changed
    }

    fn put(
        &mut self,
        key: &ServiceKey,
        listed: bool,
        instances: Vec<Arc<Instance>>,
        missing: Missing,
        wall_ms: i64,
    ) -> bool {
        let before = self.services.remove(key);
        let marked = self.marked.get(key);
        let old = before.as_ref().map_or(&[][..], |service| &service.entries);
        let bare = marked.map(|marked| without_marks(old, marked));
        let old = bare.as_deref().unwrap_or(old);
        for until in old.iter().filter_map(|entry| entry.hold?.until) {
            self.held.remove(&(until, key.clone()));
        }
        let mut entries = replace(old, instances, missing, wall_ms);
        set_marks(&mut entries, marked);
        for until in entries.iter().filter_map(|entry| entry.hold?.until) {
            self.held.insert((until, key.clone()));
        }
        let after = (listed || !entries.is_empty()).then_some(ServiceShelf { listed, entries });
        self.live -= before.as_ref().map_or(0, ServiceShelf::live);
        self.live += after.as_ref().map_or(0, ServiceShelf::live);
        let changed = before != after;
        if let Some(after) = after {
            self.services.insert(key.clone(), after);
        }
        changed
    }
}

/// What the guard alone holds: it is the registry that says when a marked one leaves.
fn without_marks(entries: &[Entry], marked: &HashMap<InstanceKey, Instant>) -> Vec<Entry> {
    let mut bare = entries.to_vec();
    let marked = bare.iter_mut().filter(|entry| marked.contains_key(&entry.instance.key));
    marked.for_each(|entry| entry.hold = None);
    bare
}

fn set_marks(entries: &mut [Entry], marked: Option<&HashMap<InstanceKey, Instant>>) {
    let Some(marked) = marked else { return };
    for entry in entries.iter_mut().filter(|entry| entry.hold.is_none()) {
        let since = marked.get(&entry.instance.key);
        entry.hold = since.map(|since| Hold { since: *since, until: None });
    }
}
