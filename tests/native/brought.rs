//! Checks that instances bring with them, each with a status of its own, on a clock that the tests
//! move.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry::config::HealthCheckConfig;
use hub_registry::error::ErrorCode;
use hub_registry::health::{Ask, HealthChecks, Outcome, Probe, Settings};
use hub_registry::model::check::{Asks, Check, CheckStatus, Checks, Decides};
use hub_registry::model::instance::{InstancePatch, NativeInstance, Registration};
use hub_registry::model::names::InstanceId;
use hub_registry::model::words::{Flag, HealthCheckType};
use hub_registry::native;
use hub_registry::storage::NativeStore;
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::HealthStatus::{Healthy, Unhealthy, Unknown};
use hub_registry_core::{HealthStatus, Pairs, TenantId, Weight};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::world::{FakeStore, World, by, registration};

const SECOND: Duration = Duration::from_secs(1);
const INTERVAL: u32 = 10;
const PASSING: CheckStatus = CheckStatus::Passing;
const CRITICAL: CheckStatus = CheckStatus::Critical;

/// Finds at each port what it is told to.
#[derive(Debug, Default)]
struct Doctor(Mutex<HashMap<u16, Outcome>>);

impl Doctor {
    fn finds(&self, port: u16, outcome: Outcome) {
        self.0.lock().insert(port, outcome);
    }
}

#[async_trait]
impl Probe for Doctor {
    async fn ask(&self, ask: &Ask, _: Instant) -> Outcome {
        let Ask::Tcp { port, .. } = ask else { return Outcome::Refused };
        self.0.lock().get(port).copied().unwrap_or(Outcome::Refused)
    }
}

/// A check of its client's.
fn ttl(id: &str, seconds: u32, status: CheckStatus) -> Check {
    let (id, name) = (id.to_owned(), id.to_owned());
    let (notes, stated, deregister_after) = (String::new(), None, None);
    let decides = Decides::Ttl(seconds);
    Check { id, name, notes, decides, status, stated, deregister_after }
}

/// A check of the hub's, at this port.
fn asked(id: &str, port: u16, status: CheckStatus) -> Check {
    let url = format!("tcp://a:{port}");
    let asks = Asks { url, interval: INTERVAL, ..Asks::default() };
    Check { decides: Decides::Asks(asks), ..ttl(id, 1, status) }
}

