//! Makes the running sources equal to the rows of the configuration table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::egress::EgressPolicy;
use hub_registry_core::{Error as CallError, ErrorKind as CallErrorKind, Registry, RegistryKind};
use tokio::sync::{Mutex, Notify};

use super::SourceKey;
use super::connect::{Purpose, connect};
use super::drivers::Drivers;
use super::keeper::Keeper;
use super::links::{self, Links};
use super::pairs::Pairs;
use super::plan::{Step, Wanted, is_suspicious, plan, to_run};
use super::source::{Context, Source};
use super::status::{SourceStatus, StatusBoard};
use crate::catalog::{Catalog, GuardPolicy, GuardRules, Link, NewerHolds, SourceId, SourceInfo};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::model::external::{ExternalConfig, ExternalConfigRow};
use crate::storage::{ConfigStore, SnapshotStore, SourceSnapshot, StatusStore};
use crate::task::{TaskGroup, Unended};
use crate::telemetry::metrics::Metrics;

/// How long a stopped source may take to let go of its connections.
const STOP: Duration = Duration::from_secs(2);

/// The tables the manager works on.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The configurations.
    pub configs: Arc<dyn ConfigStore>,
    /// How they fare.
    pub statuses: Arc<dyn StatusStore>,
    /// The last known good of each.
    pub snapshots: Arc<dyn SnapshotStore>,
}

/// What can be set about the manager.
#[derive(Clone, Debug)]
pub struct ManagerSettings {
    /// `external.enabled`: otherwise no registry is connected.
    pub enabled: bool,
    /// `external.pollInterval`: within this time a row changed by plain SQL takes effect.
    pub poll_interval: Duration,
    /// `external.enableFailover`: otherwise no standby takes a place.
    pub enable_failover: bool,
    /// `external.caDir`: where `caName` looks for certificates.
    pub ca_dir: Option<PathBuf>,
    /// `external.egress`: which addresses may be connected to.
    pub egress: Arc<EgressPolicy>,
}

#[derive(Debug)]
struct Running {
    config: Arc<ExternalConfig>,
    hurry: Arc<Notify>,
    tasks: TaskGroup,
}

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<SourceKey, Running>,
    // Rows that break a rule, with what was said about them.
    complaints: BTreeMap<SourceKey, String>,
    // Rows as they were last seen and what they ask for: a look costs what changed.
    checked: BTreeMap<SourceKey, (ExternalConfigRow, Wanted)>,
    // Last known goods of rows that broke a rule at the start, for when they are mended.
    kept: BTreeMap<SourceKey, SourceSnapshot>,
    // Sources that are shown as they were last known, and not started yet.
    found: BTreeMap<SourceKey, Arc<ExternalConfig>>,
    // Every row there is.
    rows: BTreeSet<SourceKey>,
    started: bool,
    suspicious: bool,
}

/// Runs the sources.
#[derive(Debug)]
pub struct Manager {
    context: Context,
    stores: Stores,
    board: Arc<StatusBoard>,
    pairs: Arc<Pairs>,
    settings: ManagerSettings,
    clock: Clock,
    tasks: TaskGroup,
    state: Mutex<State>,
}

impl Manager {
    /// Restores the last known good of each source the rows name. Nothing is connected before
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn start(
        drivers: Drivers,
        catalog: Catalog,
        stores: Stores,
        settings: ManagerSettings,
        clock: Clock,
        metrics: Metrics,
        tasks: &TaskGroup,
    ) -> Result<Arc<Self>> {
        let keeper = Keeper::new(Arc::clone(&stores.snapshots), catalog.clone(), clock.clone());
        let rows = stores.statuses.list_all().await?;
        let board = StatusBoard::new(rows, catalog.clone(), clock.clone(), metrics.clone());
        let pairs = Pairs::new(
            settings.enable_failover,
            catalog.clone(),
            Arc::clone(&board),
            clock.clone(),
            metrics,
        );
        let context = Context { drivers, catalog, keeper };
        let state = Mutex::default();
        let tasks = tasks.clone();
        let manager =
            Arc::new(Self { context, stores, board, pairs, settings, clock, tasks, state });
        if manager.settings.enabled {
            let kept = manager.stores.snapshots.load_all().await?;
            manager.first(kept).await?;
        }
        Ok(manager)
    }

