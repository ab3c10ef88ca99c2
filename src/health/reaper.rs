//! Removes whose check was critical for as long as it asked for (`deregister_after`), as an agent of
//! Consul does (`agent/agent.go`, `reapServices`).
//!
//! Nothing brings back what is removed by mistake: a client whose check the hub asks registers once.
//! So a check that the hub asks counts only while it is asked and found bad, not while nobody knows; and
//! where too many of a tenant's are found bad together, by the rule of self-preservation, it is more
//! likely the hub that is cut off, and nobody leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::board::LastCheck;
use super::start::HealthChecks;
use crate::access::Caller;
use crate::model::check::{Check, CheckStatus};
use crate::model::instance::NativeInstance;
use crate::model::names::CheckKey;
use crate::native::Native;
use crate::telemetry::metrics::Metrics;

/// How often is looked, as an agent does.
const PAUSE: Duration = Duration::from_secs(30);
/// What is found comes so much later than it was due, where there are places enough.
const LATE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Reaper {
    native: Arc<Native>,
    checks: Arc<HealthChecks>,
    metrics: Metrics,
    /// Since when those are seen critical that their clients speak for, and which statement it was. It
    /// is not written down, so that a start begins anew: rather late than wrong.
    critical: HashMap<CheckKey, (Instant, Option<i64>)>,
    /// The last look at which there were too many of a tenant's.
    held: HashMap<TenantId, Instant>,
    looked: Option<Instant>,
}

/// How those checks of a tenant stand that the hub asks, by their instances.
#[derive(Debug, Default)]
struct Asked {
    all: usize,
    bad: usize,
    /// Those whose time is over.
    due: usize,
}

impl Reaper {
    pub(super) fn new(native: Arc<Native>, checks: Arc<HealthChecks>, metrics: Metrics) -> Self {
        let (critical, held, looked) = (HashMap::new(), HashMap::new(), None);
        Self { native, checks, metrics, critical, held, looked }
    }

    pub(super) async fn run(mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            for (instance, check) in self.look(Instant::now()) {
                self.remove(&instance, check).await;
            }
        }
    }

    /// Who is to be removed now, and for which check.
    fn look(&mut self, now: Instant) -> Vec<(Arc<NativeInstance>, Check)> {
        let before = std::mem::take(&mut self.critical);
        let (mut leave, mut doubted) = (Vec::new(), Vec::new());
        let mut tenants: BTreeMap<TenantId, Asked> = BTreeMap::new();
        for one in self.native.with_checks() {
            let (mut asked, mut bad, mut due, mut over) = (false, false, false, None);
            for check in one.checks().iter() {
                let Some(after) = check.deregister_after else { continue };
                let after = Duration::from_secs(after.into());
                let critical = check.status == CheckStatus::Critical;
                let key = CheckKey::of(one.id, &check.id);
                if check.lease().is_none() {
                    asked = true;
                    let since = self.bad_since(key, now).filter(|_| critical);
                    let Some(since) = since else { continue };
                    (bad, due) = (true, due || now.duration_since(since) >= after);
                    // After a hold its time begins anew.
                    let held = self.held.get(&one.tenant);
                    if now.duration_since(held.map_or(since, |held| since.max(*held))) >= after {
                        over = Some(check.clone());
                    }
                } else if critical {
                    let known = before.get(&key).filter(|(_, stated)| *stated == check.stated);
                    let since = known.map_or(now, |(since, _)| *since);
                    self.critical.insert(key, (since, check.stated));
                    if now.duration_since(since) >= after {
                        leave.push((Arc::clone(&one), check.clone()));
                    }
                }
            }
            if asked {
                let tenant = tenants.entry(one.tenant.clone()).or_default();
                tenant.all += 1;
                tenant.bad += usize::from(bad);
                tenant.due += usize::from(due);
            }
            doubted.extend(over.map(|check| (one, check)));
        }
        self.hold(&tenants, now);
        leave.extend(
            doubted.into_iter().filter(|(one, _)| self.held.get(&one.tenant) != Some(&now)),
        );
        leave
    }

    /// Takes note of the tenants of whom too many are found bad together.
    fn hold(&mut self, tenants: &BTreeMap<TenantId, Asked>, now: Instant) {
        let (mut held, last) = (0, self.looked.replace(now));
        self.held.retain(|tenant, _| tenants.contains_key(tenant));
        for (tenant, Asked { all, bad, due }) in tenants {
            let was_held = last.is_some() && self.held.get(tenant).copied() == last;
            let is_held = self.native.preserves(*bad, *all);
            if is_held {
                held += due;
                self.held.insert(tenant.clone(), now);
            }
            match (was_held, is_held) {
                (false, true) => tracing::warn!(tenant.id = %tenant, bad, of = all,
                    "too many checks are critical together to be believed: no instance is removed \
                     for one that the hub asks"),
                (true, false) => tracing::info!(tenant.id = %tenant, bad, of = all,
                    "few enough checks are critical to be believed: instances are removed again \
                     for those that the hub asks"),
                _ => {}
            }
        }
        self.metrics.checks.set_removals_held(held);
    }

    /// Since when a check is found bad, and is still: what is older than it should be says nothing.
    fn bad_since(&self, key: CheckKey, now: Instant) -> Option<Instant> {
        let last = self.checks.last(key)?;
        let fresh = now.duration_since(last.ended) <= last.interval + last.timeout + LATE;
        last.failing_since.filter(|_| fresh)
    }

    async fn remove(&self, instance: &NativeInstance, check: Check) {
        let (checks, key) = (Arc::clone(&self.checks), CheckKey::of(instance.id, &check.id));
        let (id, leased) = (check.id.clone(), check.lease().is_some());
        // It may have got well, or registered anew, while others were removed.
        let still = move |now: &NativeInstance| {
            let found = || checks.last(key).as_ref().is_some_and(LastCheck::is_failing);
            now.checks().get(&id).is_some_and(|now| now.status == CheckStatus::Critical)
                && (leased || found())
        };
        let after = check.deregister_after.unwrap_or_default();
        let why = format!("its check {} was critical for {after} s", check.id);
        let hub = Caller::hub(instance.tenant.clone());
        let outcome = self.native.deregister_if(&hub, instance.id, still, Some(why)).await;
        let (tenant, check) = (&instance.tenant, &check.id);
        match outcome {
            Ok(true) => {
                self.metrics.checks.removed();
                tracing::info!(tenant.id = %tenant, instance = %instance.key, check,
                    after_s = after, "critical for too long: removed");
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(tenant.id = %tenant, instance = %instance.key, check, %error,
                    "critical for too long, and cannot be removed yet");
            }
        }
    }
}
