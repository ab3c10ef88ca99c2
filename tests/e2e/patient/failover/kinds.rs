//! The same with pairs of Nacos and of Eureka, which come back empty and are filled by their clients.

use std::time::Duration;

use hub_registry_testkit::servers::{Data, ServerKind};
use serde_json::json;
use tokio::time::Instant;

use super::world::{PRIMARY, SERVICES, SOON, STANDBY, World};
use crate::proofs::rounds;

/// Longer than it takes until a frozen one is noticed: else it would be back before.
const HOLD_DOWN: Duration = Duration::from_secs(5);

async fn standby_serves(world: &World, fault: &str, since: Instant) {
    world.until_status("FAILOVER").await;
    println!("{fault}: FAILOVER after {:.1?}", since.elapsed());
    for service in SERVICES {
        world.until_hosts(service, STANDBY).await;
    }
}

/// Waits until the primary serves again; what Eureka's cache kept from everybody is said again.
async fn primary_serves(world: &World) {
    let (start, mut said) = (Instant::now(), Instant::now());
    while world.status().await["failoverStatus"] != "NORMAL" {
        assert!(start.elapsed() < SOON, "{:#}\n{}", world.status().await, world.hub.log_end());
        if said.elapsed() > Duration::from_secs(5) {
            said = Instant::now();
            world.clients_come().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for service in SERVICES {
        world.until_hosts(service, PRIMARY).await;
    }
}

/// Killed, back without anything, filled by its clients; then frozen again and again.
async fn dies_and_freezes(kind: ServerKind) {
    let hold_down = format!("{}s", HOLD_DOWN.as_secs());
    let rules = json!({ "after": "1s", "goodReads": 1, "holdDown": hold_down });
    let rules = json!({ "specificConfig": { "failover": rules } });
    let Some(mut world) = World::of(kind, 2, rules).await else { return };
    let readers = world.readers(false);

    world.primary.kill().await;
    standby_serves(&world, "killed", Instant::now()).await;
    world.primary.restart(Data::Wiped).await.unwrap();
    let back = Instant::now();
    // It is read well, for long enough; but what it lost is waited for.
    world.until_waits_for("HELD_REMOVALS").await;
    println!("back and empty: waited for {:.1?} after", back.elapsed());
    let status = world.status().await;
    assert_eq!(status["failoverStatus"], "RECOVERING", "{status:#}");
    for service in SERVICES {
        world.until_hosts(service, STANDBY).await;
    }
    world.clients_come().await;
    let filled = Instant::now();
    primary_serves(&world).await;
    println!("filled by its clients: it serves again {:.1?} after", filled.elapsed());
    let steps = ["NORMAL FAILOVER", "FAILOVER RECOVERING", "RECOVERING NORMAL"];
    world.until_told(&steps).await;

    world.primary.pause().await;
    standby_serves(&world, "frozen", Instant::now()).await;
    let left = world.left("web").await;
    let count = rounds(1, 20);
    for _ in 0..count {
        world.primary.resume();
        world.until_status("RECOVERING").await;
        world.until_hosts("web", STANDBY).await;
        world.primary.pause().await;
        world.until_status("FAILOVER").await;
    }
    let status = world.status().await;
    assert_eq!(status["failoverCount"], 2, "it never came back in between: {status:#}");
    assert_eq!(world.left("web").await, left, "the view has not changed");
    world.primary.resume();
    world.until_status("RECOVERING").await;
    let well = Instant::now();
    primary_serves(&world).await;
    let waited = well.elapsed();
    println!("frozen {} times: it serves again {waited:.1?} after the last", count + 1);
    assert!(
        waited + Duration::from_millis(500) >= HOLD_DOWN * 2,
        "the second time is twice as long"
    );
    readers.end(&format!("a pair of {kind}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nacos_that_dies_and_freezes_is_replaced_and_returns() {
    dies_and_freezes(ServerKind::Nacos).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_eureka_that_dies_and_freezes_is_replaced_and_returns() {
    dies_and_freezes(ServerKind::Eureka).await;
}
