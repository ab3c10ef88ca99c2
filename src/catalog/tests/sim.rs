//! A registry of instances and a source that follows it, on a paused clock: changes are told at
//! once, looks are made when the catalog wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_registry_core::{Change, InstanceKey, Presence};
use tokio::time::Instant;

use super::*;

/// What readers see, and whether it is held.
pub(super) type Seen = BTreeMap<(String, u16), bool>;

pub(super) struct Sim {
    pub(super) world: World,
    /// What the registry answers to looks.
    pub(super) truth: BTreeMap<String, BTreeSet<u16>>,
    /// Looks are answered.
    pub(super) answers: bool,
    start: Instant,
    due: Option<Instant>,
    held_revision: i64,
    seen: Seen,
    /// When each row left, in milliseconds after the start.
    pub(super) left: BTreeMap<(String, u16), u64>,
}

impl Sim {
    /// A registry that holds this, read once.
    pub(super) fn new(services: &[(&str, std::ops::Range<u16>)]) -> Self {
        Self::with_rules(GuardRules { settle: Some(SETTLE), ..GuardRules::default() }, services)
    }

    pub(super) fn with_rules(rules: GuardRules, services: &[(&str, std::ops::Range<u16>)]) -> Self {
        let world = World::new();
        let info = source("a", Conflict::PrimaryWins, 100);
        world.catalog.open(&tenant(), info, GuardPolicy::On(rules));
        let truth =
            services.iter().map(|(name, ports)| ((*name).to_owned(), ports.clone().collect()));
        let mut sim = Self {
            world,
            truth: truth.collect(),
            answers: true,
            start: Instant::now(),
            due: None,
            held_revision: 0,
            seen: Seen::new(),
            left: BTreeMap::new(),
        };
        sim.reset();
        sim
    }

    /// Changes what the registry knows of a service, without telling.
    pub(super) fn set(&mut self, service: &str, ports: impl IntoIterator<Item = u16>) {
        self.truth.insert(service.to_owned(), ports.into_iter().collect());
    }

    /// The change that tells of one service as it is.
    pub(super) fn told(&self, service: &str) -> Change {
        match self.truth.get(service) {
            Some(ports) => {
                let ports: Vec<u16> = ports.iter().copied().collect();
                Change::Put(state(service, &ports))
            }
            None => Change::Gone(key(service)),
        }
    }

    /// Changes a service and tells of it.
    pub(super) fn put(&mut self, service: &str, ports: impl IntoIterator<Item = u16>) {
        self.set(service, ports);
        self.apply(vec![self.told(service)]);
    }

    /// A full read.
    pub(super) fn reset(&mut self) {
        let states = self.truth.iter().map(|(name, ports)| {
            let ports: Vec<u16> = ports.iter().copied().collect();
            state(name, &ports)
        });
        self.apply(vec![Change::Reset(states.collect())]);
    }

    pub(super) fn apply(&mut self, changes: Vec<Change>) {
        self.world.catalog.apply(&tenant(), &self.world.id, changes);
        self.plan();
        self.observe();
    }

    pub(super) fn fail(&mut self) {
        self.world.fail();
        self.due = None;
        self.observe();
    }

    fn plan(&mut self) {
        let catalog = &self.world.catalog;
        let revision = catalog.held_revision(&tenant(), &self.world.id);
        if self.due.is_none() || revision != self.held_revision {
            self.held_revision = revision;
            let next = catalog.next_look(&tenant(), &self.world.id, Instant::now());
            self.due = [self.due, next].into_iter().flatten().min();
        }
    }

    fn look(&mut self) {
        let (catalog, asked) = (&self.world.catalog, Instant::now());
        let presence = |key: &InstanceKey| {
            let ports = self.truth.get(key.service.name.as_str());
            match ports.is_some_and(|ports| ports.contains(&key.port)) {
                _ if !self.answers => Presence::Unknown,
                true => Presence::Listed,
                false => Presence::Absent,
            }
        };
        let missing = catalog.missing(&tenant(), &self.world.id);
        let found = missing.iter().map(|one| (one.key.clone(), presence(&one.key))).collect();
        catalog.confirm(&tenant(), &self.world.id, found, asked);
        self.due = None;
        self.plan();
        self.observe();
    }

    /// Lets time go by until this moment, or the next look: whether one was made.
    pub(super) async fn step(&mut self, end: Instant) -> bool {
        let due = self.due.filter(|due| *due <= end);
        let next = due.unwrap_or(end);
        tokio::time::advance(next.saturating_duration_since(Instant::now())).await;
        if due.is_some() {
            self.look();
        }
        due.is_some()
    }

    /// Lets this much time go by.
    pub(super) async fn run(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while self.step(end).await {}
    }

    /// How much time went by since the start, in tenths of a second.
    pub(super) fn tenths(&self) -> u64 {
        self.start.elapsed().as_millis() as u64 / 100
    }

    pub(super) async fn run_secs(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds)).await;
    }

    fn observe(&mut self) {
        let now = self.rows();
        let gone = self.seen.keys().filter(|row| !now.contains_key(*row)).cloned();
        let at = self.start.elapsed().as_millis() as u64;
        self.left.extend(gone.map(|row| (row, at)));
        self.seen = now;
    }

    /// What readers see.
    pub(super) fn rows(&self) -> Seen {
        let snapshot = self.world.catalog.view().snapshot(&tenant());
        let rows = snapshot.sorted().into_iter().flat_map(|view| view.rows.clone());
        rows.map(|row| ((row.key().service.name.to_string(), row.key().port), row.held)).collect()
    }

    /// How many rows of a service are shown, and how many of them are held.
    pub(super) fn count(&self, service: &str) -> (usize, usize) {
        let rows = self.rows();
        let of: Vec<_> = rows.iter().filter(|((name, _), _)| name == service).collect();
        (of.len(), of.iter().filter(|(_, held)| **held).count())
    }

    /// When the rows of a service left: the first and the last, in seconds after `from`.
    pub(super) fn left(&self, service: &str, from: u64) -> Option<(f64, f64)> {
        let times = self.left.iter().filter(|((name, _), _)| name == service).map(|(_, at)| at);
        let seconds = |at: u64| at as f64 / 1000.0 - from as f64;
        Some((seconds(*times.clone().min()?), seconds(*times.max()?)))
    }

    pub(super) fn state(&self) -> SourceState {
        self.world.state()
    }
}
