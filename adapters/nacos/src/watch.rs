//! Following names and services.
//!
//! A service is read again when nacos-sdk got a push for it, when the list of names, which comes
//! every second, shows other counts for it, and every half minute anyhow. While gRPC is down the
//! half minute becomes seconds.

mod idle;
mod push;
mod sdk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use hub_registry_core::watch::{Reading, ServiceStream, TwoLevel};
use hub_registry_core::{Result, Scope, ServiceKey};
use parking_lot::Mutex;
use tokio::time::Instant;

pub(crate) use push::Push;

use crate::registry::Source;
use crate::wire::ServiceView;
use push::Following;

/// Pause between two lists of names: at least this, and ten times what the last one took, so that
/// a large registry spends a tenth of its time on us; but no more than leaves an outage to be
/// noticed within 5 s.
const NAMES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(4));

/// Each service is read at least this often while pushes come: they do not tell of a change in
/// the metadata of a disabled instance.
const SWEEP: Duration = Duration::from_secs(30);

/// Without pushes each service is read this often, and this much later per service, so that all
/// of them together make at most 200 reads a second.
const POLL: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(5));

/// What a watch follows.
#[derive(Debug)]
pub(crate) struct Levels {
    source: Arc<Source>,
    push: Arc<Push>,
    scope: Scope,
    names: Mutex<Names>,
    followed: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Names {
    took: Duration,
    views: BTreeMap<ServiceKey, ServiceView>,
}

impl Levels {
    pub(crate) fn new(source: Arc<Source>, push: Arc<Push>, scope: Scope) -> Self {
        Self { source, push, scope, names: Mutex::default(), followed: Arc::default() }
    }
}

#[async_trait]
impl TwoLevel for Levels {
    async fn names(&self, known: Option<&BTreeSet<ServiceKey>>) -> Result<BTreeSet<ServiceKey>> {
        if known.is_some() {
            let pause = self.names.lock().took * 10;
            tokio::time::sleep(pause.clamp(NAMES.0, NAMES.1)).await;
        }
        let start = Instant::now();
        let views = self.source.services(&self.scope).await?;
        let keys: BTreeSet<_> = views.keys().cloned().collect();
        self.followed.store(keys.len(), Ordering::Relaxed);
        let mut names = self.names.lock();
        names.took = start.elapsed();
        for (key, view) in &views {
            if names.views.get(key).is_some_and(|before| before != view) {
                self.push.wake(key);
            }
        }
        names.views = views;
        Ok(keys)
    }

    fn service(&self, key: &ServiceKey) -> ServiceStream {
        let service = Service {
            key: key.clone(),
            source: Arc::clone(&self.source),
            push: Arc::clone(&self.push),
            followed: Arc::clone(&self.followed),
            following: None,
        };
        stream::unfold(service, |mut service| async move {
            service.due().await;
            let instances = service.source.instances(&service.key).await;
            Some((instances.map(Reading::Whole), service))
        })
        .boxed()
    }
}

struct Service {
    key: ServiceKey,
    source: Arc<Source>,
    push: Arc<Push>,
    followed: Arc<AtomicUsize>,
    following: Option<Following>,
}

impl Service {
    /// Returns when the service is to be read: at once for the first time.
    async fn due(&mut self) {
        let Some(following) = &mut self.following else {
            // Before the first read, so that no change falls between the two.
            self.following = Some(Push::follow(&self.push, &self.key));
            return;
        };
        let start = Instant::now();
        // Spread, so that what was read together at the start is not for ever.
        let share = 0.7 + 0.3 * fastrand::f64();
        loop {
            let period = if following.live() {
                SWEEP
            } else {
                let services = self.followed.load(Ordering::Relaxed);
                let services = u32::try_from(services).unwrap_or(u32::MAX);
                POLL.0.max(POLL.1.saturating_mul(services))
            };
            tokio::select! {
                () = following.woken() => return,
                () = tokio::time::sleep_until(start + period.mul_f64(share)) => return,
                () = following.liveness_changed() => {}
            }
        }
    }
}
