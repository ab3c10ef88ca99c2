//! The native registry keeps the contract of every registry.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry::access::Caller;
use hub_registry::clock::Clock;
use hub_registry::model::instance::Registration;
use hub_registry::model::names::instance_id;
use hub_registry::native::{Native, NativeRegistry, Publication, Publish, Settings};
use hub_registry::storage::SqlStore;
use hub_registry::task::TaskGroup;
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::{
    Capability, ChangeStream, GroupName, HealthStatus, Instance, InstanceKey, InstanceStatus,
    Registry, RegistryInfo, Result, Scope, ServiceKey, TenantId,
};
use hub_registry_testkit::contract::{self, Subject, Traits};
use parking_lot::Mutex;

#[derive(Debug)]
struct Nobody;

impl Publish for Nobody {
    fn publish(&self, _tenant: &TenantId, _publication: Publication) {}

    fn hold(&self, _: &TenantId, _: Vec<InstanceKey>, _: Vec<InstanceKey>) {}
}

/// A native registry that is stopped and started anew on the same file.
#[derive(Debug)]
struct Restarting {
    path: PathBuf,
    running: Mutex<(TaskGroup, NativeRegistry, Arc<Native>)>,
    info: RegistryInfo,
}

async fn start(path: &std::path::Path) -> (TaskGroup, NativeRegistry, Arc<Native>) {
    let store = SqlStore::sqlite(path.to_str().unwrap(), 4).await.unwrap();
    let tasks = TaskGroup::new();
    // The suite sends no heartbeats: what it wrote must stay healthy while it looks.
    let settings = Settings { lease_seconds: 3600, ..Settings::default() };
    let started = Native::start(
        Arc::new(store),
        Arc::new(Nobody),
        Clock::System,
        Metrics::new(),
        &tasks,
        settings,
    );
    let native = started.await.unwrap();
    let registry = NativeRegistry::new(Arc::clone(&native), TenantId::default_tenant());
    (tasks, registry, native)
}

impl Restarting {
    fn now(&self) -> NativeRegistry {
        self.running.lock().1.clone()
    }

    fn native(&self) -> Arc<Native> {
        Arc::clone(&self.running.lock().2)
    }
}

/// The hub's connection outlives a restart of what it is connected to.
#[derive(Clone, Debug)]
struct Connection(Arc<Restarting>);

#[async_trait]
impl Registry for Connection {
    fn info(&self) -> &RegistryInfo {
        &self.0.info
    }
    fn capability(&self) -> Capability {
        self.0.now().capability()
    }
    async fn ping(&self) -> Result<()> {
        self.0.now().ping().await
    }
    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        self.0.now().services(scope).await
    }
    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.0.now().instances(service).await
    }
    fn watch(&self, scope: Scope) -> ChangeStream {
        self.0.now().watch(scope)
    }
    async fn register(&self, instance: &Instance) -> Result<()> {
        self.0.now().register(instance).await
    }
    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.0.now().deregister(instance).await
    }
    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.0.now().heartbeat(instance).await
    }
}

struct NativeSubject(Connection);

#[async_trait]
impl Subject for NativeSubject {
    fn name(&self) -> &str {
        "native"
    }

    fn traits(&self) -> Traits {
        let every_state = InstanceStatus::ALL
            .iter()
            .flat_map(|&status| HealthStatus::ALL.iter().map(move |&health| (status, health)));
        Traits {
            groups: vec![GroupName::default_group(), GroupName::parse("g2").unwrap()],
            states: every_state.collect(),
            initial: (InstanceStatus::Up, HealthStatus::Healthy),
            weight: true,
            tags: true,
            lag: Duration::from_secs(2),
            keeps_data: true,
        }
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(Arc::new(self.0.clone()))
    }

    async fn put(&self, instance: &Instance) {
        let tenant = TenantId::default_tenant();
        let native = self.0.0.native();
        native.register(&Caller::hub(tenant), Registration::of(instance)).await.unwrap();
    }

    async fn remove(&self, instance: &InstanceKey) {
        let tenant = TenantId::default_tenant();
        let id = instance_id(&tenant, instance);
        self.0.0.native().deregister(&Caller::hub(tenant), &id).await.unwrap();
    }

    async fn fail(&self) {
        let tasks = self.0.0.running.lock().0.clone();
        assert!(tasks.stop(Duration::from_secs(10)).await);
    }

    async fn mend(&self) {
        let started = start(&self.0.0.path).await;
        *self.0.0.running.lock() = started;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    let running = Mutex::new(start(&path).await);
    let info = running.lock().1.info().clone();
    let subject = NativeSubject(Connection(Arc::new(Restarting { path, running, info })));
    contract::run(&subject).await;
}
