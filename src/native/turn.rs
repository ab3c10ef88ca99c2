//! What the keeper does between commits, and while one runs: it minds the leases.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{HealthStatus, TenantId};
use tokio::time::Instant;

use super::events::Cause;
use super::keeper::Keeper;
use super::lease::Lease;
use super::leases::Due;
use super::publish::by_tenant;
use super::start::EventsWanted;
use super::state::State;
use crate::access::HUB;
use crate::model::check::CheckStatus;
use crate::model::instance::NativeInstance;
use crate::storage::EventRow;

/// The keeper turns at least this often.
const TURN: Duration = Duration::from_millis(250);
/// So many that were heard again are made healthy together.
const REVIVED: usize = 1024;

pub(super) type Verdict = (Arc<Lease>, HealthStatus);

/// What was found of a check that an instance brought with it.
pub(super) struct CheckFound<'a> {
    pub(super) check: &'a str,
    pub(super) status: CheckStatus,
    pub(super) why: String,
}

impl Keeper {
    /// When there is something to do next.
    pub(super) fn wake(&self) -> Instant {
        let latest = self.last_turn + TURN;
        let due = self.deadlines.next().map(|at| self.shared.leases.instant(at));
        due.map_or(latest, |due| due.min(latest))
    }

    /// Looks at every lease that is due.
    pub(super) fn turn(&mut self) {
        self.last_turn = Instant::now();
        self.shared.leases.notice_pause();
        let leases = Arc::clone(&self.shared.leases);
        let now = leases.now();
        let mut verdicts = Vec::new();
        while let Some(lease) = self.deadlines.pop(now) {
            if lease.is_closed() {
                continue;
            }
            if lease.is_to_be_written() {
                self.unwritten.insert(lease.id(), lease.tenant.clone());
            }
            if self.pipeline.plans(lease.id()) {
                // What is on its way to disk is judged when it is there.
                self.deadlines.push(now + 1000, lease);
                continue;
            }
            let (due, look) = leases.due(&lease, now);
            self.deadlines.push(look, Arc::clone(&lease));
            match due {
                Due::Nothing => {}
                Due::Revive => verdicts.push((lease, HealthStatus::Healthy)),
                Due::Lapse | Due::Expire => self.ran_out(lease),
            }
        }
        self.judge(verdicts);
        self.take_verdicts();
        self.decide();
    }

    /// Instances were heard again.
    pub(super) fn revive(&mut self, first: Arc<Lease>) {
        let mut verdicts = Vec::new();
        let mut next = Some(first);
        while let Some(lease) = next.take() {
            // What is on its way to disk is left to the next heartbeat.
            let planned = self.pipeline.plans(lease.id());
            if lease.revives() && !lease.is_closed() && !planned {
                verdicts.push((lease, HealthStatus::Healthy));
            }
            if verdicts.len() < REVIVED {
                next = self.revived.try_recv().ok();
            }
        }
        self.judge(verdicts);
    }

    /// Moves the health of instances that nothing is planned for: seen at once, written with the
    /// next flush.
    pub(super) fn judge(&mut self, verdicts: Vec<Verdict>) {
        if verdicts.is_empty() {
            return;
        }
        let before = self.shared.state.load_full();
        let (mut next, mut changed) = (State::clone(&before), BTreeSet::new());
        let mut freed: BTreeMap<TenantId, Vec<_>> = BTreeMap::new();
        let cause = Cause { time: crate::clock::at(self.shared.clock.now_ms()), who: HUB };
        let mut told = Vec::new();
        for (lease, health) in verdicts {
            let Some(known) = next.instance(&lease.tenant, lease.id()).cloned() else { continue };
            if let Some(check) = &lease.check {
                // Who speaks for a check says what its status is: nothing but silence is found here.
                let why = format!("check {check} not heard for {} s, its TTL", lease.seconds());
                let found = CheckFound { check, status: CheckStatus::Critical, why };
                if let Some(judged) = self.move_check(&mut next, cause, &known, found) {
                    changed.insert((known.tenant.clone(), known.key.service.clone()));
                    told.extend(judged);
                }
                continue;
            }
            if known.health == health {
                continue;
            }
            let judged = Arc::new(known.judged(health, None));
            let lapsed = health == HealthStatus::Unhealthy;
            lease.set_revives(if lapsed { self.shared.leases.now() } else { 0 });
            if !lapsed {
                self.shared.metrics.leases.revived();
                if let Some(key) = self.heard_or_gone(&lease.tenant, lease.key, true) {
                    freed.entry(lease.tenant.clone()).or_default().push(key);
                }
            }
            changed.insert((judged.tenant.clone(), judged.key.service.clone()));
            next.put_instance(Arc::clone(&judged));
            let why = match lapsed {
                true => format!("not heard for {} s, its lease", judged.lease_seconds),
                false => "heard again".to_owned(),
            };
            told.extend(self.judged(&next, cause, (&known, &judged), why));
            self.pipeline.put_instance(&judged);
            self.unwritten.insert(lease.id(), lease.tenant.clone());
        }
        // One that is healthy again is not waited for any more.
        for (tenant, keys) in freed {
            self.publish.hold(&tenant, Vec::new(), keys);
        }
        self.swap(&before, next, changed, by_tenant(told.into_iter()));
    }

    /// Moves the status of a check that nothing is planned for, as [`judge`](Self::judge) does the
    /// health; `None`: it is as it was. What is told of it, if that moved the instance's health.
    pub(super) fn move_check(
        &mut self,
        next: &mut State,
        cause: Cause<'_>,
        known: &NativeInstance,
        found: CheckFound<'_>,
    ) -> Option<Option<EventRow>> {
        let mut checks = known.checks().clone();
        let check = checks.get_mut(found.check).filter(|check| check.status != found.status)?;
        check.status = found.status;
        let judged = Arc::new(known.with_checks(checks));
        next.put_instance(Arc::clone(&judged));
        self.pipeline.put_instance(&judged);
        self.unwritten.insert(known.id, known.tenant.clone());
        self.rewritten.insert(known.id);
        let moved = known.health != judged.health;
        Some(moved.then(|| self.judged(next, cause, (known, &judged), found.why)).flatten())
    }

    /// What is told of an instance whose health was moved, if anything is told.
    pub(super) fn judged(
        &self,
        state: &State,
        cause: Cause<'_>,
        (before, after): (&NativeInstance, &NativeInstance),
        why: String,
    ) -> Option<EventRow> {
        if self.shared.settings.events == EventsWanted::Nothing {
            return None;
        }
        let rules = state.rules(&after.tenant, &after.key.service.group);
        let readers = rules.and_then(|group| group.readers());
        Some(EventRow { readers, ..cause.judged(before, after, why) })
    }
}
