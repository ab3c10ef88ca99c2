//! The database is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use hub_registry::error::ErrorCode;
use hub_registry::storage::NativeStore;
use hub_registry_core::{HealthStatus, TenantId};

use super::world::{FakeStore, Fault, World, by, registration};

#[tokio::test(start_paused = true)]
async fn a_failing_database_changes_nothing_and_in_the_end_both_agree() {
    for fault in [Fault::Before, Fault::After] {
        let store = Arc::new(FakeStore::default());
        let world = World::start(Arc::clone(&store) as _).await;
        let (native, default) = (&world.native, TenantId::default_tenant());
        let kept = native.register(&by(&default, "me"), registration("s", 1)).await.unwrap();
        let kept = kept.instance_id.to_string();
        *store.fault.lock() = fault;
        let me = by(&default, "me");
        let refused = join_all((2..50).map(|port| native.register(&me, registration("s", port))));
        for outcome in refused.await {
            assert_eq!(outcome.unwrap_err().code, ErrorCode::Unavailable);
        }
        let refused = native.deregister(&by(&default, "me"), &kept).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable);
        assert_eq!(world.listener.instances(&default).len(), 1);
        assert_eq!(native.list(&default).len(), 1);
        native.heartbeat(&by(&default, "me"), &kept).unwrap();
        *store.fault.lock() = Fault::None;
        // Nobody writes: the repair comes by itself.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let rows = store.load().await.unwrap();
        assert_eq!(rows.instances.len(), 1, "{fault:?}");
        native.register(&by(&default, "me"), registration("s", 2)).await.unwrap();
        assert_eq!(store.load().await.unwrap().instances.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn while_a_commit_hangs_reads_heartbeats_and_leases_go_on() {
    let slow = FakeStore { commit_time: Duration::from_secs(9), ..FakeStore::default() };
    let world = World::start(Arc::new(slow)).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let mut short = registration("s", 1);
    short.lease_seconds = Some(2);
    native.register(&by(&default, "me"), short).await.unwrap();
    let health = || world.listener.instances(&default)[0].health;
    let me = by(&default, "me");
    let writing = native.register(&me, registration("s", 2));
    let looking = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(health(), HealthStatus::Unhealthy, "it lapsed while the commit hung");
        let id = native.list(&default)[0].id.to_string();
        native.heartbeat(&by(&default, "me"), &id).unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(health(), HealthStatus::Healthy, "and was heard while it still hung");
        assert_eq!(native.list(&default).len(), 1);
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            native.heartbeat(&by(&default, "me"), &id).unwrap();
        }
    };
    let (written, ()) = futures_util::join!(writing, looking);
    assert!(written.unwrap().created);
    assert_eq!(health(), HealthStatus::Healthy, "the commit did not bring the old health back");
    assert_eq!(world.listener.instances(&default).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_never_ends_is_answered_all_the_same() {
    let stuck = FakeStore { commit_time: Duration::from_secs(3600), ..FakeStore::default() };
    let world = World::start(Arc::new(stuck)).await;
    let default = TenantId::default_tenant();
    let refused =
        world.native.register(&by(&default, "me"), registration("s", 1)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn what_lapses_while_its_removal_is_committed_does_not_come_back() {
    let slow = FakeStore { commit_time: Duration::from_secs(9), ..FakeStore::default() };
    let world = World::start(Arc::new(slow)).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let mut short = registration("s", 1);
    short.lease_seconds = Some(4);
    let id = native.register(&by(&default, "me"), short).await.unwrap().instance_id.to_string();
    native.deregister(&by(&default, "me"), &id).await.unwrap();
    assert!(native.list(&default).is_empty() && world.listener.instances(&default).is_empty());
    assert!(native.heartbeat(&by(&default, "me"), &id).is_err());
}

/// What waits is planned on what is being committed: when that fails, neither happens.
#[tokio::test(start_paused = true)]
async fn what_was_planned_on_a_commit_that_failed_is_not_done_either() {
    for fault in [Fault::Before, Fault::After] {
        let second = Duration::from_secs(1);
        let store = Arc::new(FakeStore { commit_time: second, ..FakeStore::default() });
        let world = World::start(Arc::clone(&store) as _).await;
        let (native, default) = (&world.native, TenantId::default_tenant());
        let me = by(&default, "me");
        let kept = native.register(&me, registration("kept", 1)).await.unwrap();
        *store.fault.lock() = fault;
        let first = native.register(&me, registration("s", 1));
        let second = async {
            tokio::time::sleep(second / 2).await;
            // Of the service that the first makes, and of what was there before.
            let more = native.register(&me, registration("s", 2));
            let id = kept.instance_id.to_string();
            let gone = native.deregister(&me, &id);
            let (more, gone) = futures_util::join!(more, gone);
            *store.fault.lock() = Fault::None;
            (more.unwrap_err().code, gone.unwrap_err().code)
        };
        let (first, second) = futures_util::join!(first, second);
        assert_eq!(first.unwrap_err().code, ErrorCode::Unavailable);
        assert_eq!(second, (ErrorCode::Unavailable, ErrorCode::Unavailable));
        assert_eq!(native.list(&default).len(), 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let rows = store.load().await.unwrap();
        assert_eq!((rows.services.len(), rows.instances.len()), (1, 1), "{fault:?}");
        assert!(native.register(&me, registration("s", 2)).await.unwrap().created);
        assert_eq!(store.load().await.unwrap().instances.len(), 2);
        assert_eq!(world.listener.instances(&default).len(), 2);
    }
}

/// Whoever is told sees it, though the next commit runs by then.
#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_its_own_commit_and_no_other() {
    let second = Duration::from_secs(1);
    let store = Arc::new(FakeStore { commit_time: second, ..FakeStore::default() });
    let world = World::start(Arc::clone(&store) as _).await;
    let default = TenantId::default_tenant();
    let me = by(&default, "me");
    let began = tokio::time::Instant::now();
    let all = (0..10_u16).map(|number| {
        let (world, default, me) = (&world, &default, &me);
        async move {
            tokio::time::sleep(second / 10 * u32::from(number)).await;
            world.native.register(me, registration("s", number + 1)).await.unwrap();
            let seen = world.listener.instances(default);
            assert!(seen.iter().any(|one| one.key.port == number + 1), "told before it is seen");
            assert_eq!(world.native.list(default).len(), seen.len());
            began.elapsed()
        }
    });
    let took = join_all(all).await;
    assert!(took[0] < second + second / 10, "the first was told after {:?}", took[0]);
    assert!(took[1..].iter().all(|took| *took < second * 2 + second / 10), "{took:?}");
    assert_eq!(store.commits.load(Ordering::Relaxed), 2, "all others shared the second commit");
}

/// Whatever the keeper is at when the database hangs, a writer waits for one turn of it at most.
#[tokio::test(start_paused = true)]
async fn while_the_database_hangs_no_writer_waits_for_more_than_one_turn() {
    let store = Arc::new(FakeStore::default());
    let world = World::start(Arc::clone(&store) as _).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let me = by(&default, "me");
    // What lapses and is heard again keeps flushes and their doubtful events coming.
    let mut short = registration("s", 1);
    short.lease_seconds = Some(4);
    let id = native.register(&me, short).await.unwrap().instance_id.to_string();
    store.hangs.store(true, Ordering::Relaxed);
    for round in 0..40 {
        tokio::time::sleep(Duration::from_millis(100 + 730 * (round % 9))).await;
        native.heartbeat(&me, &id).unwrap();
        let start = tokio::time::Instant::now();
        let refused = native.register(&me, registration("s", 2)).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unavailable);
        let took = start.elapsed();
        assert!(took <= Duration::from_millis(10_500), "round {round}: answered after {took:?}");
    }
    store.hangs.store(false, Ordering::Relaxed);
    // What hangs already is given up within a turn.
    for _ in 0..11 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        native.heartbeat(&me, &id).unwrap();
    }
    native.register(&me, registration("s", 2)).await.unwrap();
    assert_eq!(store.load().await.unwrap().instances.len(), 2);
}

/// However many are refused, what has to be repaired afterwards fits into a commit.
#[tokio::test(start_paused = true)]
async fn many_refused_writes_leave_no_commit_behind_that_is_too_large() {
    let store = Arc::new(FakeStore::default());
    let world = World::start(Arc::clone(&store) as _).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let me = by(&default, "me");
    *store.fault.lock() = Fault::Before;
    for some in 0..20_u16 {
        let ports = some * 500 + 1..=some * 500 + 500;
        let refused = join_all(ports.map(|port| native.register(&me, registration("s", port))));
        for outcome in refused.await {
            assert_eq!(outcome.unwrap_err().code, ErrorCode::Unavailable);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let largest = store.largest.load(Ordering::Relaxed);
    assert!(largest < 5000, "a commit of {largest} writes");
    *store.fault.lock() = Fault::None;
    native.register(&me, registration("s", 1)).await.unwrap();
    assert_eq!(store.load().await.unwrap().instances.len(), 1);
}
