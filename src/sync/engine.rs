//! Makes the working routes equal to the rules of the configurations.

mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{ConfigId, InstanceKey, TenantId};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::ends::{Configs, Ends, RuleFigures};
use super::ledger::{Copied, Ledger};
use super::migration::Book;
use super::report::{Report, RouteReport};
use super::route::{Mode, Route, RouteKey, RuleOf, routes};
use super::worker::{House, Hurry, Worker, keep};
use crate::catalog::{Catalog, SourceId};
use crate::clock::Clock;
use crate::error::Result;
use crate::model::external::Orphan;
use crate::storage::LedgerStore;
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

pub use plan::Planned;

/// Copies that lost something and are named.
const NAMED: usize = 100;
/// How often the rules are looked at. They are in memory.
const LOOK: Duration = Duration::from_secs(1);
/// How long a stopped route may take to end a write.
const STOP: Duration = Duration::from_secs(20);
/// How long whoever wants everything compared now waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Working {
    route: Arc<Route>,
    report: Arc<Report>,
    hurry: Arc<Hurry>,
    tasks: TaskGroup,
}

/// How a route stands.
#[derive(Clone, Debug)]
pub struct RouteStatus {
    /// Which.
    pub route: Arc<Route>,
    /// Its figures.
    pub report: RouteReport,
    /// What of its copies found no room, the first hundred.
    pub lost: BTreeMap<InstanceKey, Vec<String>>,
}

/// What it works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What the registries say.
    pub catalog: Catalog,
    /// What was copied.
    pub ledger: Arc<dyn LedgerStore>,
    /// The migrations.
    pub book: Arc<Book>,
    /// The registries.
    pub ends: Arc<dyn Ends>,
    /// Wall time.
    pub clock: Clock,
    /// Metrics.
    pub metrics: Metrics,
}

/// Runs the routes.
#[derive(Debug)]
pub struct Engine {
    house: House,
    clock: Clock,
    metrics: Metrics,
    tasks: TaskGroup,
    enabled: bool,
    book: Arc<Book>,
    refreshing: tokio::sync::Mutex<()>,
    working: Mutex<BTreeMap<RouteKey, Working>>,
    problems: Mutex<Vec<(ConfigId, String)>>,
}

