//! Only the services asked for.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;

use crate::capability::Capability;
use crate::change::{Change, ChangeStream};
use crate::error::Result;
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::look::Presence;
use crate::registry::{Registry, RegistryInfo, Scope};

/// Shows the services of one scope: to whoever asks for more, the others do not exist. Writes pass.
#[derive(Debug)]
pub struct Filtered {
    inner: Arc<dyn Registry>,
    shown: Scope,
}

impl Filtered {
    /// A registry with the services of this scope.
    #[must_use]
    pub fn new(inner: Arc<dyn Registry>, shown: Scope) -> Self {
        Self { inner, shown }
    }
}

/// What the changes say of the services in the scope.
pub(super) fn narrowed(changes: ChangeStream, scope: Scope) -> ChangeStream {
    if scope.is_all() {
        return changes;
    }
    let narrowed = changes.map(move |change| {
        let change = match change {
            Ok(Change::Reset(mut states)) => {
                states.retain(|state| scope.contains(&state.key));
                Some(Ok(Change::Reset(states)))
            }
            Ok(Change::Put(ref state) | Change::Partial(ref state)) => {
                scope.contains(&state.key).then_some(change)
            }
            Ok(Change::Gone(ref key)) => scope.contains(key).then_some(change),
            Ok(Change::Unchanged) | Err(_) => Some(change),
        };
        // A look that concerns nobody here is a look all the same.
        change.unwrap_or(Ok(Change::Unchanged))
    });
    narrowed.boxed()
}

#[async_trait]
impl Registry for Filtered {
    fn info(&self) -> &RegistryInfo {
        self.inner.info()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        let mut services = self.inner.services(&self.shown).await?;
        services.retain(|service| scope.contains(service));
        Ok(services)
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        if !self.shown.contains(service) {
            return Ok(Vec::new());
        }
        self.inner.instances(service).await
    }

    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        self.inner.look_again(missing).await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        let changes = self.inner.watch(self.shown.clone());
        // The registry was asked for what may be shown; of that, what was asked for now.
        narrowed(changes, scope)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.inner.register(instance).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.inner.deregister(instance).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.inner.heartbeat(instance).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::{GroupName, Host, ServiceName};

    fn instance(service: &str) -> Instance {
        let name = ServiceName::parse(service).unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        Instance::new(InstanceKey { service, host: Host::parse("10.0.0.1").unwrap(), port: 1 })
    }

    fn glob(include: &str) -> Scope {
        Scope::new(&[include.to_owned()], &[], Vec::new())
    }

    #[tokio::test]
    async fn what_is_not_shown_does_not_exist() {
        let memory = Memory::new("m");
        for name in ["order-a", "order-b", "stock"] {
            memory.register(&instance(name)).await.unwrap();
        }
        let filtered = Filtered::new(Arc::new(memory.clone()), glob("order-*"));
        assert_eq!(filtered.services(&Scope::all()).await.unwrap().len(), 2);
        assert_eq!(filtered.services(&glob("*-b")).await.unwrap().len(), 1);
        let shown = |name| instance(name).key.service;
        assert_eq!(filtered.instances(&shown("stock")).await.unwrap(), []);
        assert_eq!(filtered.instances(&shown("order-a")).await.unwrap().len(), 1);

        let mut all = filtered.watch(Scope::all());
        let mut one = filtered.watch(glob("*-b"));
        for (watch, services) in [(&mut all, 2), (&mut one, 1)] {
            let first = watch.next().await.unwrap().unwrap();
            assert!(matches!(&first, Change::Reset(s) if s.len() == services), "{first:?}");
        }
        for name in ["stock", "order-a", "order-b"] {
            memory.deregister(&instance(name).key).await.unwrap();
        }
        for (watch, allowed) in [(&mut all, &["order-a", "order-b"][..]), (&mut one, &["order-b"])]
        {
            let mut left = allowed.to_vec();
            while !left.is_empty() {
                match watch.next().await.unwrap().unwrap() {
                    Change::Put(state) => left.retain(|name| shown(name) != state.key),
                    other => assert_eq!(other, Change::Unchanged),
                }
            }
        }
    }
}
