//! The composition root: the one file that names concrete adapters and stores, and the order in
//! which things start and stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::Router;
use hub_registry_consul::ConsulDriver;
use hub_registry_core::egress::Egress;
use hub_registry_core::{Change, ConfigId, GroupName, InstanceKey, Registry, TenantId, carry};
use hub_registry_eureka::EurekaDriver;
use hub_registry_nacos::NacosDriver;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::access::{self, Authenticator, Tokens};
use crate::api::{
    Api, ApiSettings, Gate, Hot, Leaving, Parts, Places, Serving, bounded, face_router,
    metrics_router, pulse, router, serve,
};
use crate::catalog::{
    Attributes, Catalog, GuardPolicy, OwnChange, Readers, Revisions, SourceId, SourceInfo,
};
use crate::cli;
use crate::clock::Clock;
use crate::config::{Config, DatabaseConfig, Dsn, FacadesConfig, SecretsCommand, TokenCommand};
use crate::events::{Events, FeedSettings};
use crate::facades::nacos::Nacos;
use crate::facades::{Doors, consul, dns, eureka, nacos};
use crate::federation::{Drivers, Manager, ManagerSettings, Stores, SyncReport};
use crate::health::{self, HealthChecks, NetworkProbe, TlsSettings};
use crate::native::{
    EventsWanted, Native, NativeRegistry, Preservation, Publication, Publish, Settings,
};
use crate::process::Supervisor;
use crate::storage::sql::Migrated;
use crate::storage::{self, ConfigStore, EventStore, SealedConfigs, SqlStore};
use crate::sync::migration::{Book, Bridge};
use crate::sync::{self, Configs, Ends, Engine, RuleFigures};
use crate::task::TaskGroup;
use crate::telemetry::logging::Log;
use crate::telemetry::metrics::Metrics;
use crate::vault;

/// What is left of the time to stop when requests took all of it: writes are not to be cut.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// What the process has before the server starts in it.
#[derive(Debug)]
pub struct Host {
    /// Its metrics.
    pub metrics: Metrics,
    /// Its log.
    pub log: Log,
    /// Who started it.
    pub supervisor: Supervisor,
}

/// A running server.
#[derive(Debug)]
pub struct App {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where the metrics listen, if they have a listener of their own.
    pub metrics_address: Option<SocketAddr>,
    /// Where clients of Consul are answered beside the main address, if they are.
    pub consul_address: Option<SocketAddr>,
    /// Where clients of Nacos are answered beside the main address, if they are.
    pub nacos_address: Option<SocketAddr>,
    /// Where clients of Nacos that speak gRPC are answered, if they are.
    pub nacos_grpc_address: Option<SocketAddr>,
    /// Where questions by DNS are answered, if they are.
    pub dns_address: Option<SocketAddr>,
    config: Config,
    database: SqlStore,
    supervisor: Arc<Supervisor>,
    leaving: Leaving,
    // Stopped in this order: no new requests, then the sources, then what is told of them.
    serving: TaskGroup,
    working: TaskGroup,
    recording: TaskGroup,
}

