//! What others write to the tables, and how it goes together with requests.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use hub_registry::native::{Native, Settings};
use hub_registry::storage::{InstanceRow, NativeStore};
use hub_registry_core::{HealthStatus, TenantId};

use super::world::{FakeStore, World, by, everything, registration};

const POLL: Duration = Duration::from_secs(5);

async fn polled(store: &Arc<FakeStore>) -> World {
    let settings = Settings { poll_interval: Some(POLL), ..Settings::default() };
    World::start_with(Arc::clone(store) as _, settings).await
}

/// A row as plain SQL makes it, of the address of this port.
fn row(store: &FakeStore, port: i64) -> InstanceRow {
    let tables = store.tables.lock();
    let like = tables.instances.values().next().cloned().unwrap();
    InstanceRow {
        service_instance_id: format!("by-hand-{port}"),
        port_number: Some(port),
        health_status: None,
        last_heartbeat_time: None,
        ..like
    }
}

fn insert(store: &FakeStore, row: InstanceRow) {
    let key = (row.tenant_id.clone(), row.service_instance_id.clone());
    store.tables.lock().instances.insert(key, row);
}

fn ports(native: &Native) -> Vec<u16> {
    native.list(&TenantId::default_tenant()).iter().map(|it| it.key.port).collect()
}

#[tokio::test(start_paused = true)]
async fn a_row_by_hand_gets_a_lease_from_when_it_is_seen() {
    let store = Arc::new(FakeStore::default());
    let world = polled(&store).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let me = by(&default, "me");
    let mut said = registration("s", 1);
    said.lease_seconds = Some(36_000);
    native.register(&me, said).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let mut silent = row(&store, 2);
    silent.lease_seconds = Some(30);
    let mut beating = row(&store, 3);
    beating.lease_seconds = Some(30);
    insert(&store, silent);
    insert(&store, beating);
    tokio::time::sleep(POLL + Duration::from_millis(10)).await;
    assert_eq!(ports(native), [1, 2, 3]);
    // Under the id that its address makes, whatever the row had.
    let id = |port: usize| native.list(&default)[port - 1].id.to_string();
    let ids: Vec<_> = store.tables.lock().instances.keys().map(|(_, id)| id.clone()).collect();
    assert!(ids.contains(&id(2)) && !ids.iter().any(|id| id.starts_with("by-hand")), "{ids:?}");
    let (two, three) = (id(2), id(3));
    for _ in 0..8 {
        native.heartbeat(&me, &three).unwrap();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(native.get(&default, &three).unwrap().health, HealthStatus::Healthy);
    }
    assert_eq!(
        native.get(&default, &two).unwrap().health,
        HealthStatus::Unhealthy,
        "a lease is over"
    );
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(native.get(&default, &two).is_err(), "three leases are over");
    assert!(native.get(&default, &three).is_ok());
}

