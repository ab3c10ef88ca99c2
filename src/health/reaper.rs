//! Removes whose check was critical for as long as it asked for (`deregister_after`), as an agent of
//! Consul does (`agent/agent.go`, `reapServices`; docs/decisions/0036).
//!
//! Nothing brings back what is removed by mistake: a client whose check the hub asks registers once.
//! So a check counts only while somebody knows that it is bad: its client said so or let its lease run
//! out, or the hub asked of late and found it. Whoever registers again begins anew; who does not answer,
//! and is heard, is there; where too many do not answer together nobody leaves for that
//! ([`cut`](super::cut)); and of a tenant no more leave at once than self-preservation lets pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::board::LastCheck;
use super::cut::{Asked, Cuts, Note};
use super::start::HealthChecks;
use crate::error::{Error, ErrorCode};
use crate::model::check::{Check, CheckStatus};
use crate::model::instance::NativeInstance;
use crate::model::names::CheckKey;
use crate::model::words::HealthCheckType;
use crate::native::Native;
use crate::telemetry::metrics::Metrics;

/// How often is looked, as an agent does.
const PAUSE: Duration = Duration::from_secs(30);
/// What is asked may end so much later, and is of now still.
const LATE: Duration = Duration::from_secs(5);
/// A pause of the process this long may have kept a client from being heard in time.
const PAUSED: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Reaper {
    native: Arc<Native>,
    checks: Arc<HealthChecks>,
    metrics: Metrics,
    /// Since when those are known to be bad that ask to be removed then. It is not written down, so that
    /// a start begins anew: rather late than wrong.
    bad: HashMap<CheckKey, Bad>,
    cuts: Cuts,
    looked: Instant,
    /// When the process was paused last.
    paused: u64,
}

/// A check that is known to be bad.
#[derive(Clone, Debug)]
struct Bad {
    /// Later by as long as nobody knew.
    since: Instant,
    /// What was found before this, in a cut perhaps, proves nothing.
    proof: Instant,
    /// When its client was last heard to register or to beat, and when it last said how the check is:
    /// after another one it begins anew.
    said: (u64, Option<i64>),
}

impl Bad {
    /// Whether it was bad for as long as the check says, and was found so once more.
    fn is_due(&self, after: u32, found: Option<Instant>, now: Instant) -> bool {
        now.duration_since(self.since) >= Duration::from_secs(after.into())
            && found.is_none_or(|found| found > self.proof)
    }
}

/// Who may have to leave, and for which check.
#[derive(Debug)]
struct Candidate {
    instance: Arc<NativeInstance>,
    id: String,
    key: CheckKey,
    /// The seconds after which it leaves.
    after: u32,
    /// When the hub found it bad, if it is the hub that asks.
    found: Option<Instant>,
    /// No answer came.
    silent: bool,
}

/// What is looked at of a tenant.
#[derive(Debug, Default)]
struct Look {
    all: usize,
    candidates: Vec<Candidate>,
}

/// What the hub knows of the way to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Answers,
    Silent,
    Unknown,
}

impl Reaper {
    pub(super) fn new(native: Arc<Native>, checks: Arc<HealthChecks>, metrics: Metrics) -> Self {
        let (bad, cuts, looked) = (HashMap::new(), Cuts::default(), Instant::now());
        let paused = native.paused_until(PAUSED);
        Self { native, checks, metrics, bad, cuts, looked, paused }
    }