impl App {
    /// Starts everything: listens, opens the database, loads the native registry and the last
    /// known good of each source, starts the sources, and lets requests in.
    ///
    /// # Errors
    /// An address that is taken, a database that cannot be opened, tables that cannot be read.
    pub async fn start(config: Config, host: Host) -> anyhow::Result<Self> {
        let Host { metrics, log, supervisor } = host;
        let (serving, working, recording) = (TaskGroup::new(), TaskGroup::new(), TaskGroup::new());
        let started = Instant::now();
        let leaving = Leaving::default();
        let http = &config.server.http;
        let door = |gate: &Gate| Serving {
            gate: gate.clone(),
            connections: http.max_connections,
            leaving: leaving.clone(),
            metrics: metrics.http.clone(),
        };
        let (gate, metrics_gate) = (Gate::default(), Gate::default());
        let address = listen(&http.host, http.port, door(&gate), &serving).await?;
        let metrics_address = match config.server.metrics.port {
            Some(port) => {
                let host = &config.server.metrics.host;
                Some(listen(host, port, door(&metrics_gate), &serving).await?)
            }
            None => None,
        };
        let (consul_gate, nacos_gate) = (Gate::default(), Gate::default());
        let (consul, nacos) = (&config.facades.consul, &config.facades.nacos);
        let consul_address = match consul.port.filter(|_| consul.enabled) {
            Some(port) => Some(listen(&consul.host, port, door(&consul_gate), &serving).await?),
            None => None,
        };
        let nacos_ports = nacos::Ports::bind(nacos, address).await.context("facades.nacos.port")?;
        let nacos_address = match nacos_ports.http {
            Some(listener) => Some(open_door(listener, door(&nacos_gate), &serving)?),
            None => None,
        };
        let database = open(&config.database).await?.measured(&metrics.database);
        let clock = Clock::System;
        let store = Arc::new(database.clone());
        let poll = config.external.poll_interval;
        let tokens = Tokens::start(store.clone(), clock.clone(), poll, &working)
            .await
            .context("the tokens cannot be read")?;
        let addresses: Vec<_> =
            [Some(address), consul_address, nacos_address, nacos_ports.grpc_address]
                .into_iter()
                .flatten()
                .collect();
        let authenticator = authenticator(&config, &addresses, &tokens).await?;
        let revisions = Revisions::start(store.clone(), &working).await.context("revisions")?;
        let base = revisions.base();
        let catalog = Catalog::new(revisions, clock.clone(), metrics.clone());
        let events = events(&config, store.clone(), base, &metrics);
        let catalog = match &events {
            Some(events) => catalog.telling(events.clone()),
            None => catalog,
        };
        let native = Native::start(
            store.clone(),
            Arc::new(Shown(catalog.clone())),
            clock.clone(),
            metrics.clone(),
            &working,
            native_settings(&config),
        )
        .await
        .context("the native registry cannot be loaded")?;
        let health = health(&config, &native, &metrics, &working)?;
        let drivers = Drivers::new(vec![
            Arc::new(ConsulDriver),
            Arc::new(EurekaDriver),
            Arc::new(NacosDriver),
        ]);
        let configs = sealed(&config, &database).await?;
        let stores =
            Stores { configs: configs.clone(), statuses: store.clone(), snapshots: store.clone() };
        let manager_settings = ManagerSettings {
            enabled: config.external.enabled,
            enable_failover: config.external.enable_failover,
            poll_interval: config.external.poll_interval,
            ca_dir: config.external.ca_dir.clone(),
            egress: Arc::new(config.external.egress.policy()),
        };
        let federation = Manager::start(
            drivers,
            catalog.clone(),
            stores,
            manager_settings,
            clock.clone(),
            metrics.clone(),
            &working,
        )
        .await
        .context("the external registries' tables cannot be read")?;
        // All that was kept is shown: what changes from here on is news.
        let readers = Arc::new(GroupsOf(Arc::clone(&native)));
        catalog.begin_telling(readers, &recording).await.context("the log of events")?;
        if let Some(events) = &events {
            native.tell_beats(events.clone());
        }
        federation.run().await;
        let ends = Arc::new(RegistriesOf {
            federation: Arc::clone(&federation),
            native: Arc::clone(&native),
        });
        let copying = config.external.enabled && config.external.enable_sync;
        let book = Book::load(store.clone()).await.context("the migrations cannot be read")?;
        let parts = sync::Parts {
            catalog: catalog.clone(),
            ledger: store.clone(),
            book: Arc::new(book),
            ends,
            clock: clock.clone(),
            metrics: metrics.clone(),
        };
        let sync = Engine::start(copying, parts.clone(), &working)
            .await
            .context("what was copied cannot be read")?;
        let migrations = Bridge::start(Arc::clone(&sync), parts, &working).await;

        let retention = config.retention.clone();
        storage::clean(store.clone(), retention, clock.clone(), metrics.clone(), &working);

        let doors = Doors {
            view: catalog.view(),
            native: Arc::clone(&native),
            authenticator: authenticator.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            body_limit: config.server.http.body_limit,
            body_time: config.server.http.request_timeout,
        };
        let asked = &config.facades.dns;
        let dns_address = dns::start(asked, &doors, &serving)
            .await
            .with_context(|| format!("facades.dns: cannot listen on {}", asked.host))?;
        let nacos = Nacos::new(doors.clone(), pushes_from(&config), &serving);
        let faces = Faces::new(&config.facades, &doors, &nacos, &serving);
        let api = Api::new(Parts {
            view: catalog.view(),
            catalog,
            native,
            health,
            federation,
            sync,
            migrations,
            configs,
            authenticator,
            tokens,
            database: store,
            events,
            levels: log.levels().clone(),
            metrics,
            folders: folders(&config),
            clock,
            settings: ApiSettings::from(&config),
            places: Places::default(),
            started,
            leaving: leaving.clone(),
            streams: serving.clone(),
            stopping: serving.stop_signal(),
        });
        metrics_gate.open(metrics_router(api.clone()), None);
        let bounded_ones = bounded(faces.eureka.merge(faces.nacos.clone()), &api);
        let all = bounded_ones.merge(faces.consul.clone()).merge(faces.nacos_waiting.clone());
        consul_gate.open(face_router(api.clone(), faces.consul), None);
        let nacos_ones = bounded(faces.nacos, &api).merge(faces.nacos_waiting);
        nacos_gate.open(face_router(api.clone(), nacos_ones), None);
        gate.open(router(api.clone(), all), Hot::new(api));
        // Until now they wait to be taken: whoever asks is answered from all that is known.
        let nacos_grpc_address = nacos_ports.grpc_address;
        if let Some(listener) = nacos_ports.grpc {
            nacos.serve_grpc(listener, http.max_connections, &serving);
        }
        let levels = log.levels().clone();
        working.spawn_until_stopped(async move { levels.end_in_time().await });
        let supervisor = Arc::new(supervisor);
        pulse(gate, Arc::clone(&supervisor), &working);
        supervisor.ready();
        tracing::info!(%address, took_ms = started.elapsed().as_millis() as u64, "ready");
        Ok(Self {
            address,
            metrics_address,
            consul_address,
            nacos_address,
            nacos_grpc_address,
            dns_address,
            config,
            database,
            supervisor,
            leaving,
            serving,
            working,
            recording,
        })
    }

