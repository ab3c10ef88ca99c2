//! The task that checks.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use hub_registry_core::{HealthStatus, TenantId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::board::LastCheck;
use super::judge::Judge;
use super::load::{self, Watch, Word};
use super::numbers::{Late, Standing};
use super::outcome::{Outcome, Tone};
use super::probe::Probe;
use super::recent::Recent;
use super::schedule::{First, Schedule};
use super::start::{HealthChecks, Settings};
use super::target::Target;
use crate::clock;
use crate::model::check::CheckStatus;
use crate::model::instance::NativeInstance;
use crate::model::names::{CheckKey, InstanceId};
use crate::native::{CheckFeed, Judged, Native, Verdict};
use crate::telemetry::metrics::Metrics;

/// The checker looks at the clock at least this often.
const TURN: Duration = Duration::from_millis(250);
/// A turn that comes so late is one after a pause of the process.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is looked whether there are enough places.
const MEASURE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Checker {
    native: Arc<Native>,
    feed: CheckFeed,
    probe: Arc<dyn Probe>,
    settings: Settings,
    metrics: Metrics,
    checks: Arc<HealthChecks>,
    schedule: Schedule,
    followed: BTreeMap<CheckKey, Followed>,
    under_way: JoinSet<Found>,
    last_turn: Instant,
    measure_at: Instant,
    watch: Watch,
    late: Option<Recent>,
}

/// What is known of a check.
#[derive(Debug)]
struct Followed {
    tenant: TenantId,
    /// Its id, where the instance brought it with it.
    check: Option<Arc<str>>,
    target: Arc<Target>,
    judge: Judge,
    /// When a request last stated what it says.
    stated: Option<DateTime<Utc>>,
    busy: bool,
    /// How long a check takes, of late.
    took: Duration,
}

/// What became of a check.
#[derive(Debug)]
struct Found {
    key: CheckKey,
    target: Arc<Target>,
    /// `Followed::stated` when it began.
    stated: Option<DateTime<Utc>>,
    outcome: Outcome,
    took: Duration,
}

impl Checker {
    pub(super) fn new(
        native: Arc<Native>,
        probe: Arc<dyn Probe>,
        settings: Settings,
        metrics: Metrics,
        checks: Arc<HealthChecks>,
    ) -> Self {
        let (feed, now) = (native.follow_checks(), Instant::now());
        Self {
            native,
            feed,
            probe,
            settings,
            metrics,
            checks,
            schedule: Schedule::new(fastrand::Rng::new()),
            followed: BTreeMap::new(),
            under_way: JoinSet::new(),
            last_turn: now,
            measure_at: now + MEASURE,
            watch: Watch::default(),
            late: Recent::new(),
        }
    }

    pub(super) async fn run(mut self) {
        // Those there are at the start may be many.
        if let Some(there) = self.feed.changed().now_or_never() {
            self.look(there, First::InTurn);
        }
        loop {
            let wake = self.wake();
            tokio::select! {
                changed = self.feed.changed() => self.look(changed, First::Soon),
                Some(found) = self.under_way.join_next() => self.take(found.ok()),
                () = sleep_until(wake) => {}
            }
            while let Some(found) = self.under_way.try_join_next() {
                self.take(found.ok());
            }
            self.turn();
        }
    }

    fn wake(&self) -> Instant {
        let latest = self.last_turn + TURN;
        let room = self.under_way.len() < self.settings.places;
        self.schedule.next().filter(|_| room).map_or(latest, |due| due.min(latest))
    }

    /// Looks again at instances that may have come, changed or gone.
    fn look(&mut self, changed: HashMap<InstanceId, TenantId>, first: First) {
        let now = Instant::now();
        for (id, tenant) in changed {
            let mut there = HashSet::new();
            if let Some(found) = self.native.to_check(&tenant, id) {
                for (check, target) in self.checks.targets(&found) {
                    let key = key_of(id, check.as_deref());
                    there.insert(key);
                    let stand = Stand::of(&found.instance, check.as_deref());
                    let stated = stand.and_then(|stand| stand.stated);
                    self.follow(&tenant, (key, check), target, stated, (first, now));
                }
            }
            let known = self.followed.range(CheckKey::all_of(id)).map(|(key, _)| *key);
            let gone: Vec<_> = known.filter(|key| !there.contains(key)).collect();
            for key in gone {
                self.schedule.remove(key);
                self.followed.remove(&key);
                self.checks.board.remove(&key);
            }
        }
    }

