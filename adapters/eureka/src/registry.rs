//! The trait, on top of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::look::{self, Presence};
use hub_registry_core::watch::Reading;
use hub_registry_core::{
    Capability, ChangeStream, Instance, InstanceKey, KeyRule, MetadataRoom, Registry, RegistryInfo,
    Result, Scope, ServiceKey,
};

use crate::client::Client;
use crate::convert::{self, Registrations, Rules};
use crate::driver::Settings;
use crate::look::past_caches;
use crate::watch::{self, Unshown};

/// A Eureka.
#[derive(Debug)]
pub(crate) struct EurekaRegistry {
    info: RegistryInfo,
    client: Client,
    settings: Settings,
    rules: Rules,
    unshown: Arc<Unshown>,
}

impl EurekaRegistry {
    pub(crate) fn new(
        info: RegistryInfo,
        client: Client,
        settings: Settings,
        rules: Rules,
    ) -> Self {
        let unshown = Arc::new(Unshown::new(&info.name));
        Self { info, client, settings, rules, unshown }
    }

    /// Every application there is.
    async fn applications(&self, operation: &'static str) -> Result<Vec<(String, Registrations)>> {
        let apps = self.client.full().await?.content.application;
        let apps = apps.into_iter().flatten().map(|application| {
            let read = self.rules.application(application);
            read.map_err(|problem| self.client.senseless(operation, &problem))
        });
        apps.collect()
    }

    /// What one list of everything says: each application would be read from it, one by one.
    async fn by_list_of_all(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        let mut all: BTreeMap<String, Registrations> = BTreeMap::new();
        for (app, registrations) in self.applications("look again").await? {
            all.entry(app).or_default().extend(registrations);
        }
        let all = &all;
        look::by_services(missing, |service: ServiceKey| async move {
            let found = all.get(&service.name.as_str().to_uppercase());
            let found = found.filter(|_| service.group == self.rules.group);
            let list = found.map(|found| convert::state(service, found).into_instances());
            Ok(Reading::Whole(list.unwrap_or_default()))
        })
        .await
    }
}

#[async_trait]
impl Registry for EurekaRegistry {
    fn info(&self) -> &RegistryInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        let keys = KeyRule::Xml;
        Capability {
            register: true,
            heartbeat: true,
            ids: true,
            heartbeat_every: Duration::from_secs(30),
            metadata: MetadataRoom { keys, ..MetadataRoom::default() },
            // Clients send heartbeats, and look for a lost server, every 30 s; one that comes
            // back has them all after three.
            settle: Duration::from_secs(90),
            ..Capability::default()
        }
    }

    async fn ping(&self) -> Result<()> {
        self.client.probe(self.settings.use_delta).await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        let mut services = BTreeSet::new();
        for (app, all) in self.applications("list services").await? {
            self.unshown.note(&app, &all);
            services.extend(self.rules.service(&app, &all));
        }
        services.retain(|service| scope.contains(service));
        Ok(services.into_iter().collect())
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        if service.group != self.rules.group {
            return Ok(Vec::new());
        }
        // Eureka folds case, so the asker's spelling is as good as that of any vip: refusing it
        // would turn a change of spelling into an empty list.
        let name = service.name.as_str().to_uppercase();
        let Some(application) = self.client.app(&name).await? else {
            // No such application, or no Eureka: a 404 does not tell them apart.
            self.ping().await?;
            return Ok(Vec::new());
        };
        let (app, all) = self
            .rules
            .application(application)
            .map_err(|problem| self.client.senseless("list instances", &problem))?;
        if app != name {
            let problem = format!("is about {app:?}");
            return Err(self.client.senseless("list instances", &problem));
        }
        self.unshown.note(&app, &all);
        Ok(convert::state(service.clone(), &all).into_instances())
    }

    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        let found = if self.client.has_apps() {
            look::by_lists(self, missing).await?
        } else {
            self.by_list_of_all(missing).await?
        };
        Ok(past_caches(&self.client, &self.rules, missing, found).await)
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        let (client, rules) = (self.client.clone(), self.rules.clone());
        let unshown = Arc::clone(&self.unshown);
        watch::watch(client, rules, &self.settings, scope, unshown)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.client.register(instance).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.client.deregister(instance, self.settings.use_delta).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.client.heartbeat(instance).await
    }
}
