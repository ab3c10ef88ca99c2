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
                for check in one.checks().iter() {
                    let Some(after) = self.after(&one, check) else { continue };
                    let key = CheckKey::of(one.id, &check.id);
                    let since = *before.get(&key).unwrap_or(&now);
                    critical.insert(key, since);
                    if now.duration_since(since) >= after {
                        self.remove(&tenant, &one, &check.id).await;
                    }
                }
            }
        }
        critical
    }

    /// After how long its service is to be removed, if it is critical and says so. What the hub is to
    /// ask and never did, since checks are off or it could not, is critical for want of knowledge.
    fn after(&self, one: &NativeInstance, check: &Check) -> Option<Duration> {
        let seconds = check.deregister_after.filter(|_| check.status == CheckStatus::Critical)?;
        let asked = || self.native.with_heartbeat(one).last_health_check.is_some();
        (check.lease().is_some() || asked()).then(|| Duration::from_secs(seconds.into()))
    }

    async fn remove(&self, tenant: &TenantId, one: &NativeInstance, check: &str) {
        let (instance, check) = (one.key.to_string(), check.to_owned());
        let (of, hub) = (check.clone(), Caller::hub(tenant.clone()));
        // It may have got well, or registered anew, while others were removed.
        let still = move |now: &NativeInstance| {
            now.checks().get(&of).is_some_and(|check| check.status == CheckStatus::Critical)
        };
        match self.native.deregister_if(&hub, one.id, still).await {
            Ok(true) => tracing::info!(%instance, %check, "critical for too long: removed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%instance, %check, %error, "cannot be removed"),
        }
    }
}
