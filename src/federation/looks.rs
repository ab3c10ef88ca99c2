//! Asking a registry again for instances it no longer lists and whose removal is held.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hub_registry_core::{InstanceKey, Presence, Registry};
use tokio::time::Instant;

use super::SourceKey;
use crate::catalog::{Catalog, SourceId};

/// A look at everything that is held may take so long; adapters bound each of its calls.
const LONGEST: Duration = Duration::from_secs(120);

/// What a look found.
pub(super) struct Looked {
    /// When it was asked for.
    pub asked: Instant,
    /// What it found of each instance, in the order of their keys; nothing when it failed.
    pub found: Vec<(InstanceKey, Presence)>,
}

/// The looks of one session: one at a time, none while nothing is held. They run beside the watch
/// and never hold it up.
pub(super) struct Looks {
    registry: Arc<dyn Registry>,
    catalog: Catalog,
    key: SourceKey,
    id: SourceId,
    due: Option<Instant>,
    running: Option<BoxFuture<'static, Looked>>,
    held_revision: i64,
}

impl Looks {
    /// Looks at this registry for what the catalog holds of this source.
    pub(super) fn new(registry: Arc<dyn Registry>, catalog: Catalog, key: SourceKey) -> Self {
        let id = SourceId::External(key.1.clone());
        Self { registry, catalog, key, id, due: None, running: None, held_revision: 0 }
    }

    /// Plans the next look after the watch said something: more may be held than before.
    pub(super) fn plan(&mut self) {
        let held_revision = self.catalog.held_revision(&self.key.0, &self.id);
        if self.due.is_none() || held_revision != self.held_revision {
            self.held_revision = held_revision;
            let next = self.catalog.next_look(&self.key.0, &self.id, Instant::now());
            // What is held already is not put off by what is held anew.
            self.due = [self.due, next].into_iter().flatten().min();
        }
    }

    /// Plans the next look after one was taken in.
    pub(super) fn plan_after_look(&mut self) {
        self.due = None;
        self.plan();
    }

    /// The next look; for ever, while nothing is held. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Looked {
        loop {
            if let Some(running) = &mut self.running {
                let looked = running.await;
                self.running = None;
                return looked;
            }
            match self.due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => pending().await,
            }
            self.start();
        }
    }

    fn start(&mut self) {
        let missing = self.catalog.missing(&self.key.0, &self.id);
        if missing.is_empty() {
            self.due = None;
            return;
        }
        let (registry, asked) = (Arc::clone(&self.registry), Instant::now());
        let look = async move {
            let look = tokio::time::timeout(LONGEST, registry.look_again(&missing)).await;
            let found = match look {
                Ok(Ok(found)) => found,
                // If the registry fails, the watch says so too; what is held goes on waiting.
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a look at held instances failed");
                    Vec::new()
                }
                Err(_) => {
                    tracing::debug!(held = missing.len(), "a look at held instances took too long");
                    Vec::new()
                }
            };
            let keys = missing.iter().map(|instance| instance.key.clone());
            Looked { asked, found: keys.zip(found).collect() }
        };
        self.running = Some(look.boxed());
    }
}