    /// Starts the sources, and keeps looking at the rows until the group stops.
    pub async fn run(self: &Arc<Self>) {
        if self.settings.enabled {
            let mut state = self.state.lock().await;
            state.started = true;
            for (key, config) in std::mem::take(&mut state.found) {
                let running = self.spawn(&key, config);
                state.running.insert(key, running);
            }
            drop(state);
            self.context.keeper.keep_written(&self.tasks);
            self.keep_polling();
            self.tasks.spawn_until_stopped(Arc::clone(&self.pairs).watch());
        }
        self.board.keep_written(Arc::clone(&self.stores.statuses), &self.tasks);
    }

    /// The kinds of registry this build can connect to.
    #[must_use]
    pub fn drivers(&self) -> &Drivers {
        &self.context.drivers
    }

    /// The statuses.
    #[must_use]
    pub fn board(&self) -> &StatusBoard {
        &self.board
    }

    /// Checks a row as far as it can be checked without the network.
    ///
    /// # Errors
    /// The field that breaks a rule.
    pub async fn check(&self, row: &ExternalConfigRow) -> Result<ExternalConfig> {
        let mut config = ExternalConfig::from_row(row)?;
        if let Some(name) = config.common.ca_name.clone() {
            let field = "specificConfig.caName";
            let Some(folder) = &self.settings.ca_dir else {
                return Err(Error::invalid(field, name, "needs external.caDir to be configured"));
            };
            let read = tokio::fs::read_to_string(folder.join(&name)).await;
            let pem = read.map_err(|_| Error::invalid(field, name, "is no readable file there"))?;
            config.spec.tls.ca_pem = Some(pem);
        }
        config.spec.egress = Arc::clone(&self.settings.egress);
        config.spec.check_egress().map_err(|error| {
            Error::invalid(&error.field, row.server_address.as_str(), &error.message)
        })?;
        self.context.drivers.check(&config.spec)?;
        Ok(config)
    }

    /// Checks a row that is about to be written, its standby too.
    ///
    /// # Errors
    /// The field that breaks a rule; rows that cannot be read.
    pub async fn check_new(&self, row: &ExternalConfigRow) -> Result<ExternalConfig> {
        let config = self.check(row).await?;
        if config.failover.is_some() {
            let key = (config.tenant.clone(), config.id.clone());
            let others = self.stores.configs.list(&config.tenant, None, None).await?;
            let mut links: Links = others.iter().filter_map(links::of_row).collect();
            links.extend(links::of_row(row));
            links::check(&links, &key)?;
        }
        Ok(config)
    }

    /// Has the standby of a source serve; whether that is on disk too.
    ///
    /// # Errors
    /// No standby; failover switched off; a standby that is not LIVE, unless `force`.
    pub async fn fail_over(&self, key: &SourceKey, force: bool) -> Result<bool> {
        self.pairs.send_away(key, force)?;
        Ok(self.write_status(key).await)
    }

    /// Has a source serve again whose standby does; whether that is on disk too.
    ///
    /// # Errors
    /// No standby; failover switched off; a source that is not LIVE, unless `force`.
    pub async fn fail_back(&self, key: &SourceKey, force: bool) -> Result<bool> {
        self.pairs.call_back(key, force)?;
        Ok(self.write_status(key).await)
    }

    async fn write_status(&self, key: &SourceKey) -> bool {
        let written = self.board.write_now(self.stores.statuses.as_ref(), key).await;
        if let Err(error) = &written {
            tracing::warn!(%error, source.id = %key.1, "cannot write who serves, will try again");
        }
        written.is_ok()
    }

    /// Reads the rows and acts on what changed. The work goes on when the caller stops waiting:
    /// half of it would leave sources that run and are in no list.
    ///
    /// # Errors
    /// When the table cannot be read; then nothing changes, and the next poll tries again.
    pub async fn refresh(self: &Arc<Self>) -> Result<()> {
        if !self.settings.enabled {
            return Ok(());
        }
        let manager = Arc::clone(self);
        let outcome = self.tasks.to_its_end(async move { manager.refresh_now().await }).await;
        outcome.unwrap_or_else(|unended| {
            Err(match unended {
                Unended::Stopping => Error::unavailable("the server is stopping"),
                Unended::Panicked => {
                    tracing::error!("reading the configurations panicked; nothing changes");
                    Error::unavailable("the configurations could not be read")
                }
            })
        })
    }

