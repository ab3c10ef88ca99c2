//! `DeregisterCriticalServiceAfter`: who has been critical for so long is removed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::Face;
use crate::access::Caller;
use crate::model::check::{Check, CheckStatus};
use crate::model::instance::NativeInstance;
use crate::model::names::CheckKey;

/// How often is looked, as an agent does (`agent/agent.go`, `reapServices`).
const PAUSE: Duration = Duration::from_secs(30);

pub(super) async fn run(face: Arc<Face>) {
    let mut critical = Critical::new();
    loop {
        tokio::time::sleep(PAUSE).await;
        critical = face.reap(critical).await;
    }
}

/// Since when those checks are critical that ask to be removed then. It is not written down, so that a start
/// begins anew: rather late than wrong.
type Critical = HashMap<CheckKey, Instant>;

impl Face {
    async fn reap(&self, before: Critical) -> Critical {
        let (now, mut critical) = (Instant::now(), Critical::new());
        for (tenant, _) in self.view.all() {
            for one in self.registered(&tenant) {
                let (mut gone, checks) = (false, one.checks());
                for check in checks.iter() {
                    let Some(after) = after(check) else { continue };
                    let key = CheckKey::of(one.id, &check.id);
                    let since = *before.get(&key).unwrap_or(&now);
                    critical.insert(key, since);
                    gone |= now.duration_since(since) >= after;
                }
                if gone {
                    self.remove(&tenant, &one).await;
                }
            }
        }
        critical
    }

    async fn remove(&self, tenant: &TenantId, one: &NativeInstance) {
        let (id, instance) = (one.id.to_string(), one.key.to_string());
        // Others were removed meanwhile, which takes its time.
        let still = |now: NativeInstance| now.checks().iter().any(|check| after(check).is_some());
        if !self.native.get(tenant, &id).is_ok_and(still) {
            return;
        }
        match self.native.deregister(&Caller::hub(tenant.clone()), &id).await {
            Ok(()) => tracing::info!(%instance, "critical for too long: removed"),
            Err(error) => tracing::warn!(%instance, %error, "cannot be removed"),
        }
    }
}

/// After how long its service is to be removed, if it is critical and says so.
fn after(check: &Check) -> Option<Duration> {
    let seconds = check.deregister_after.filter(|_| check.status == CheckStatus::Critical)?;
    Some(Duration::from_secs(seconds.into()))
}