    fn follow(
        &mut self,
        tenant: &TenantId,
        (key, check): (CheckKey, Option<Arc<str>>),
        target: Target,
        stated: Option<DateTime<Utc>>,
        (first, now): (First, Instant),
    ) {
        let Some(known) = self.followed.get_mut(&key) else {
            self.schedule.put(key, target.interval, first, now);
            let (tenant, target) = (tenant.clone(), Arc::new(target));
            let (judge, busy, took) = (Judge::default(), false, Duration::ZERO);
            let new = Followed { tenant, check, target, judge, stated, busy, took };
            self.followed.insert(key, new);
            return;
        };
        if known.stated != stated || known.target.ask != target.ask {
            known.judge.forget();
        }
        if known.target.ask != target.ask {
            // What was found of another says nothing of it.
            self.checks.board.remove(&key);
        }
        known.stated = stated;
        if *known.target != target {
            self.schedule.put(key, target.interval, first, now);
            known.target = Arc::new(target);
        }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        if now - self.last_turn > PAUSE {
            let spread = self.schedule.spread(now);
            let paused_ms = (now - self.last_turn).as_millis() as u64;
            tracing::warn!(paused_ms, spread, "the process was paused: checks are spread anew");
        }
        self.last_turn = now;
        while self.under_way.len() < self.settings.places {
            let Some((key, due)) = self.schedule.pop(now) else { break };
            self.begin(key, due, now);
        }
        self.metrics.checks.set_in_flight(self.under_way.len());
        if now >= self.measure_at {
            self.measure_at = now + MEASURE;
            self.measure(now);
        }
    }

    fn begin(&mut self, key: CheckKey, due: Instant, now: Instant) {
        let Some(followed) = self.followed.get_mut(&key) else { return };
        // The one before is not done yet: its bound is the interval, so this is a matter of jitter.
        if followed.busy {
            return;
        }
        followed.busy = true;
        self.metrics.checks.began(now - due);
        self.late.iter_mut().for_each(|late| late.add(now - due));
        let (probe, target) = (Arc::clone(&self.probe), Arc::clone(&followed.target));
        let stated = followed.stated;
        self.under_way.spawn(async move {
            let start = Instant::now();
            let deadline = start + target.timeout;
            let asked = AssertUnwindSafe(probe.ask(&target.ask, deadline)).catch_unwind();
            let outcome = match timeout_at(deadline, asked).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => Outcome::Hindered("the check panicked"),
                Err(_) => Outcome::AnswerTimedOut,
            };
            // A check that takes no notice of its bound was stopped, and the hub with it.
            let paused = start.elapsed() > target.timeout + PAUSE;
            let outcome = if paused { Outcome::Hindered("the hub was paused") } else { outcome };
            Found { key, target, stated, outcome, took: start.elapsed() }
        });
    }

    /// Takes what a check found: judges, reports and remembers it.
    fn take(&mut self, found: Option<Found>) {
        let Some(Found { key, target, stated, outcome, took }) = found else { return };
        let Some(followed) = self.followed.get_mut(&key) else { return };
        followed.busy = false;
        let tone = outcome.tone();
        self.metrics.checks.ended(target.ask.kind(), outcome.word(), took);
        let Some(now) = self.native.to_check(&followed.tenant, key.instance) else { return };
        let stand = Stand::of(&now.instance, followed.check.as_deref());
        let Some(stand) = stand else { return };
        let group = &now.instance.key.service.group;
        self.checks.numbers.add(&followed.tenant, group, tone, took);
        // It was of what the instance was before it was changed.
        if !Arc::ptr_eq(&target, &followed.target) {
            let interval = followed.target.interval;
            return self.schedule.put(key, interval, First::Soon, Instant::now());
        }
        followed.took = if followed.took.is_zero() { took } else { (followed.took + took) / 2 };
        if followed.stated != stand.stated {
            followed.stated = stand.stated;
            followed.judge.forget();
        }
        let was_flapping = followed.judge.is_flapping();
        // What was asked before a statement says nothing against it.
        let verdict = match stated == followed.stated {
            true => followed.verdict(outcome, stand, self.settings),
            false => None,
        };
        let flaps = followed.judge.is_flapping();
        if flaps && !was_flapping {
            let calm_in_ms =
                followed.judge.calm_in(target.interval).map(|time| time.as_millis() as u64);
            let check = followed.check.as_deref();
            tracing::warn!(tenant.id = %followed.tenant, instance = %now.instance.key, check,
                calm_in_ms, "an instance flaps: it is unhealthy until its checks are calm");
        }
        if let Some(verdict) = &verdict {
            self.metrics.checks.judged(verdict.found.health().as_str());
        }
        // One reading: the row has the time that is shown.
        let time = self.native.now();
        if tone != Tone::Hindered {
            self.native.report_check(&followed.tenant, key, time, verdict);
        }
        let mut last = LastCheck {
            asked: target.describe().into(),
            near: target.ask.is_of_own_host(),
            time,
            ended: Instant::now(),
            failing_since: None,
            outcome,
            took,
            failures: followed.judge.failures,
            passes: followed.judge.passes,
            interval: target.interval,
            timeout: target.timeout,
            flapping: followed.judge.calm_in(target.interval),
        };
        let before = self.checks.board.get(&key).and_then(|before| before.failing_since);
        last.failing_since = match last.is_of_instance() {
            true => last.is_failing().then(|| before.unwrap_or(last.ended)),
            false => before,
        };
        self.checks.board.insert(key, last);
    }

    fn measure(&mut self, now: Instant) {
        let all = self.followed.values();
        let under_way = load::under_way(all.map(|one| (one.took, one.target.interval)));
        let overdue = self.schedule.overdue(now).count();
        let next = self.schedule.next().filter(|_| overdue > 0);
        let standing = Standing {
            instances: self.followed.len(),
            flapping: self.followed.values().filter(|one| one.judge.is_flapping()).count(),
            in_flight: self.under_way.len(),
            overdue,
            lag: next.map_or(Duration::ZERO, |due| now.saturating_duration_since(due)),
            late: self.late.as_ref().map(Late::of).unwrap_or_default(),
            places: self.settings.places,
            needed: load::needed(under_way),
        };
        self.metrics.checks.set(
            standing.instances,
            standing.flapping,
            (standing.overdue, standing.lag),
            (standing.places, standing.needed),
        );
        let (needed, places) = (standing.needed, standing.places);
        match self.watch.look(needed, places) {
            Some(Word::TooFew) => tracing::warn!(
                needed,
                configured = places,
                overdue,
                instances = standing.instances,
                "healthCheck.concurrentChecks is too small: checks come late"
            ),
            Some(Word::Enough) => tracing::info!(
                needed,
                configured = places,
                "healthCheck.concurrentChecks is enough again"
            ),
            None => {}
        }
        *self.checks.standing.lock() = standing;
    }
}

