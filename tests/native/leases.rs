//! Leases, on a clock that the tests move.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hub_registry::model::instance::Registration;
use hub_registry::storage::NativeStore;
use hub_registry_core::{HealthStatus, TenantId};
use serde_json::{Value, json};

use super::world::{FakeStore, World, body, by};

struct Client {
    world: World,
    store: Arc<FakeStore>,
    id: String,
}

impl Client {
    async fn registered(with: &[(&str, Value)]) -> Self {
        let store = Arc::new(FakeStore::default());
        let world = World::start(Arc::clone(&store) as _).await;
        let mut said = body("s", 1);
        for (field, value) in with {
            said[*field] = value.clone();
        }
        let said = Registration::from_value(said).unwrap();
        let registered = world.native.register(&by(&TenantId::default_tenant(), "me"), said).await;
        let id = registered.unwrap().instance_id.to_string();
        Self { world, store, id }
    }

    fn beat(&self) {
        self.world.native.heartbeat(&by(&TenantId::default_tenant(), "me"), &self.id).unwrap();
    }

    async fn state(&self, health: HealthStatus) {
        let native = &self.world.native;
        native.set_health(&by(&TenantId::default_tenant(), "me"), &self.id, health).await.unwrap();
    }

    /// As readers see it: its health, or that it is gone.
    fn health(&self) -> Option<HealthStatus> {
        let all = self.world.listener.instances(&TenantId::default_tenant());
        all.first().map(|instance| instance.health)
    }

    /// As the table has it.
    async fn row(&self) -> Option<HealthStatus> {
        let rows = self.store.load().await.unwrap();
        Some(rows.instances.first()?.health_status.as_ref()?.parse().unwrap())
    }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

const HEALTHY: Option<HealthStatus> = Some(HealthStatus::Healthy);
const UNHEALTHY: Option<HealthStatus> = Some(HealthStatus::Unhealthy);
const UNKNOWN: Option<HealthStatus> = Some(HealthStatus::Unknown);

#[tokio::test(start_paused = true)]
async fn silent_for_one_lease_is_unhealthy_for_three_gone() {
    let client = Client::registered(&[]).await;
    pass(29).await;
    assert_eq!(client.health(), HEALTHY);
    pass(2).await;
    assert_eq!(client.health(), UNHEALTHY);
    pass(3).await;
    assert_eq!(client.row().await, UNHEALTHY, "written a little later");
    pass(54).await;
    assert_eq!(client.health(), UNHEALTHY);
    pass(3).await;
    assert_eq!((client.health(), client.row().await), (None, None));
    let default = TenantId::default_tenant();
    assert!(client.world.native.heartbeat(&by(&default, "me"), &client.id).is_err());
    assert_eq!(client.world.native.list_services(&default).len(), 1, "the service stays");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_it_and_one_brings_it_back() {
    let client = Client::registered(&[("leaseSeconds", json!(10))]).await;
    for _ in 0..30 {
        pass(9).await;
        client.beat();
        assert_eq!(client.health(), HEALTHY);
    }
    pass(12).await;
    assert_eq!(client.health(), UNHEALTHY);
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), HEALTHY);
    pass(4).await;
    assert_eq!(client.row().await, HEALTHY);
}

#[tokio::test(start_paused = true)]
async fn a_lasting_instance_is_unhealthy_but_stays() {
    let client = Client::registered(&[("ephemeral", json!("N"))]).await;
    pass(3600).await;
    assert_eq!((client.health(), client.row().await), (UNHEALTHY, UNHEALTHY));
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), HEALTHY);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_beat_has_no_lease() {
    for check in ["NONE", "TCP", "HTTP"] {
        let client = Client::registered(&[("healthCheckType", json!(check))]).await;
        assert_eq!(client.health(), UNKNOWN);
        pass(3600).await;
        client.beat();
        pass(1).await;
        assert_eq!(client.health(), UNKNOWN);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_stated_stays_over_heartbeats_and_restarts() {
    let client = Client::registered(&[]).await;
    client.state(HealthStatus::Unhealthy).await;
    client.beat();
    pass(20).await;
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), UNHEALTHY);
    client.world.stop().await;
    let world = World::start(Arc::clone(&client.store) as _).await;
    let client = Client { world, ..client };
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), UNHEALTHY);
    client.state(HealthStatus::Healthy).await;
    assert_eq!(client.health(), HEALTHY);
    pass(31).await;
    assert_eq!(client.health(), UNHEALTHY, "a stated HEALTHY lapses like any other");
}