    /// Stops in order: lets others go elsewhere, takes no new connections, lets requests end, ends
    /// the sources, writes what is left. Whether all of it ended in time.
    pub async fn stop(self) -> bool {
        self.supervisor.stopping();
        self.leaving.begin();
        tokio::time::sleep(self.config.server.http.shutdown_delay).await;
        let end = Instant::now() + self.config.server.http.shutdown_timeout;
        let left = || end.saturating_duration_since(Instant::now()).max(LAST_WRITES);
        let served = self.serving.stop(end.saturating_duration_since(Instant::now())).await;
        let worked = self.working.stop(left()).await;
        let recorded = self.recording.stop(left()).await;
        let closed = tokio::time::timeout(left(), self.database.close()).await.is_ok();
        served && worked && recorded && closed
    }
}

/// Where pushes by UDP to clients of Nacos come from: where they ask, which may be two addresses.
fn pushes_from(config: &Config) -> Option<&str> {
    let (main, nacos) = (&config.server.http.host, &config.facades.nacos);
    let is_one = nacos.port.is_none() || nacos.host == *main;
    nacos.enabled.then_some(if is_one { main } else { "0.0.0.0" })
}

/// The protocols of others that are asked by HTTP, each as far as it is wanted.
#[derive(Debug, Default)]
struct Faces {
    eureka: Router,
    consul: Router,
    nacos: Router,
    /// What of it waits longer than others may.
    nacos_waiting: Router,
}

impl Faces {
    fn new(facades: &FacadesConfig, doors: &Doors, nacos: &Nacos, tasks: &TaskGroup) -> Self {
        let mut faces = Self::default();
        if facades.eureka.enabled {
            faces.eureka = eureka::router(doors.clone());
        }
        if facades.consul.enabled {
            let settings = consul::Settings {
                datacenter: facades.consul.datacenter.clone(),
                tenant: facades.consul.tenant.clone(),
            };
            faces.consul = consul::router(doors.clone(), settings, tasks);
        }
        if facades.nacos.enabled {
            faces.nacos = nacos.router();
            faces.nacos_waiting = nacos.waiting();
        }
        faces
    }
}

/// Looks after the tokens in the database of the configuration, whether or not a server runs on
/// it: one that does takes notice within a moment.
///
/// # Errors
/// A database that cannot be opened; a token that breaks a rule.
pub async fn token(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let (database, tasks) = (open(&config.database).await?, TaskGroup::new());
    let (store, poll) = (Arc::new(database.clone()), config.external.poll_interval);
    let tokens = Tokens::start(store, Clock::System, poll, &tasks).await?;
    let outcome = cli::token::run(&tokens, command).await;
    tasks.stop(poll).await;
    database.close().await;
    Ok(outcome?)
}

