//! The port's calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::watch::Reading;
use hub_registry_core::{
    Capability, ChangeStream, ConnectSpec, GroupName, Instance, InstanceKey, KeyRule, MetadataRoom,
    Presence, Registry, RegistryInfo, Result, Scope, ServiceKey, look,
};

use crate::client::{Before, Client, Cursor, Found};
use crate::write::Writer;
use crate::{convert, watch};

/// One Consul datacenter (and namespace).
#[derive(Debug)]
pub struct Consul {
    info: RegistryInfo,
    group: GroupName,
    client: Arc<Client>,
    writer: Writer,
}

/// What Consul takes (`agent/structs/structs.go`, `ValidateServiceMetadata`).
const METADATA: MetadataRoom = MetadataRoom {
    keys: KeyRule::Consul,
    key_bytes: 128,
    value_bytes: 512,
    pairs: 64,
    units: usize::MAX,
};

impl Consul {
    pub(crate) fn new(spec: &ConnectSpec, client: Client) -> Self {
        let writer = client.writer();
        let (info, group) = (spec.info(), spec.default_group.clone());
        Self { info, group, client: Arc::new(client), writer }
    }
}

#[async_trait]
impl Registry for Consul {
    fn info(&self) -> &RegistryInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability {
            push: true,
            register: true,
            heartbeat: self.writer.expires(),
            heartbeat_every: Duration::from_secs(10),
            groups: false,
            weight: true,
            tags: true,
            ids: true,
            metadata: METADATA,
            empty_services: false,
            case_sensitive: true,
            settle: Duration::from_secs(30),
        }
    }

    async fn ping(&self) -> Result<()> {
        self.client.leader().await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        let names = self.client.names(&mut Cursor::reading(), Before::Nothing).await?;
        let keys = convert::keys(&self.group, names.map_or_else(Vec::new, |read| read.value));
        Ok(keys.filter(|key| scope.contains(key)).collect())
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        // Consul has no groups: in another than the default one it knows no service.
        if service.group != self.group {
            return Ok(Vec::new());
        }
        let mut cursor = Cursor::reading();
        match self.client.entries(&mut cursor, &service.name).await? {
            Found::Entries { entries, .. } => Ok(convert::instances(service, entries)),
            Found::Hidden => Err(self.client.hidden(&service.name)),
            // A first read has nothing to be unchanged from.
            Found::Unchanged => Ok(Vec::new()),
        }
    }

    /// By reads that a majority of the servers stands behind. What such a read hides, it does not
    /// deny.
    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        look::by_services(missing, |service: ServiceKey| async move {
            if service.group != self.group {
                return Ok(Reading::Whole(Vec::new()));
            }
            let mut cursor = Cursor::consistent();
            match self.client.entries(&mut cursor, &service.name).await? {
                Found::Entries { entries, filtered } => {
                    let instances = convert::instances(&service, entries);
                    let whole = !filtered;
                    Ok(if whole { Reading::Whole(instances) } else { Reading::Partial(instances) })
                }
                Found::Hidden | Found::Unchanged => Ok(Reading::Partial(Vec::new())),
            }
        })
        .await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        watch::watch(Arc::clone(&self.client), self.group.clone(), scope)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.writer.register(&self.client, instance).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.writer.deregister(&self.client, instance).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.writer.heartbeat(&self.client, instance).await
    }
}
