//! Writing what leases moved: heartbeats, and health.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::draft::Draft;
use super::keeper::{Keeper, PATIENCE, within};
use crate::model::names::InstanceId;
use crate::storage::{HeartbeatRow, StorageErrorKind};

/// Heartbeats are written in bulk, one transaction of so many at a time, so that a request never
/// waits long behind them.
const FLUSH: usize = 1000;
/// While fewer wait, they are written this seldom.
const FLUSH_EVERY: Duration = Duration::from_secs(2);
const FLUSH_AFTER_FAILURE: Duration = Duration::from_secs(5);

impl Keeper {
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
        self.resolve_doubts(end, None).await;
        let wall = crate::clock::at(self.shared.clock.now_ms());
        let state = self.shared.state.load_full();
        let leases = Arc::clone(&self.shared.leases);
        let mut rows = Vec::with_capacity(some.len());
        let mut written = Vec::with_capacity(some.len());
        let mut checked = Vec::new();
        for (id, tenant) in &some {
            self.unwritten.remove(id);
            let Some(instance) = state.instance(tenant, *id) else {
                continue;
            };
            written.extend(leases.unwritten(*id));
            checked.extend(self.shared.checks.last(instance).map(|time| (*id, time)));
            rows.push(HeartbeatRow {
                tenant_id: tenant.to_string(),
                service_instance_id: id.to_string(),
                last_heartbeat_time: leases.heard_at(instance, wall),
                last_health_check_time: self.shared.checks.last(instance),
                health_status: instance.health.to_string(),
            });
        }
        let told = self.moved.take(some.iter().map(|(id, _)| *id));
        let events: Vec<_> = told.iter().map(|(_, event)| event.clone()).collect();
        let store = Arc::clone(&self.store);
        let flush = async { within(end, store.flush(&rows, &events)).await };
        match self.meanwhile(flush, None).await {
            Ok(()) => {
                written.into_iter().for_each(|(lease, heard)| lease.set_written(heard));
                for (id, time) in checked {
                    self.shared.checks.set_written(id, time);
                }
                let more = self.unwritten.len() >= FLUSH;
                self.flush_at = Instant::now() + if more { Duration::ZERO } else { FLUSH_EVERY };
                true
            }
            Err(error) => {
                tracing::warn!(%error, rows = rows.len(), "heartbeats not written yet");
                self.unwritten.extend(some);
                self.moved.doubt(told);
                self.flush_at = Instant::now() + FLUSH_AFTER_FAILURE;
                if error.kind() == StorageErrorKind::Unavailable {
                    self.refuse_waiting(&error.into());
                }
                false
            }
        }
    }

    /// Finds out whether the events of transactions that failed are on disk, so that none is
    /// there twice and none is missing.
    pub(super) async fn resolve_doubts(&mut self, end: Instant, mut draft: Option<&mut Draft>) {
        while let Some(told) = self.moved.doubtful() {
            let Some((_, first)) = told.first() else { continue };
            let (store, first) = (Arc::clone(&self.store), first.clone());
            let look = async { within(end, store.has_event(&first)).await };
            match self.meanwhile(look, draft.as_deref_mut()).await {
                Ok(true) => {}
                Ok(false) => self.moved.again(told),
                Err(_) => return self.moved.doubt(told),
            }
        }
    }
}
