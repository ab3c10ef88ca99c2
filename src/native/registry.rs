//! The native registry as one registry among others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use hub_registry_core::{
    Capability, Change, ChangeStream, Error, ErrorKind, Instance, InstanceKey, Registry,
    RegistryInfo, RegistryKind, Result, Scope, ServiceKey, TenantId, carry,
};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::start::{Native, News};
use crate::access::Caller;
use crate::error::ErrorCode;
use crate::model::instance::Registration;
use crate::model::names::instance_id;
use crate::model::words::HealthCheckType;

/// How often a quiet watch says that it still looks.
const IDLE: Duration = Duration::from_secs(5);

/// One tenant's part of the native registry, as a [`Registry`].
#[derive(Clone, Debug)]
pub struct NativeRegistry {
    native: Arc<Native>,
    tenant: TenantId,
    caller: Caller,
    info: RegistryInfo,
}

impl NativeRegistry {
    /// The part of this tenant.
    #[must_use]
    pub fn new(native: Arc<Native>, tenant: TenantId) -> Self {
        let info = RegistryInfo {
            kind: RegistryKind::System,
            name: "native".to_owned(),
            endpoints: vec!["native".to_owned()],
        };
        let caller = Caller::hub(tenant.clone());
        Self { native, tenant, caller, info }
    }

    fn check_runs(&self, operation: &'static str) -> Result<()> {
        if self.native.shared.ended.is_cancelled() {
            return Err(stopped(operation));
        }
        Ok(())
    }
}

#[async_trait]
impl Registry for NativeRegistry {
    fn info(&self) -> &RegistryInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability {
            push: true,
            register: true,
            heartbeat: true,
            heartbeat_every: Duration::from_secs(10),
            groups: true,
            weight: true,
            tags: true,
            empty_services: true,
            case_sensitive: true,
            settle: Duration::from_secs(30),
            ..Capability::default()
        }
    }

    async fn ping(&self) -> Result<()> {
        self.check_runs("ping")
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        self.check_runs("list services")?;
        let all = self.native.list_services(&self.tenant);
        let keys = all.into_iter().map(|summary| summary.service.key.clone());
        Ok(keys.filter(|key| scope.contains(key)).collect())
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.check_runs("list instances")?;
        let all = self.native.instances(&self.tenant, service).into_iter();
        Ok(all.map(marked).collect())
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        let watch = Watch { registry: self.clone(), scope, news: None, ready: Vec::new() };
        stream::unfold(Some(watch), |watch| async move {
            let mut watch = watch?;
            match watch.next().await {
                Ok(change) => Some((Ok(change), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        let mut registration = Registration::of(instance);
        if instance.metadata.contains_key(carry::OWNER) {
            // A copy stays until whoever wrote it removes it: a lease would end one that is to stay
            // when its rule has ended.
            registration.check = Some(HealthCheckType::None);
        }
        let outcome = self.native.register(&self.caller, registration).await;
        outcome.map(drop).map_err(|error| foreign("register", &error))
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        let id = instance_id(&self.tenant, instance);
        match self.native.deregister(&self.caller, &id).await {
            Err(error) if error.code != ErrorCode::NotFound => Err(foreign("deregister", &error)),
            _ => Ok(()),
        }
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        let id = instance_id(&self.tenant, instance);
        let outcome = self.native.heartbeat(&self.caller, &id);
        outcome.map(drop).map_err(|error| foreign("heartbeat", &error))
    }
}

struct Watch {
    registry: NativeRegistry,
    scope: Scope,
    /// Since the `Reset`: the news, and the revision it showed.
    news: Option<(broadcast::Receiver<Arc<News>>, u64)>,
    /// Changes of one publication, last first.
    ready: Vec<Change>,
}

impl Watch {
    async fn next(&mut self) -> Result<Change> {
        let NativeRegistry { native, tenant, .. } = &self.registry;
        let Some((news, shown)) = &mut self.news else {
            self.registry.check_runs("watch")?;
            // Listen first, look then: what is told twice is known by its revision.
            let news = native.shared.news.subscribe();
            let (revision, all) = native.states(tenant, &self.scope);
            self.news = Some((news, revision));
            return Ok(Change::Reset(all));
        };
        // News of other tenants and services must not put off the sign of life.
        let idle = Instant::now() + IDLE;
        loop {
            if let Some(change) = self.ready.pop() {
                return Ok(change);
            }
            let told = tokio::select! {
                biased;
                told = tokio::time::timeout_at(idle, news.recv()) => told,
                () = native.shared.ended.cancelled() => return Err(stopped("watch")),
            };
            match told {
                Err(_) => return Ok(Change::Unchanged),
                Ok(Ok(told)) if told.revision > *shown && told.tenant == *tenant => {
                    let wanted = told.changes.iter().rev().filter(|c| concerns(c, &self.scope));
                    self.ready = wanted.cloned().collect();
                }
                Ok(Ok(_)) => {}
                Ok(Err(RecvError::Lagged(_))) => {
                    let message = "fell behind the changes: look anew";
                    return Err(Error::new(ErrorKind::NotReady, "watch", message));
                }
                Ok(Err(RecvError::Closed)) => return Err(stopped("watch")),
            }
        }
    }
}

/// What is kept of a copy in its metadata, where it belongs.
fn marked(instance: Instance) -> Instance {
    let mut instance = Arc::new(instance);
    carry::take(&mut instance);
    Arc::unwrap_or_clone(instance)
}

fn concerns(change: &Change, scope: &Scope) -> bool {
    match change {
        Change::Put(state) | Change::Partial(state) => scope.contains(&state.key),
        Change::Gone(key) => scope.contains(key),
        Change::Reset(_) | Change::Unchanged => true,
    }
}

fn stopped(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unreachable, operation, "the native registry has stopped")
}

fn foreign(operation: &'static str, error: &crate::error::Error) -> Error {
    let kind = match error.code {
        ErrorCode::NotFound => ErrorKind::NotFound,
        ErrorCode::Unavailable => ErrorKind::Unreachable,
        ErrorCode::RateLimited => ErrorKind::RateLimited,
        ErrorCode::Forbidden => ErrorKind::Forbidden,
        ErrorCode::Unauthorized => ErrorKind::Unauthorized,
        ErrorCode::Internal => ErrorKind::Server,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, operation, error.message.clone())
}
