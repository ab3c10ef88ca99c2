//! A registry whose instances bring checks with them, and what is found at each.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hub_registry::config::HealthCheckConfig;
use hub_registry::health::{Ask, HealthChecks, Outcome, Probe, Settings};
use hub_registry::model::check::{Asks, Check, CheckStatus, Checks, Decides};
use hub_registry::model::instance::{InstancePatch, NativeInstance, Registration};
use hub_registry::model::names::InstanceId;
use hub_registry::model::words::{Flag, HealthCheckType};
use hub_registry::native;
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::{HealthStatus, Pairs, TenantId};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::world::{FakeStore, World, by, registration};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const INTERVAL: u32 = 10;
pub(super) const PASSING: CheckStatus = CheckStatus::Passing;
pub(super) const CRITICAL: CheckStatus = CheckStatus::Critical;
/// After so many seconds they leave.
pub(super) const BOUND: u32 = 60;
static SAID: AtomicI64 = AtomicI64::new(1);
/// A look comes every half minute, and begins to count at the first.
pub(super) const LATEST: Duration = Duration::from_secs(125);

/// Finds at each port what it is told to.
#[derive(Debug, Default)]
pub(super) struct Doctor(Mutex<HashMap<u16, Outcome>>);

impl Doctor {
    pub(super) fn finds(&self, port: u16, outcome: Outcome) {
        self.0.lock().insert(port, outcome);
    }
}

#[async_trait]
impl Probe for Doctor {
    async fn ask(&self, ask: &Ask, deadline: Instant) -> Outcome {
        let Ask::Tcp { port, .. } = ask else { return Outcome::Refused };
        let found = self.0.lock().get(port).copied().unwrap_or(Outcome::Refused);
        if found == Outcome::AnswerTimedOut {
            tokio::time::sleep_until(deadline).await;
        }
        found
    }
}

/// A check of its client's.
pub(super) fn ttl(id: &str, seconds: u32, status: CheckStatus) -> Check {
    let (id, name) = (id.to_owned(), id.to_owned());
    let (notes, stated, deregister_after) = (String::new(), None, None);
    let decides = Decides::Ttl(seconds);
    Check { id, name, notes, decides, status, stated, deregister_after }
}

/// A check of the hub's, at this port.
pub(super) fn asked(id: &str, port: u16, status: CheckStatus) -> Check {
    let url = format!("tcp://a:{port}");
    let asks = Asks { url, interval: INTERVAL, ..Asks::default() };
    Check { decides: Decides::Asks(asks), ..ttl(id, 1, status) }
}

pub(super) fn leaves(check: Check) -> Check {
    Check { deregister_after: Some(BOUND), ..check }
}

/// One that the hub asks otherwise.
pub(super) fn with(mut check: Check, change: impl FnOnce(&mut Asks)) -> Check {
    if let Decides::Asks(asks) = &mut check.decides {
        change(asks);
    }
    check
}

pub(super) fn brings(port: u16, all: impl IntoIterator<Item = Check>) -> Registration {
    let (mut checks, mut native) = (Checks::default(), Pairs::new());
    all.into_iter().for_each(|check| checks.put(check));
    checks.write(&mut native);
    Registration {
        check: Some(HealthCheckType::Checks),
        ephemeral: Some(Flag::No),
        native: Some(native),
        ..registration("s", port)
    }
}

/// A registry whose instances bring checks with them.
pub(super) struct Ward {
    pub(super) world: World,
    pub(super) store: Arc<FakeStore>,
    pub(super) doctor: Arc<Doctor>,
    pub(super) checks: Arc<HealthChecks>,
    pub(super) metrics: Metrics,
}

impl Ward {
    pub(super) async fn open() -> Self {
        Self::over(Arc::new(FakeStore::default())).await
    }

    pub(super) async fn over(store: Arc<FakeStore>) -> Self {
        let config = HealthCheckConfig {
            unhealthy_threshold: 1,
            healthy_threshold: 1,
            flap_damping: false,
            ..HealthCheckConfig::default()
        };
        Self::with(store, &config).await
    }

