//! The durable log: change sets are on disk before subscribers get them, so that what one saw is
//! never told anew under another number, whatever happens to this process.
//!
//! A set is written at once when nothing is being written, else with all that wait. While the
//! database is away subscribers are given what happens all the same, from memory; it is written
//! when the database returns. If the process ends before that, whoever saw more than the log knows
//! is told to begin anew.

mod batch;
mod start;
#[cfg(test)]
mod tests;

pub(super) use start::begin;
pub use start::mark_of;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::batch::{batch, weight};
use super::change::{ChangeSet, OnDisk};
use super::feed::Feed;
use crate::storage::{EventMark, EventStore, LogBatch, Result, StorageError, StorageErrorKind};
use crate::telemetry::metrics::Metrics;

/// So many rows share a transaction; a single set that has more goes alone.
const GROUP: usize = 2000;
/// Subscribers wait no longer for the database.
const RELEASE: Duration = Duration::from_secs(1);
/// A transaction that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);
/// So many rows are kept for a database that is away. Beyond, the oldest are given up, and whoever
/// resumes from before them is told to begin anew.
const WAITING: usize = 200_000;

type Append = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The one task that writes the log.
pub(super) struct Recorder {
    store: Arc<dyn EventStore>,
    feed: Arc<Feed>,
    metrics: Metrics,
    input: mpsc::Receiver<Vec<ChangeSet>>,
    /// What is not on disk yet, the oldest first.
    waiting: VecDeque<Waiting>,
    /// How many rows that is.
    rows: usize,
    /// So many of the first are being written.
    writing: Option<(usize, Append)>,
    /// The last attempt failed: it is not known what is on disk.
    doubt: bool,
    retry_at: Instant,
    /// The database is away: nobody waits for it.
    away: bool,
    /// What native commits wrote, and what was given up.
    forget: Vec<EventMark>,
}

struct Waiting {
    set: ChangeSet,
    came: Instant,
    released: bool,
}

impl Recorder {
    pub(super) fn new(
        store: Arc<dyn EventStore>,
        feed: Arc<Feed>,
        metrics: Metrics,
        input: mpsc::Receiver<Vec<ChangeSet>>,
    ) -> Self {
        let retry_at = Instant::now();
        Self {
            store,
            feed,
            metrics,
            input,
            waiting: VecDeque::new(),
            rows: 0,
            writing: None,
            doubt: false,
            retry_at,
            away: false,
            forget: Vec::new(),
        }
    }

    /// Runs until the input ends and all is written, or cannot be.
    pub(super) async fn run(mut self) {
        let mut open = true;
        while open || !self.waiting.is_empty() {
            self.write(open);
            let release_at = self.release_at();
            tokio::select! {
                biased;
                outcome = written(&mut self.writing) => {
                    let failed = outcome.is_err();
                    self.written(outcome);
                    if failed && !open {
                        tracing::warn!(sets = self.waiting.len(), "events are not in the log: the \
                            server stops, and the database does not take them");
                        return;
                    }
                }
                () = sleep_until(release_at) => self.give_up_waiting(),
                () = tokio::time::sleep_until(self.retry_at),
                    if self.writing.is_none() && !self.waiting.is_empty() => {}
                sets = self.input.recv(), if open => match sets {
                    Some(sets) => self.take(sets),
                    None => open = false,
                }
            }
            self.metrics.events.log_lag(self.waiting.len(), self.oldest());
        }
    }

    fn oldest(&self) -> Duration {
        self.waiting.front().map(|waiting| waiting.came.elapsed()).unwrap_or_default()
    }

    fn take(&mut self, sets: Vec<ChangeSet>) {
        let came = Instant::now();
        for set in sets {
            self.rows += weight(&set);
            if self.away {
                self.feed.release(&set);
            }
            self.waiting.push_back(Waiting { set, came, released: self.away });
        }
        if self.rows > WAITING && self.writing.is_none() {
            self.give_up_oldest();
        }
    }

