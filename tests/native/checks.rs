//! The hub's checks against the registry, on a clock that the tests move, by a probe that finds
//! what it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use hub_registry::config::HealthCheckConfig;
use hub_registry::health::{Ask, HealthChecks, LastCheck, Outcome, Probe, Settings};
use hub_registry::model::instance::{InstancePatch, Registration};
use hub_registry::model::names::CheckKey;
use hub_registry::native;
use hub_registry::storage::{InstanceRow, NativeStore};
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::HealthStatus::{self, Healthy, Unhealthy};
use hub_registry_core::{TenantId, Weight};
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::{Instant, advance, sleep};

use super::world::{FakeStore, World, body, by};

const INTERVAL: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const ILL: Outcome = Outcome::Answered(500);
const WELL: Outcome = Outcome::Answered(200);

/// Finds what it is told to.
#[derive(Debug)]
struct Doctor {
    finds: Mutex<Outcome>,
    takes: Duration,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// The most that were under way at once.
    most: AtomicUsize,
}

impl Doctor {
    fn who(finds: Outcome, takes: Duration) -> Arc<Self> {
        let zero = AtomicUsize::default;
        let finds = Mutex::new(finds);
        Arc::new(Self { finds, takes, begun: zero(), ended: zero(), most: zero() })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Waits until one more check has begun.
    async fn begins(&self) {
        let before = self.begun();
        for _ in 0..100_000 {
            sleep(Duration::from_millis(1)).await;
            if self.begun() > before {
                return;
            }
        }
        panic!("no check begins");
    }
}

#[async_trait]
impl Probe for Doctor {
    async fn ask(&self, _: &Ask, _: Instant) -> Outcome {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(begun - self.ended.load(Ordering::Relaxed), Ordering::Relaxed);
        sleep(self.takes).await;
        self.ended.fetch_add(1, Ordering::Relaxed);
        *self.finds.lock()
    }
}

/// One failure is enough, and one pass.
fn quick() -> HealthCheckConfig {
    HealthCheckConfig {
        interval: INTERVAL,
        timeout: INTERVAL,
        unhealthy_threshold: 1,
        healthy_threshold: 1,
        flap_damping: false,
        ..HealthCheckConfig::default()
    }
}

/// A registry whose instances are checked.
struct Clinic {
    world: World,
    store: Arc<FakeStore>,
    checks: Arc<HealthChecks>,
}

impl Clinic {
    async fn open(store: FakeStore, doctor: &Arc<Doctor>, config: &HealthCheckConfig) -> Self {
        let store = Arc::new(store);
        // The tables are looked at meanwhile, as always.
        let poll = native::Settings { poll_interval: Some(SECOND), ..native::Settings::default() };
        let world = World::start_with(Arc::clone(&store) as _, poll).await;
        let (native, probe) = (Arc::clone(&world.native), Arc::clone(doctor) as _);
        let settings = Settings::from(config);
        let checks = HealthChecks::start(native, probe, settings, Metrics::new(), &world.tasks);
        Self { world, store, checks }
    }

    async fn register(&self, port: u16) -> String {
        let mut said = body("s", port);
        said["healthCheckType"] = json!("HTTP");
        let said = Registration::from_value(said).unwrap();
        let me = by(&TenantId::default_tenant(), "me");
        self.world.native.register(&me, said).await.unwrap().instance_id.to_string()
    }

    /// What its last check found.
    fn last(&self, id: &str) -> Option<LastCheck> {
        self.checks.last(CheckKey::own(id.parse().unwrap()))
    }

    async fn state(&self, id: &str, health: HealthStatus) {
        let me = by(&TenantId::default_tenant(), "me");
        self.world.native.set_health(&me, id, health).await.unwrap();
    }

    /// As readers see it.
    fn health(&self) -> HealthStatus {
        self.world.listener.instances(&TenantId::default_tenant())[0].health
    }