fn brings(port: u16, all: impl IntoIterator<Item = Check>) -> Registration {
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
struct Ward {
    world: World,
    store: Arc<FakeStore>,
    doctor: Arc<Doctor>,
    checks: Arc<HealthChecks>,
}

impl Ward {
    async fn open() -> Self {
        Self::over(Arc::new(FakeStore::default())).await
    }

    async fn over(store: Arc<FakeStore>) -> Self {
        let poll = native::Settings { poll_interval: Some(SECOND), ..native::Settings::default() };
        let world = World::start_with(Arc::clone(&store) as _, poll).await;
        let doctor = Arc::new(Doctor::default());
        let config = HealthCheckConfig {
            unhealthy_threshold: 1,
            healthy_threshold: 1,
            flap_damping: false,
            ..HealthCheckConfig::default()
        };
        let (native, probe) = (Arc::clone(&world.native), Arc::clone(&doctor) as _);
        let settings = Settings::from(&config);
        let checks = HealthChecks::start(native, probe, settings, Metrics::new(), &world.tasks);
        Self { world, store, doctor, checks }
    }

    async fn register(&self, said: Registration) -> InstanceId {
        let me = by(&TenantId::default_tenant(), "me");
        self.world.native.register(&me, said).await.unwrap().instance_id
    }

    fn hear(&self, id: InstanceId, check: &str) -> bool {
        let me = by(&TenantId::default_tenant(), "me");
        self.world.native.heartbeat_of(&me, id, check).is_ok()
    }

    fn seen(&self, id: InstanceId) -> NativeInstance {
        self.world.native.get(&TenantId::default_tenant(), &id.to_string()).unwrap()
    }

    /// Its health, and the statuses of its checks in the order of their ids; readers of the view see
    /// the same.
    fn how(&self, id: InstanceId) -> (HealthStatus, Vec<CheckStatus>) {
        let seen = self.seen(id);
        let shown = self.world.listener.instances(&TenantId::default_tenant());
        let shown = shown.iter().find(|shown| shown.key == seen.key).unwrap();
        assert_eq!((shown.health, &shown.native), (seen.health, &seen.native));
        (seen.health, seen.checks().iter().map(|check| check.status).collect())
    }

    async fn becomes(&self, id: InstanceId, health: HealthStatus, statuses: &[CheckStatus]) {
        let start = Instant::now();
        while self.how(id) != (health, statuses.to_vec()) {
            let now = self.how(id);
            assert!(start.elapsed() < SECOND * 60, "it never becomes {statuses:?}: {now:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn told(&self) -> Vec<String> {
        let told = self.world.listener.told.lock();
        let told = told.iter().filter(|row| row.event_type == "INSTANCE_HEALTH_CHANGE");
        told.map(|row| row.event_message.clone().unwrap_or_default()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn the_worst_of_its_checks_decides_and_what_is_found_is_on_disk() {
    let ward = Ward::open().await;
    for port in [1, 2] {
        ward.doctor.finds(port, Outcome::Connected);
    }
    let all = [asked("a", 1, CRITICAL), asked("b", 2, CRITICAL), ttl("c", 86_400, PASSING)];
    let id = ward.register(brings(1, all)).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, CRITICAL, PASSING]));
    ward.becomes(id, Healthy, &[PASSING, PASSING, PASSING]).await;
    ward.doctor.finds(2, Outcome::Answered(429));
    ward.becomes(id, Healthy, &[PASSING, CheckStatus::Warning, PASSING]).await;
    ward.doctor.finds(1, Outcome::Refused);
    ward.becomes(id, Unhealthy, &[CRITICAL, CheckStatus::Warning, PASSING]).await;
    let told = ward.told();
    assert_eq!(told.len(), 2, "a status that moves no health is no event of it: {told:?}");
    assert_eq!(told[1], "check a failed, 1 in a row: connection refused");
    // A start reads what was found, and asks nobody for it.
    sleep(SECOND * 5).await;
    let again = Ward::over(Arc::clone(&ward.store)).await;
    assert_eq!(again.how(id), (Unhealthy, vec![CRITICAL, CheckStatus::Warning, PASSING]));
    let row = ward.store.load().await.unwrap().instances.remove(0);
    assert_eq!(row.health_status.as_deref(), Some("UNHEALTHY"));
    assert!(row.last_health_check_time.is_some());
    assert!(ward.checks.standing().instances == 2, "what its client says is not asked");
}

#[tokio::test(start_paused = true)]
async fn each_check_that_its_client_speaks_for_has_a_lease_of_its_own() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("long", 60, PASSING), ttl("short", 10, PASSING)])).await;
    for _ in 0..5 {
        sleep(SECOND * 8).await;
        assert!(ward.hear(id, "short"));
    }
    assert_eq!(ward.how(id), (Healthy, vec![PASSING, PASSING]));
    sleep(SECOND * 12).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![PASSING, CRITICAL]), "10 s are over, 60 are not");
    assert_eq!(ward.told().last().unwrap(), "check short not heard for 10 s, its TTL");
    // Being heard says nothing of how it is: its client does.
    assert!(ward.hear(id, "short") && ward.hear(id, "long"));
    sleep(SECOND * 5).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![PASSING, CRITICAL]));
    assert!(!ward.hear(id, "other"), "there is none");
    // However long: nobody is removed for it.
    sleep(SECOND * 600).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, CRITICAL]));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_gone_is_asked_and_waited_for_no_more() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [asked("a", 1, PASSING), ttl("t", 10, PASSING)])).await;
    ward.becomes(id, Unhealthy, &[CRITICAL, PASSING]).await;
    let mut native = ward.seen(id).native.clone();
    let mut checks = ward.seen(id).checks();
    assert!(checks.remove("a").is_some() && checks.remove("t").is_some());
    checks.put(ttl("u", 1000, PASSING));
    checks.write(&mut native);
    let patch = InstancePatch { native: Some(native), ..InstancePatch::default() };
    let me = by(&TenantId::default_tenant(), "me");
    ward.world.native.update(&me, &id.to_string(), patch).await.unwrap();
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
    sleep(SECOND * 120).await;
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
    assert!(!ward.hear(id, "t") && ward.hear(id, "u"));
    assert_eq!(ward.checks.standing().instances, 0);
    // One that is removed leaves nothing behind.
    ward.world.native.deregister(&me, &id.to_string()).await.unwrap();
    assert!(!ward.hear(id, "u"));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!((stats.heart_beating, stats.overdue), (0, 0));
}

