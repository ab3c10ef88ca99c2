//! The registry itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::watch::two_level;
use hub_registry_core::{
    Capability, ChangeStream, ConnectSpec, Instance, InstanceKey, KeyRule, MetadataRoom, Registry,
    RegistryInfo, Result, Scope, ServiceKey, SpecError,
};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::client::NacosClient;
use crate::convert;
use crate::driver::Settings;
use crate::watch::{Levels, Push};
use crate::wire::ServiceView;

/// Reads of single services under way at once, over all watches of one registry.
pub(crate) const PARALLEL: usize = 16;

/// Beyond this many, services with unreadable names or addresses are left out silently.
const MOST_REPORTED: usize = 1000;

/// Keys and values together, less what [`LEASE`](crate::client::LEASE) takes of Nacos' 1024
/// (`ParamCheckRule`).
const METADATA: MetadataRoom = MetadataRoom {
    keys: KeyRule::Any,
    key_bytes: usize::MAX,
    value_bytes: usize::MAX,
    pairs: usize::MAX,
    units: 900,
};

/// One namespace of one Nacos.
#[derive(Debug)]
pub(crate) struct NacosRegistry {
    info: RegistryInfo,
    source: Arc<Source>,
    push: Arc<Push>,
}

impl NacosRegistry {
    pub(crate) fn new(spec: &ConnectSpec, settings: Settings) -> Result<Self, SpecError> {
        let client = Arc::new(NacosClient::new(spec, &settings.namespace)?);
        let push = Push::new(settings.push_target(spec), Arc::clone(&client), &spec.name);
        let source = Source {
            name: spec.name.clone(),
            client,
            settings,
            reads: Semaphore::new(PARALLEL),
            reported: Mutex::new(BTreeSet::new()),
        };
        Ok(Self { info: spec.info(), source: Arc::new(source), push: Arc::new(push) })
    }
}

#[async_trait]
impl Registry for NacosRegistry {
    fn info(&self) -> &RegistryInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability {
            push: true,
            register: true,
            heartbeat: true,
            heartbeat_every: Duration::from_secs(15),
            groups: true,
            weight: true,
            metadata: METADATA,
            empty_services: true,
            case_sensitive: true,
            settle: Duration::from_secs(30),
            ..Capability::default()
        }
    }

    async fn ping(&self) -> Result<()> {
        self.source.client.ping().await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        Ok(self.source.services(scope).await?.into_keys().collect())
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.source.instances(service).await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        let levels = Levels::new(Arc::clone(&self.source), Arc::clone(&self.push), scope);
        two_level(Arc::new(levels), PARALLEL)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.source.client.register(instance).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.source.client.deregister(instance).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.source.client.heartbeat(instance).await
    }
}

/// The reads, in our terms.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    client: Arc<NacosClient>,
    settings: Settings,
    reads: Semaphore,
    reported: Mutex<BTreeSet<String>>,
}

impl Source {
    /// The services of the scope, each with its counts.
    pub(crate) async fn services(
        &self,
        scope: &Scope,
    ) -> Result<BTreeMap<ServiceKey, ServiceView>> {
        let mut services = BTreeMap::new();
        for view in self.client.services().await? {
            match convert::service_key(&view) {
                Ok(key) if self.has_group(&key) && scope.contains(&key) => {
                    services.insert(key, view);
                }
                Ok(_) => {}
                Err(error) => self.left_out(&view.name, &error.to_string()),
            }
        }
        Ok(services)
    }

    /// All instances of a service, as they truly are.
    pub(crate) async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        if !self.has_group(service) {
            return Ok(Vec::new());
        }
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = self.reads.acquire().await.ok();
        let mut hosts = self.client.instances(service).await?;
        drop(permit);
        let clusters = &self.settings.clusters;
        hosts.retain(|host| {
            let cluster = host.cluster_name.as_deref().unwrap_or("DEFAULT");
            clusters.is_empty() || clusters.iter().any(|wanted| wanted == cluster)
        });
        let (instances, refused) = convert::instances(service, hosts);
        if let Some(error) = refused.first() {
            self.left_out(&service.to_string(), &error.to_string());
        }
        Ok(instances)
    }

    fn has_group(&self, service: &ServiceKey) -> bool {
        let groups = &self.settings.groups;
        groups.is_empty() || groups.contains(&service.group)
    }

    // Once per service: it is read again and again.
    fn left_out(&self, service: &str, reason: &str) {
        let mut reported = self.reported.lock();
        if reported.len() < MOST_REPORTED && reported.insert(service.to_owned()) {
            tracing::warn!(
                config.name = self.name,
                service.name = service,
                reason,
                "left out what has a name or address no reader could use"
            );
        }
    }
}
