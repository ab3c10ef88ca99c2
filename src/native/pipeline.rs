//! Requests between the queue and their answer.
//!
//! ```text
//! queue ─ planned ─ writing ─ written ─ shown and acknowledged
//! ```
//!
//! Each stage holds one batch. A batch is planned on the state that the one before it leaves
//! behind, while that one is written or shown: the database need not wait for the view. When a
//! commit fails nothing that was planned on it is begun.

use std::collections::HashSet;
use std::sync::Arc;

use super::draft::Draft;
use super::job::{Ack, Job};
use super::lease::Lease;
use super::repair::RowKey;
use super::state::State;
use crate::error::Error;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;
use crate::storage::{EventMark, EventRow, NativeWrite};

/// At most so many requests share a commit: enough to make the disk's pace not matter, few enough
/// that nobody waits long for the others.
pub(super) const BATCH: usize = 512;

/// Requests that share a commit.
pub(super) struct Batch {
    pub(super) draft: Draft,
    acks: Vec<Ack>,
}

impl Batch {
    pub(super) fn new(draft: Draft) -> Self {
        Self { draft, acks: Vec::new() }
    }

    pub(super) fn plan(&mut self, job: Box<dyn Job>) {
        self.acks.push(job.plan(&mut self.draft));
    }

    /// Something was planned beside the jobs; who is to be told.
    pub(super) fn joined(&mut self, ack: Ack) {
        self.acks.push(ack);
    }

    /// Tells every caller that its request was done, or why it was not.
    pub(super) fn acknowledge(self, error: Option<&Error>) {
        self.acks.into_iter().for_each(|ack| ack(error));
    }
}

/// A batch with everything that goes to disk with it.
pub(super) struct Commit {
    pub(super) batch: Batch,
    pub(super) writes: Arc<Vec<NativeWrite>>,
    /// The leases of the instances it removes for their silence.
    pub(super) expiring: Vec<Arc<Lease>>,
    /// What it tells and does not keep.
    pub(super) told: Vec<EventRow>,
    /// What it tells and keeps, by its marks.
    pub(super) marks: Vec<EventMark>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pipeline {
    pub(super) planned: Option<Batch>,
    pub(super) writing: Option<Commit>,
    pub(super) written: Option<Commit>,
}

impl Pipeline {
    /// How many more requests can be planned.
    pub(super) fn room(&self) -> usize {
        BATCH - self.planned.as_ref().map_or(0, |batch| batch.acks.len()).min(BATCH)
    }

    /// The state that the last batch on its way to disk leaves behind.
    pub(super) fn state(&self) -> Option<&State> {
        let last = self.writing.as_ref().or(self.written.as_ref())?;
        Some(&last.batch.draft.next)
    }

    /// Whether a batch writes, removes or heard this instance.
    pub(super) fn plans(&self, id: InstanceId) -> bool {
        let commits = self.written.iter().chain(&self.writing).map(|commit| &commit.batch);
        commits.chain(&self.planned).any(|batch| batch.draft.plans(id))
    }

    /// Whom the batches on their way to disk, or written and not shown, heard from.
    pub(super) fn heard(&self) -> HashSet<InstanceId> {
        let drafts = self.written.iter().chain(&self.writing).map(|commit| &commit.batch.draft);
        let touched = drafts.flat_map(|draft| &draft.touched);
        touched.filter(|(_, (_, heard))| *heard).map(|(id, _)| *id).collect()
    }

    /// The rows that batches write.
    pub(super) fn rows(&self) -> HashSet<RowKey> {
        let commits = self.written.iter().chain(&self.writing);
        let writes = commits.flat_map(|commit| commit.writes.iter());
        let planned = self.planned.iter().flat_map(|batch| &batch.draft.writes);
        writes.chain(planned).filter_map(RowKey::of).collect()
    }

    /// Takes over an instance that leases moved, and that no batch plans: what these become later
    /// must not bring it back to what it was.
    pub(super) fn put_instance(&mut self, instance: &Arc<NativeInstance>) {
        let commits = self.written.iter_mut().chain(&mut self.writing);
        for batch in commits.map(|commit| &mut commit.batch).chain(&mut self.planned) {
            batch.draft.next.put_instance(Arc::clone(instance));
        }
    }
}
