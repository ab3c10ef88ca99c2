//! One supervised watch: connect, follow, and after a failure begin again.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use hub_registry_core::layers::Observer;
use hub_registry_core::{Change, Error, ErrorKind, Registry, Scope, TenantId};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::SourceKey;
use super::backoff::Backoff;
use super::connect::{Purpose, connect};
use super::drivers::Drivers;
use super::keeper::Keeper;
use super::looks::{Looked, Looks};
use super::status::SourceStatus;
use crate::catalog::{Catalog, Link, SourceId};
use crate::model::external::ExternalConfig;

/// The most items of a watch taken at once: what comes together is judged together, so that a
/// registry that lists nothing any more is seen as that and not as many small removals.
const BATCH: usize = 100_000;
/// How long the first full read may take; adapters bound each of its calls.
const FIRST_READ: Duration = Duration::from_secs(180);
/// A watch says something at least every 30 s; longer silence is a fault of the adapter.
const SILENCE: Duration = Duration::from_secs(45);

/// What a source needs from the house.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// The kinds of registry.
    pub drivers: Drivers,
    /// Where its words go.
    pub catalog: Catalog,
    /// Where its last known good is kept.
    pub keeper: Arc<Keeper>,
}

/// One source.
#[derive(Debug)]
pub(super) struct Source {
    context: Context,
    config: Arc<ExternalConfig>,
    status: Arc<SourceStatus>,
    id: SourceId,
}

impl Source {
    /// A source that does not run yet.
    #[must_use]
    pub(super) fn new(
        context: Context,
        config: Arc<ExternalConfig>,
        status: Arc<SourceStatus>,
    ) -> Self {
        let id = SourceId::External(config.id.clone());
        Self { context, config, status, id }
    }

    /// Runs for ever; dropping the future stops it. `hurry` ends a pause between two attempts.
    pub(super) async fn run(self, hurry: Arc<Notify>) {
        let mut backoff = Backoff::new(self.config.spec.retry_interval);
        let name = self.config.name.as_str();
        // Kept over failures: it knows which of its addresses failed.
        let mut registry = None;
        loop {
            let session = self.session(&mut registry, &mut backoff);
            let error = match AssertUnwindSafe(session).catch_unwind().await {
                Ok(Err(error)) => error,
                Err(_) => {
                    registry = None;
                    Error::new(ErrorKind::Protocol, "watch", "the adapter panicked")
                }
            };
            self.context.catalog.set_link(self.tenant(), &self.id, Link::Failing);
            self.status.failed(&error);
            let pause = backoff.next(error.kind());
            let (code, pause_ms) = (error.kind().code(), pause.as_millis() as u64);
            tracing::warn!(source = name, tenant.id = %self.tenant(), %error, code, pause_ms,
                "source failed; what it said last stays, and it is tried again");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = hurry.notified() => {}
            }
        }
    }

    fn tenant(&self) -> &TenantId {
        &self.config.tenant
    }

    fn key(&self) -> SourceKey {
        (self.config.tenant.clone(), self.config.id.clone())
    }

    /// One watch, until it fails.
    async fn session(
        &self,
        registry: &mut Option<Arc<dyn Registry>>,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Error> {
        self.status.attempting();
        let registry = match registry {
            Some(registry) => registry,
            None => {
                let observer = Arc::clone(&self.status);
                let new = connect(&self.context.drivers, &self.config, observer, Purpose::Reading)
                    .await?;
                registry.insert(new)
            }
        };
        let capability = registry.capability();
        self.status.connected(capability);
        self.context.catalog.set_usual_settle(self.tenant(), &self.id, capability.settle);
        let began = Instant::now();
        let mut items = registry.watch(Scope::all());
        let mut looks = Looks::new(Arc::clone(registry), self.context.catalog.clone(), self.key());
        let mut patience = began + FIRST_READ;
        loop {
            let first = tokio::select! {
                first = tokio::time::timeout_at(patience, items.next()) => first,
                looked = looks.next() => {
                    self.confirm(looked);
                    looks.plan_after_look();
                    continue;
                }
            };
            let Ok(first) = first else { return Err(silent()) };
            let mut chunk: Vec<_> = first.into_iter().collect();
            while chunk.len() < BATCH
                && let Some(Some(item)) = items.next().now_or_never()
            {
                chunk.push(item);
            }
            self.take(chunk, began)?;
            looks.plan();
            backoff.reset();
            patience = Instant::now() + SILENCE;
        }
    }

    /// Hands on what looks found.
    fn confirm(&self, Looked { asked, found }: Looked) {
        let changed = self.context.catalog.confirm(self.tenant(), &self.id, found, asked);
        self.context.keeper.note(&self.key(), changed);
    }

    /// Hands the good items on, then reports the error that ended them.
    fn take(&self, items: Vec<Result<Change, Error>>, began: Instant) -> Result<(), Error> {
        if items.is_empty() {
            let message = "the watch ended without a reason";
            return Err(Error::new(ErrorKind::Protocol, "watch", message));
        }
        let mut changes = Vec::with_capacity(items.len());
        let mut failure = None;
        for item in items {
            match item {
                Ok(change) => changes.push(change),
                Err(error) => failure = Some(error),
            }
        }
        if !changes.is_empty() {
            let full = changes.iter().any(|change| matches!(change, Change::Reset(_)));
            let changed = self.context.catalog.apply(self.tenant(), &self.id, changes);
            if full {
                self.status.observe("full read", began.elapsed(), None);
            }
            self.status.read(full);
            self.context.keeper.note(&self.key(), changed);
        }
        failure.map_or(Ok(()), Err)
    }
}

fn silent() -> Error {
    Error::new(ErrorKind::Timeout, "watch", "the watch kept silent for too long")
}
