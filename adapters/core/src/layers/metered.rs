//! A measurement per call.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::capability::Capability;
use crate::change::ChangeStream;
use crate::error::{ErrorKind, Result};
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::look::Presence;
use crate::registry::{Registry, RegistryInfo, Scope};

/// Who wants to know how calls go: the metrics, the status row.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// One call ended: which (`"list services"`), how long it took, and the class of its error.
    fn observe(&self, operation: &'static str, took: Duration, error: Option<ErrorKind>);
}

/// Tells an [`Observer`] of every call.
#[derive(Debug)]
pub struct Metered {
    inner: Arc<dyn Registry>,
    observer: Arc<dyn Observer>,
}

impl Metered {
    /// A registry whose calls are observed.
    #[must_use]
    pub fn new(inner: Arc<dyn Registry>, observer: Arc<dyn Observer>) -> Self {
        Self { inner, observer }
    }

    async fn measure<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let start = Instant::now();
        let outcome = call.await;
        let error = outcome.as_ref().err().map(crate::Error::kind);
        self.observer.observe(operation, start.elapsed(), error);
        outcome
    }
}

#[async_trait]
impl Registry for Metered {
    fn info(&self) -> &RegistryInfo {
        self.inner.info()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn ping(&self) -> Result<()> {
        self.measure("ping", self.inner.ping()).await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        self.measure("list services", self.inner.services(scope)).await
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.measure("list instances", self.inner.instances(service)).await
    }

    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        self.measure("look again", self.inner.look_again(missing)).await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        self.inner.watch(scope)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.measure("register", self.inner.register(instance)).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.measure("deregister", self.inner.deregister(instance)).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.measure("heartbeat", self.inner.heartbeat(instance)).await
    }
}