    /// Begins to write what waits, unless something is being written. At the end what is in doubt
    /// is not waited for.
    fn write(&mut self, patient: bool) {
        if self.writing.is_some() || self.waiting.is_empty() {
            return;
        }
        if patient && Instant::now() < self.retry_at {
            return;
        }
        let mut rows = 0;
        let fits = |waiting: &&Waiting| {
            rows += weight(&waiting.set);
            rows <= GROUP
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        let sets = self.waiting.iter().take(count).map(|waiting| &waiting.set);
        let work: Append = if self.doubt {
            let sets = sets.cloned().collect();
            Box::pin(append_again(Arc::clone(&self.store), sets, self.forget.clone()))
        } else {
            Box::pin(append(Arc::clone(&self.store), batch(sets)))
        };
        self.writing = Some((count, work));
    }

    fn written(&mut self, outcome: Result<()>) {
        let Some((count, _)) = self.writing.take() else { return };
        match outcome {
            Ok(()) => {
                if self.doubt {
                    tracing::info!("the log of events is written again");
                }
                self.doubt = false;
                self.forget.clear();
                for Waiting { set, released, .. } in self.waiting.drain(..count) {
                    self.rows -= weight(&set);
                    self.feed.logged(&set.tenant, set.revision);
                    if !released {
                        self.feed.release(&set);
                    }
                }
                self.away &= self.oldest() > RELEASE / 4;
            }
            Err(error) => {
                if !self.doubt {
                    tracing::warn!(%error, "the log of events cannot be written: subscribers are \
                        given events from memory until it can");
                }
                self.metrics.events.log_failed();
                self.doubt = true;
                self.retry_at = Instant::now() + PAUSE;
            }
        }
    }

    /// When the oldest set that subscribers wait for is given to them without being on disk.
    fn release_at(&self) -> Option<Instant> {
        let waits = self.waiting.iter().find(|waiting| !waiting.released);
        waits.map(|waiting| waiting.came + RELEASE)
    }

    fn give_up_waiting(&mut self) {
        self.away = true;
        for waiting in self.waiting.iter_mut().filter(|waiting| !waiting.released) {
            self.feed.release(&waiting.set);
            waiting.released = true;
        }
    }

    /// Makes one gap of the older half of what waits.
    fn give_up_oldest(&mut self) {
        tracing::warn!(
            rows = self.rows,
            "too many events wait for the database: the oldest are \
            left out of the log"
        );
        while self.rows > WAITING / 2
            && let Some(Waiting { set, .. }) = self.waiting.pop_front()
        {
            self.rows -= weight(&set);
            self.metrics.events.dropped(set.rows.len());
            if let OnDisk::First(_, mark) | OnDisk::Others(mark) = &set.on_disk {
                let tenant_id = set.tenant.to_string();
                self.forget.push(EventMark { tenant_id, mark: mark.clone() });
            }
            // The next set of the tenant says that something is missing before it.
            if let Some(next) = self.waiting.iter_mut().find(|next| next.set.tenant == set.tenant) {
                next.set.gap = true;
                continue;
            }
            let (rows, on_disk) = (Vec::new(), OnDisk::Nothing);
            let set = ChangeSet { rows, on_disk, gap: true, ..set };
            self.rows += weight(&set);
            self.waiting.push_front(Waiting { set, came: Instant::now(), released: true });
            return;
        }
    }
}

async fn written(writing: &mut Option<(usize, Append)>) -> Result<()> {
    match writing {
        Some((_, work)) => work.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn append(store: Arc<dyn EventStore>, batch: LogBatch) -> Result<()> {
    in_time(store.append(Arc::new(batch))).await
}

/// The same after a failure: what had been written all the same is not written twice.
async fn append_again(
    store: Arc<dyn EventStore>,
    sets: Vec<ChangeSet>,
    forget: Vec<EventMark>,
) -> Result<()> {
    let positions = in_time(store.positions()).await?;
    let is_new = |set: &&ChangeSet| {
        let position = positions.iter().find(|at| at.tenant_id == set.tenant.as_str());
        position.is_none_or(|at| at.revision < set.revision)
    };
    let mut batch = batch(sets.iter().filter(is_new));
    batch.forget.extend(forget);
    append(store, batch).await
}

async fn in_time<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| StorageError::new(StorageErrorKind::Unavailable, "wait for the log");
    tokio::time::timeout(PATIENCE, work).await.map_err(late)?
}
