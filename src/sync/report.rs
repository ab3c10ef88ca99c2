//! How a route fares: what the API, the status rows and the metrics say of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hub_registry_core::{Error, InstanceKey};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::decide::OTHERS_COPY;
use super::queue::Action;
use super::route::Route;
use crate::clock::Clock;
use crate::telemetry::metrics::Metrics;

/// Lags kept for the quantiles.
const LAGS: usize = 1024;
/// What was copied of late.
const LATE: Duration = Duration::from_secs(300);
/// Addresses left alone that are named.
const NAMED: usize = 100;

/// How renewing one copy went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    Well,
    Unknown,
    Badly,
}

/// The figures of a route.
#[derive(Clone, Debug, Default)]
pub struct RouteReport {
    /// Copies that the hub owns.
    pub copies: usize,
    /// Writes that wait.
    pub pending: usize,
    /// Of these, removals that wait for the budget of the minute.
    pub over_budget: usize,
    /// Copies written, updated and removed since the start.
    pub written: u64,
    /// Writes that failed since the start.
    pub failed: u64,
    /// Addresses left alone, and why; the first hundred.
    pub skipped: BTreeMap<InstanceKey, String>,
    /// Copies that the target does not take, and why.
    pub refused: BTreeMap<InstanceKey, String>,
    /// When everything was last compared.
    pub compared_at: Option<DateTime<Utc>>,
    /// When something was last written.
    pub wrote_at: Option<DateTime<Utc>>,
    /// What went wrong last, since something was last written well.
    pub error: Option<String>,
    /// When each was copied, and how long after its change at the source; the last 1024 of them.
    lags: VecDeque<(Instant, Duration)>,
}

impl RouteReport {
    /// Half of the changes were copied within the first, 99 of 100 within the second.
    #[must_use]
    pub fn lag(&self) -> Option<(Duration, Duration)> {
        quantiles(self.lags.iter().map(|(_, lag)| *lag).collect())
    }

    /// The second of these for what was copied within the last five minutes: a bulk of copies, or a
    /// target that was away, must not be held against it for ever.
    #[must_use]
    pub fn lag_of_late(&self) -> Option<Duration> {
        let now = Instant::now();
        let late = self.lags.iter().filter(|(at, _)| now < *at + LATE);
        Some(quantiles(late.map(|(_, lag)| *lag).collect())?.1)
    }

    /// Copies that the target does not take, or that are there and not this hub's.
    #[must_use]
    pub fn not_ours(&self) -> usize {
        let others = self.skipped.values().filter(|why| *why == OTHERS_COPY);
        self.refused.len() + others.count()
    }
}

fn quantiles(mut lags: Vec<Duration>) -> Option<(Duration, Duration)> {
    lags.sort_unstable();
    let last = lags.len().checked_sub(1)?;
    let at = |percent: usize| lags.get((lags.len() * percent / 100).min(last)).copied();
    Some((at(50)?, at(99)?))
}

/// A report that is being written.
#[derive(Debug)]
pub(super) struct Report {
    route: Arc<Route>,
    clock: Clock,
    metrics: Metrics,
    figures: Mutex<RouteReport>,
}

impl Report {
    pub(super) fn new(route: Arc<Route>, clock: Clock, metrics: Metrics) -> Self {
        metrics.sync.known(&route.from.name, &route.to.name);
        Self { route, clock, metrics, figures: Mutex::default() }
    }

    pub(super) fn figures(&self) -> RouteReport {
        self.figures.lock().clone()
    }

    fn ends(&self) -> (&str, &str) {
        (&self.route.from.name, &self.route.to.name)
    }

    pub(super) fn stands(&self, copies: usize, pending: usize) {
        let mut figures = self.figures.lock();
        (figures.copies, figures.pending) = (copies, pending);
        figures.over_budget = figures.over_budget.min(pending);
        drop(figures);
        self.metrics.sync.set(self.ends(), copies, pending);
    }

    pub(super) fn waits_for_budget(&self, count: usize) {
        self.figures.lock().over_budget = count;
    }

    pub(super) fn compared(&self) {
        self.figures.lock().compared_at = Some(self.clock.now());
    }

    pub(super) fn skipped(&self, skipped: &[(InstanceKey, &'static str)], all: bool) {
        let mut figures = self.figures.lock();
        if all {
            figures.skipped.clear();
        }
        for (key, why) in skipped {
            if figures.skipped.len() < NAMED || figures.skipped.contains_key(key) {
                figures.skipped.insert(key.clone(), (*why).to_owned());
            }
        }
    }

    pub(super) fn wrote(&self, action: &Action, now: Instant) {
        let lag = now.saturating_duration_since(action.since);
        let mut figures = self.figures.lock();
        figures.written += 1;
        figures.wrote_at = Some(self.clock.now());
        figures.error = None;
        figures.refused.remove(&action.key);
        figures.skipped.remove(&action.key);
        if figures.lags.len() == LAGS {
            figures.lags.pop_front();
        }
        figures.lags.push_back((now, lag));
        drop(figures);
        self.metrics.sync.wrote(self.ends(), action.act.as_str(), lag);
    }

    pub(super) fn refused(&self, action: &Action, error: &Error) {
        let mut figures = self.figures.lock();
        figures.failed += 1;
        if figures.refused.len() < NAMED {
            figures.refused.insert(action.key.clone(), error.to_string());
        }
        drop(figures);
        self.metrics.sync.failed(self.ends(), error.kind().code());
    }

    pub(super) fn failed(&self, error: &Error) {
        let mut figures = self.figures.lock();
        figures.failed += 1;
        figures.error = Some(error.to_string());
        drop(figures);
        self.metrics.sync.failed(self.ends(), error.kind().code());
    }

    pub(super) fn beat(&self, done: Done) {
        let outcome = match done {
            Done::Well => "renewed",
            Done::Unknown => "unknown",
            Done::Badly => "failed",
        };
        self.metrics.sync.beat(self.ends(), outcome);
    }
}