    pub(super) async fn run(mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            for leaving in self.look(Instant::now()) {
                let Err(error) = self.remove(&leaving).await else { continue };
                let (tenant, instance) = (&leaving.instance.tenant, &leaving.instance.key);
                tracing::warn!(tenant.id = %tenant, %instance, check = leaving.id, %error,
                    "critical for too long, and cannot be removed yet");
                if error.code == ErrorCode::Unavailable {
                    // What is true of the others is to be looked at again.
                    break;
                }
            }
        }
    }

    /// Who is to be removed now.
    fn look(&mut self, now: Instant) -> Vec<Candidate> {
        let paused = self.native.paused_until(PAUSED);
        if std::mem::replace(&mut self.paused, paused) != paused {
            // Nobody could be heard, and nothing was asked.
            self.bad.clear();
            self.cuts.paused(now);
        }
        let (asked, looks) = self.collect(now);
        self.cuts.look(&asked, self.native.preservation(), now).iter().for_each(tell);
        let leave = self.choose(looks, now);
        self.looked = now;
        leave
    }

    /// Whom the hub asks, and which checks are known to be bad.
    fn collect(&mut self, now: Instant) -> (BTreeMap<TenantId, Asked>, BTreeMap<TenantId, Look>) {
        let before = std::mem::take(&mut self.bad);
        let mut asked: BTreeMap<TenantId, Asked> = BTreeMap::new();
        let mut looks: BTreeMap<TenantId, Look> = BTreeMap::new();
        for instance in self.native.checked() {
            if let Some((way, slowest)) = self.way(&instance, now) {
                let asked = asked.entry(instance.tenant.clone()).or_default();
                let side = match way {
                    Way::Answers => &mut asked.answering,
                    Way::Silent => &mut asked.silent,
                    Way::Unknown => &mut asked.unknown,
                };
                side.push(instance.id);
                asked.slowest = asked.slowest.max(slowest);
            }
            let leaves = |check: &&Check| check.deregister_after.is_some();
            if !instance.checks().iter().any(|check| leaves(&check)) {
                continue;
            }
            let look = looks.entry(instance.tenant.clone()).or_default();
            look.all += 1;
            let heard = self.native.last_heard(instance.id);
            for check in instance.checks().iter().filter(leaves) {
                let key = CheckKey::of(instance.id, &check.id);
                let (last, said) = (self.checks.last(key), (heard, check.stated));
                let known = last.as_ref().is_none_or(|last| is_known(last, now));
                if !known && check.status == CheckStatus::Critical {
                    // Its time stands still.
                    if let Some(bad) = before.get(&key).filter(|bad| bad.said == said) {
                        let since = bad.since + now.duration_since(self.looked);
                        self.bad.insert(key, Bad { since, ..bad.clone() });
                    }
                    continue;
                }
                if !is_bad(&self.native, &instance, check, (key, last.as_ref())) {
                    continue;
                }
                // It passed meanwhile where it fails since later.
                let failing_since = last.as_ref().and_then(|last| last.failing_since);
                let goes_on = |bad: &&Bad| {
                    bad.said == said && failing_since.is_none_or(|since| since <= bad.since)
                };
                let bad = before.get(&key).filter(goes_on).cloned();
                self.bad.insert(key, bad.unwrap_or(Bad { since: now, proof: now, said }));
                let (instance, id) = (Arc::clone(&instance), check.id.clone());
                let silent = last.as_ref().is_some_and(LastCheck::is_silent);
                let (after, found) =
                    (check.deregister_after.unwrap_or(u32::MAX), last.map(|last| last.ended));
                look.candidates.push(Candidate { instance, id, key, after, found, silent });
            }
        }
        (asked, looks)
    }

    /// What the hub knows of the way to an instance that it asks, by its own check or those that it
    /// brought with it, and the longest time between two questions. `None`: there is no way to lose.
    fn way(&self, instance: &NativeInstance, now: Instant) -> Option<(Way, Duration)> {
        let own = (instance.check != HealthCheckType::Checks)
            .then(|| (CheckKey::own(instance.id), false));
        let asked = instance.checks().iter().filter(|check| check.lease().is_none());
        let brought = asked
            .map(|check| (CheckKey::of(instance.id, &check.id), check.deregister_after.is_some()));
        let (mut all, mut near, mut known, mut silent) = (0, 0, 0, 0);
        let (mut leaves, mut answers, mut slowest) = (false, false, Duration::ZERO);
        for (key, may_leave) in own.into_iter().chain(brought) {
            all += 1;
            let Some(last) = self.checks.last(key) else { continue };
            near += usize::from(last.near);
            if last.near || !last.is_of_instance() {
                continue;
            }
            known += 1;
            silent += usize::from(last.is_silent());
            leaves |= last.is_silent() && may_leave;
            let is_of_late = now.duration_since(last.ended) <= self.native.preservation().max;
            answers |= last.is_answer() && is_of_late;
            slowest = slowest.max(last.interval);
        }
        if all == near {
            return None;
        }
        // One that answers elsewhere may be removed for what does not answer here.
        let way = match (leaves || known > 0 && known == silent, answers) {
            (true, _) => Way::Silent,
            (false, true) => Way::Answers,
            (false, false) => Way::Unknown,
        };
        Some((way, slowest))
    }

    /// Whose time is over: as many as may leave at once, and none that a cut explains.
    fn choose(&mut self, looks: BTreeMap<TenantId, Look>, now: Instant) -> Vec<Candidate> {
        let rules = self.native.preservation();
        let (mut held, mut leave) = (BTreeMap::new(), Vec::new());
        for (tenant, Look { all, candidates }) in looks {
            let (is_cut, mut room) = (self.cuts.holds(&tenant), rules.at_once(all));
            let was_cut = is_cut || self.cuts.frees(&tenant);
            let mut last = None;
            for one in candidates {
                let Some(bad) = self.bad.get_mut(&one.key) else { continue };
                if was_cut && one.silent {
                    // Afterwards its time begins anew, unless it was gone before: then it stood still.
                    bad.proof = now;
                    bad.since = match self.cuts.believes(one.instance.id) {
                        true => bad.since + now.duration_since(self.looked),
                        false => now,
                    };
                    if is_cut {
                        *held.entry(tenant.clone()).or_default() += 1;
                    }
                    continue;
                }
                let is_due = bad.is_due(one.after, one.found, now);
                // For one of its checks is enough.
                if is_due && room > 0 && last.replace(one.instance.id) != Some(one.instance.id) {
                    room -= 1;
                    leave.push(one);
                }
            }
        }
        self.metrics.checks.set_removals_held(held.values().sum());
        self.checks.set_removals_held(held);
        leave
    }

    async fn remove(&mut self, leaving: &Candidate) -> Result<(), Error> {
        let Candidate { instance, id, key, after, silent, .. } = leaving;
        let (key, after, Some(bad)) = (*key, *after, self.bad.get(key).cloned()) else {
            return Ok(());
        };
        let (checks, native) = (Arc::clone(&self.checks), Arc::clone(&self.native));
        let (before, check) = (Arc::clone(instance), id.clone());
        // It may have got well, be another question, or be registered anew, while others were removed.
        let still = move |now: &NativeInstance| {
            let (last, asks) = (checks.last(key), |one: &Check| one.decides.clone());
            let Some(check) = now.checks().get(&check) else { return false };
            check.deregister_after == Some(after)
                && before.checks().get(&check.id).map(asks) == Some(asks(check))
                && is_bad(&native, now, check, (key, last.as_ref()))
                && bad.is_due(after, last.map(|last| last.ended), Instant::now())
                && (native.last_heard(now.id), check.stated) == bad.said
        };
        let why = format!("its check {id} was critical for {after} s");
        if self.native.remove_if(&instance.tenant, instance.id, still, why).await? {
            self.metrics.checks.removed();
            if *silent {
                let rules = self.native.preservation();
                self.cuts.removed(&instance.tenant, instance.id, rules, Instant::now());
            }
            tracing::info!(tenant.id = %instance.tenant, instance = %instance.key, check = id,
                after_s = after, "critical for too long: removed");
        }
        Ok(())
    }
}