    async fn refresh_now(&self) -> Result<()> {
        let mut state = self.state.lock().await;
        let wanted = self.wanted(&mut state).await?;
        self.act(&mut state, &wanted).await;
        Ok(())
    }

    /// The configurations whose sources run, in the order of tenant and id; and every row there is.
    pub async fn configs(&self) -> (Vec<Arc<ExternalConfig>>, BTreeSet<SourceKey>) {
        let state = self.state.lock().await;
        let running = state.running.values().map(|running| Arc::clone(&running.config)).collect();
        (running, state.rows.clone())
    }

    /// A connection of its own to the registry of a running source, to write through.
    ///
    /// # Errors
    /// No such source runs; whatever its adapter says.
    pub async fn writer(&self, key: &SourceKey) -> Result<Arc<dyn Registry>, CallError> {
        let running = self.state.lock().await;
        let config = running.running.get(key).map(|running| Arc::clone(&running.config));
        drop(running);
        let Some(config) = config else {
            let message = "no such registry is connected";
            return Err(CallError::new(CallErrorKind::NotReady, "connect", message));
        };
        let status = self.board.entry(key, &config.name, config.spec.kind.as_str());
        connect(&self.context.drivers, &config, status, Purpose::Writing).await
    }

    /// Ends a source's pause between two attempts; one that reads, or is reading, goes on.
    pub async fn retry_now(&self, key: &SourceKey) {
        if let Some(running) = self.state.lock().await.running.get(key) {
            running.hurry.notify_waiters();
        }
    }

    /// Lets all leave that a source no longer lists and that is held; how many.
    ///
    /// # Errors
    /// When more is held than was at `seen`.
    pub fn accept_removals(&self, key: &SourceKey, seen: i64) -> Result<usize, NewerHolds> {
        let (changed, left) = self.context.catalog.accept_removals(&key.0, &external(key), seen)?;
        self.context.keeper.note(key, changed);
        Ok(left)
    }

    /// The status of a source that runs or complained.
    #[must_use]
    pub fn status(&self, key: &SourceKey) -> Option<Arc<SourceStatus>> {
        self.board.get(key)
    }

    async fn first(&self, kept: Vec<SourceSnapshot>) -> Result<()> {
        let mut state = self.state.lock().await;
        let wanted = self.wanted(&mut state).await?;
        let mut kept: BTreeMap<SourceKey, SourceSnapshot> =
            kept.into_iter().map(|s| ((s.tenant.clone(), s.config_id.clone()), s)).collect();
        let off = |key: &SourceKey| matches!(wanted.get(key), None | Some(Wanted::Off));
        for key in kept.keys().filter(|key| off(key)) {
            self.context.keeper.close(key).await;
        }
        kept.retain(|key, _| !off(key));
        for (key, _) in wanted.iter().filter(|(_, wanted)| matches!(wanted, Wanted::Off)) {
            self.board.switched_off_before(key);
        }
        state.kept = kept;
        self.act(&mut state, &wanted).await;
        Ok(())
    }

    /// Shows what was known of a source before the restart, if it was of this registry.
    async fn restore(&self, state: &mut State, key: &SourceKey, config: &ExternalConfig) {
        let Some(snapshot) = state.kept.remove(key) else { return };
        if snapshot.identity_hash != config.identity() {
            tracing::warn!(source = config.name, "what was kept is of another registry: dropped");
            self.context.keeper.close(key).await;
            self.context.keeper.open(key, config.identity(), false).await;
            return;
        }
        let age_ms = self.clock.now_ms() - snapshot.last_good_ms;
        let services = snapshot.services.len();
        self.context.catalog.restore(&key.0, &external(key), snapshot.services, age_ms);
        self.context.keeper.open(key, config.identity(), true).await;
        tracing::info!(source = config.name, services, age_ms, "restored the last known good");
    }

    fn keep_polling(self: &Arc<Self>) {
        let manager = Arc::clone(self);
        self.tasks.spawn_until_stopped(async move {
            loop {
                tokio::time::sleep(manager.settings.poll_interval).await;
                if let Err(error) = manager.refresh().await {
                    tracing::warn!(%error, "cannot read the configuration table; nothing changes");
                }
            }
        });
    }

