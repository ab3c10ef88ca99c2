//! Steps of migrations, taken and taken back.

pub(super) mod report;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{GroupName, ServiceKey, ServiceName, TenantId};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Instant;

use super::book::{Book, Migration};
use super::gate::{Gate, gates};
use super::parity::Totals;
use super::plan;
use super::watch::Watch;
use crate::catalog::{Catalog, Migrated, SourceId};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::external::{ExternalConfig, Orphan};
use crate::model::migration::{MigrationId, MigrationPlan, MigrationState};
use crate::storage::ParityRow;
use crate::sync::ends::{Configs, Ends};
use crate::sync::engine::{Engine, Parts, Planned};
use crate::sync::route::Mode;
use crate::task::{TaskGroup, Unended};
use crate::telemetry::metrics::Metrics;

/// How often source and target are compared.
const LOOK: Duration = Duration::from_secs(5);
/// How often what was found is kept,
const SAMPLE: Duration = Duration::from_secs(30);
/// and for how long.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Migrations a tenant may have.
const MOST: usize = 100;

/// What a step is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The one service it is about, and its group at the source where that is said; nothing: all.
    pub service: Option<(ServiceName, Option<GroupName>)>,
    /// Conditions are overruled.
    pub force: bool,
    /// Whose doing it is.
    pub who: String,
}

/// Which way a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the next state.
    Advance,
    /// To the one before.
    Rollback,
}

/// See the module.
#[derive(Debug)]
pub struct Bridge {
    book: Arc<Book>,
    engine: Arc<Engine>,
    ends: Arc<dyn Ends>,
    catalog: Catalog,
    clock: Clock,
    metrics: Metrics,
    tasks: TaskGroup,
    /// Steps are taken one at a time.
    steps: tokio::sync::Mutex<()>,
    watches: Mutex<HashMap<MigrationId, Watch>>,
}

impl Bridge {
    /// Takes up where the last run ended.
    pub async fn start(engine: Arc<Engine>, parts: Parts, tasks: &TaskGroup) -> Arc<Self> {
        let Parts { book, ends, catalog, clock, metrics, .. } = parts;
        let (steps, watches) = (tokio::sync::Mutex::default(), Mutex::default());
        let own = tasks.clone();
        let bridge =
            Self { book, engine, ends, catalog, clock, metrics, tasks: own, steps, watches };
        let bridge = Arc::new(bridge);
        let configs = bridge.ends.configs().await;
        bridge.book.all().iter().for_each(|migration| bridge.lead(migration, &configs, None));
        let running = Arc::clone(&bridge);
        tasks.spawn_until_stopped(async move { running.run().await });
        bridge
    }

    async fn run(&self) {
        loop {
            let configs = self.ends.configs().await;
            for known in self.book.all() {
                // What was read before a step must not be told after it.
                let one_at_a_time = self.steps.lock().await;
                let Ok(migration) = self.book.get(&known.tenant, &known.id) else { continue };
                self.lead(&migration, &configs, None);
                drop(one_at_a_time);
                self.look(&migration, &configs).await;
                if self.book.get(&known.tenant, &known.id).is_err() {
                    self.forget(&migration);
                }
            }
            self.count();
            tokio::time::sleep(LOOK).await;
        }
    }

    fn forget(&self, migration: &Migration) {
        self.watches.lock().remove(&migration.id);
        self.metrics.migrations.forget(&migration.plan.name);
    }

