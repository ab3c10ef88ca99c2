//! The composition root: the one file that names concrete adapters and stores, and the order in
//! which things start and stop.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use hub_registry_consul::ConsulDriver;
use hub_registry_core::egress::Egress;
use hub_registry_core::{Change, InstanceKey, ServiceKey, TenantId};
use hub_registry_eureka::EurekaDriver;
use hub_registry_nacos::NacosDriver;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::access::{self, Authenticator, Tokens};
use crate::api::{Api, ApiSettings, Gate, Limits, Parts, Places, metrics_router, router, serve};
use crate::catalog::{Attributes, Catalog, GuardPolicy, Revisions, SourceId, SourceInfo};
use crate::cli;
use crate::clock::Clock;
use crate::config::{Config, DatabaseConfig, TokenCommand};
use crate::federation::{Drivers, Manager, ManagerSettings, Stores};
use crate::health::{self, HealthChecks, NetworkProbe, TlsSettings};
use crate::model::service::NativeService;
use crate::native::{Native, Preservation, Publish, Settings};
use crate::storage::sql::Migrated;
use crate::storage::{self, SqlStore};
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

/// A running server.
#[derive(Debug)]
pub struct App {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where the metrics listen, if they have a listener of their own.
    pub metrics_address: Option<SocketAddr>,
    config: Config,
    database: SqlStore,
    // Stopped in this order: no new requests, then the sources, then what writes to disk.
    serving: TaskGroup,
    working: TaskGroup,
}

impl App {
    /// Starts everything: listens, opens the database, loads the native registry and the last
    /// known good of each source, starts the sources, and lets requests in.
    ///
    /// # Errors
    /// An address that is taken, a database that cannot be opened, tables that cannot be read.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let (serving, working) = (TaskGroup::new(), TaskGroup::new());
        let started = Instant::now();
        let gate = Gate::default();
        let metrics_gate = Gate::default();
        let http = &config.server.http;
        let limits = Limits { connections: http.max_connections };
        let address = listen(&http.host, http.port, gate.clone(), limits, &serving).await?;
        let metrics_address = match config.server.metrics.port {
            Some(port) => {
                let host = &config.server.metrics.host;
                Some(listen(host, port, metrics_gate.clone(), limits, &serving).await?)
            }
            None => None,
        };
        let database = open(&config.database).await?;
        let (clock, metrics) = (Clock::System, Metrics::new());
        let store = Arc::new(database.clone());
        let poll = config.external.poll_interval;
        let tokens = Tokens::start(store.clone(), clock.clone(), poll, &working)
            .await
            .context("the tokens cannot be read")?;
        let authenticator = authenticator(&config, address, &tokens).await?;
        let revisions = Revisions::start(store.clone(), &working).await.context("revisions")?;
        let catalog = Catalog::new(revisions, clock.clone(), metrics.clone());
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
        let stores =
            Stores { configs: store.clone(), statuses: store.clone(), snapshots: store.clone() };
        let manager_settings = ManagerSettings {
            enabled: config.external.enabled,
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

        let retention = config.retention.clone();
        storage::clean(store.clone(), retention, clock.clone(), metrics.clone(), &working);

        let api = Api::new(Parts {
            view: catalog.view(),
            catalog,
            native,
            health,
            federation,
            configs: store.clone(),
            authenticator,
            tokens,
            database: store,
            metrics,
            clock,
            settings: ApiSettings::from(&config),
            places: Places::default(),
            started,
            stopping: serving.stop_signal(),
        });
        metrics_gate.open(metrics_router(api.clone()));
        gate.open(router(api));
        tracing::info!(%address, took_ms = started.elapsed().as_millis() as u64, "ready");
        Ok(Self { address, metrics_address, config, database, serving, working })
    }

    /// Stops in order: takes no new connections, lets requests end, ends the sources, writes what
    /// is left. Whether all of it ended in time.
    pub async fn stop(self) -> bool {
        let bound = self.config.server.http.shutdown_timeout;
        let served = self.serving.stop(bound).await;
        let worked = self.working.stop(bound).await;
        self.database.close().await;
        served && worked
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

/// The native registry as a source of the view: what it commits is shown before the caller is
/// told, so that whoever reads after a 201 sees it.
#[derive(Debug)]
struct Shown(Catalog);

impl Publish for Shown {
    fn publish(&self, tenant: &TenantId, changes: Vec<Change>) {
        let id = SourceId::Native;
        if self.0.state(tenant, &id).is_none() {
            self.0.open(tenant, SourceInfo::native(), GuardPolicy::NONE);
            self.0.apply(tenant, &id, vec![Change::Reset(Vec::new())]);
        }
        self.0.apply(tenant, &id, changes);
    }

    fn describe(&self, tenant: &TenantId, key: &ServiceKey, service: Option<&NativeService>) {
        let attributes = service.map(|service| Attributes {
            strategy: service.strategy,
            protect_threshold: service.protect_threshold(),
        });
        self.0.set_attributes(tenant, key, attributes);
    }

    fn hold(&self, tenant: &TenantId, held: Vec<InstanceKey>, freed: Vec<InstanceKey>) {
        self.0.mark_held(tenant, &SourceId::Native, held, freed);
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
    let probe = NetworkProbe::new(egress, &tls).map_err(anyhow::Error::msg);
    let probe = Arc::new(probe.context("healthCheck.caFile")?);
    let (native, settings) = (Arc::clone(native), health::Settings::from(config));
    Ok(HealthChecks::start(native, probe, settings, metrics.clone(), tasks))
}

fn native_settings(config: &Config) -> Settings {
    let (registry, event) = (&config.registry, &config.event);
    Settings {
        auto_create: registry.auto_create,
        lease_seconds: registry.lease_seconds,
        preservation: Preservation::from(registry),
        events: event.enabled && event.enable_persistence,
    }
}

/// Who may ask. Where the server can be reached from other machines, security is on unless the
/// configuration says in so many words that it is not.
async fn authenticator(
    config: &Config,
    address: SocketAddr,
    tokens: &Arc<Tokens>,
) -> anyhow::Result<Authenticator> {
    let reachable = !address.ip().is_loopback();
    if !access::is_wanted(&config.security, reachable) {
        if reachable {
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
    gate: Gate,
    limits: Limits,
    tasks: &TaskGroup,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((host, port))
        .await
        .with_context(|| format!("cannot listen on {host}:{port}"))?;
    let address = listener.local_addr()?;
    serve(listener, gate, limits, tasks);
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
