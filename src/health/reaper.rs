//! Removes whose check was critical for as long as it asked for (`deregister_after`), as an agent of
//! Consul does (`agent/agent.go`, `reapServices`; docs/decisions/0036).
//!
//! Nothing brings back what is removed by mistake: a client whose check the hub asks registers once.
//! So a check counts only while somebody knows that it is bad: its client said so or let its lease run
//! out, or the hub asked of late and found it. Whoever registers again begins anew; where too many do
//! not answer together nobody leaves for that ([`cut`](super::cut)); and of a tenant no more leave at
//! once than self-preservation lets pass.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::board::LastCheck;
use super::cut::{Asked, Cuts, Note};
use super::start::HealthChecks;
use crate::access::Caller;
use crate::error::Error;
use crate::model::check::{Check, CheckStatus};
use crate::model::instance::NativeInstance;
use crate::model::names::CheckKey;
use crate::model::words::HealthCheckType;
use crate::native::Native;
use crate::telemetry::metrics::Metrics;

/// How often is looked, as an agent does.
const PAUSE: Duration = Duration::from_secs(30);
/// Who sleeps wakes up so much later while all goes well, and what is asked ends so much later.
const LATE: Duration = Duration::from_secs(5);

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

/// Who may have to leave, and for which check.
#[derive(Debug)]
struct Candidate {
    instance: Arc<NativeInstance>,
    check: Check,
    key: CheckKey,
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

impl Reaper {
    pub(super) fn new(native: Arc<Native>, checks: Arc<HealthChecks>, metrics: Metrics) -> Self {
        let (bad, cuts, looked) = (HashMap::new(), Cuts::default(), Instant::now());
        Self { native, checks, metrics, bad, cuts, looked }
    }

    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            tokio::time::sleep(PAUSE).await;
            if began.elapsed() > PAUSE + LATE {
                // The process was paused: nobody could be heard, and nothing was asked.
                self.bad.clear();
            }
            for leaving in self.look(Instant::now()) {
                let removed = self.remove(&leaving).await;
                if let Err(error) = removed {
                    let (tenant, instance) = (&leaving.instance.tenant, &leaving.instance.key);
                    tracing::warn!(tenant.id = %tenant, %instance, check = leaving.check.id, %error,
                        "critical for too long, and cannot be removed yet");
                    // What is true of the others is to be looked at again.
                    break;
                }
            }
        }
    }

    /// Who is to be removed now.
    fn look(&mut self, now: Instant) -> Vec<Candidate> {
        let (asked, looks) = self.collect(now);
        self.cuts.look(&asked, self.native.preservation(), now).iter().for_each(tell);
        let leave = self.choose(looks, now);
        self.looked = now;
        leave
    }

    /// Whom the hub asks, and which checks are known to be bad.
    fn collect(&mut self, now: Instant) -> (BTreeMap<TenantId, Asked>, BTreeMap<TenantId, Look>) {
        let (before, rules) = (std::mem::take(&mut self.bad), *self.native.preservation());
        let mut asked: BTreeMap<TenantId, Asked> = BTreeMap::new();
        let mut looks: BTreeMap<TenantId, Look> = BTreeMap::new();
        for instance in self.native.checked() {
            let found = self.found(&instance);
            let answers =
                |last: &LastCheck| !last.is_silent() && now.duration_since(last.ended) <= rules.max;
            let silent = !found.is_empty() && found.iter().all(LastCheck::is_silent);
            if silent || found.iter().any(answers) {
                let asked = asked.entry(instance.tenant.clone()).or_default();
                asked.all += 1;
                asked.silent.extend(silent.then_some(instance.id));
                let slowest = found.iter().map(|last| last.interval).max();
                asked.slowest = asked.slowest.max(slowest.unwrap_or_default());
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
                if !is_bad(&self.native, (&instance.tenant, key), check, last.as_ref()) {
                    continue;
                }
                // It passed meanwhile where it fails since later.
                let failing_since = last.as_ref().and_then(|last| last.failing_since);
                let goes_on = |bad: &&Bad| {
                    bad.said == said && failing_since.is_none_or(|since| since <= bad.since)
                };
                let bad = before.get(&key).filter(goes_on).cloned();
                self.bad.insert(key, bad.unwrap_or(Bad { since: now, proof: now, said }));
                let silent = last.as_ref().is_some_and(LastCheck::is_silent);
                let found = last.map(|last| last.ended);
                let (instance, check) = (Arc::clone(&instance), check.clone());
                look.candidates.push(Candidate { instance, check, key, found, silent });
            }
        }
        (asked, looks)
    }

    /// What the hub found last of an instance where it could ask, by its own check or those that it
    /// brought with it.
    fn found(&self, instance: &NativeInstance) -> Vec<LastCheck> {
        let own = (instance.check != HealthCheckType::Checks).then(|| CheckKey::own(instance.id));
        // The way to the hub's own host is always there.
        let away = instance.checks().iter().filter(|check| !check.decides.is_of_own_host());
        let brought = away.map(|check| CheckKey::of(instance.id, &check.id));
        let found = own.into_iter().chain(brought).filter_map(|key| self.checks.last(key));
        found.filter(LastCheck::is_of_instance).collect()
    }

    /// Whose time is over: as many as may leave at once, and none that a cut explains.
    fn choose(&mut self, looks: BTreeMap<TenantId, Look>, now: Instant) -> Vec<Candidate> {
        let rules = self.native.preservation();
        let (mut held, mut leave) = (0, Vec::new());
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
                    held += usize::from(is_cut);
                    continue;
                }
                let after =
                    Duration::from_secs(one.check.deregister_after.unwrap_or(u32::MAX).into());
                let is_due = now.duration_since(bad.since) >= after
                    && one.found.is_none_or(|found| found > bad.proof);
                // For one of its checks is enough.
                if is_due && room > 0 && last.replace(one.instance.id) != Some(one.instance.id) {
                    room -= 1;
                    leave.push(one);
                }
            }
        }
        self.metrics.checks.set_removals_held(held);
        leave
    }

    async fn remove(&mut self, leaving: &Candidate) -> Result<(), Error> {
        let Candidate { instance, check, key, silent, .. } = leaving;
        let (key, Some(bad)) = (*key, self.bad.get(key)) else { return Ok(()) };
        let (checks, native) = (Arc::clone(&self.checks), Arc::clone(&self.native));
        let (id, Bad { proof, said, .. }) = (check.id.clone(), bad.clone());
        // It may have got well, or registered anew, while others were removed.
        let still = move |now: &NativeInstance| {
            let Some(check) = now.checks().get(&id) else { return false };
            let last = checks.last(key);
            is_bad(&native, (&now.tenant, key), check, last.as_ref())
                && last.is_none_or(|last| last.ended > proof)
                && (native.last_heard(now.id), check.stated) == said
        };
        let after = check.deregister_after.unwrap_or_default();
        let why = format!("its check {} was critical for {after} s", check.id);
        let hub = Caller::hub(instance.tenant.clone());
        if self.native.deregister_if(&hub, instance.id, still, Some(why)).await? {
            self.metrics.checks.removed();
            if *silent {
                let rules = self.native.preservation();
                self.cuts.removed(&instance.tenant, instance.id, rules, Instant::now());
            }
            tracing::info!(tenant.id = %instance.tenant, instance = %instance.key, check = check.id,
                after_s = after, "critical for too long: removed");
        }
        Ok(())
    }
}

/// Whether it is known to be bad. A check is critical from the beginning: as long as nobody said so or
/// was asked, that is want of knowledge.
fn is_bad(
    native: &Native,
    (tenant, key): (&TenantId, CheckKey),
    check: &Check,
    last: Option<&LastCheck>,
) -> bool {
    let known = match check.lease() {
        Some(_) => check.stated.is_some() || native.is_gone(tenant, key),
        None => last.is_some_and(LastCheck::is_failing),
    };
    known && check.status == CheckStatus::Critical
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
            "too many instances answer none of the hub's checks to be believed: none is removed for that"
        ),
        Note::Ended { whose, silent, of } => tracing::info!(
            tenant.id = whose.as_ref().map(ToString::to_string),
            silent,
            of,
            "instances that answer none of the hub's checks are believed to be gone again"
        ),
    }
}