#[tokio::test(start_paused = true)]
async fn unknown_as_stated_lasts_until_the_first_heartbeat() {
    let client = Client::registered(&[("healthStatus", json!("UNKNOWN"))]).await;
    pass(20).await;
    assert_eq!(client.health(), UNKNOWN);
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), HEALTHY);
}

#[tokio::test(start_paused = true)]
async fn a_restart_gives_one_lease_of_grace_and_a_lapse_is_healed_after_it() {
    let client = Client::registered(&[]).await;
    pass(40).await;
    assert_eq!(client.health(), UNHEALTHY);
    client.world.stop().await;
    pass(100).await;
    let world = World::start(Arc::clone(&client.store) as _).await;
    let client = Client { world, ..client };
    pass(20).await;
    assert_eq!(client.health(), UNHEALTHY, "nothing was heard");
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), HEALTHY);
    client.world.stop().await;
    pass(100).await;
    let world = World::start(Arc::clone(&client.store) as _).await;
    let client = Client { world, ..client };
    pass(29).await;
    assert_eq!(client.health(), HEALTHY);
    pass(2).await;
    assert_eq!(client.health(), UNHEALTHY);
    pass(60).await;
    assert_eq!(client.health(), None);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_process_costs_nobody_the_lease() {
    let client = Client::registered(&[]).await;
    pass(5).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    pass(20).await;
    assert_eq!(client.health(), HEALTHY);
    pass(12).await;
    assert_eq!(client.health(), UNHEALTHY);
}

#[tokio::test(start_paused = true)]
async fn while_the_database_is_away_heartbeats_count_and_nothing_expires() {
    use super::world::Fault;
    let client = Client::registered(&[]).await;
    *client.store.fault.lock() = Fault::Before;
    for _ in 0..60 {
        pass(10).await;
        client.beat();
    }
    assert_eq!(client.health(), HEALTHY);
    pass(120).await;
    assert_eq!(client.health(), UNHEALTHY, "what cannot be written is not removed");
    client.beat();
    pass(1).await;
    assert_eq!(client.health(), HEALTHY);
    *client.store.fault.lock() = Fault::None;
    pass(60).await;
    client.beat();
    pass(60).await;
    assert_eq!(client.row().await, UNHEALTHY);
    pass(60).await;
    assert_eq!((client.health(), client.row().await), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_lease_counts_at_once() {
    let client = Client::registered(&[("leaseSeconds", json!(3600))]).await;
    let mut said = body("s", 1);
    said["leaseSeconds"] = json!(5);
    let said = Registration::from_value(said).unwrap();
    client.world.native.register(&by(&TenantId::default_tenant(), "me"), said).await.unwrap();
    pass(6).await;
    assert_eq!(client.health(), UNHEALTHY);
    pass(10).await;
    assert_eq!(client.health(), None);
}

#[tokio::test(start_paused = true)]
async fn who_beats_as_ever_is_written_once_in_five_minutes_and_at_the_end() {
    let client = Client::registered(&[]).await;
    let written = || client.store.beats.load(Ordering::Relaxed);
    for _ in 0..360 {
        pass(10).await;
        client.beat();
    }
    let of_an_hour = written();
    assert!((11..=13).contains(&of_an_hour), "{of_an_hour} in an hour");
    client.world.stop().await;
    assert_eq!(written(), of_an_hour + 1);
}