impl Followed {
    /// What follows from an outcome, if it is another than the registry has.
    fn verdict(&mut self, outcome: Outcome, now: Stand, settings: Settings) -> Option<Verdict> {
        let (rules, interval) = (settings.rules.with(self.target.thresholds), self.target.interval);
        let tone = outcome.tone();
        let health = self.judge.observe(tone, now.health, rules, interval, Instant::now());
        let found = match &self.check {
            None => Judged::Health(health?),
            Some(id) => {
                let status = match (health.unwrap_or(now.health), tone) {
                    (HealthStatus::Unhealthy, _) => CheckStatus::Critical,
                    (HealthStatus::Healthy, Tone::Warning) => CheckStatus::Warning,
                    (HealthStatus::Healthy, Tone::Passed) => CheckStatus::Passing,
                    // Not yet enough to say otherwise.
                    _ => return None,
                };
                if now.status == Some(status) {
                    return None;
                }
                Judged::Check { id: Arc::clone(id), status }
            }
        };
        let which = self.check.as_ref().map_or_else(String::new, |id| format!(" {id}"));
        let why = match found.health() {
            HealthStatus::Unhealthy => {
                format!("check{which} failed, {} in a row: {outcome}", self.judge.failures)
            }
            _ => format!("check{which} passed, {} in a row: {outcome}", self.judge.passes),
        };
        Some(Verdict { found, stated: self.stated, why })
    }
}

/// How the registry has what a check says.
#[derive(Clone, Copy, Debug)]
struct Stand {
    health: HealthStatus,
    /// Of a check that the instance brought with it.
    status: Option<CheckStatus>,
    /// When a request last stated it.
    stated: Option<DateTime<Utc>>,
}

impl Stand {
    /// `None`: there is no such check any more.
    fn of(instance: &NativeInstance, check: Option<&str>) -> Option<Self> {
        let Some(id) = check else {
            let (health, stated) = (instance.health, instance.last_health_check);
            return Some(Self { health, status: None, stated });
        };
        let check = instance.checks().get(id)?;
        let (status, stated) = (check.status, check.stated.map(clock::at));
        Some(Self { health: status.health(), status: Some(status), stated })
    }
}

fn key_of(instance: InstanceId, check: Option<&str>) -> CheckKey {
    check.map_or_else(|| CheckKey::own(instance), |check| CheckKey::of(instance, check))
}