/// Looks after the keys of secrets, whether or not a server runs with this configuration: one that
/// does takes notice at its next look at the table.
///
/// # Errors
/// A database or a file of keys that cannot be read or written.
pub async fn secrets(config: &Config, command: SecretsCommand) -> anyhow::Result<()> {
    let database = open(&config.database).await?;
    let vault =
        vault::setup::open(&config.security, &config.database).context("the keys of secrets")?;
    let outcome = cli::secrets::run(Arc::new(database.clone()), Arc::new(vault), command).await;
    database.close().await;
    Ok(outcome?)
}

/// The configurations with their secrets sealed.
async fn sealed(config: &Config, database: &SqlStore) -> anyhow::Result<Arc<SealedConfigs>> {
    let vault =
        vault::setup::open(&config.security, &config.database).context("the keys of secrets")?;
    let rows: Arc<dyn ConfigStore> = Arc::new(database.clone());
    let all = rows.list_all().await.context("the external registries' table cannot be read")?;
    let found = storage::key_use(&all, |text, seat| vault.open(text, seat));
    vault::setup::begin(&vault, &config.database, !found.by_key.is_empty());
    Ok(Arc::new(SealedConfigs::new(rows, Arc::new(vault))))
}

/// The native registry as a source of the view: what it commits is shown before the caller is
/// told, so that whoever reads after a 201 sees it.
#[derive(Debug)]
struct Shown(Catalog);

impl Publish for Shown {
    fn publish(&self, tenant: &TenantId, publication: Publication) {
        let id = SourceId::Native;
        if self.0.state(tenant, &id).is_none() {
            self.0.open(tenant, SourceInfo::native(), GuardPolicy::Off);
            self.0.apply(tenant, &id, vec![Change::Reset(Vec::new())]);
        }
        let Publication { mut changes, described, facts, print } = publication;
        changes.iter_mut().flat_map(Change::instances_mut).for_each(carry::take);
        let attributes = described.into_iter().map(|(key, service)| {
            let attributes = service.map(|service| Attributes {
                strategy: service.strategy,
                protect_threshold: service.protect_threshold(),
            });
            (key, attributes)
        });
        let attributes = attributes.collect();
        self.0.apply_own(tenant, OwnChange { changes, attributes, facts, print });
    }

    fn hold(&self, tenant: &TenantId, held: Vec<InstanceKey>, freed: Vec<InstanceKey>) {
        self.0.mark_held(tenant, &SourceId::Native, held, freed);
    }
}

/// The registries that are copied from and to.
#[derive(Debug)]
struct RegistriesOf {
    federation: Arc<Manager>,
    native: Arc<Native>,
}

#[async_trait]
impl Ends for RegistriesOf {
    async fn configs(&self) -> Configs {
        let (running, rows) = self.federation.configs().await;
        Configs { running, rows }
    }

    async fn connect(
        &self,
        tenant: &TenantId,
        id: &SourceId,
    ) -> Result<Arc<dyn Registry>, hub_registry_core::Error> {
        match id {
            SourceId::Native => {
                let native = NativeRegistry::new(Arc::clone(&self.native), tenant.clone());
                Ok(Arc::new(native))
            }
            SourceId::External(id) => self.federation.writer(&(tenant.clone(), id.clone())).await,
        }
    }

    fn tell(&self, tenant: &TenantId, id: &ConfigId, figures: RuleFigures) {
        let Some(status) = self.federation.status(&(tenant.clone(), id.clone())) else { return };
        let word = match (figures.failing, figures.pending) {
            (true, _) => "ERROR",
            (false, 0) => "IDLE",
            (false, _) => "SYNCING",
        };
        status.set_sync(Some(SyncReport {
            status: word,
            at: figures.wrote_at,
            successes: i64::try_from(figures.written).unwrap_or(i64::MAX),
            errors: i64::try_from(figures.failed).unwrap_or(i64::MAX),
        }));
    }
}

/// The checks of native instances.
fn health(
    config: &Config,
    native: &Arc<Native>,
    metrics: &Metrics,
    tasks: &TaskGroup,
) -> anyhow::Result<Arc<HealthChecks>> {
    let config = &config.health_check;
    let egress = Egress::new(Arc::new(config.egress.policy()));
    let tls = TlsSettings {
        ca_file: config.ca_file.clone(),
        insecure_skip_verify: config.insecure_skip_verify,
    };
    let probe = NetworkProbe::new(egress, config.ports.clone(), &tls).map_err(anyhow::Error::msg);
    let probe = Arc::new(probe.context("healthCheck.caFile")?);
    let (native, settings) = (Arc::clone(native), health::Settings::from(config));
    Ok(HealthChecks::start(native, probe, settings, metrics.clone(), tasks))
}