    async fn wanted(&self, state: &mut State) -> Result<BTreeMap<SourceKey, Wanted>> {
        let mut wanted = BTreeMap::new();
        let mut checked = BTreeMap::new();
        for row in self.stores.configs.list_all().await? {
            let (Ok(tenant), Ok(id)) = (row.tenant_id.parse(), row.external_config_id.parse())
            else {
                tracing::warn!(
                    tenant.id = row.tenant_id,
                    source.id = row.external_config_id,
                    "a configuration row's tenant or id breaks the rules; it is left out"
                );
                continue;
            };
            let key: SourceKey = (tenant, id);
            let known = state.checked.remove(&key).filter(|(before, _)| *before == row);
            let want = match known {
                Some((_, want)) => want,
                None => self.want(&row).await,
            };
            wanted.insert(key.clone(), want.clone());
            // A certificate's file can change while its row does not.
            if !row.specific_config.as_ref().is_some_and(|text| text.contains("caName")) {
                checked.insert(key, (row, want));
            }
        }
        state.checked = checked;
        state.rows = wanted.keys().cloned().collect();
        links::refuse(&mut wanted);
        Ok(wanted)
    }

    async fn want(&self, row: &ExternalConfigRow) -> Wanted {
        let switched_off = row.common.active_flag.as_deref() == Some("N");
        if switched_off {
            return Wanted::Off;
        }
        match self.check(row).await {
            Ok(config) => Wanted::Run(Arc::new(config)),
            Err(error) => {
                let kind = row.registry_type.parse().ok();
                Wanted::Invalid { name: row.config_name.clone(), kind, error }
            }
        }
    }

    async fn act(&self, state: &mut State, wanted: &BTreeMap<SourceKey, Wanted>) {
        let running: BTreeMap<_, _> = state
            .running
            .iter()
            .map(|(key, running)| (key.clone(), Arc::clone(&running.config)))
            .collect();
        if is_suspicious(&running, wanted) && !state.suspicious {
            state.suspicious = true;
            tracing::warn!(
                running = running.len(),
                rows = wanted.len(),
                "more than half of the configurations are gone; acting on it only if the next look agrees"
            );
            return;
        }
        state.suspicious = false;
        self.settle_complaints(state, wanted).await;
        // Before anything is shown or taken away: a standby is never seen for a moment.
        self.pairs.set(&to_run(&running, wanted));
        for (key, step) in plan(&running, wanted) {
            self.take(state, key, step).await;
        }
    }

    /// Takes back what was shown for rows that broke a rule and are now off, gone or right.
    async fn settle_complaints(&self, state: &mut State, wanted: &BTreeMap<SourceKey, Wanted>) {
        let wrong = |key: &SourceKey| matches!(wanted.get(key), Some(Wanted::Invalid { .. }));
        let settled: Vec<_> = state.complaints.keys().filter(|key| !wrong(key)).cloned().collect();
        for key in settled {
            state.complaints.remove(&key);
            if let Some(status) = self.board.get(&key) {
                status.mended();
            }
            let right = matches!(wanted.get(&key), Some(Wanted::Run(_)));
            if !right && !state.running.contains_key(&key) {
                state.kept.remove(&key);
                self.let_go(&key, wanted.contains_key(&key)).await;
            }
        }
    }

    /// Takes a source out of the view and forgets what was kept of it, on disk too.
    async fn let_go(&self, key: &SourceKey, row_exists: bool) {
        self.context.catalog.close(&key.0, &external(key));
        self.context.keeper.close(key).await;
        if row_exists {
            if let Some(status) = self.board.get(key) {
                status.switched_off();
            }
            return;
        }
        self.board.forget(key);
        if let Err(error) = self.stores.statuses.forget(&key.0, &key.1).await {
            tracing::warn!(%error, source.id = %key.1, "cannot remove a status row");
        }
    }