#[tokio::test(start_paused = true)]
async fn tables_that_cannot_be_read_change_nothing() {
    let store = Arc::new(FakeStore::default());
    let world = polled(&store).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    native.register(&by(&default, "me"), registration("s", 1)).await.unwrap();
    let mut other = row(&store, 2);
    other.lease_seconds = Some(36_000);
    store.unreadable.store(true, Ordering::Relaxed);
    insert(&store, other);
    tokio::time::sleep(POLL * 3).await;
    assert_eq!(ports(native), [1]);
    store.unreadable.store(false, Ordering::Relaxed);
    tokio::time::sleep(POLL * 2).await;
    assert_eq!(ports(native), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_rule_leaves_what_was_known() {
    let store = Arc::new(FakeStore::default());
    let world = polled(&store).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    for port in 1..=3 {
        let mut said = registration("s", port);
        said.lease_seconds = Some(36_000);
        native.register(&by(&default, "me"), said).await.unwrap();
    }
    {
        let mut tables = store.tables.lock();
        for row in tables.groups.values_mut() {
            row.group_type = Some("NO SUCH".to_owned());
        }
        for row in tables.services.values_mut() {
            row.metadata_json = Some("{broken".to_owned());
        }
        for row in tables.instances.values_mut() {
            match row.port_number {
                Some(1) => row.weight_value = Some(-1),
                _ => row.weight_value = Some(7),
            }
        }
    }
    insert(&store, InstanceRow { host_address: "no host!".to_owned(), ..row(&store, 9) });
    tokio::time::sleep(POLL * 2).await;
    assert_eq!(ports(native), [1, 2, 3], "known rows stay, a bad new one is left out");
    let weights: Vec<_> = native.list(&default).iter().map(|it| it.weight.get()).collect();
    assert_eq!(weights, [100, 7, 7], "and a bad row does not keep the good ones out");
}

#[tokio::test(start_paused = true)]
async fn an_emptied_table_is_seen_twice_before_it_is_believed() {
    let store = Arc::new(FakeStore::default());
    let world = polled(&store).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let me = by(&default, "me");
    let said = (1..=20).map(|port| {
        let mut said = registration("s", port);
        said.lease_seconds = Some(36_000);
        native.register(&me, said)
    });
    assert!(join_all(said).await.iter().all(Result::is_ok));
    let publications = || world.listener.publications.load(Ordering::Relaxed);
    // Somebody empties the table and fills it again.
    tokio::time::sleep(POLL * 2).await;
    let kept = std::mem::take(&mut store.tables.lock().instances);
    let (before, looks) = (publications(), store.looks.load(Ordering::Relaxed));
    // Past the next look, and before the one that confirms it.
    while store.looks.load(Ordering::Relaxed) == looks {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.tables.lock().instances = kept;
    tokio::time::sleep(POLL).await;
    assert_eq!((ports(native).len(), publications()), (20, before));
    store.tables.lock().instances.clear();
    tokio::time::sleep(POLL * 2).await;
    assert_eq!(ports(native).len(), 0, "it is the truth");
}

/// Requests and plain SQL at once: what was acknowledged last stays, and in the end the tables and the
/// hub say the same.
#[tokio::test(start_paused = true)]
async fn requests_and_plain_sql_at_once_end_up_the_same() {
    for seed in 0..40 {
        race(seed).await;
    }
}

async fn race(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let commit_time = Duration::from_millis(random.u64(1..40));
    let store = Arc::new(FakeStore { commit_time, ..FakeStore::default() });
    let poll = Duration::from_millis(random.u64(20..120));
    let settings = Settings { poll_interval: Some(poll), ..Settings::default() };
    let world = World::start_with(Arc::clone(&store) as _, settings).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let me = by(&default, "me");
    let register = async |port: u16, weight: u32| {
        let mut said = registration("s", port);
        said.lease_seconds = Some(36_000);
        said.weight = Some(hub_registry_core::Weight::new(weight));
        native.register(&me, said).await.unwrap()
    };
    register(1, 1).await;
    let like = row(&store, 0);
    // Ports up to 9 are the requests' alone; of 10 to 19 anybody writes.
    let requests = async |mut random: fastrand::Rng, ports: std::ops::Range<u16>| {
        let mut last = std::collections::BTreeMap::new();
        for _ in 0..40 {
            let port = random.u16(ports.clone());
            let weight = random.u32(1..1000);
            let id = register(port, weight).await.instance_id.to_string();
            last.insert(port, Some(weight));
            if random.bool() {
                tokio::time::sleep(Duration::from_millis(random.u64(0..30))).await;
            }
            if random.u8(0..3) == 0 {
                // Plain SQL may have removed it already.
                let removed = native.deregister(&me, &id).await;
                assert!(removed.is_ok() || port >= 10, "seed {seed}: {port} was ours alone");
                last.insert(port, None);
            }
        }
        last
    };
    let plain_sql = async |mut random: fastrand::Rng| {
        for _ in 0..80 {
            tokio::time::sleep(Duration::from_millis(random.u64(0..25))).await;
            let port = random.i64(10..20);
            let mut tables = store.tables.lock();
            let there: Vec<_> = tables
                .instances
                .iter()
                .filter(|(_, row)| row.port_number == Some(port))
                .map(|(key, _)| key.clone())
                .collect();
            match there.first() {
                None => {
                    let id = format!("by-hand-{port}");
                    let weight_value = Some(random.i64(1..1000));
                    let row = InstanceRow {
                        service_instance_id: id.clone(),
                        port_number: Some(port),
                        weight_value,
                        ..like.clone()
                    };
                    tables.instances.insert((row.tenant_id.clone(), id), row);
                }
                Some(key) if random.bool() => drop(tables.instances.remove(key)),
                Some(key) => {
                    tables.instances.get_mut(key).unwrap().weight_value = Some(random.i64(1..1000));
                }
            }
        }
    };
    let (ours, _, ()) = futures_util::join!(
        requests(random.fork(), 2..10),
        requests(random.fork(), 10..20),
        plain_sql(random.fork()),
    );
    // Long enough for what had to wait for the next look.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let known: std::collections::BTreeMap<_, _> =
        native.list(&default).iter().map(|it| (it.key.port, it.weight.get())).collect();
    for (port, weight) in ours {
        assert_eq!(
            known.get(&port).copied(),
            weight,
            "seed {seed}: of {port} the last answer counts"
        );
    }
    let after = everything(native, &default);
    world.stop().await;
    // The fake has no unique addresses: a row by hand beside ours loses, as it would at a start.
    let again = World::start(Arc::clone(&store) as Arc<dyn NativeStore>).await;
    assert_eq!(everything(&again.native, &default), after, "seed {seed}");
}
