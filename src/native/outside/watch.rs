//! The task that looks at the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::adopt::{Adopted, Found};
use super::compare::{Finding, compare};
use super::seen::{self, Prints, Seen};
use crate::error::{Error, Result};
use crate::native::load::{Skipped, load};
use crate::native::start::Shared;
use crate::storage::{NativeStore, Place};
use crate::telemetry::metrics::Look;

/// So often all rows are compared, whatever the prints say.
const ALL: Duration = Duration::from_secs(600);
/// Comparing all, as many parts of the time go to others as one to a page.
const GENTLY: u32 = 4;
/// After a look, so many times as long as it took passes before the next one at least.
const SHARE: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// So many findings are taken over together: as many as requests share a commit.
const TOGETHER: usize = 512;
/// Where more than half of so many instances are gone, it has to be seen twice: who loads a table
/// anew empties it first.
const MANY: usize = 10;
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(in crate::native) struct Watch {
    store: Arc<dyn NativeStore>,
    shared: Arc<Shared>,
    tell: mpsc::Sender<Found>,
    seen: Seen,
    /// Stands for times that are missing in rows: always the same, so that it is no change.
    missing: DateTime<Utc>,
    /// What could not be taken over at the last look.
    again: BTreeSet<Place>,
    /// Rows that are invalid, by their place.
    skipped: BTreeMap<Place, Vec<Skipped>>,
    looks: u64,
    all_at: Instant,
}

/// What a look changed.
#[derive(Debug, Default)]
struct Outcome {
    put: usize,
    removed: usize,
}

impl Watch {
    /// It finds what was written after `seen`.
    pub(in crate::native) fn new(
        store: Arc<dyn NativeStore>,
        shared: Arc<Shared>,
        tell: mpsc::Sender<Found>,
        seen: Seen,
        missing: DateTime<Utc>,
    ) -> Self {
        Self {
            store,
            shared,
            tell,
            seen,
            missing,
            again: BTreeSet::new(),
            skipped: BTreeMap::new(),
            looks: 0,
            all_at: Instant::now() + ALL,
        }
    }

    /// These rows were left out at the start.
    pub(in crate::native) fn knowing(mut self, skipped: Vec<Skipped>) -> Self {
        self.complain(&[], skipped);
        self
    }

    /// Looks every `poll`, for ever.
    pub(in crate::native) async fn run(mut self, poll: Duration) {
        let mut pause = poll;
        let mut failing = false;
        loop {
            tokio::time::sleep(pause).await;
            let began = Instant::now();
            let outcome = self.look().await;
            self.shared.looking.store(0, Ordering::SeqCst);
            let took = began.elapsed();
            pause = poll.max((took * SHARE).min(LONGEST_PAUSE));
            let look = match &outcome {
                Ok(None) => Look::Quiet,
                Ok(Some(_)) => Look::Read,
                Err(_) => Look::Error,
            };
            self.shared.metrics.native.looked(look, took);
            match outcome {
                Ok(Some(Outcome { put, removed })) if put + removed > 0 => tracing::info!(
                    put,
                    removed,
                    later = self.again.len(),
                    took_ms = took.as_millis() as u64,
                    "native rows that others wrote took effect"
                ),
                Err(error) if !failing => tracing::warn!(
                    %error, "the native tables cannot be looked at: what is known counts on"
                ),
                _ => {}
            }
            failing = matches!(look, Look::Error);
        }
    }

    /// Finds what moved and has it taken over; `None`: nobody wrote.
    async fn look(&mut self) -> Result<Option<Outcome>> {
        let tide = self.store.tide().await?;
        let everything = Instant::now() >= self.all_at;
        let flowed = tide.is_some() && tide != self.seen.tide;
        if tide.is_some() && !flowed && !everything && self.again.is_empty() {
            return Ok(None);
        }
        let now = match tide.is_some() && !flowed && !everything {
            true => Seen { tide, prints: Prints::new() },
            false => self.read_prints().await?,
        };
        let mut places = {
            let state = self.shared.state.load();
            match (everything, flowed, tide) {
                (true, _, _) | (_, true, _) => seen::all(&now.prints, &state),
                (_, _, Some(_)) => BTreeSet::new(),
                (_, _, None) => seen::moved(&self.seen.prints, &now.prints, &state),
            }
        };
        places.extend(self.again.iter().cloned());
        if places.is_empty() {
            self.seen = now;
            return Ok(None);
        }
        let (mut outcome, mut later) = (Outcome::default(), BTreeSet::new());
        for page in seen::pages(places, &now.prints) {
            let began = Instant::now();
            let Adopted { rows, later: more } = self.page(&page).await?;
            later.extend(more);
            for (row, there) in rows {
                self.shared.metrics.native.outside(row, there);
                *(if there { &mut outcome.put } else { &mut outcome.removed }) += 1;
            }
            if everything && !flowed {
                tokio::time::sleep(began.elapsed() * GENTLY).await;
            }
        }
        self.again = later;
        self.seen = match now.tide {
            Some(_) => Seen { prints: Prints::new(), ..now },
            None => now,
        };
        if everything {
            self.all_at = Instant::now() + ALL;
        }
        Ok(Some(outcome))
    }

    /// What there is now. That most of it is gone is seen twice before it is believed.
    async fn read_prints(&self) -> Result<Seen> {
        let read = async || -> Result<Seen> {
            Ok(Seen { tide: self.store.tide().await?, prints: self.store.prints().await? })
        };
        let now = read().await?;
        let known = self.shared.state.load().count();
        let there = seen::count(&now.prints);
        if known < MANY || there * 2 >= known {
            return Ok(now);
        }
        tracing::warn!(known, there, "more than half of the native rows are gone: looking again");
        tokio::time::sleep(LOOK_AGAIN).await;
        read().await
    }

    /// Reads these places and has taken over what differs.
    async fn page(&mut self, page: &[Place]) -> Result<Adopted> {
        self.looks += 1;
        // From here on the keeper remembers what it writes.
        self.shared.looking.store(self.looks, Ordering::SeqCst);
        let rows = self.store.rows_of(page).await?;
        let state = self.shared.state.load_full();
        let mut loaded = load(rows, self.missing, &state);
        self.complain(page, std::mem::take(&mut loaded.skipped));
        let findings = compare(page, loaded, &state);
        let mut all = Adopted::default();
        for findings in findings.chunks(TOGETHER) {
            let Adopted { rows, later } = self.adopt(findings.to_vec()).await?;
            all.rows.extend(rows);
            all.later.extend(later);
        }
        self.shared.looking.store(0, Ordering::SeqCst);
        Ok(all)
    }

    async fn adopt(&self, findings: Vec<Finding>) -> Result<Adopted> {
        let (told, outcome) = oneshot::channel();
        let stopped = || Error::unavailable("the native registry has stopped");
        self.tell.send(Found { findings, told }).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }

    /// Warns of rows that are invalid, once; those of these places before are forgotten.
    fn complain(&mut self, page: &[Place], skipped: Vec<Skipped>) {
        let groups = page.iter().map(|it| Place { service_name: String::new(), ..it.clone() });
        let asked: BTreeSet<_> = page.iter().cloned().chain(groups).collect();
        let before: BTreeMap<_, _> =
            asked.iter().filter_map(|place| self.skipped.remove_entry(place)).collect();
        for row in skipped {
            if !before.get(&row.place).is_some_and(|known| known.contains(&row)) {
                row.warn();
            }
            self.skipped.entry(row.place.clone()).or_default().push(row);
        }
        self.shared.metrics.native.skipped(self.skipped.values().map(Vec::len).sum());
    }
}
