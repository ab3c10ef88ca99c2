//! The port's calls.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::{
    Capability, ChangeStream, ConnectSpec, GroupName, Instance, Registry, RegistryInfo, Result,
    Scope, ServiceKey,
};

use crate::client::{Client, Cursor};
use crate::{convert, watch};

/// One Consul datacenter (and namespace).
#[derive(Debug)]
pub struct Consul {
    info: RegistryInfo,
    group: GroupName,
    client: Arc<Client>,
}

impl Consul {
    pub(crate) fn new(spec: &ConnectSpec, client: Client) -> Self {
        Self { info: spec.info(), group: spec.default_group.clone(), client: Arc::new(client) }
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
            register: false,
            heartbeat: false,
            groups: false,
            weight: true,
            tags: true,
            empty_services: false,
            case_sensitive: true,
            settle: Duration::from_secs(30),
        }
    }

    async fn ping(&self) -> Result<()> {
        self.client.leader().await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        let names = self.client.names(&mut Cursor::reading()).await?;
        let keys = convert::keys(&self.group, names.unwrap_or_default());
        Ok(keys.filter(|key| scope.contains(key)).collect())
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        // Consul has no groups: in another than the default one it knows no service.
        if service.group != self.group {
            return Ok(Vec::new());
        }
        let mut cursor = Cursor::reading();
        let entries = self.client.entries(&mut cursor, &service.name).await?;
        Ok(convert::instances(service, entries.unwrap_or_default()))
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        watch::watch(Arc::clone(&self.client), self.group.clone(), scope)
    }
}