/// Whether it is known to be bad. A check is critical from the beginning: as long as nobody said so or
/// was asked, that is want of knowledge.
fn is_bad(
    native: &Native,
    instance: &NativeInstance,
    check: &Check,
    (key, last): (CheckKey, Option<&LastCheck>),
) -> bool {
    let known = match (check.lease(), last) {
        // What was said before a start or a pause says nothing until the lease runs out.
        (Some(_), _) => {
            check.stated.is_some() && native.is_heard(key) || native.is_gone(&instance.tenant, key)
        }
        (None, Some(last)) => {
            last.is_failing() && !(last.is_silent() && is_spoken_for(native, instance))
        }
        (None, None) => false,
    };
    known && check.status == CheckStatus::Critical
}

/// Whether its client is heard to speak for another of its checks: then it is the way to it that is lost.
fn is_spoken_for(native: &Native, instance: &NativeInstance) -> bool {
    let spoken = instance.checks().iter().filter(|check| check.lease().is_some());
    spoken.map(|check| CheckKey::of(instance.id, &check.id)).any(|key| native.is_heard(key))
}

/// Whether it says anything of now: the hub could ask, and what it found is no older than two questions.
fn is_known(last: &LastCheck, now: Instant) -> bool {
    last.is_of_instance()
        && now.duration_since(last.ended) <= 2 * last.interval + last.timeout + LATE
}

fn tell(note: &Note) {
    match note {
        Note::Began { whose, silent, of } => tracing::warn!(
            tenant.id = whose.as_ref().map(ToString::to_string),
            silent,
            of,
            "too many instances do not answer the hub's checks to be believed: none is removed for that"
        ),
        Note::Ended { whose, silent, of } => tracing::info!(
            tenant.id = whose.as_ref().map(ToString::to_string),
            silent,
            of,
            "that instances do not answer the hub's checks is believed again"
        ),
    }
}