    async fn take(&self, state: &mut State, key: SourceKey, step: Step) {
        let catalog = &self.context.catalog;
        match step {
            Step::Start(config) => {
                tracing::info!(source = config.name, kind = %config.spec.kind, "connecting a registry");
                catalog.open(&key.0, info(&config), policy(&config));
                self.context.keeper.open(&key, config.identity(), false).await;
                self.restore(state, &key, &config).await;
                catalog.set_link(&key.0, &external(&key), Link::Connecting);
                if state.started {
                    let running = self.spawn(&key, config);
                    state.running.insert(key, running);
                } else {
                    state.found.insert(key, config);
                }
            }
            Step::Adopt(config) => {
                catalog.open(&key.0, info(&config), policy(&config));
                if let Some(running) = state.running.get_mut(&key) {
                    running.config = config;
                }
            }
            Step::Reconnect { config, other_registry } => {
                tracing::info!(source = config.name, other_registry, "connecting anew");
                if let Some(running) = state.running.remove(&key) {
                    running.tasks.stop(STOP).await;
                }
                catalog.set_link(&key.0, &external(&key), Link::Failing);
                if other_registry {
                    catalog.expect_other_registry(&key.0, &external(&key));
                    self.context.keeper.rename(&key, &config.identity()).await;
                }
                catalog.open(&key.0, info(&config), policy(&config));
                catalog.set_link(&key.0, &external(&key), Link::Connecting);
                let running = self.spawn(&key, config);
                state.running.insert(key, running);
            }
            Step::Stop { row_exists } => {
                if let Some(running) = state.running.remove(&key) {
                    tracing::info!(source = running.config.name, "disconnecting a registry");
                    running.tasks.stop(STOP).await;
                }
                self.let_go(&key, row_exists).await;
            }
            Step::Complain { name, kind, error } => self.complain(state, &key, &name, kind, &error),
        }
    }

    /// Says once what is wrong with a row; a source that ran on goes on running.
    fn complain(
        &self,
        state: &mut State,
        key: &SourceKey,
        name: &str,
        kind: Option<RegistryKind>,
        error: &Error,
    ) {
        let said = state.complaints.insert(key.clone(), error.message.clone());
        if said.as_ref() == Some(&error.message) {
            return;
        }
        tracing::warn!(source = name, tenant.id = %key.0, error = error.message,
            "a configuration breaks a rule; what ran before goes on");
        let kind_word = kind.map_or("UNKNOWN", RegistryKind::as_str);
        let status = self.board.entry(key, name, kind_word);
        status.complain_of_row(error.message.clone());
        if state.running.contains_key(key) {
            return;
        }
        // Readers must know that somebody who might know their service does not answer.
        let id = external(key);
        let kind = kind.unwrap_or(RegistryKind::System);
        let info =
            SourceInfo { id: id.clone(), name: name.to_owned(), kind, ..SourceInfo::native() };
        self.context.catalog.open(&key.0, info, GuardPolicy::default());
        self.context.catalog.set_link(&key.0, &id, Link::Failing);
    }

    fn spawn(&self, key: &SourceKey, config: Arc<ExternalConfig>) -> Running {
        let status = self.board.entry(key, &config.name, config.spec.kind.as_str());
        status.switched_on();
        let (tasks, hurry) = (self.tasks.child(), Arc::new(Notify::new()));
        let source = Source::new(self.context.clone(), Arc::clone(&config), status);
        tasks.spawn_until_stopped(source.run(Arc::clone(&hurry)));
        Running { config, hurry, tasks }
    }
}

fn external(key: &SourceKey) -> SourceId {
    SourceId::External(key.1.clone())
}

fn info(config: &ExternalConfig) -> SourceInfo {
    SourceInfo {
        id: SourceId::External(config.id.clone()),
        name: config.name.clone(),
        kind: config.spec.kind,
        conflict: config.conflict,
        priority: config.priority(),
    }
}

fn policy(config: &ExternalConfig) -> GuardPolicy {
    let (set, usual) = (&config.common.removal_guard, GuardRules::default());
    let seconds = |set: Option<u64>| set.map(Duration::from_secs);
    GuardPolicy::On(GuardRules {
        percent: set.percent.unwrap_or(usual.percent),
        min_instances: set.min_instances.unwrap_or(usual.min_instances),
        confirmations: set.confirmations.unwrap_or(usual.confirmations),
        hold: seconds(set.hold_seconds).unwrap_or(usual.hold),
        settle: seconds(set.settle_seconds),
        empty_hold: seconds(set.empty_hold_seconds).unwrap_or(usual.empty_hold),
    })
}
