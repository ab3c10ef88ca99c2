//! nacos-sdk's subscriptions, as wake-ups.
//!
//! One nacos-sdk client per registry, taken at the first watch and kept to its end.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hub_registry_core::ServiceKey;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::sdk;
use crate::client::NacosClient;
use crate::driver::PushTarget;

/// The subscriptions of one registry. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Push {
    wanted: Arc<Wanted>,
    start: Mutex<Option<sdk::Start>>,
}

/// What is to be subscribed, and whom a push wakes.
pub(crate) struct Wanted {
    services: Mutex<HashMap<ServiceKey, Vec<Arc<Notify>>>>,
    /// Told after each change of the services wanted, and at the end.
    pub(super) changed: Notify,
    /// Whether pushes come.
    pub(super) live: watch::Sender<bool>,
    closed: AtomicBool,
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").field("live", &*self.live.borrow()).finish_non_exhaustive()
    }
}

impl Wanted {
    pub(super) fn keys(&self) -> HashSet<ServiceKey> {
        self.services.lock().keys().cloned().collect()
    }

    pub(super) fn wake(&self, service: &ServiceKey) {
        for waiting in self.services.lock().get(service).into_iter().flatten() {
            waiting.notify_one();
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Push {
    /// Nothing is started before the first [`follow`](Self::follow).
    pub(crate) fn new(target: Option<PushTarget>, client: Arc<NacosClient>, name: &str) -> Self {
        let wanted = Wanted {
            services: Mutex::default(),
            changed: Notify::new(),
            live: watch::Sender::new(false),
            closed: AtomicBool::new(false),
        };
        let start = target.map(|target| sdk::Start { target, client, name: name.to_owned() });
        Self { wanted: Arc::new(wanted), start: Mutex::new(start) }
    }

    /// Wakes who follows the service.
    pub(crate) fn wake(&self, service: &ServiceKey) {
        self.wanted.wake(service);
    }

    /// Subscribes to the service, in the background, until the answer is dropped.
    pub(crate) fn follow(this: &Arc<Self>, service: &ServiceKey) -> Following {
        if let Some(start) = this.start.lock().take() {
            start.run(Arc::clone(&this.wanted));
        }
        let wake = Arc::new(Notify::new());
        let mut services = this.wanted.services.lock();
        let waiting = services.entry(service.clone()).or_default();
        waiting.push(Arc::clone(&wake));
        drop(services);
        this.wanted.changed.notify_one();
        Following {
            service: service.clone(),
            wake,
            subscribable: sdk::is_plain(service),
            live: this.wanted.live.subscribe(),
            push: Arc::clone(this),
        }
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        self.wanted.closed.store(true, Ordering::Release);
        self.wanted.changed.notify_one();
    }
}

/// One watch's interest in one service.
#[derive(Debug)]
pub(crate) struct Following {
    service: ServiceKey,
    wake: Arc<Notify>,
    subscribable: bool,
    live: watch::Receiver<bool>,
    push: Arc<Push>,
}

impl Following {
    /// Whether pushes come for this service.
    pub(crate) fn live(&mut self) -> bool {
        *self.live.borrow_and_update() && self.subscribable
    }

    /// Returns when the service may have changed.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Returns when pushes began or ceased to come.
    pub(crate) async fn liveness_changed(&self) {
        let mut live = self.live.clone();
        if live.changed().await.is_err() {
            // The sender lives as long as `push`; should that ever change, nothing changes.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut services = self.push.wanted.services.lock();
        if let Some(waiting) = services.get_mut(&self.service) {
            waiting.retain(|wake| !Arc::ptr_eq(wake, &self.wake));
            if waiting.is_empty() {
                services.remove(&self.service);
            }
        }
        drop(services);
        self.push.wanted.changed.notify_one();
    }
}