    async fn becomes(&self, health: HealthStatus) {
        let start = Instant::now();
        while self.health() != health {
            assert!(start.elapsed() < INTERVAL * 10, "it never becomes {health}");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn row(&self) -> InstanceRow {
        self.store.load().await.unwrap().instances.remove(0)
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_there_are_places_and_each_has_its_turn() {
    let doctor = Doctor::who(WELL, Duration::from_millis(400));
    let config = HealthCheckConfig { concurrent_checks: 5, ..quick() };
    let clinic = Clinic::open(FakeStore::default(), &doctor, &config).await;
    let ids = join_all((1..=100).map(|port| clinic.register(port))).await;
    sleep(INTERVAL * 6).await;
    assert_eq!(doctor.most.load(Ordering::Relaxed), 5);
    // 100 checks of 0.4 s in 10 s: four are under way on average.
    let begun = doctor.begun();
    assert!((550..=720).contains(&begun), "{begun} checks in six intervals");
    let standing = clinic.checks.standing();
    assert_eq!((standing.instances, standing.places), (100, 5));
    assert!((5..=6).contains(&standing.needed), "{standing:?}");
    let all = ids.iter().map(|id| clinic.last(id).unwrap().passes);
    assert!(all.clone().all(|passes| (5..=8).contains(&passes)), "{:?}", all.collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn too_few_places_are_known_with_the_number_needed_and_nobody_is_left_out() {
    let doctor = Doctor::who(WELL, SECOND);
    let config = HealthCheckConfig { concurrent_checks: 2, ..quick() };
    let clinic = Clinic::open(FakeStore::default(), &doctor, &config).await;
    let ids = join_all((1..=100).map(|port| clinic.register(port))).await;
    sleep(INTERVAL * 12).await;
    // 100 checks of 1 s in 10 s: ten are under way, in four of five places.
    let standing = clinic.checks.standing();
    assert_eq!((standing.needed, standing.in_flight), (13, 2));
    assert!(standing.overdue > 50 && standing.lag > INTERVAL, "{standing:?}");
    // The one that has waited longest is next.
    let passes = ids.iter().map(|id| clinic.last(id).map(|l| l.passes));
    let passes: Vec<_> = passes.collect();
    assert!(passes.iter().all(|passes| matches!(passes, Some(1..=4))), "{passes:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_statement_says_nothing_against_it() {
    let doctor = Doctor::who(ILL, SECOND * 4);
    let clinic = Clinic::open(FakeStore::default(), &doctor, &quick()).await;
    let id = clinic.register(1).await;
    clinic.becomes(Unhealthy).await;
    doctor.begins().await;
    clinic.state(&id, Healthy).await;
    assert_eq!(clinic.health(), Healthy, "it counts at once");
    // That check ends and finds it ill. It asked before.
    sleep(SECOND * 5).await;
    assert_eq!(clinic.health(), Healthy);
    doctor.begins().await;
    sleep(SECOND * 5).await;
    assert_eq!(clinic.health(), Unhealthy, "the next one asked after it");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_while_its_instance_is_being_written_loses_neither() {
    let doctor = Doctor::who(WELL, Duration::ZERO);
    let store = FakeStore { commit_time: SECOND * 3, ..FakeStore::default() };
    let clinic = Clinic::open(store, &doctor, &quick()).await;
    let id = clinic.register(1).await;
    clinic.becomes(Healthy).await;
    *doctor.finds.lock() = ILL;
    let me = by(&TenantId::default_tenant(), "me");
    // Some of these commits are under way when the verdict is reached.
    for weight in 1..=8 {
        let patch = InstancePatch::from_value(json!({ "weightValue": weight })).unwrap();
        clinic.world.native.update(&me, &id, patch).await.unwrap();
    }
    clinic.becomes(Unhealthy).await;
    sleep(SECOND * 5).await;
    let seen = clinic.world.native.get(&TenantId::default_tenant(), &id).unwrap();
    assert_eq!((seen.health, seen.weight), (Unhealthy, Weight::new(8)));
    let row = clinic.row().await;
    assert_eq!((row.health_status.as_deref(), row.weight_value), (Some("UNHEALTHY"), Some(8)));
    let told = clinic.world.listener.told.lock();
    let told = told.iter().filter(|row| row.event_type == "INSTANCE_HEALTH_CHANGE");
    let messages: Vec<_> = told.filter_map(|row| row.event_message.clone()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[0], "check passed, 1 in a row: HTTP 200");
    assert!(messages[1].starts_with("check failed, "), "{}", messages[1]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_process_makes_nobody_ill() {
    let doctor = Doctor::who(WELL, SECOND * 3);
    let config = HealthCheckConfig { timeout: SECOND * 5, concurrent_checks: 100, ..quick() };
    let clinic = Clinic::open(FakeStore::default(), &doctor, &config).await;
    let ids = join_all((1..=50).map(|port| clinic.register(port))).await;
    sleep(INTERVAL * 2).await;
    doctor.begins().await;
    let before = doctor.begun();
    // The clock goes on and nothing runs, as after a SIGSTOP: the bound of each check is over.
    advance(Duration::from_secs(120)).await;
    sleep(Duration::from_millis(500)).await;
    let at_once = doctor.begun() - before;
    assert!(at_once < 15, "{at_once} of 50 are asked at once after it");
    sleep(INTERVAL).await;
    for id in ids {
        let seen = clinic.world.native.get(&TenantId::default_tenant(), &id).unwrap();
        let last = clinic.last(&id).unwrap();
        assert_eq!(seen.health, Healthy, "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_check_is_on_disk_when_the_hub_stops_and_a_crash_costs_a_statement_nothing() {
    let doctor = Doctor::who(WELL, Duration::ZERO);
    let clinic = Clinic::open(FakeStore::default(), &doctor, &quick()).await;
    let id = clinic.register(1).await;
    clinic.becomes(Healthy).await;
    clinic.state(&id, Unhealthy).await;
    let stated = clinic.row().await;
    assert_eq!(
        stated.health_status.as_deref(),
        Some("UNHEALTHY"),
        "a statement is on disk at once"
    );
    clinic.becomes(Healthy).await;
    clinic.world.stop().await;
    let row = clinic.row().await;
    assert_eq!(row.health_status.as_deref(), Some("HEALTHY"));
    assert!(row.last_health_check_time >= stated.last_health_check_time);
    let last = clinic.last(&id).unwrap();
    let millis = row.last_health_check_time.map(|time| time.timestamp_millis());
    assert_eq!(millis, Some(last.time.timestamp_millis()));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_check_in_the_table_is_no_statement_and_a_health_by_plain_sql_is_one() {
    let doctor = Doctor::who(WELL, Duration::ZERO);
    let config = HealthCheckConfig { unhealthy_threshold: 5, ..quick() };
    let clinic = Clinic::open(FakeStore::default(), &doctor, &config).await;
    let id = clinic.register(1).await;
    clinic.becomes(Healthy).await;
    // Time enough for several times of checks to be written, and looked at.
    sleep(INTERVAL * 12).await;
    assert!(clinic.row().await.last_health_check_time.is_some());
    let known = clinic.world.native.list(&TenantId::default_tenant()).remove(0);
    assert_eq!(known.last_health_check, None, "nobody stated anything");
    let passes = clinic.last(&id).unwrap().passes;
    assert!(passes > 10, "{passes} in a row, and never counted anew");

    for row in clinic.store.tables.lock().instances.values_mut() {
        row.health_status = Some("UNHEALTHY".to_owned());
    }
    sleep(SECOND * 3).await;
    let known = clinic.world.native.list(&TenantId::default_tenant()).remove(0);
    assert!(known.last_health_check.is_some());
    clinic.becomes(Healthy).await;
}
