//! The trait, on top of the others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::{
    Capability, ChangeStream, Instance, Registry, RegistryInfo, Result, Scope, ServiceKey,
};

use crate::client::Client;
use crate::convert::{self, Rules};
use crate::driver::Settings;
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
}

#[async_trait]
impl Registry for EurekaRegistry {
    fn info(&self) -> &RegistryInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability {
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
        let apps = self.client.full().await?.content.application;
        for application in apps.into_iter().flatten() {
            let (app, all) = self
                .rules
                .application(application)
                .map_err(|problem| self.client.senseless("list services", &problem))?;
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

    fn watch(&self, scope: Scope) -> ChangeStream {
        let (client, rules) = (self.client.clone(), self.rules.clone());
        let unshown = Arc::clone(&self.unshown);
        watch::watch(client, rules, self.settings, scope, unshown)
    }
}
