//! Writing what leases moved: heartbeats, and health.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::keeper::{Keeper, PATIENCE};
use super::repair::RowKey;
use super::rows;
use crate::model::names::InstanceId;
use crate::storage::{HeartbeatRow, StorageErrorKind};

/// Heartbeats are written in bulk, one transaction of so many at a time, so that a request never
/// waits long behind them.
const FLUSH: usize = 1000;
/// While fewer wait, they are written this seldom.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
const FLUSH_AFTER_FAILURE: Duration = Duration::from_secs(5);

impl Keeper {
    pub(super) fn flush_is_due(&self) -> bool {
        !self.unwritten.is_empty() && Instant::now() >= self.flush_at
    }

    /// Writes some of the heartbeats that wait.
    pub(super) async fn flush_some(&mut self) {
        // What is planned writes the whole row, with no later heartbeat than it had then.
        let free = self.unwritten.iter().filter(|(id, _)| !self.pipeline.plans(**id));
        let some: Vec<_> = free.take(FLUSH).map(|(id, t)| (*id, t.clone())).collect();
        if !some.is_empty() {
            self.flush(some).await;
        }
    }

    /// Writes every heartbeat and every repair there is, before the end.
    pub(super) async fn flush_all(&mut self) {
        for lease in self.shared.leases.all() {
            if lease.check.is_none() && lease.unwritten().is_some() {
                self.unwritten.insert(lease.id(), lease.tenant.clone());
            }
        }
        let state = self.shared.state.load_full();
        for (tenant, id) in self.shared.checks.all_unwritten(&state) {
            self.unwritten.insert(id, tenant);
        }
        while !self.unwritten.is_empty() {
            let some = self.unwritten.iter().take(FLUSH).map(|(id, t)| (*id, t.clone())).collect();
            if !self.flush(some).await {
                return;
            }
        }
    }

    async fn flush(&mut self, some: Vec<(InstanceId, TenantId)>) -> bool {
        let end = Instant::now() + PATIENCE;
        let wall = crate::clock::at(self.shared.clock.now_ms());
        let state = self.shared.state.load_full();
        let leases = Arc::clone(&self.shared.leases);
        let mut beats = Vec::with_capacity(some.len());
        let mut written = Vec::with_capacity(some.len());
        let (mut checked, mut rewritten) = (Vec::new(), Vec::new());
        for (id, tenant) in &some {
            self.unwritten.remove(id);
            let moved = self.rewritten.remove(id);
            let Some(instance) = state.instance(tenant, *id) else {
                continue;
            };
            written.extend(leases.unwritten(*id));
            checked.extend(self.shared.checks.last(instance).map(|time| (*id, time)));
            if moved {
                rewritten.push(*id);
            }
            beats.push(HeartbeatRow {
                tenant_id: tenant.to_string(),
                service_instance_id: id.to_string(),
                last_heartbeat_time: leases.heard_at(instance, wall),
                last_health_check_time: self.shared.checks.last(instance),
                health_status: instance.health.to_string(),
                ext_property: moved.then(|| rows::ext_property(instance)).flatten(),
            });
        }
        let (store, count) = (Arc::clone(&self.store), beats.len());
        let flush = self.begin(end, async move { store.flush(&beats).await });
        match self.meanwhile(flush).await {
            Ok(()) => {
                let keys =
                    some.iter().map(|(id, t)| RowKey::Instance(t.to_string(), id.to_string()));
                self.meanwhile.wrote(&self.shared, keys);
                written.into_iter().for_each(|(lease, heard)| lease.set_written(heard));
                for (id, time) in checked {
                    self.shared.checks.set_written(id, time);
                }
                let more = self.unwritten.len() >= FLUSH;
                self.flush_at = Instant::now() + if more { Duration::ZERO } else { FLUSH_EVERY };
                true
            }
            Err(error) => {
                tracing::warn!(%error, rows = count, "heartbeats not written yet");
                self.unwritten.extend(some);
                self.rewritten.extend(rewritten);
                self.flush_at = Instant::now() + FLUSH_AFTER_FAILURE;
                if error.kind() == StorageErrorKind::Unavailable {
                    self.refuse_waiting(&error.into());
                }
                false
            }
        }
    }
}
