//! A deadline for every call.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::capability::Capability;
use crate::change::ChangeStream;
use crate::error::{Error, ErrorKind, Result};
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::look::Presence;
use crate::registry::{Registry, RegistryInfo, Scope};

/// Ends each call with [`ErrorKind::Timeout`] after a fixed time, whatever the adapter does.
#[derive(Debug)]
pub struct Timeout {
    inner: Arc<dyn Registry>,
    after: Duration,
}

impl Timeout {
    /// A registry each call of which takes at most `after`.
    #[must_use]
    pub fn new(inner: Arc<dyn Registry>, after: Duration) -> Self {
        Self { inner, after }
    }

    async fn bound<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        tokio::time::timeout(self.after, call).await.unwrap_or_else(|_| {
            let message = format!("no answer within {} ms", self.after.as_millis());
            Err(Error::new(ErrorKind::Timeout, operation, message))
        })
    }
}

#[async_trait]
impl Registry for Timeout {
    fn info(&self) -> &RegistryInfo {
        self.inner.info()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn ping(&self) -> Result<()> {
        self.bound("ping", self.inner.ping()).await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        self.bound("list services", self.inner.services(scope)).await
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.bound("list instances", self.inner.instances(service)).await
    }

    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        // How long it takes depends on how many are asked for; the calls inside are bounded.
        self.inner.look_again(missing).await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        self.inner.watch(scope)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.bound("register", self.inner.register(instance)).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.bound("deregister", self.inner.deregister(instance)).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.bound("heartbeat", self.inner.heartbeat(instance)).await
    }
}