/// More clients that fall silent together than can be believed.
#[tokio::test(start_paused = true)]
async fn that_all_fall_silent_together_is_not_believed() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ids.push(ward.register(brings(port, [ttl("t", 30, PASSING)])).await);
    }
    for _ in 0..6 {
        sleep(SECOND * 10).await;
        assert!(ids.iter().all(|id| ward.hear(*id, "t")));
    }
    sleep(SECOND * 100).await;
    assert!(ids.iter().all(|id| ward.how(*id) == (Healthy, vec![PASSING])));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!((stats.heart_beating, stats.held), (40, 40));
    // They return, but for one: it is gone.
    for _ in 0..12 {
        assert!(ids[1..].iter().all(|id| ward.hear(*id, "t")));
        sleep(SECOND * 10).await;
    }
    assert_eq!(ward.how(ids[0]), (Unhealthy, vec![CRITICAL]));
    assert!(ids[1..].iter().all(|id| ward.how(*id) == (Healthy, vec![PASSING])));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!(stats.held, 0);
}

#[tokio::test(start_paused = true)]
async fn its_health_follows_from_its_checks_and_from_nothing_else() {
    let ward = Ward::open().await;
    let me = by(&TenantId::default_tenant(), "me");
    let id = ward.register(brings(1, [ttl("t", 1000, PASSING)])).await;
    let native = &ward.world.native;
    let error = native.set_health(&me, &id.to_string(), Unhealthy).await.unwrap_err();
    assert_eq!(
        (error.code, error.details["field"].as_str()),
        (ErrorCode::Invalid, Some("healthStatus"))
    );
    // Who registers it by another way says nothing of them, either.
    ward.register(Registration { health: Some(Unhealthy), ..registration("s", 1) }).await;
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
    // Unless it says what else decides: then they are gone.
    let other = Registration { check: Some(HealthCheckType::None), ..registration("s", 1) };
    ward.register(other).await;
    assert_eq!((ward.how(id), ward.hear(id, "t")), ((Healthy, vec![]), false));
    assert!(!ward.seen(id).native.contains_key("healthChecks"));
    // Without any there are none to decide.
    for said in [brings(1, []), brings(2, [])] {
        let error = native.register(&me, said).await.unwrap_err();
        assert_eq!(error.details["field"], "healthCheckType");
    }
    let id = ward
        .register(Registration { check: Some(HealthCheckType::None), ..registration("s", 3) })
        .await;
    assert_eq!(ward.how(id).0, Unknown);
}

/// The tables are looked at before what was found is on disk.
#[tokio::test(start_paused = true)]
async fn what_others_write_meanwhile_and_what_is_found_are_both_kept() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("t", 10, PASSING), ttl("u", 86_400, PASSING)])).await;
    sleep(SECOND * 9).await;
    // From now on nothing that is found reaches the disk; the tables are looked at all the same.
    ward.store.keeps_no_beats.store(true, Ordering::Relaxed);
    sleep(SECOND * 2).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    let row = (TenantId::default_tenant().to_string(), id.to_string());
    ward.store.tables.lock().instances.get_mut(&row).unwrap().weight_value = Some(7);
    let start = Instant::now();
    while ward.seen(id).weight != Weight::new(7) {
        assert!(start.elapsed() < SECOND * 120, "it is never seen");
        sleep(SECOND).await;
    }
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    ward.store.keeps_no_beats.store(false, Ordering::Relaxed);
    sleep(SECOND * 20).await;
    let again = Ward::over(Arc::clone(&ward.store)).await;
    assert_eq!(again.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    assert_eq!(again.seen(id).weight, Weight::new(7));
    // One that is gone from the table stays gone, whatever is found of it then.
    ward.store.tables.lock().instances.clear();
    let me = by(&TenantId::default_tenant(), "me");
    ward.world.native.heartbeat_of(&me, id, "u").ok();
    sleep(SECOND * 30).await;
    assert!(ward.store.tables.lock().instances.is_empty());
}

/// Twenty checks of one client are one client that is silent.
#[tokio::test(start_paused = true)]
async fn clients_are_counted_and_not_their_checks() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ids.push(ward.register(brings(port, [ttl("t", 30, PASSING)])).await);
    }
    let many: Vec<_> = (0..20).map(|number| format!("m{number:02}")).collect();
    let dies = ward.register(brings(99, many.iter().map(|id| ttl(id, 30, PASSING)))).await;
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!(stats.heart_beating, 41);
    for _ in 0..9 {
        sleep(SECOND * 10).await;
        assert!(ids.iter().all(|id| ward.hear(*id, "t")));
    }
    assert_eq!(ward.how(dies), (Unhealthy, vec![CRITICAL; 20]));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!(stats.held, 0);
}

#[tokio::test(start_paused = true)]
async fn registering_again_says_nothing_of_how_a_known_check_is() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("t", 10, PASSING)])).await;
    sleep(SECOND * 12).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    ward.register(brings(1, [ttl("t", 10, PASSING), ttl("u", 1000, PASSING)])).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
}