impl Engine {
    /// Reads what was copied, and begins to work when `enabled`.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn start(enabled: bool, parts: Parts, tasks: &TaskGroup) -> Result<Arc<Self>> {
        let Parts { catalog, ledger, book, ends, clock, metrics } = parts;
        let ledger = Arc::new(Ledger::load(ledger).await?);
        let house = House { catalog, ledger, ends };
        let engine = Arc::new(Self {
            house,
            clock,
            metrics,
            tasks: tasks.clone(),
            enabled,
            book,
            refreshing: tokio::sync::Mutex::default(),
            working: Mutex::default(),
            problems: Mutex::default(),
        });
        if enabled {
            let engine = Arc::clone(&engine);
            engine.tasks.clone().spawn_until_stopped(async move { engine.run().await });
        }
        Ok(engine)
    }

    async fn run(&self) {
        loop {
            self.refresh().await;
            self.tell();
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Says of each rule how it fares.
    fn tell(&self) {
        let mut all: BTreeMap<(TenantId, ConfigId), RuleFigures> = BTreeMap::new();
        for one in self.working.lock().values() {
            let figures = one.report.figures();
            for part in &one.route.parts {
                let RuleOf::Config(rule_of) = &part.rule_of else { continue };
                let rule = all.entry((one.route.tenant.clone(), rule_of.clone())).or_default();
                rule.pending += figures.pending;
                rule.failing |= figures.error.is_some();
                rule.written += figures.written;
                rule.failed += figures.failed;
                rule.wrote_at = rule.wrote_at.max(figures.wrote_at);
            }
        }
        for ((tenant, id), figures) in all {
            self.house.ends.tell(&tenant, &id, figures);
        }
    }

    /// Starts and ends routes as the rules say.
    async fn refresh(&self) {
        let _one_at_a_time = self.refreshing.lock().await;
        self.refresh_now().await;
    }

    async fn refresh_now(&self) {
        let configs = self.house.ends.configs().await;
        let (mut wanted, problems) = routes(&configs.running, self.book.routes(&configs));
        for (id, problem) in &problems {
            if !self.problems.lock().contains(&(id.clone(), problem.clone())) {
                tracing::warn!(source.id = %id, problem, "a rule of copying does nothing");
            }
        }
        for key in self.house.ledger.ways() {
            let Some(mut rest) = rest(&configs, &problems, &key) else { continue };
            let (tenant, from, to) = &key;
            if self.book.is_in_doubt(tenant, &configs) {
                rest = Mode::Frozen;
            }
            let end = |id: &SourceId| configs.end_anyway(tenant, id);
            let bare = || Route::bare(tenant.clone(), end(from), end(to), rest);
            wanted.entry(key.clone()).or_insert_with(bare).rest = rest;
        }
        *self.problems.lock() = problems;
        self.apply(wanted).await;
        let routes: Vec<_> =
            self.working.lock().values().map(|one| Arc::clone(&one.route)).collect();
        for route in routes {
            keep(&self.house.ledger, &route).await;
        }
    }

    /// Writes down what becomes in the end of the copies on these routes whose part is in this
    /// mode, and has `then` change the rules before anything else is copied.
    ///
    /// # Errors
    /// What `then` says; when the ledger cannot be written.
    pub(super) async fn release(
        &self,
        routes: &[Route],
        mode: Mode,
        orphan: Orphan,
        then: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        let stopped: Vec<_> = {
            let mut working = self.working.lock();
            routes.iter().filter_map(|route| working.remove(&route.key())).collect()
        };
        stopped.iter().for_each(|working| working.tasks.cancel());
        for working in stopped {
            working.tasks.stop(STOP).await;
        }
        for route in routes {
            let concerned = |copied: &Copied| {
                route.part(&copied.original).is_some_and(|part| part.mode == mode)
            };
            let own = self.house.ledger.select(&route.key(), usize::MAX, concerned);
            let puts = own.into_iter().map(|(key, copied)| (key, Copied { orphan, ..copied }));
            let puts = puts.collect();
            self.house.ledger.save(&route.tenant, &route.to.id, puts, &[]).await?;
        }
        let outcome = then.await;
        if self.enabled {
            self.refresh_now().await;
        }
        outcome
    }

    /// How many copies there are of what the rules of these routes are about.
    pub(super) fn owned(&self, routes: &[Route]) -> usize {
        let own = |route: &Route| {
            let such = |copied: &Copied| route.part(&copied.original).is_some();
            self.house.ledger.count_such(&route.key(), such)
        };
        routes.iter().map(own).sum()
    }

    async fn apply(&self, wanted: BTreeMap<RouteKey, Route>) {
        let stale: Vec<_> = {
            let mut working = self.working.lock();
            let is_stale = |key: &RouteKey, working: &Working| {
                wanted.get(key).is_none_or(|route| *route != *working.route)
            };
            let keys: Vec<_> = working
                .iter()
                .filter(|(key, working)| is_stale(key, working))
                .map(|(key, _)| key.clone())
                .collect();
            keys.iter().filter_map(|key| working.remove(key)).collect()
        };
        // All at once: whoever waits for this may stop to.
        stale.iter().for_each(|working| working.tasks.cancel());
        for working in stale {
            working.tasks.stop(STOP).await;
            let Route { from, to, .. } = &*working.route;
            self.metrics.sync.forget(&from.name, &to.name);
        }
        for (key, route) in wanted {
            if self.working.lock().contains_key(&key) {
                continue;
            }
            let route = Arc::new(route);
            tracing::info!(tenant.id = %route.tenant, from = route.from.name, to = route.to.name,
                mode = ?route.mode(), "copying");
            let report = Report::new(Arc::clone(&route), self.clock.clone(), self.metrics.clone());
            let (report, hurry, tasks) =
                (Arc::new(report), Arc::new(Hurry::default()), self.tasks.child());
            let worker = Worker::new(
                self.house.clone(),
                Arc::clone(&route),
                Arc::clone(&report),
                Arc::clone(&hurry),
            );
            tasks.spawn_until_stopped(worker.run());
            self.working.lock().insert(key, Working { route, report, hurry, tasks });
        }
    }

    /// The routes of a configuration's rule, and those that lead to it or from it.
    #[must_use]
    pub fn status(&self, tenant: &TenantId, id: &ConfigId) -> (Vec<RouteStatus>, Vec<String>) {
        let working = self.working.lock();
        let routes = working.values().filter(|one| concerns(&one.route, tenant, id));
        let routes = routes.map(|one| RouteStatus {
            route: Arc::clone(&one.route),
            report: one.report.figures(),
            lost: self.lost(&one.route),
        });
        let problems = self.problems.lock();
        let own = problems.iter().filter(|(of, _)| of == id).map(|(_, problem)| problem.clone());
        (routes.collect(), own.collect())
    }

    fn lost(&self, route: &Route) -> BTreeMap<InstanceKey, Vec<String>> {
        let lossy = self.house.ledger.select(&route.key(), NAMED, |copied| !copied.lost.is_empty());
        lossy.into_iter().map(|(key, copied)| (key, copied.lost)).collect()
    }

    /// Whether anything is copied at all.
    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// How these routes fare, those on which anything is copied.
    pub(super) fn figures(&self, routes: &[Route]) -> Vec<RouteReport> {
        let working = self.working.lock();
        let found = routes.iter().filter_map(|route| working.get(&route.key()));
        found.map(|one| one.report.figures()).collect()
    }

    /// Has the rules looked at now.
    pub(super) async fn rules_changed(&self) {
        if self.enabled {
            self.refresh().await;
        }
    }

    /// Has everything compared now, and waits for what that asks for, at most half a minute. What
    /// was to be done.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub async fn compare_now(&self, tenant: &TenantId, id: &ConfigId) -> Result<Vec<Planned>> {
        let planned = self.plan(tenant, id).await?;
        let asked: Vec<_> = {
            let working = self.working.lock();
            let own = working.values().filter(|one| concerns(&one.route, tenant, id));
            own.map(|one| one.hurry.ask()).collect()
        };
        let end = Instant::now() + PATIENCE;
        for told in asked {
            // Whoever cannot wait for all of it still learns what was to be done.
            drop(tokio::time::timeout_at(end, told).await);
        }
        Ok(planned)
    }
}

