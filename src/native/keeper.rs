//! The one task that changes things.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{Change, ServiceKey, TenantId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::deadlines::Deadlines;
use super::draft::Draft;
use super::lease::Lease;
use super::moved::Moved;
use super::preservation::Silence;
use super::repair::RowKey;
use super::start::{News, Publish, Shared};
use super::state::State;
use crate::access::HUB;
use crate::error::Error;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;
use crate::storage::{NativeStore, NativeWrite, Result, StorageError, StorageErrorKind};

/// At most so many requests share a commit: enough to make the disk's pace not matter, few enough
/// that nobody waits long for the others.
const BATCH: usize = 512;
/// A turn of work with the database that takes longer has failed: nobody waits for two of them.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// With so many uncertain rows nothing new is begun: they must fit into a commit.
const DOUBTS: usize = 2048;

/// One request: plans itself on the draft and leaves behind how to tell its caller.
pub(super) struct Job(pub(super) Box<dyn FnOnce(&mut Draft) -> Ack + Send>);
/// Tells the caller: the planned outcome, or the error that came between.
pub(super) type Ack = Box<dyn FnOnce(Option<&Error>) + Send>;

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

pub(super) struct Keeper {
    pub(super) shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    pub(super) revived: mpsc::Receiver<Arc<Lease>>,
    pub(super) store: Arc<dyn NativeStore>,
    pub(super) publish: Arc<dyn Publish>,
    pub(super) deadlines: Deadlines,
    /// Silent for three leases; removed with the next commit.
    pub(super) expiring: Vec<Arc<Lease>>,
    /// Instances whose heartbeat or health is not on disk.
    pub(super) unwritten: HashMap<InstanceId, TenantId>,
    /// What is to be told of the health that leases moved.
    pub(super) moved: Moved,
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
    uncertain: HashSet<RowKey>,
    pub(super) repair_at: Instant,
}