    pub(super) async fn with(store: Arc<FakeStore>, config: &HealthCheckConfig) -> Self {
        let poll = native::Settings { poll_interval: Some(SECOND), ..native::Settings::default() };
        let world = World::start_with(Arc::clone(&store) as _, poll).await;
        let doctor = Arc::new(Doctor::default());
        let (native, probe) = (Arc::clone(&world.native), Arc::clone(&doctor) as _);
        let (settings, metrics) = (Settings::from(config), Metrics::new());
        let checks = HealthChecks::start(native, probe, settings, metrics.clone(), &world.tasks);
        Self { world, store, doctor, checks, metrics }
    }

    pub(super) async fn register(&self, said: Registration) -> InstanceId {
        let me = by(&TenantId::default_tenant(), "me");
        self.world.native.register(&me, said).await.unwrap().instance_id
    }

    pub(super) fn hear(&self, id: InstanceId, check: &str) -> bool {
        let me = by(&TenantId::default_tenant(), "me");
        self.world.native.heartbeat_of(&me, id, check).is_ok()
    }

    pub(super) fn seen(&self, id: InstanceId) -> NativeInstance {
        self.world.native.get(&TenantId::default_tenant(), &id.to_string()).unwrap()
    }

    /// Its health, and the statuses of its checks in the order of their ids; readers of the view see
    /// the same.
    pub(super) fn how(&self, id: InstanceId) -> (HealthStatus, Vec<CheckStatus>) {
        let seen = self.seen(id);
        let shown = self.world.listener.instances(&TenantId::default_tenant());
        let shown = shown.iter().find(|shown| shown.key == seen.key).unwrap();
        assert_eq!((shown.health, &shown.native), (seen.health, &seen.native));
        (seen.health, seen.checks().iter().map(|check| check.status).collect())
    }

    pub(super) async fn becomes(
        &self,
        id: InstanceId,
        health: HealthStatus,
        statuses: &[CheckStatus],
    ) {
        let start = Instant::now();
        while self.how(id) != (health, statuses.to_vec()) {
            let now = self.how(id);
            assert!(start.elapsed() < SECOND * 60, "it never becomes {statuses:?}: {now:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(super) fn told(&self) -> Vec<String> {
        let told = self.world.listener.told.lock();
        let told = told.iter().filter(|row| row.event_type == "INSTANCE_HEALTH_CHANGE");
        told.map(|row| row.event_message.clone().unwrap_or_default()).collect()
    }

    pub(super) fn is_there(&self, id: InstanceId) -> bool {
        self.world.native.get(&TenantId::default_tenant(), &id.to_string()).is_ok()
    }

    /// After how long it is gone.
    pub(super) async fn goes(&self, id: InstanceId) -> Duration {
        let start = Instant::now();
        while self.is_there(id) {
            assert!(start.elapsed() < SECOND * 600, "it never goes: {:?}", self.how(id));
            sleep(SECOND).await;
        }
        start.elapsed()
    }

    pub(super) fn removals_held(&self) -> String {
        let text = String::from_utf8(self.metrics.scrape(|| ())).unwrap();
        let name = "hub_registry_health_check_removals_held ";
        let told = text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        let tenant = TenantId::default_tenant();
        assert_eq!(told, self.checks.removals_held(&tenant).to_string(), "of the only tenant");
        told
    }

    /// Its client says how a check is.
    pub(super) async fn says(&self, id: InstanceId, check: &'static str, status: CheckStatus) {
        let me = by(&TenantId::default_tenant(), "me");
        assert!(self.hear(id, check));
        // Wall time moves too little on this clock to tell two statements apart.
        let now = SAID.fetch_add(1, Ordering::Relaxed);
        let patch = move |known: &NativeInstance| {
            let (mut checks, mut native) = (known.checks().clone(), known.native.clone());
            let check = checks.get_mut(check).unwrap();
            (check.status, check.stated) = (status, Some(now));
            checks.write(&mut native);
            Ok(InstancePatch { native: Some(native), ..InstancePatch::default() })
        };
        self.world.native.update_with(&me, id, patch).await.unwrap();
    }
}
