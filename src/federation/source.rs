//! One supervised watch: connect, follow, and after a failure begin again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hub_registry_core::layers::Observer;
use hub_registry_core::{Change, Error, ErrorKind, TenantId};
use tokio::time::Instant;

use super::SourceKey;
use super::backoff::Backoff;
use super::connect::connect;
use super::drivers::Drivers;
use super::keeper::Keeper;
use super::status::SourceStatus;
use crate::catalog::{Applied, Catalog, Link, SourceId};
use crate::model::external::ExternalConfig;

/// Items taken from a watch at once: a storm becomes few revisions.
const BATCH: usize = 1024;
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

    /// Runs for ever; dropping the future stops it.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(self.config.spec.retry_interval);
        let name = self.config.name.as_str();
        loop {
            let Err(error) = self.session(&mut backoff).await;
            self.context.catalog.set_link(self.tenant(), &self.id, Link::Failing);
            self.status.failed(&error);
            let pause = backoff.next(error.kind());
            let (code, pause_ms) = (error.kind().code(), pause.as_millis() as u64);
            tracing::warn!(source = name, tenant.id = %self.tenant(), %error, code, pause_ms,
                "source failed; what it said last stays, and it is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    fn tenant(&self) -> &TenantId {
        &self.config.tenant
    }

    fn key(&self) -> SourceKey {
        (self.config.tenant.clone(), self.config.id.clone())
    }

    /// One connection, until it fails.
    async fn session(&self, backoff: &mut Backoff) -> Result<Infallible, Error> {
        let observer = Arc::clone(&self.status);
        let registry = connect(&self.context.drivers, &self.config.spec, observer).await?;
        let capability = registry.capability();
        self.status.connected(capability);
        self.context.catalog.set_usual_settle(self.tenant(), &self.id, capability.settle);
        let began = Instant::now();
        let mut items = registry.watch(self.config.scope()).ready_chunks(BATCH);
        let mut patience = Instant::now() + FIRST_READ;
        let mut deadline = None;
        loop {
            tokio::select! {
                chunk = tokio::time::timeout_at(patience, items.next()) => {
                    let Ok(chunk) = chunk else { return Err(silent()) };
                    let applied = self.take(chunk.unwrap_or_default(), began)?;
                    deadline = applied.deadline;
                    backoff.reset();
                    patience = Instant::now() + SILENCE;
                }
                () = until(deadline) => {
                    let applied = self.context.catalog.expire(self.tenant(), &self.id);
                    deadline = applied.deadline;
                    self.context.keeper.note(&self.key(), applied.changed);
                }
            }
        }
    }

    /// Hands the good items on, then reports the error that ended them.
    fn take(&self, items: Vec<Result<Change, Error>>, began: Instant) -> Result<Applied, Error> {
        if items.is_empty() {
            return Err(Error::new(
                ErrorKind::Protocol,
                "watch",
                "the watch ended without a reason",
            ));
        }
        let mut changes = Vec::with_capacity(items.len());
        let mut failure = None;
        for item in items {
            match item {
                Ok(change) => changes.push(change),
                Err(error) => failure = Some(error),
            }
        }
        let mut applied = Applied::default();
        if !changes.is_empty() {
            let full = changes.iter().any(|change| matches!(change, Change::Reset(_)));
            applied = self.context.catalog.apply(self.tenant(), &self.id, changes);
            if full {
                self.status.observe("full read", began.elapsed(), None);
            }
            self.status.read(full);
            self.context.keeper.note(&self.key(), applied.changed.clone());
        }
        failure.map_or(Ok(applied), Err)
    }
}

fn silent() -> Error {
    Error::new(ErrorKind::Timeout, "watch", "the watch kept silent for too long")
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
