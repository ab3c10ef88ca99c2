//! What one source last said.
//!
//! | file | what |
//! |---|---|
//! | `told` | what came together, each service once |
//! | `merge` | one service before and after |
//! | `holds` | the removals that are being confirmed |
//! | `marks` | instances whose registry waits for them itself |

mod holds;
mod marks;
mod merge;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{Change, Instance, InstanceKey, ServiceKey, ServiceState};
use tokio::time::Instant;

use super::guard::{Batch, Fate, Guard, GuardPolicy, Hold, Loss, Why};
pub(super) use holds::Held;
use marks::Marks;
use merge::Merged;
use told::{Said, Told};

/// One instance of a source.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The instance, shared with the rows of the view.
    pub instance: Arc<Instance>,
    /// When this source last changed it, in milliseconds since 1970.
    pub observed_at: i64,
    /// Set while its removal is being confirmed.
    pub hold: Option<Box<Hold>>,
}

impl Entry {
    /// Whether its registry no longer lists it.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.why != Why::SilentClient)
    }
}

/// One service of a source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceShelf {
    /// Whether the registry lists the service; held instances can outlive it.
    pub listed: bool,
    /// Its instances, sorted by key.
    pub entries: Vec<Entry>,
}

/// Until the registry has said what is usual for it.
const USUAL_SETTLE: Duration = Duration::from_secs(30);

/// What came of something the source said.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The services that changed.
    pub changed: BTreeSet<ServiceKey>,
    /// The removals that began to be held.
    pub began: Option<Began>,
    /// How many held ones are listed again.
    pub returned: usize,
    /// How many held ones left.
    pub left: usize,
}

/// Removals that began to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Began {
    /// Why; of several reasons the first.
    pub why: Why,
    /// Which.
    pub instances: Vec<InstanceKey>,
    /// How many instances were lost within the last minute,
    pub lost: u64,
    /// of how many.
    pub of: u64,
}

/// What a source last said, service by service.
#[derive(Debug)]
pub(super) struct Shelf {
    policy: GuardPolicy,
    usual_settle: Duration,
    guard: Guard,
    services: HashMap<ServiceKey, ServiceShelf>,
    // How many instances of a service are shown that the registry no longer lists; never 0.
    held: BTreeMap<ServiceKey, usize>,
    held_total: usize,
    held_revision: i64,
    swept: Instant,
    marks: Marks,
    // Instances the registry lists.
    live: usize,
    loaded: bool,
}

/// One service whose missing instances were not decided about yet.
struct Draft {
    key: ServiceKey,
    listed: bool,
    // Whether all its instances were told.
    whole: bool,
    // As it was: whether it was listed, and how many of its instances were.
    before: Option<(bool, usize)>,
    merged: Merged,
}

impl Draft {
    fn loss(&self) -> Loss<'_> {
        let Merged { missing, added, .. } = &self.merged;
        let before = self.before.map_or(0, |(_, listed)| listed);
        let (missing, added) = (missing.len(), *added);
        Loss { key: &self.key, before, after: self.merged.listed(), missing, added }
    }
}

impl Shelf {
    /// An empty shelf.
    #[must_use]
    pub(super) fn new(policy: GuardPolicy) -> Self {
        let now = Instant::now();
        Self {
            policy,
            usual_settle: USUAL_SETTLE,
            guard: Guard::new(now),
            services: HashMap::new(),
            held: BTreeMap::new(),
            held_total: 0,
            held_revision: 0,
            swept: now,
            marks: Marks::default(),
            live: 0,
            loaded: false,
        }
    }

    /// Takes other constants for the rules from now on; what is held goes by them too.
    pub(super) fn set_policy(&mut self, policy: GuardPolicy) {
        self.policy = policy;
    }

    /// Sets how long this kind of registry usually takes until its clients are back.
    pub(super) fn set_usual_settle(&mut self, settle: Duration) {
        self.usual_settle = settle;
    }

    /// Fills the shelf with what was known before a restart. The first full read is then one
    /// after an outage.
    pub(super) fn restore(&mut self, states: Vec<ServiceState>, wall_ms: i64) -> Vec<ServiceKey> {
        let restored = self.apply(vec![Change::Reset(states)], Instant::now(), wall_ms);
        self.outage();
        restored.changed.into_iter().collect()
    }