/// The lists of the native registry's groups hold for what any registry has in them.
#[derive(Debug)]
struct GroupsOf(Arc<Native>);

impl Readers for GroupsOf {
    fn of(&self, tenant: &TenantId, group: &GroupName) -> Option<String> {
        self.0.readers(tenant, group)
    }
}

fn events(
    config: &Config,
    store: Arc<dyn EventStore>,
    base: i64,
    metrics: &Metrics,
) -> Option<Events> {
    let event = &config.event;
    let settings = FeedSettings {
        buffer: event.buffer_size,
        readers: event.worker_count,
        seats: event.max_subscribers,
        seats_per_user: event.max_subscribers_per_user,
    };
    let store = event.enable_persistence.then_some(store);
    event.enabled.then(|| Events::new(store, settings, base, metrics.clone()))
}

fn native_settings(config: &Config) -> Settings {
    let (registry, event) = (&config.registry, &config.event);
    let events = match (event.enabled, event.enable_persistence) {
        (false, _) => EventsWanted::Nothing,
        (true, false) => EventsWanted::Told,
        (true, true) => EventsWanted::Kept,
    };
    Settings {
        auto_create: registry.auto_create,
        lease_seconds: registry.lease_seconds,
        preservation: Preservation::from(registry),
        events,
        poll_interval: Some(config.external.poll_interval),
    }
}

/// Who may ask. Where the server can be reached from other machines, security is on unless the
/// configuration says in so many words that it is not.
async fn authenticator(
    config: &Config,
    addresses: &[SocketAddr],
    tokens: &Arc<Tokens>,
) -> anyhow::Result<Authenticator> {
    let seen = addresses.iter().find(|address| !address.ip().is_loopback());
    let reachable = seen.is_some();
    if !access::is_wanted(&config.security, reachable) {
        if let Some(address) = seen {
            tracing::warn!(%address, "SECURITY IS OFF and this address can be reached from other \
                machines: whoever does may read and change everything (security.enabled: false)");
        }
        return Ok(Authenticator::Off);
    }
    let (authenticator, first) =
        access::authenticator(&config.security, tokens).await.context("security")?;
    if let Some(token) = first {
        tracing::info!("security is on, and there was no token: the first one is on stderr");
        // Not through the log, which is kept and passed on.
        eprintln!(
            "\nThis token may do everything. It is shown only now; with it you can make others:\n\n    \
             {}\n",
            token.reveal()
        );
    }
    Ok(authenticator)
}

async fn listen(
    host: &str,
    port: u16,
    door: Serving,
    tasks: &TaskGroup,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((host, port)).await;
    let listener = listener.with_context(|| format!("cannot listen on {host}:{port}"))?;
    open_door(listener, door, tasks)
}

fn open_door(
    listener: TcpListener,
    door: Serving,
    tasks: &TaskGroup,
) -> anyhow::Result<SocketAddr> {
    let address = listener.local_addr()?;
    serve(listener, door, tasks);
    Ok(address)
}

async fn open(config: &DatabaseConfig) -> anyhow::Result<SqlStore> {
    let opened = SqlStore::open(config).await;
    let store = opened.with_context(|| format!("the database {} cannot be opened", config.dsn))?;
    tracing::info!(kind = %store.kind(), database = %config.dsn, "database opened");
    Ok(store)
}

/// Brings the tables of the database of this configuration up to date, and that is all.
///
/// # Errors
/// A database that cannot be opened, tables that are not ours.
pub async fn migrate(config: &DatabaseConfig) -> anyhow::Result<Migrated> {
    let migrated = SqlStore::migrate(config).await;
    let (store, migrated) = migrated
        .with_context(|| format!("the database {} cannot be brought up to date", config.dsn))?;
    store.close().await;
    Ok(migrated)
}

/// Where the hub writes, if it is on a disk of this machine.
fn folders(config: &Config) -> Vec<(&'static str, PathBuf)> {
    let data = match &config.database.dsn {
        Dsn::Sqlite(dsn) => dsn.path.as_deref(),
        Dsn::Server(_) => None,
    };
    let of = |file: &Path| match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let files = [("data", data), ("log", config.log.file.path.as_deref())];
    files.into_iter().filter_map(|(name, file)| Some((name, of(file?)))).collect()
}
