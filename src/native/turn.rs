//! What the keeper does between commits, and while one runs: it minds the leases.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{HealthStatus, TenantId};
use tokio::time::Instant;

use super::draft::Draft;
use super::events::Cause;
use super::keeper::Keeper;
use super::lease::Lease;
use super::leases::Due;
use super::state::State;
use crate::access::HUB;
use crate::model::instance::NativeInstance;

/// The keeper turns at least this often.
const TURN: Duration = Duration::from_millis(250);
/// So many that were heard again are made healthy together.
const REVIVED: usize = 1024;

pub(super) type Verdict = (Arc<Lease>, HealthStatus);

impl Keeper {
    /// When there is something to do next.
    pub(super) fn wake(&self) -> Instant {
        let latest = self.last_turn + TURN;
        let due = self.deadlines.next().map(|at| self.shared.leases.instant(at));
        due.map_or(latest, |due| due.min(latest))
    }

    /// Waits for the database; leases are minded meanwhile. `draft`: what is being committed.
    pub(super) async fn meanwhile<T>(
        &mut self,
        work: impl Future<Output = T>,
        mut draft: Option<&mut Draft>,
    ) -> T {
        tokio::pin!(work);
        loop {
            let wake = self.wake();
            tokio::select! {
                biased;
                outcome = &mut work => return outcome,
                Some(lease) = self.revived.recv() => self.revive(lease, draft.as_deref_mut()),
                () = tokio::time::sleep_until(wake) => self.turn(draft.as_deref_mut()),
            }
        }
    }

    /// Looks at every lease that is due.
    pub(super) fn turn(&mut self, mut draft: Option<&mut Draft>) {
        self.last_turn = Instant::now();
        self.shared.leases.notice_pause();
        let leases = Arc::clone(&self.shared.leases);
        let now = leases.now();
        let mut verdicts = Vec::new();
        while let Some(lease) = self.deadlines.pop(now) {
            if lease.is_closed() {
                continue;
            }
            if lease.unwritten().is_some() {
                self.unwritten.insert(lease.id, lease.tenant.clone());
            }
            if draft.as_ref().is_some_and(|draft| draft.plans(lease.id)) {
                // What a commit under way is writing is judged after it.
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
        self.judge(verdicts, draft.as_deref_mut());
        self.take_verdicts(draft.as_deref_mut());
        self.decide(draft);
    }

    /// Instances were heard again.
    pub(super) fn revive(&mut self, first: Arc<Lease>, draft: Option<&mut Draft>) {
        let mut verdicts = Vec::new();
        let mut next = Some(first);
        while let Some(lease) = next.take() {
            // What a commit under way is writing is left to the next heartbeat.
            let planned = draft.as_ref().is_some_and(|draft| draft.plans(lease.id));
            if lease.revives() && !lease.is_closed() && !planned {
                verdicts.push((lease, HealthStatus::Healthy));
            }
            if verdicts.len() < REVIVED {
                next = self.revived.try_recv().ok();
            }
        }
        self.judge(verdicts, draft);
    }

    /// Moves the health of instances: seen at once, written with the next flush.
    pub(super) fn judge(&mut self, verdicts: Vec<Verdict>, mut draft: Option<&mut Draft>) {
        if verdicts.is_empty() {
            return;
        }
        let before = self.shared.state.load_full();
        let (mut next, mut changed) = (State::clone(&before), BTreeSet::new());
        let mut freed: BTreeMap<TenantId, Vec<_>> = BTreeMap::new();
        let cause = Cause { time: crate::clock::at(self.shared.clock.now_ms()), who: HUB };
        for (lease, health) in verdicts {
            let known = before.instance(&lease.tenant, lease.id).filter(|i| i.health != health);
            let Some(known) = known else { continue };
            let last_health_check = None;
            let judged =
                NativeInstance { health, last_health_check, ..NativeInstance::clone(known) };
            let judged = Arc::new(judged);
            let lapsed = health == HealthStatus::Unhealthy;
            lease.set_revives(if lapsed { self.shared.leases.now() } else { 0 });
            if !lapsed {
                self.shared.metrics.leases.revived();
                if let Some(key) = self.heard_or_gone(&lease.tenant, lease.id, true) {
                    freed.entry(lease.tenant.clone()).or_default().push(key);
                }
            }
            changed.insert((judged.tenant.clone(), judged.key.service.clone()));
            next.put_instance(Arc::clone(&judged));
            if self.shared.settings.events {
                let why = match lapsed {
                    true => format!("not heard for {} s, its lease", judged.lease_seconds),
                    false => "heard again".to_owned(),
                };
                let event = cause.health(&judged, known.health, Some(why));
                self.moved.add(lease.id, event);
            }
            if let Some(draft) = draft.as_deref_mut() {
                draft.next.put_instance(judged);
            }
            self.unwritten.insert(lease.id, lease.tenant.clone());
        }
        // One that is healthy again is not waited for any more.
        for (tenant, keys) in freed {
            self.publish.hold(&tenant, Vec::new(), keys);
        }
        self.swap(&before, next, changed);
    }
}
