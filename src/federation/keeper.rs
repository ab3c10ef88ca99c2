//! Keeps each source's last known good on disk, within a second of a change. What is written is
//! what changed, not what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::ServiceKey;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::SourceKey;
use crate::catalog::{Catalog, SourceId, SourceState};
use crate::clock::Clock;
use crate::storage::{SnapshotBatch, SnapshotStore};
use crate::task::TaskGroup;

/// How often changes are written.
const WRITE_EVERY: Duration = Duration::from_millis(400);
/// How long it is waited for that a change is told. Without that nothing is written this time.
const TELL: Duration = Duration::from_secs(2);
/// How often the age of an unchanged source is written.
const TOUCH_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Kept {
    identity: String,
    // The first write of a run replaces whatever another identity or run left behind.
    replace_all: bool,
    changed: BTreeSet<ServiceKey>,
    touched: Instant,
}

/// Collects what changed and writes it.
#[derive(Debug)]
pub(super) struct Keeper {
    kept: Mutex<BTreeMap<SourceKey, Kept>>,
    // One change of what is kept at a time: a save under way must not outlive what it saves.
    writing: tokio::sync::Mutex<()>,
    store: Arc<dyn SnapshotStore>,
    catalog: Catalog,
    clock: Clock,
}

impl Keeper {
    /// A keeper without sources.
    #[must_use]
    pub(super) fn new(store: Arc<dyn SnapshotStore>, catalog: Catalog, clock: Clock) -> Arc<Self> {
        let (kept, writing) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { kept, writing, store, catalog, clock })
    }

    /// Begins to keep a source. `restored`: what is on disk is what the catalog has.
    pub(super) async fn open(&self, key: &SourceKey, identity: String, restored: bool) {
        let _writing = self.writing.lock().await;
        let (changed, touched) = (BTreeSet::new(), Instant::now());
        let kept = Kept { identity, replace_all: !restored, changed, touched };
        self.kept.lock().insert(key.clone(), kept);
    }

    /// The source is another registry from now on: what is on disk is not its state.
    pub(super) async fn rename(&self, key: &SourceKey, identity: &str) {
        let _writing = self.writing.lock().await;
        if let Some(kept) = self.kept.lock().get_mut(key) {
            identity.clone_into(&mut kept.identity);
            kept.replace_all = true;
        }
    }

    /// Notes services of the source that changed.
    pub(super) fn note(&self, key: &SourceKey, changed: Vec<ServiceKey>) {
        if let Some(kept) = self.kept.lock().get_mut(key) {
            kept.changed.extend(changed);
        }
    }

    /// Forgets a source, on disk too.
    pub(super) async fn close(&self, key: &SourceKey) {
        let _writing = self.writing.lock().await;
        self.kept.lock().remove(key);
        if let Err(error) = self.store.remove(&key.0, &key.1).await {
            tracing::warn!(%error, source.id = %key.1, "cannot forget the last known good");
        }
    }

    /// Writes until the group stops, and once more then.
    pub(super) fn keep_written(self: &Arc<Self>, tasks: &TaskGroup) {
        let (keeper, stop) = (Arc::clone(self), tasks.stop_signal());
        tasks.spawn(async move {
            loop {
                let stopping = tokio::select! {
                    () = stop.cancelled() => true,
                    () = tokio::time::sleep(WRITE_EVERY) => false,
                };
                keeper.write(stopping).await;
                if stopping {
                    return;
                }
            }
        });
    }

    async fn write(&self, stopping: bool) {
        let keys: Vec<SourceKey> = self.kept.lock().keys().cloned().collect();
        for key in keys {
            self.write_one(&key, stopping).await;
        }
    }

    async fn write_one(&self, key: &SourceKey, stopping: bool) {
        let _writing = self.writing.lock().await;
        let id = SourceId::External(key.1.clone());
        let Some((state, Some(age_ms))) = self.catalog.state(&key.0, &id) else {
            return;
        };
        let last_good_ms = self.clock.now_ms() - age_ms;
        let Some((identity, replace_all, changed, touch)) = self.take(key, stopping) else {
            return;
        };
        // After a change of identity the shelf still shows the other registry until its first
        // full read; that must not be kept under the new name.
        if replace_all && !matches!(state, SourceState::Live | SourceState::Protected) {
            self.give_back(key, changed);
            return;
        }
        let result = if replace_all || !changed.is_empty() {
            let keys = if replace_all { self.catalog.keys(&key.0, &id) } else { changed.clone() };
            let mut batch = SnapshotBatch {
                tenant: key.0.clone(),
                config_id: key.1.clone(),
                identity_hash: identity,
                last_good_ms,
                puts: Vec::new(),
                removes: Vec::new(),
                replace_all,
            };
            let (revision, states) = self.catalog.states(&key.0, &id, &keys);
            // What is kept must have been told: after a crash it never would be.
            if let Some(events) = self.catalog.events()
                && !events.reached(&key.0, revision, TELL).await
            {
                self.give_back(key, changed);
                return;
            }
            for state in states {
                match state {
                    Ok(state) => batch.puts.push(state),
                    Err(gone) => batch.removes.push(gone),
                }
            }
            self.store.save(batch).await
        } else if touch {
            self.store.touch(&key.0, &key.1, last_good_ms).await
        } else {
            return;
        };
        let mut kept = self.kept.lock();
        let Some(kept) = kept.get_mut(key) else {
            return;
        };
        match result {
            Ok(()) => {
                kept.touched = Instant::now();
                if replace_all {
                    kept.replace_all = false;
                }
            }
            Err(error) => {
                kept.changed.extend(changed);
                tracing::warn!(%error, source.id = %key.1, "cannot keep the last known good, will try again");
            }
        }
    }

    fn take(
        &self,
        key: &SourceKey,
        stopping: bool,
    ) -> Option<(String, bool, Vec<ServiceKey>, bool)> {
        let mut kept = self.kept.lock();
        let kept = kept.get_mut(key)?;
        let changed = std::mem::take(&mut kept.changed).into_iter().collect();
        let touch = stopping || kept.touched.elapsed() >= TOUCH_EVERY;
        Some((kept.identity.clone(), kept.replace_all, changed, touch))
    }

    fn give_back(&self, key: &SourceKey, changed: Vec<ServiceKey>) {
        if let Some(kept) = self.kept.lock().get_mut(key) {
            kept.changed.extend(changed);
        }
    }
}
