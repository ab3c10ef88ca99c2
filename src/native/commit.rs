//! From a planned batch to the disk, and what happens when that fails.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::draft::Draft;
use super::keeper::{Keeper, PATIENCE};
use super::lease::Lease;
use super::pipeline::{BATCH, Batch, Commit};
use super::publish::stamp;
use super::repair::RowKey;
use super::start::EventsWanted;
use crate::access::HUB;
use crate::error::Error;
use crate::storage::{NativeWrite, StorageError};

/// With so many uncertain rows nothing new is begun: they must fit into a commit.
const DOUBTS: usize = 2048;
/// After a commit that failed, the next one that only repairs is not tried before this.
const REPAIR_AFTER: Duration = Duration::from_secs(1);

impl Keeper {
    /// Brings to disk what is planned and due, commit after commit. Each is shown and acknowledged
    /// while the database is at the next one.
    pub(super) async fn write(&mut self) {
        loop {
            self.turn();
            if self.flush_is_due() {
                // A flush writes what the state says: that has to be what is on disk.
                self.show();
                self.flush_some().await;
            }
            while let Ok(found) = self.found.try_recv() {
                self.adopt(found);
            }
            let end = Instant::now() + PATIENCE;
            let next = self.seal();
            let writing = next.as_ref().filter(|commit| !commit.writes.is_empty()).map(|commit| {
                let (store, writes) = (Arc::clone(&self.store), Arc::clone(&commit.writes));
                self.begin(end, async move { store.commit(&writes).await })
            });
            self.pipeline.writing = next;
            if writing.is_some() {
                // Else it would be begun only when this task has nothing to do.
                tokio::task::yield_now().await;
            }
            self.show();
            let outcome = match writing {
                Some(writing) => self.meanwhile(writing).await,
                None => Ok(()),
            };
            let Some(commit) = self.pipeline.writing.take() else { return };
            match outcome {
                Ok(()) => {
                    self.meanwhile.wrote(&self.shared, commit.writes.iter().filter_map(RowKey::of));
                    self.uncertain.clear();
                    self.untold.clear();
                    self.pipeline.written = Some(commit);
                }
                Err(error) => self.undo(commit, error),
            }
        }
    }

    fn repair_is_due(&self) -> bool {
        !self.uncertain.is_empty() && Instant::now() >= self.repair_at
    }

    /// The next commit, if anything is to be written.
    fn seal(&mut self) -> Option<Commit> {
        let waits = self.pipeline.planned.is_some() || !self.expiring.is_empty();
        if !waits && !self.repair_is_due() {
            return None;
        }
        // Too many doubts to add to them are settled by themselves first.
        let alone = self.uncertain.len() >= DOUBTS;
        let planned = if alone { None } else { self.pipeline.planned.take() };
        let mut batch = planned.unwrap_or_else(|| Batch::new(self.draft()));
        let expiring = if alone { Vec::new() } else { self.expire_some(&mut batch.draft) };
        let mut writes = self.repairs();
        let told = match self.shared.settings.events {
            EventsWanted::Told => batch.draft.take_events(),
            EventsWanted::Kept | EventsWanted::Nothing => Vec::new(),
        };
        writes.append(&mut batch.draft.writes);
        self.commits += 1;
        let marks = stamp(&mut writes, self.commits, &batch.draft.next);
        Some(Commit { batch, writes: Arc::new(writes), expiring, told, marks })
    }

    /// What the state says of every uncertain row; what was told of it is to be forgotten.
    fn repairs(&self) -> Vec<NativeWrite> {
        let state = self.shared.state.load();
        let rows = self.uncertain.iter().map(|key| key.write(&state));
        rows.chain(self.untold.iter().cloned().map(NativeWrite::ForgetEvents)).collect()
    }

    /// Removes instances that are silent still; whose they are.
    fn expire_some(&mut self, draft: &mut Draft) -> Vec<Arc<Lease>> {
        let some = self.expiring.len().min(BATCH);
        let mut expiring: Vec<_> = self.expiring.drain(..some).collect();
        expiring.retain(|lease| {
            let leaves = self.expire(lease, draft);
            if !leaves {
                self.stays(lease);
            }
            leaves
        });
        expiring
    }

    /// Removes an instance that is silent still; whether it is.
    fn expire(&self, lease: &Arc<Lease>, draft: &mut Draft) -> bool {
        let Some(instance) = draft.next.instance(&lease.tenant, lease.id()).cloned() else {
            return false;
        };
        // A request that is about it may be a heartbeat, and counts only when it is shown.
        let planned = self.pipeline.plans(lease.id()) || draft.plans(lease.id());
        if planned || lease.is_closed() || !self.shared.leases.close_if_silent(lease) {
            return false;
        }
        tracing::info!(tenant.id = %lease.tenant, instance = %instance.key, "instance expired");
        let silent = u64::from(instance.lease_seconds) * 3;
        let why = format!("expired: not heard for {silent} s, three times its lease");
        draft.remove_instance(&instance, HUB, Some(why));
        true
    }

    /// Nothing of it counts, and nothing that was planned on it.
    fn undo(&mut self, commit: Commit, error: StorageError) {
        tracing::warn!(%error, writes = commit.writes.len(), "native writes refused");
        self.untold.extend(commit.marks);
        self.uncertain.extend(commit.writes.iter().filter_map(RowKey::of));
        self.repair_at = Instant::now() + REPAIR_AFTER;
        commit.expiring.iter().for_each(|lease| lease.reopen());
        // They are decided on again.
        for lease in commit.expiring.into_iter().chain(std::mem::take(&mut self.expiring)) {
            self.stays(&lease);
        }
        let error = Error::from(error);
        commit.batch.acknowledge(Some(&error));
        self.refuse_waiting(&error);
    }

    /// Whoever waits behind work that failed is told at once: the next would likely fail too, and
    /// each takes its time.
    pub(super) fn refuse_waiting(&mut self, error: &Error) {
        if let Some(batch) = self.pipeline.planned.take() {
            batch.acknowledge(Some(error));
        }
        while let Ok(job) = self.jobs.try_recv() {
            job.refuse(error);
        }
    }
}
