//! What the keeper does between commits, and while one runs: health that leases move, and the
//! heartbeats that are to be written.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{HealthStatus, TenantId};
use tokio::time::Instant;

use super::draft::Draft;
use super::keeper::{Keeper, within};
use super::leases::{Due, Lease};
use super::state::State;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;
use crate::storage::HeartbeatRow;

/// The keeper turns at least this often.
const TURN: Duration = Duration::from_secs(1);
/// A turn this late was stopped (SIGSTOP, a suspended machine): clients could not be heard.
const PAUSE: Duration = Duration::from_secs(5);
/// Heartbeats are written in bulk, one transaction of so many at a time, so that a request never
/// waits long behind them.
const FLUSH: usize = 1000;
/// While fewer wait, they are written this seldom.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
const FLUSH_AFTER_FAILURE: Duration = Duration::from_secs(5);
const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

type Verdict = (Arc<Lease>, HealthStatus);

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
                Some(lease) = self.revived.recv() => self.revive(&lease, draft.as_deref_mut()),
                () = tokio::time::sleep_until(wake) => self.turn(draft.as_deref_mut()),
            }
        }
    }

    /// Looks at every lease that is due.
    pub(super) fn turn(&mut self, draft: Option<&mut Draft>) {
        let (late, leases) = (self.last_turn.elapsed() > PAUSE, Arc::clone(&self.shared.leases));
        self.last_turn = Instant::now();
        if late {
            tracing::warn!("the process was paused: every lease begins anew");
            leases.grace();
        }
        let now = leases.now();
        let mut verdicts = Vec::new();
        while let Some(lease) = self.deadlines.pop(now) {
            if lease.is_closed() {
                continue;
            }
            if lease.unwritten().is_some() {
                self.unwritten.insert(lease.id, lease.tenant.clone());
            }
            let planned = |draft: &&mut Draft| draft.touched.contains_key(&lease.id);
            if draft.as_ref().is_some_and(planned) {
                // What a commit under way is writing is judged after it.
                self.deadlines.push(now + 1000, lease);
                continue;
            }
            let (due, look) = leases.due(&lease, now);
            self.deadlines.push(look, Arc::clone(&lease));
            match due {
                Due::Nothing => {}
                Due::Revive => verdicts.push((lease, HealthStatus::Healthy)),
                Due::Lapse => verdicts.push((lease, HealthStatus::Unhealthy)),
                Due::Expire => self.expiring.push(lease),
            }
        }
        // The place for self-preservation: everything that is due together is known here, before
        // any of it is shown or removed.
        self.judge(verdicts, draft);
    }

    /// An instance was heard again.
    pub(super) fn revive(&mut self, lease: &Arc<Lease>, draft: Option<&mut Draft>) {
        // What a commit under way is writing is left to the next heartbeat.
        let planned = draft.as_ref().is_some_and(|draft| draft.touched.contains_key(&lease.id));
        if lease.revives() && !lease.is_closed() && !planned {
            self.judge(vec![(Arc::clone(lease), HealthStatus::Healthy)], draft);
        }
    }

    /// Moves the health of instances: seen at once, written with the next flush.
    fn judge(&mut self, verdicts: Vec<Verdict>, mut draft: Option<&mut Draft>) {
        if verdicts.is_empty() {
            return;
        }
        let before = self.shared.state.load_full();
        let (mut next, mut changed) = (State::clone(&before), BTreeSet::new());
        for (lease, health) in verdicts {
            let known = before.instance(&lease.tenant, lease.id).filter(|i| i.health != health);
            let Some(known) = known else { continue };
            let last_health_check = None;
            let judged =
                NativeInstance { health, last_health_check, ..NativeInstance::clone(known) };
            let judged = Arc::new(judged);
            let lapsed = health == HealthStatus::Unhealthy;
            lease.set_revives(if lapsed { self.shared.leases.now() } else { 0 });
            changed.insert((judged.tenant.clone(), judged.key.service.clone()));
            next.put_instance(Arc::clone(&judged));
            if let Some(draft) = draft.as_deref_mut() {
                draft.next.put_instance(judged);
            }
            self.unwritten.insert(lease.id, lease.tenant.clone());
        }
        self.swap(&before, next, changed);
    }

    /// Writes some of the heartbeats that wait, if it is time.
    pub(super) async fn flush_some(&mut self) {
        let now = Instant::now();
        if self.unwritten.is_empty() || now < self.flush_at {
            return;
        }
        let some: Vec<_> =
            self.unwritten.iter().take(FLUSH).map(|(id, t)| (*id, t.clone())).collect();
        self.flush(some).await;
    }

    /// Writes every heartbeat and every repair there is, before the end.
    pub(super) async fn flush_all(&mut self) {
        for lease in self.shared.leases.all() {
            if lease.unwritten().is_some() {
                self.unwritten.insert(lease.id, lease.tenant.clone());
            }
        }
        while !self.unwritten.is_empty() {
            let some = self.unwritten.iter().take(FLUSH).map(|(id, t)| (*id, t.clone())).collect();
            if !self.flush(some).await {
                return;
            }
        }
    }

    async fn flush(&mut self, some: Vec<(InstanceId, TenantId)>) -> bool {
        let wall = crate::clock::at(self.shared.clock.now_ms());
        let state = self.shared.state.load_full();
        let leases = Arc::clone(&self.shared.leases);
        let mut rows = Vec::with_capacity(some.len());
        let mut written = Vec::with_capacity(some.len());
        for (id, tenant) in &some {
            self.unwritten.remove(id);
            let Some(instance) = state.instance(tenant, *id) else {
                continue;
            };
            written.extend(leases.unwritten(*id));
            rows.push(HeartbeatRow {
                tenant_id: tenant.to_string(),
                service_instance_id: id.to_string(),
                last_heartbeat_time: leases.heard_at(instance, wall),
                last_health_check_time: instance.last_health_check,
                health_status: instance.health.to_string(),
            });
        }
        let store = Arc::clone(&self.store);
        let flush = async { within(FLUSH_PATIENCE, store.flush(&rows)).await };
        match self.meanwhile(flush, None).await {
            Ok(()) => {
                written.into_iter().for_each(|(lease, heard)| lease.set_written(heard));
                let more = self.unwritten.len() >= FLUSH;
                self.flush_at = Instant::now() + if more { Duration::ZERO } else { FLUSH_EVERY };
                true
            }
            Err(error) => {
                tracing::warn!(%error, rows = rows.len(), "heartbeats not written yet");
                self.unwritten.extend(some);
                self.flush_at = Instant::now() + FLUSH_AFTER_FAILURE;
                false
            }
        }
    }
}