    /// Does it to its end, whether or not whoever asked for it still waits: half of it would be on
    /// disk and not in effect.
    async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.tasks.to_its_end(work).await.unwrap_or_else(|unended| {
            Err(match unended {
                Unended::Stopping => Error::unavailable("the server is stopping"),
                Unended::Panicked => {
                    tracing::error!("a step of a migration panicked");
                    Error::unavailable("the step could not be taken")
                }
            })
        })
    }

    fn count(&self) {
        let all = self.book.all();
        for state in MigrationState::ALL {
            let count = all.iter().filter(|migration| migration.state == *state).count();
            self.metrics.migrations.set(*state, count);
        }
    }

    /// Tells the view whose word counts first.
    fn lead(&self, migration: &Migration, configs: &Configs, step: Option<Migrated>) {
        let lead = plan::lead(migration, configs);
        self.catalog.set_lead(&migration.tenant, &migration.id, lead, step);
    }

    /// Compares source and target, and keeps what was found.
    async fn look(&self, migration: &Migration, configs: &Configs) {
        if !migration.any(MigrationState::copies_forth) {
            return;
        }
        let (_, totals) = self.compare(migration, configs);
        let now = Instant::now();
        let is_due = {
            let mut watches = self.watches.lock();
            let watch = watches.entry(migration.id.clone()).or_default();
            let is_due = watch.sampled.is_none_or(|at| now >= at + SAMPLE);
            if is_due {
                watch.sampled = Some(now);
            }
            is_due
        };
        self.metrics.migrations.parity(&migration.plan.name, totals.percent());
        if is_due {
            self.sample(migration, totals).await;
        }
    }

    async fn sample(&self, migration: &Migration, totals: Totals) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let now = self.clock.now_ms();
        let row = ParityRow {
            tenant_id: migration.tenant.to_string(),
            migration_id: migration.id.as_str().to_owned(),
            sample_millis: now,
            equal: count(totals.equal),
            missing: count(totals.missing),
            extra: count(totals.extra),
            different: count(totals.different),
        };
        let oldest = now - i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        if let Err(error) = self.book.add_parity(&row, oldest).await {
            tracing::warn!(%error, migration = migration.plan.name,
                "how equal source and target are cannot be kept");
        }
    }

    /// Adds one. Nothing is written anywhere yet.
    ///
    /// # Errors
    /// A registry it names is not there; its name is taken; there are too many.
    pub async fn create(
        self: &Arc<Self>,
        tenant: &TenantId,
        plan: MigrationPlan,
        who: &str,
    ) -> Result<Arc<Migration>> {
        let (bridge, tenant, who) = (Arc::clone(self), tenant.clone(), who.to_owned());
        self.to_its_end(async move { bridge.create_now(tenant, plan, &who).await }).await
    }

    async fn create_now(
        &self,
        tenant: TenantId,
        plan: MigrationPlan,
        who: &str,
    ) -> Result<Arc<Migration>> {
        let _one_at_a_time = self.steps.lock().await;
        let all = self.book.of_tenant(&tenant);
        if all.iter().any(|other| other.plan.name == plan.name) {
            return Err(Error::conflict(format!("a migration is named {:?} already", plan.name)));
        }
        if all.len() >= MOST {
            return Err(Error::conflict(format!("there are {MOST} migrations already")));
        }
        let configs = self.ends.configs().await;
        let from = named(&configs, &tenant, "from", &plan.from)?;
        let to = named(&configs, &tenant, "to", &plan.to)?;
        let migration = Migration {
            tenant,
            id: MigrationId::random(),
            plan,
            from,
            to,
            state: MigrationState::Planned,
            paused: false,
            services: BTreeMap::new(),
            audit: Audit::new(self.clock.now(), who),
        };
        let migration = self.book.save(migration).await?;
        self.tell(None, Some(&migration), None, Vec::new(), &configs, who);
        Ok(migration)
    }

    /// What the next step would do to copies.
    ///
    /// # Errors
    /// There is no next step; a registry cannot be written to.
    pub async fn plan(&self, tenant: &TenantId, id: &MigrationId) -> Result<Vec<Planned>> {
        let before = self.book.get(tenant, id)?;
        let Some(next) = before.state.next() else {
            return Err(Error::conflict("the migration is DONE: there is no next step"));
        };
        let after = moved(&before, None, next);
        let configs = self.ends.configs().await;
        plan::ends(&before, &configs).map_err(Error::conflict)?;
        self.engine.plan_routes(&plan::step(&before, &after, &configs)).await
    }

    /// Takes a step.
    ///
    /// # Errors
    /// There is no such step; its conditions are not met (`details.reasons`), and not overruled.
    pub async fn step(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: &MigrationId,
        step: Step,
        asked: Asked,
    ) -> Result<(Arc<Migration>, MigrationState)> {
        let (bridge, tenant, id) = (Arc::clone(self), tenant.clone(), id.clone());
        self.to_its_end(async move { bridge.step_now(&tenant, &id, step, asked).await }).await
    }

    async fn step_now(
        &self,
        tenant: &TenantId,
        id: &MigrationId,
        step: Step,
        asked: Asked,
    ) -> Result<(Arc<Migration>, MigrationState)> {
        let _one_at_a_time = self.steps.lock().await;
        let before = self.book.get(tenant, id)?;
        let configs = self.ends.configs().await;
        let service = match &asked.service {
            Some((name, group)) => Some(self.service(&before, &configs, name, group.as_ref())?),
            None => None,
        };
        let one = service.as_ref();
        let state = one.map_or(before.state, |one| before.state_of(one));
        let next = match step {
            Step::Advance => state.next(),
            Step::Rollback => state.previous(),
        };
        let Some(next) = next else {
            let way = if step == Step::Advance { "next" } else { "previous" };
            return Err(Error::conflict(format!("it is {state}: there is no {way} step")));
        };
        let mut forced = Vec::new();
        if step == Step::Advance {
            let (parity, totals) = self.compare(&before, &configs);
            let left = self.left(&before, &configs, one);
            let facts = self.facts(&before, &configs, one, (&parity, totals), &left);
            let gates = gates(&facts, before.plan.gates, next);
            forced = gates.into_iter().filter(|gate| !gate.met).map(reason).collect();
        }
        if !forced.is_empty() && !asked.force {
            let message = format!("not yet {next}: {}", forced.join("; "));
            return Err(Error::conflict(message).with_details(json!({ "reasons": forced })));
        }
        let mut after = moved(&before, one, next);
        after.audit.touch(self.clock.now(), &asked.who);
        let ended = match (next, before.plan.orphan) {
            (MigrationState::Done, Orphan::Keep) => plan::step(&before, &after, &configs),
            _ => Vec::new(),
        };
        self.engine
            .release(&ended, Mode::Ended, Orphan::Keep, async {
                let after = self.book.save(after).await?;
                // What was equal by the measure of the state before says nothing of this one.
                self.watches.lock().remove(id);
                self.tell(
                    Some(&before),
                    Some(&after),
                    service.clone(),
                    forced,
                    &configs,
                    &asked.who,
                );
                Ok(())
            })
            .await?;
        Ok((self.book.get(tenant, id)?, next))
    }

    /// Has its copies stay as they are, or go on.
    ///
    /// # Errors
    /// There is no such migration.
    pub async fn pause(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: &MigrationId,
        paused: bool,
        who: &str,
    ) -> Result<Arc<Migration>> {
        let (bridge, tenant, id) = (Arc::clone(self), tenant.clone(), id.clone());
        let who = who.to_owned();
        self.to_its_end(async move { bridge.pause_now(&tenant, &id, paused, &who).await }).await
    }

    async fn pause_now(
        &self,
        tenant: &TenantId,
        id: &MigrationId,
        paused: bool,
        who: &str,
    ) -> Result<Arc<Migration>> {
        let _one_at_a_time = self.steps.lock().await;
        let before = self.book.get(tenant, id)?;
        if before.paused == paused {
            return Ok(before);
        }
        if paused && before.state == MigrationState::Done {
            return Err(Error::conflict("it is DONE: there is nothing left to pause"));
        }
        let mut after = Migration { paused, ..Migration::clone(&before) };
        after.audit.touch(self.clock.now(), who);
        let after = self.book.save(after).await?;
        let configs = self.ends.configs().await;
        self.tell(Some(&before), Some(&after), None, Vec::new(), &configs, who);
        self.engine.rules_changed().await;
        Ok(after)
    }

    /// Removes it; what becomes of its copies must be said while there are any. How many there
    /// were.
    ///
    /// # Errors
    /// There is none; nothing was said.
    pub async fn delete(
        self: &Arc<Self>,
        tenant: &TenantId,
        id: &MigrationId,
        copies: Option<Orphan>,
        who: &str,
    ) -> Result<usize> {
        let (bridge, tenant, id) = (Arc::clone(self), tenant.clone(), id.clone());
        let who = who.to_owned();
        self.to_its_end(async move { bridge.delete_now(&tenant, &id, copies, &who).await }).await
    }

    async fn delete_now(
        &self,
        tenant: &TenantId,
        id: &MigrationId,
        copies: Option<Orphan>,
        who: &str,
    ) -> Result<usize> {
        let _one_at_a_time = self.steps.lock().await;
        let migration = self.book.get(tenant, id)?;
        let configs = self.ends.configs().await;
        let routes = plan::routes_anyway(&migration, &configs);
        let count = self.engine.owned(&routes);
        let Some(orphan) = copies.or_else(|| (count == 0).then_some(Orphan::Expire)) else {
            let rule = format!("must be keep or remove: there are {count} copies");
            return Err(Error::invalid("copies", serde_json::Value::Null, &rule));
        };
        let mode = if migration.paused { Mode::Frozen } else { Mode::Copying };
        self.engine
            .release(&routes, mode, orphan, async {
                self.book.remove(&migration).await?;
                self.forget(&migration);
                self.tell(Some(&migration), None, None, Vec::new(), &configs, who);
                Ok(())
            })
            .await?;
        Ok(count)
    }

    /// Writes down what was done, where people look: the log, the events, the view.
    fn tell(
        &self,
        before: Option<&Migration>,
        after: Option<&Migration>,
        service: Option<ServiceKey>,
        forced: Vec<String>,
        configs: &Configs,
        who: &str,
    ) {
        let Some(of) = after.or(before) else { return };
        let state = |migration: Option<&Migration>| {
            let one = service.as_ref();
            migration.map(|migration| one.map_or(migration.state, |one| migration.state_of(one)))
        };
        let step = Migrated {
            id: of.id.clone(),
            name: of.plan.name.clone(),
            from: of.plan.from.clone(),
            to: of.plan.to.clone(),
            before: state(before),
            after: state(after),
            paused: of.paused,
            forced,
            who: who.to_owned(),
            service,
        };
        tracing::info!(migration = step.name, migration.id = of.id.as_str(), tenant.id = %of.tenant,
            service = step.service.as_ref().map(tracing::field::display),
            before = step.before.map(tracing::field::display),
            after = step.after.map(tracing::field::display),
            paused = step.paused, forced = step.forced.join("; "), user.id = who,
            "a migration took a step");
        match after {
            Some(migration) => self.lead(migration, configs, Some(step)),
            None => self.catalog.set_lead(&of.tenant, &of.id, None, Some(step)),
        }
        self.count();
    }
}

/// The one registry of this name.
fn named(configs: &Configs, tenant: &TenantId, field: &str, name: &str) -> Result<SourceId> {
    if name == SourceId::Native.as_str() {
        return Ok(SourceId::Native);
    }
    let is_it = |config: &&Arc<ExternalConfig>| config.tenant == *tenant && config.name == name;
    let mut found = configs.running.iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(config), None) => Ok(SourceId::External(config.id.clone())),
        (None, _) => {
            let rule = "must be the name of an active configuration, or native";
            Err(Error::invalid(field, name, rule))
        }
        (Some(_), Some(_)) => {
            let rule = "must be the name of one active configuration: it is that of several";
            Err(Error::invalid(field, name, rule))
        }
    }
}

fn reason(gate: Gate) -> String {
    format!("{}: {}", gate.name, gate.detail)
}

/// The migration with this service, or all of it, in that state. Services that are elsewhere stay
/// where they are.
fn moved(before: &Migration, one: Option<&ServiceKey>, state: MigrationState) -> Migration {
    let mut after = before.clone();
    match one {
        Some(one) => {
            after.services.insert(one.clone(), state);
        }
        None => after.state = state,
    }
    let all = after.state;
    after.services.retain(|_, state| *state != all);
    after
}
