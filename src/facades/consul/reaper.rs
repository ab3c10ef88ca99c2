//! `DeregisterCriticalServiceAfter`: who has been critical for so long is removed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{HealthStatus, TenantId};
use tokio::time::Instant;

use super::Face;
use super::render::term;
use crate::access::Caller;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;

/// How often is looked, as an agent does (`agent/agent.go`, `reapServices`).
const PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn run(face: Arc<Face>) {
    let mut critical = Critical::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        critical = face.reap(critical).await;
    }
}

/// Since when those are critical that ask to be removed then. It is not written down, so that a start
/// begins anew: rather late than wrong.
type Critical = HashMap<InstanceId, Instant>;

impl Face {
    async fn reap(&self, before: Critical) -> Critical {
        let (now, mut critical) = (Instant::now(), Critical::new());
        for (tenant, _) in self.view.all() {
            for one in self.registered(&tenant) {
                let Some(after) = after(&one).filter(|_| is_critical(&one)) else { continue };
                let since = *before.get(&one.id).unwrap_or(&now);
                critical.insert(one.id, since);
                if now.duration_since(since) >= after {
                    self.remove(&tenant, &one).await;
                }
            }
        }
        critical
    }

    async fn remove(&self, tenant: &TenantId, one: &NativeInstance) {
        let (id, instance) = (one.id.to_string(), one.key.to_string());
        // Others were removed meanwhile, which takes its time.
        if !self.native.get(tenant, &id).is_ok_and(|now| is_critical(&now)) {
            return;
        }
        match self.native.deregister(&Caller::hub(tenant.clone()), &id).await {
            Ok(()) => tracing::info!(%instance, "critical for too long: removed"),
            Err(error) => tracing::warn!(%instance, %error, "cannot be removed"),
        }
    }
}

fn is_critical(one: &NativeInstance) -> bool {
    one.health == HealthStatus::Unhealthy
}

fn after(one: &NativeInstance) -> Option<Duration> {
    let seconds = one.native.get(term::DEREGISTER)?.parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds))
}
