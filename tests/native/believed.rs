//! Who is there still, whatever the hub finds of it: it is not removed for a check that is critical.

use std::sync::Arc;
use std::time::Duration;

use hub_registry::health::Outcome;
use hub_registry::model::instance::Registration;
use hub_registry_core::HealthStatus::Unhealthy;
use hub_registry_core::TenantId;
use tokio::time::{Instant, advance, sleep};

use super::ward::{
    BOUND, CRITICAL, LATEST, PASSING, SECOND, Ward, asked, brings, leaves, ttl, with,
};
use super::world::{FakeStore, by};

/// Another check of each is answered, perhaps by something else at another place.
#[tokio::test(start_paused = true)]
async fn a_way_that_is_lost_is_so_whatever_goes_another_one() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ward.doctor.finds(port, Outcome::Connected);
        ward.doctor.finds(100 + port, Outcome::Connected);
        let checks = [leaves(asked("a", port, PASSING)), asked("b", 100 + port, PASSING)];
        ids.push(ward.register(brings(port, checks)).await);
    }
    sleep(SECOND * 20).await;
    (1..=40).for_each(|port| ward.doctor.finds(port, Outcome::ConnectTimedOut));
    sleep(SECOND * 1800).await;
    assert!(ids.iter().all(|id| ward.how(*id) == (Unhealthy, vec![CRITICAL, PASSING])));
    assert_eq!(ward.removals_held(), "40");
}

/// Nothing is between the hub and its own host that could be cut.
#[tokio::test(start_paused = true)]
async fn who_is_beside_the_hub_is_believed_in_a_cut() {
    let ward = Ward::open().await;
    let near = leaves(asked("a", 50, PASSING));
    let near = with(near, |asks| asks.url = "tcp://127.0.0.1:50".to_owned());
    let near = ward.register(brings(50, [near])).await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ids.push(ward.register(brings(port, [leaves(asked("a", port, PASSING))])).await);
    }
    let took = ward.goes(near).await;
    assert!(took >= SECOND * BOUND && took <= LATEST, "{took:?}");
    assert!(ids.iter().all(|id| ward.is_there(*id)));
}

/// What the hub asks gets no answer, and the client beats: it is the way there that is lost.
#[tokio::test(start_paused = true)]
async fn who_is_heard_is_there_though_it_does_not_answer() {
    let ward = Ward::open().await;
    let checks = |port| [leaves(asked("a", port, PASSING)), ttl("t", 30, PASSING)];
    let silent = ward.register(brings(1, checks(1))).await;
    ward.doctor.finds(2, Outcome::Answered(500));
    let bad = ward.register(brings(2, checks(2))).await;
    let start = Instant::now();
    while start.elapsed() < SECOND * 600 {
        assert!(ward.hear(silent, "t"));
        let is_heard = ward.hear(bad, "t");
        assert_eq!(is_heard, ward.is_there(bad), "it says itself how it is");
        sleep(SECOND * 10).await;
    }
    assert_eq!(ward.how(silent), (Unhealthy, vec![CRITICAL, PASSING]));
    assert!(!ward.is_there(bad));
    assert!(ward.goes(silent).await <= SECOND * 30 + LATEST);
}

/// Some are silent a little earlier, and are found so before it is known that it is a cut.
#[tokio::test(start_paused = true)]
async fn a_hold_of_silent_clients_is_one_of_their_removal_too() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        let id = ward.register(brings(port, [leaves(ttl("t", 30, PASSING))])).await;
        ward.says(id, "t", PASSING).await;
        ids.push(id);
    }
    for _ in 0..8 {
        sleep(SECOND * 4).await;
        ids[9..].iter().for_each(|id| assert!(ward.hear(*id, "t")));
    }
    sleep(SECOND * 300).await;
    assert!(ids.iter().all(|id| ward.is_there(*id)));
    let critical = ids.iter().filter(|id| ward.seen(**id).health == Unhealthy).count();
    assert!((9..40).contains(&critical), "{critical}: the others are held as they were");
}

/// Its client has not had its turn to say how it is now.
#[tokio::test(start_paused = true)]
async fn what_was_said_before_a_start_counts_when_the_lease_ran_out() {
    let store = Arc::new(FakeStore::default());
    let ward = Ward::over(Arc::clone(&store)).await;
    let id = ward.register(brings(1, [leaves(ttl("t", 3600, PASSING))])).await;
    ward.says(id, "t", CRITICAL).await;
    ward.world.stop().await;
    let ward = Ward::over(store).await;
    sleep(SECOND * 3500).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    assert!(ward.goes(id).await <= SECOND * 100 + LATEST);
}

/// The process is stopped between two looks: its client may have had something to say meanwhile.
#[tokio::test(start_paused = true)]
async fn after_a_pause_of_the_process_it_begins_anew() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [leaves(ttl("t", 86_400, PASSING))])).await;
    ward.says(id, "t", CRITICAL).await;
    sleep(SECOND * 62).await;
    advance(SECOND * 25).await;
    sleep(SECOND * 20).await;
    assert!(ward.is_there(id));
    let took = ward.goes(id).await;
    assert!(took >= SECOND * 30 && took <= LATEST, "{took:?}");
}

/// The database is slow, and the registration is acknowledged when it is on disk.
#[tokio::test(start_paused = true)]
async fn a_registration_on_its_way_to_disk_is_heard() {
    let commit_time = SECOND * 5;
    let store = Arc::new(FakeStore { commit_time, ..FakeStore::default() });
    let ward = Ward::over(store).await;
    let start = Instant::now();
    let said = |tag: &str| Registration {
        tags: Some(vec![tag.to_owned()]),
        // As it is known, which is what a client of Consul that does not say it gets.
        ..brings(1, [leaves(asked("a", 1, CRITICAL))])
    };
    let id = ward.register(said("first")).await;
    // It would be removed by the look that comes then.
    sleep(SECOND * 88 - start.elapsed()).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    let me = by(&TenantId::default_tenant(), "me");
    ward.world.native.register(&me, said("second")).await.unwrap();
    assert!(start.elapsed() > SECOND * 90);
    sleep(Duration::from_secs(30)).await;
    assert!(ward.is_there(id));
    assert!(ward.goes(id).await <= LATEST);
}
