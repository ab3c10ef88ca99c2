//! The one task that changes things.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deadlines::Deadlines;
use super::draft::Draft;
use super::job::Job;
use super::lease::Lease;
use super::outside::{Found, Meanwhile};
use super::pipeline::{Batch, Pipeline};
use super::preservation::Silence;
use super::publish::Publish;
use super::repair::RowKey;
use super::start::Shared;
use super::state::State;
use crate::model::names::InstanceId;
use crate::storage::{EventMark, NativeStore, Result, StorageError, StorageErrorKind};
use crate::task::TaskGroup;

/// A turn of work with the database that takes longer has failed: nobody waits for two of them.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Receiver<Box<dyn Job>>,
    pub(super) revived: mpsc::Receiver<Arc<Lease>>,
    /// What others wrote to the tables.
    pub(super) found: mpsc::Receiver<Found>,
    /// What was written while the tables were looked at.
    pub(super) meanwhile: Meanwhile,
    pub(super) store: Arc<dyn NativeStore>,
    pub(super) publish: Arc<dyn Publish>,
    tasks: TaskGroup,
    stop: CancellationToken,
    pub(super) pipeline: Pipeline,
    pub(super) deadlines: Deadlines,
    /// Silent for three leases; removed with the next commit.
    pub(super) expiring: Vec<Arc<Lease>>,
    /// Instances whose heartbeat or health is not on disk.
    pub(super) unwritten: HashMap<InstanceId, TenantId>,
    /// Of these, those whose checks are not on disk either.
    pub(super) rewritten: HashSet<InstanceId>,
    pub(super) flush_at: Instant,
    pub(super) last_turn: Instant,
    /// The silent instances of each tenant that had any.
    pub(super) silences: BTreeMap<TenantId, Silence>,
    pub(super) decided_at: Instant,
    /// How many missed a beat, by tenant, and until when that is good enough.
    pub(super) late: HashMap<TenantId, usize>,
    pub(super) late_until: Instant,
    /// Rows of commits that failed: the disk may hold them or not. What the state says is written
    /// again, ahead of the next commit, so that in the end both agree.
    pub(super) uncertain: HashSet<RowKey>,
    /// What those commits told, if they happened: they are undone, so nobody is to be told.
    pub(super) untold: Vec<EventMark>,
    pub(super) repair_at: Instant,
    /// Counts the commits of this run.
    pub(super) commits: u64,
}

/// What comes of work with the database that is under way.
pub(super) type Outcome<T> = oneshot::Receiver<Result<T>>;

impl Keeper {
    /// It ends when `tasks` are told to stop.
    pub(super) fn new(
        shared: Arc<Shared>,
        jobs: mpsc::Receiver<Box<dyn Job>>,
        revived: mpsc::Receiver<Arc<Lease>>,
        found: mpsc::Receiver<Found>,
        store: Arc<dyn NativeStore>,
        publish: Arc<dyn Publish>,
        tasks: &TaskGroup,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            jobs,
            revived,
            found,
            meanwhile: Meanwhile::default(),
            store,
            publish,
            tasks: tasks.clone(),
            stop: tasks.stop_signal(),
            pipeline: Pipeline::default(),
            deadlines: Deadlines::default(),
            expiring: Vec::new(),
            unwritten: HashMap::new(),
            rewritten: HashSet::new(),
            flush_at: now,
            last_turn: now,
            silences: BTreeMap::new(),
            decided_at: now,
            late: HashMap::new(),
            late_until: now,
            uncertain: HashSet::new(),
            untold: Vec::new(),
            repair_at: now,
            commits: 0,
        }
    }

    pub(super) async fn run(mut self) {
        // However this ends, by a panic too, the door is closed after it.
        let _ended = self.shared.ended.clone().drop_guard();
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                // What waits already is still done.
                () = self.stop.cancelled(), if !self.jobs.is_closed() => self.jobs.close(),
                job = self.jobs.recv() => match job {
                    Some(job) => self.plan(job),
                    None => break,
                },
                Some(lease) = self.revived.recv() => self.revive(lease),
                Some(found) = self.found.recv() => self.adopt(found),
                () = tokio::time::sleep_until(wake) => {}
            }
            self.write().await;
        }
        if !self.uncertain.is_empty() {
            self.repair_at = Instant::now();
            self.write().await;
        }
        self.flush_all().await;
    }

    /// Waits for the database. Requests that come meanwhile are planned, and leases are minded.
    pub(super) async fn meanwhile<T>(&mut self, mut work: Outcome<T>) -> Result<T> {
        loop {
            let wake = self.wake();
            let room = self.pipeline.room() > 0;
            tokio::select! {
                biased;
                outcome = &mut work => return outcome.unwrap_or_else(|_| Err(broken())),
                () = self.stop.cancelled(), if !self.jobs.is_closed() => self.jobs.close(),
                Some(lease) = self.revived.recv() => self.revive(lease),
                Some(job) = self.jobs.recv(), if room => self.plan(job),
                () = tokio::time::sleep_until(wake) => self.turn(),
            }
        }
    }

    /// Plans this request and those that wait, for the next commit.
    fn plan(&mut self, first: Box<dyn Job>) {
        let room = self.pipeline.room();
        let mut batch = self.pipeline.planned.take().unwrap_or_else(|| Batch::new(self.draft()));
        batch.plan(first);
        for _ in 1..room {
            let Ok(job) = self.jobs.try_recv() else { break };
            batch.plan(job);
        }
        self.pipeline.planned = Some(batch);
    }

    /// The state as it will be, to be changed.
    pub(super) fn draft(&self) -> Draft {
        let next = self.pipeline.state().cloned();
        Draft {
            next: next.unwrap_or_else(|| State::clone(&self.shared.state.load())),
            writes: Vec::new(),
            touched: HashMap::new(),
            heard: self.pipeline.heard(),
            changed: BTreeSet::new(),
            now: crate::clock::at(self.shared.clock.now_ms()),
            settings: self.shared.settings,
            leases: Arc::clone(&self.shared.leases),
        }
    }

    /// Begins work with the database, beside this task.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        end: Instant,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Outcome<T> {
        let (tell, told) = oneshot::channel();
        self.tasks.spawn(async move {
            let late =
                |_| StorageError::new(StorageErrorKind::Unavailable, "wait for the database");
            let outcome = tokio::time::timeout_at(end, work).await.map_err(late);
            // Fails when the keeper has ended.
            drop(tell.send(outcome.flatten()));
        });
        told
    }
}

fn broken() -> StorageError {
    StorageError::new(StorageErrorKind::Internal, "work with the database")
}