    /// Whether anything was ever loaded or restored.
    #[must_use]
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// How many services there are.
    #[must_use]
    pub(super) fn service_count(&self) -> usize {
        self.services.len()
    }

    /// How many instances the registry lists, or listed last.
    #[must_use]
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// How many instances there are, held ones included.
    #[must_use]
    pub(super) fn instance_count(&self) -> usize {
        self.live + self.held_total
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
        self.guard.outage();
    }

    /// The next full read comes from another registry: it replaces everything at once.
    pub(super) fn expect_other_registry(&mut self) {
        self.guard.expect_other_registry();
    }

    /// Takes items of a watch that came together, and judges them together.
    pub(super) fn apply(&mut self, items: Vec<Change>, now: Instant, wall_ms: i64) -> Outcome {
        let (mut told, mut outcome) = (Told::new(items), Outcome::default());
        let first_load = !self.loaded;
        if told.full {
            self.loaded = true;
            for key in self.services.keys() {
                told.services.entry(key.clone()).or_insert(Said::Gone);
            }
        }
        let (full, before) = (told.full, self.live);
        let mut drafts = Vec::with_capacity(told.services.len());
        for (key, said) in told.services {
            drafts.push(self.draft(key, said, wall_ms, &mut outcome));
        }
        let fates = match &self.policy {
            GuardPolicy::Off => vec![Fate::Leave; drafts.len()],
            GuardPolicy::On(rules) => {
                let services = drafts.iter().map(Draft::loss).collect();
                let batch = Batch { full, before, after: self.live, services };
                self.guard.judge(rules, &batch, first_load, now)
            }
        };
        for (draft, fate) in drafts.into_iter().zip(fates) {
            self.settle(draft, fate, now, &mut outcome);
        }
        if let Some(began) = &mut outcome.began {
            (began.lost, began.of) = self.guard.lost(self.live);
        }
        self.sweep(now, &mut outcome);
        outcome
    }

    /// Takes a service off the shelf and puts on top of it what was said.
    fn draft(&mut self, key: ServiceKey, said: Said, wall_ms: i64, outcome: &mut Outcome) -> Draft {
        let (listed, whole, instances) = match said {
            Said::All(instances) => (true, true, instances),
            Said::Some(instances) => (true, false, instances),
            Said::Gone => (false, true, Vec::new()),
        };
        let before = self.services.remove(&key);
        let entries = before.as_ref().map_or(&[][..], |service| &service.entries);
        let merged = Merged::new(entries, instances, !whole, wall_ms);
        let was = entries.len() - self.held.get(&key).copied().unwrap_or_default();
        self.live = self.live + merged.listed() - was;
        outcome.returned += merged.returned.len();
        for hold in &merged.returned {
            self.guard.returned(hold, &key);
        }
        let before = before.map(|service| (service.listed, was));
        Draft { key, listed, whole, before, merged }
    }

    /// Decides about what is missing and puts the service back.
    fn settle(&mut self, draft: Draft, fate: Fate, now: Instant, outcome: &mut Outcome) {
        let Draft { key, listed, whole, before, mut merged } = draft;
        // What shows a part takes nobody's place.
        let fate = if whole { fate } else { Fate::Leave };
        let (began, left) = merged.decide(fate, now);
        outcome.left += left;
        if let (false, Some(why)) = (began.is_empty(), fate.why()) {
            let none = || Began { why, instances: Vec::new(), lost: 0, of: 0 };
            outcome.began.get_or_insert_with(none).instances.extend(began);
        }
        self.note_held(&key, merged.held);
        let stays = listed || !merged.entries.is_empty();
        let same = before.is_some_and(|(was_listed, _)| was_listed == listed) && !merged.changed;
        if !(same || before.is_none() && !stays) {
            outcome.changed.insert(key.clone());
        }
        if stays {
            self.marks.set(&key, &mut merged.entries);
            self.services.insert(key, ServiceShelf { listed, entries: merged.entries });
        }
    }
}
