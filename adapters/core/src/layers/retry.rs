//! Another try for reads that may succeed a moment later.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::capability::Capability;
use crate::change::ChangeStream;
use crate::error::Result;
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::look::Presence;
use crate::registry::{Registry, RegistryInfo, Scope};

/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Tries reads again while their error [is retryable](crate::ErrorKind::is_retryable), with a
/// jittered pause that doubles up to 5 s. Writes are tried once: whoever writes knows whether
/// writing twice is harmless.
#[derive(Debug)]
pub struct Retry {
    inner: Arc<dyn Registry>,
    retries: u32,
    pause: Duration,
}

impl Retry {
    /// A registry whose reads are tried up to `1 + retries` times.
    #[must_use]
    pub fn new(inner: Arc<dyn Registry>, retries: u32, pause: Duration) -> Self {
        Self { inner, retries, pause }
    }

    async fn again<T, F>(&self, call: impl Fn() -> F + Send) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send,
    {
        let mut pause = self.pause.min(MAX_PAUSE);
        for _ in 0..self.retries {
            match call().await {
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, pause_ms = pause.as_millis(), "read failed, trying again");
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
                outcome => return outcome,
            }
        }
        call().await
    }
}

#[async_trait]
impl Registry for Retry {
    fn info(&self) -> &RegistryInfo {
        self.inner.info()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn ping(&self) -> Result<()> {
        self.again(|| self.inner.ping()).await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        self.again(|| self.inner.services(scope)).await
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.again(|| self.inner.instances(service)).await
    }

    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        // Asked again soon anyhow.
        self.inner.look_again(missing).await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        self.inner.watch(scope)
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