impl Keeper {
    pub(super) fn new(
        shared: Arc<Shared>,
        jobs: mpsc::Receiver<Job>,
        revived: mpsc::Receiver<Arc<Lease>>,
        store: Arc<dyn NativeStore>,
        publish: Arc<dyn Publish>,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            jobs,
            revived,
            store,
            publish,
            deadlines: Deadlines::default(),
            expiring: Vec::new(),
            unwritten: HashMap::new(),
            moved: Moved::default(),
            flush_at: now,
            last_turn: now,
            silences: BTreeMap::new(),
            decided_at: now,
            late: HashMap::new(),
            late_until: now,
            uncertain: HashSet::new(),
            repair_at: now,
        }
    }

    /// Publishes everything and opens the leases.
    pub(super) fn reset(&mut self) {
        let state = self.shared.state.load_full();
        for (id, tenant) in state.tenants() {
            for instance in tenant.instances.values() {
                self.follow_lease(instance, false);
            }
            let all = tenant.services.values().map(|entry| entry.to_core()).collect();
            for entry in tenant.services.values() {
                let service = &entry.service;
                self.publish.describe(id, &service.key, Some(service));
            }
            self.publish.publish(id, vec![Change::Reset(all)]);
        }
        self.last_turn = Instant::now();
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        // However this ends, by a panic too, the door is closed after it.
        let _ended = self.shared.ended.clone().drop_guard();
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(job) = self.jobs.recv() => self.batch(Some(job)).await,
                Some(lease) = self.revived.recv() => self.revive(lease, None),
                () = tokio::time::sleep_until(wake) => {}
            }
            self.turn(None);
            while !self.expiring.is_empty() || self.repair_is_due() {
                self.batch(None).await;
            }
            self.flush_some().await;
        }
        self.jobs.close();
        while let Ok(job) = self.jobs.try_recv() {
            self.batch(Some(job)).await;
        }
        if !self.uncertain.is_empty() {
            self.batch(None).await;
        }
        self.flush_all().await;
    }

    fn repair_is_due(&self) -> bool {
        !self.uncertain.is_empty() && Instant::now() >= self.repair_at
    }

    fn draft(&self) -> Draft {
        Draft {
            next: State::clone(&self.shared.state.load()),
            writes: Vec::new(),
            touched: HashMap::new(),
            changed: BTreeSet::new(),
            now: crate::clock::at(self.shared.clock.now_ms()),
            settings: self.shared.settings,
            leases: Arc::clone(&self.shared.leases),
        }
    }

    /// Plans this job and those that wait, and what expired, and commits them together.
    async fn batch(&mut self, first: Option<Job>) {
        if self.uncertain.len() >= DOUBTS && !self.commit_batch(None, false).await {
            self.refuse(first);
            return;
        }
        self.commit_batch(first, true).await;
    }

    /// The same, or the repairs alone; whether it is on disk.
    async fn commit_batch(&mut self, first: Option<Job>, more: bool) -> bool {
        let end = Instant::now() + PATIENCE;
        let mut draft = self.draft();
        let some = if more { self.expiring.len().min(BATCH) } else { 0 };
        let mut expiring: Vec<_> = self.expiring.drain(..some).collect();
        expiring.retain(|lease| {
            let leaves = self.expire(lease, &mut draft);
            if !leaves {
                self.stays(lease);
            }
            leaves
        });
        let mut acks = Vec::new();
        let mut next = if more { first.or_else(|| self.jobs.try_recv().ok()) } else { None };
        while let Some(job) = next.take() {
            acks.push((job.0)(&mut draft));
            if acks.len() < BATCH {
                next = self.jobs.try_recv().ok();
            }
        }
        let mut writes = self.repairs();
        if !writes.is_empty() {
            self.resolve_doubts(end, Some(&mut draft)).await;
        }
        // A row that is written takes the health with it that leases moved: its events too.
        let mut told = self.moved.take_written(&writes);
        told.extend(self.moved.take_written(&draft.writes));
        writes.extend(told.iter().map(|(_, event)| NativeWrite::AddEvent(event.clone())));
        writes.append(&mut draft.writes);
        if writes.is_empty() {
            self.apply(draft);
            acks.into_iter().for_each(|ack| ack(None));
            return true;
        }
        let store = Arc::clone(&self.store);
        let commit = async { within(end, store.commit(&writes)).await };
        match self.meanwhile(commit, Some(&mut draft)).await {
            Ok(()) => {
                self.uncertain.clear();
                self.apply(draft);
                acks.into_iter().for_each(|ack| ack(None));
                true
            }
            Err(error) => {
                tracing::warn!(%error, writes = writes.len(), "native writes refused");
                self.moved.doubt(told);
                self.uncertain.extend(writes.iter().filter_map(RowKey::of));
                self.repair_at = Instant::now() + Duration::from_secs(1);
                // They are decided on again.
                for lease in &expiring {
                    lease.reopen();
                    self.stays(lease);
                }
                let error = Error::from(error);
                acks.into_iter().for_each(|ack| ack(Some(&error)));
                self.refuse_waiting(&error);
                false
            }
        }
    }

    /// There are too many doubts to add to them, and the database does not take what would settle
    /// them.
    fn refuse(&mut self, job: Option<Job>) {
        for lease in std::mem::take(&mut self.expiring) {
            self.stays(&lease);
        }
        let Some(job) = job else { return };
        let error = Error::from(StorageError::new(StorageErrorKind::Unavailable, "repair rows"));
        (job.0)(&mut self.draft())(Some(&error));
    }

    /// Whoever waits behind a failed commit is told at once: the next one would likely fail too,
    /// and each takes its time.
    pub(super) fn refuse_waiting(&mut self, error: &Error) {
        let mut scratch = self.draft();
        while let Ok(job) = self.jobs.try_recv() {
            (job.0)(&mut scratch)(Some(error));
        }
    }

    /// Removes an instance that is silent still; whether it is.
    fn expire(&self, lease: &Arc<Lease>, draft: &mut Draft) -> bool {
        let Some(instance) = draft.next.instance(&lease.tenant, lease.id).cloned() else {
            return false;
        };
        if lease.is_closed() || !self.shared.leases.close_if_silent(lease) {
            return false;
        }
        tracing::info!(tenant.id = %lease.tenant, instance = %instance.key, "instance expired");
        let silent = u64::from(instance.lease_seconds) * 3;
        let why = format!("expired: not heard for {silent} s, three times its lease");
        draft.remove_instance(&instance, HUB, Some(why));
        true
    }

    /// Makes the committed draft the state and tells everybody.
    fn apply(&mut self, draft: Draft) {
        let before = self.shared.state.load_full();
        let mut freed: BTreeMap<TenantId, Vec<_>> = BTreeMap::new();
        for (id, (tenant, heard)) in &draft.touched {
            let instance = draft.next.instance(tenant, *id);
            match instance {
                Some(instance) => self.follow_lease(instance, *heard),
                None => self.shared.leases.close(*id),
            }
            if let Some(key) = self.heard_or_gone(tenant, *id, instance.is_some()) {
                freed.entry(tenant.clone()).or_default().push(key);
            }
        }
        for (tenant, keys) in freed {
            self.publish.hold(&tenant, Vec::new(), keys);
        }
        self.swap(&before, draft.next, draft.changed);
        self.shared.checks.touched(&before, &self.shared.state.load(), &draft.touched);
    }

    fn follow_lease(&mut self, instance: &NativeInstance, heard: bool) {
        if let Some(lease) = self.shared.leases.follow(instance, heard) {
            let (_, at) = self.shared.leases.due(&lease, self.shared.leases.now());
            self.deadlines.push(at, lease);
        }
    }

    /// Replaces the state; services that look different to readers are published, each once.
    pub(super) fn swap(
        &self,
        before: &State,
        mut next: State,
        changed: BTreeSet<(TenantId, ServiceKey)>,
    ) {
        let mut changes: BTreeMap<TenantId, Vec<Change>> = BTreeMap::new();
        let mut described = Vec::new();
        for (tenant, key) in changed {
            let settings = |state: &State| {
                let entry = state.service(&tenant, &key);
                entry.map(|entry| Arc::clone(&entry.service))
            };
            let service = settings(&next);
            if settings(before) != service {
                described.push((tenant.clone(), key.clone(), service));
            }
            let look = |state: &State| state.service(&tenant, &key).map(|entry| entry.to_core());
            let change = match (look(before), look(&next)) {
                (old, Some(new)) if old.as_ref() != Some(&new) => Change::Put(new),
                (Some(_), None) => Change::Gone(key),
                _ => continue,
            };
            changes.entry(tenant).or_default().push(change);
        }
        next.revision = before.revision + u64::from(!changes.is_empty());
        let revision = next.revision;
        self.shared.state.store(Arc::new(next));
        for (tenant, key, service) in described {
            self.publish.describe(&tenant, &key, service.as_deref());
            self.shared.checks.described(&self.shared.state.load(), &tenant, &key);
        }
        for (tenant, changes) in changes {
            if self.shared.news.receiver_count() > 0 {
                let news = News { revision, tenant: tenant.clone(), changes: changes.clone() };
                // Fails when the last watch has just left.
                drop(self.shared.news.send(Arc::new(news)));
            }
            self.publish.publish(&tenant, changes);
        }
    }

    /// What the state says of every uncertain row.
    fn repairs(&self) -> Vec<NativeWrite> {
        let state = self.shared.state.load();
        self.uncertain.iter().map(|key| key.write(&state)).collect()
    }
}

/// The outcome, or that it took too long.
pub(super) async fn within<T>(end: Instant, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| StorageError::new(StorageErrorKind::Unavailable, "wait for the database");
    tokio::time::timeout_at(end, work).await.map_err(late)?
}
