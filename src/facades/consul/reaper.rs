//! `DeregisterCriticalServiceAfter`: who has been critical for so long is removed.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use hub_registry_core::HealthStatus;

use super::Face;
use super::render::term;
use crate::access::Caller;
use crate::model::instance::NativeInstance;

/// How often is looked, as an agent does (`agent/agent.go`, `reapServices`).
const PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn run(face: Arc<Face>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        face.reap().await;
    }
}

impl Face {
    async fn reap(&self) {
        for (tenant, _) in self.view.all() {
            for one in self.registered(&tenant) {
                let one = self.native.with_heartbeat(&one);
                if !self.is_over(&one) {
                    continue;
                }
                let (id, caller) = (one.id.to_string(), Caller::hub(tenant.clone()));
                let (instance, outcome) =
                    (one.key.to_string(), self.native.deregister(&caller, &id).await);
                match outcome {
                    Ok(()) => tracing::info!(%instance, "critical for too long: removed"),
                    Err(error) => tracing::warn!(%instance, %error, "cannot be removed"),
                }
            }
        }
    }

    /// Since when it is critical is not written down: no later than when its lease ended, or when a
    /// check last said so.
    fn is_over(&self, one: &NativeInstance) -> bool {
        let after = one.native.get(term::DEREGISTER).and_then(|text| text.parse::<i64>().ok());
        let Some(after) = after.and_then(TimeDelta::try_seconds) else { return false };
        if one.health != HealthStatus::Unhealthy {
            return false;
        }
        let lease = TimeDelta::seconds(one.lease_seconds.into());
        let since = match one.has_lease() {
            true => one.last_heartbeat.map(|heard| heard + lease),
            false => Some(one.audit.edit_time),
        };
        since.is_some_and(|since| self.clock.now() - since > after)
    }
}