fn concerns(route: &Route, tenant: &TenantId, id: &ConfigId) -> bool {
    let own = SourceId::External(id.clone());
    route.tenant == *tenant
        && (route.from.id == own || route.to.id == own || has_rule_of(route, id))
}

fn has_rule_of(route: &Route, id: &ConfigId) -> bool {
    route.parts.iter().any(|part| part.rule_of == RuleOf::Config(id.clone()))
}

/// What becomes of copies that no rule is about; `None`: nothing can be done, their registry is not
/// connected.
fn rest(configs: &Configs, problems: &[(ConfigId, String)], key: &RouteKey) -> Option<Mode> {
    let (tenant, from, to) = key;
    let runs = |id: &SourceId| configs.end(tenant, id).is_some();
    if !runs(to) {
        return None;
    }
    let is_there = |id: &SourceId| match id {
        SourceId::Native => true,
        SourceId::External(id) => configs.rows.contains(&(tenant.clone(), id.clone())),
    };
    let in_doubt = |id: &SourceId| match id {
        SourceId::Native => false,
        SourceId::External(id) => problems.iter().any(|(of, _)| of == id),
    };
    // A rule ends when somebody takes it away, or its source: not when one of both is switched off,
    // misspelt or called otherwise.
    let taken_away = runs(from) && !in_doubt(from) && !in_doubt(to);
    Some(if !is_there(from) || taken_away { Mode::Ended } else { Mode::Frozen })
}
