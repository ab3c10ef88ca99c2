//! Instances that ask to be removed when a check of them was critical for so long, on a clock that the
//! tests move.

use std::sync::Arc;

use hub_registry::config::HealthCheckConfig;
use hub_registry::health::Outcome;
use hub_registry_core::HealthStatus::{Healthy, Unhealthy};
use tokio::time::{Instant, sleep};

use super::ward::{
    BOUND, CRITICAL, LATEST, PASSING, SECOND, Ward, asked, brings, leaves, ttl, with,
};
use super::world::{FakeStore, Fault};

#[tokio::test(start_paused = true)]
async fn who_is_found_bad_for_so_long_is_removed_and_it_is_said_why() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [leaves(asked("a", 1, PASSING))])).await;
    let never = ward.register(brings(2, [asked("a", 2, PASSING)])).await;
    let took = ward.goes(id).await;
    assert!(took >= SECOND * BOUND && took <= LATEST, "{took:?}");
    let told = ward.world.listener.told.lock();
    let left = told.iter().find(|row| row.event_type == "INSTANCE_DEREGISTER").unwrap();
    assert_eq!(left.event_message.as_deref(), Some("its check a was critical for 60 s"));
    assert_eq!(ward.how(never), (Unhealthy, vec![CRITICAL]), "it does not ask for it");
}

/// It passes whenever it is asked, and is believed long after the bound.
#[tokio::test(start_paused = true)]
async fn who_passes_and_waits_to_be_believed_stays() {
    let ward = Ward::open().await;
    ward.doctor.finds(1, Outcome::Connected);
    let check = leaves(asked("a", 1, CRITICAL));
    let id = ward.register(brings(1, [with(check, |asks| asks.passes = Some(20))])).await;
    sleep(SECOND * 170).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]), "seventeen are not enough");
    ward.becomes(id, Healthy, &[PASSING]).await;
}

/// Looks are rarer than questions: what passes between two of them passed.
#[tokio::test(start_paused = true)]
async fn who_passes_now_and_then_stays() {
    let ward = Ward::open().await;
    let check = with(leaves(asked("a", 1, CRITICAL)), |asks| asks.passes = Some(20));
    let id = ward.register(brings(1, [check])).await;
    for _ in 0..60 {
        ward.doctor.finds(1, Outcome::Answered(500));
        sleep(SECOND * 25).await;
        ward.doctor.finds(1, Outcome::Connected);
        sleep(SECOND * 25).await;
    }
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]), "never twenty in a row");
    ward.doctor.finds(1, Outcome::Answered(500));
    assert!(ward.goes(id).await >= SECOND * BOUND);
}

#[tokio::test(start_paused = true)]
async fn who_could_not_be_asked_stays_whatever_others_of_its_checks_find() {
    let ward = Ward::open().await;
    ward.doctor.finds(1, Outcome::Hindered("no sockets"));
    ward.doctor.finds(2, Outcome::Refused);
    ward.doctor.finds(3, Outcome::Connected);
    let checks = [leaves(asked("a", 1, CRITICAL)), asked("b", 2, PASSING), asked("c", 3, PASSING)];
    let id = ward.register(brings(1, checks)).await;
    sleep(SECOND * 600).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, CRITICAL, PASSING]));
    // It was bad, and then nobody could say: what is old says nothing.
    ward.doctor.finds(1, Outcome::Refused);
    sleep(SECOND * 45).await;
    ward.doctor.finds(1, Outcome::Hindered("no sockets"));
    sleep(SECOND * 600).await;
    assert!(ward.is_there(id));
    ward.doctor.finds(1, Outcome::Refused);
    let took = ward.goes(id).await;
    assert!(took >= SECOND * (BOUND - 45), "its time stood still: {took:?}");
}

/// There are not enough places to ask everybody in time, since those that are gone take them.
#[tokio::test(start_paused = true)]
async fn whose_turn_comes_late_leaves_late() {
    let config = HealthCheckConfig { concurrent_checks: 1, ..HealthCheckConfig::default() };
    let ward = Ward::with(Arc::new(FakeStore::default()), &config).await;
    let mut ids = Vec::new();
    for port in 1..=9 {
        ward.doctor.finds(port, Outcome::AnswerTimedOut);
        ids.push(ward.register(brings(port, [leaves(asked("a", port, PASSING))])).await);
    }
    for id in ids {
        let start = Instant::now();
        while ward.is_there(id) {
            assert!(start.elapsed() < SECOND * 3600, "it never goes: {:?}", ward.how(id));
            sleep(SECOND).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_question_begins_anew() {
    let ward = Ward::open().await;
    ward.doctor.finds(2, Outcome::Connected);
    let id = ward.register(brings(1, [leaves(asked("a", 1, PASSING))])).await;
    sleep(SECOND * 50).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    // It is critical until it is asked there, which is soon, and found well.
    let moved = with(leaves(asked("a", 2, CRITICAL)), |asks| asks.interval = 300);
    assert_eq!(ward.register(brings(1, [moved])).await, id);
    ward.becomes(id, Healthy, &[PASSING]).await;
    sleep(SECOND * 300).await;
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
}

#[tokio::test(start_paused = true)]
async fn what_its_client_speaks_for_counts_from_its_last_word() {
    // Whether or not the hub asks anybody.
    let config = HealthCheckConfig { enabled: false, ..HealthCheckConfig::default() };
    let ward = Ward::with(Arc::new(FakeStore::default()), &config).await;
    let silent = ward.register(brings(1, [leaves(ttl("t", 30, PASSING))])).await;
    let bad = ward.register(brings(2, [leaves(ttl("t", 86_400, PASSING))])).await;
    let unasked = ward.register(brings(3, [leaves(asked("a", 3, CRITICAL))])).await;
    ward.says(bad, "t", CRITICAL).await;
    sleep(SECOND * 70).await;
    ward.says(bad, "t", PASSING).await;
    ward.says(bad, "t", CRITICAL).await;
    let took = ward.goes(silent).await;
    assert!(took >= SECOND * (30 + BOUND - 70) && took <= LATEST, "{took:?}");
    assert!(ward.is_there(bad), "its time began anew");
    ward.goes(bad).await;
    sleep(SECOND * 600).await;
    assert!(ward.is_there(unasked));
}

/// It is critical from the beginning, and its client has all of its lease to say something.
#[tokio::test(start_paused = true)]
async fn who_was_never_spoken_for_has_the_time_of_its_lease() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [leaves(ttl("t", 300, CRITICAL))])).await;
    sleep(SECOND * 290).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    let took = ward.goes(id).await;
    assert!(took >= SECOND * (10 + BOUND) && took <= LATEST, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_registers_again_begins_anew() {
    let ward = Ward::open().await;
    let checks = || [leaves(asked("a", 1, CRITICAL)), ttl("t", 86_400, PASSING)];
    let id = ward.register(brings(1, checks())).await;
    let twin = ward.register(brings(2, checks())).await;
    for _ in 0..6 {
        sleep(SECOND * 50).await;
        assert_eq!(ward.register(brings(1, checks())).await, id, "it is there still");
    }
    assert!(!ward.is_there(twin));
    let took = ward.goes(id).await;
    assert!(took >= SECOND * BOUND && took <= LATEST, "{took:?}");
}

/// An operator says that it is not to be asked, which is no fault of the instance's.
#[tokio::test(start_paused = true)]
async fn who_may_not_be_asked_stays() {
    let ward = Ward::open().await;
    ward.doctor.finds(1, Outcome::PortNotAllowed);
    let id = ward.register(brings(1, [leaves(asked("a", 1, PASSING))])).await;
    sleep(SECOND * 600).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
}

#[tokio::test(start_paused = true)]
async fn while_the_database_is_away_they_wait() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [leaves(asked("a", 1, PASSING))])).await;
    *ward.store.fault.lock() = Fault::Before;
    sleep(SECOND * 300).await;
    assert!(ward.is_there(id));
    *ward.store.fault.lock() = Fault::None;
    assert!(ward.goes(id).await <= LATEST);
}

/// They can be reached and say that they are not well: that is believed, and a few leave at a time.
#[tokio::test(start_paused = true)]
async fn of_many_that_answer_so_a_few_leave_at_a_time() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ward.doctor.finds(port, Outcome::Answered(500));
        ids.push(ward.register(brings(port, [leaves(asked("a", port, PASSING))])).await);
    }
    let (start, mut left) = (Instant::now(), 40);
    while left > 0 {
        sleep(SECOND).await;
        let now = ids.iter().filter(|id| ward.is_there(**id)).count();
        assert!(left - now <= 9, "self-preservation holds ten");
        assert!(start.elapsed() < SECOND * 400, "{now} are left");
        left = now;
    }
    assert!(start.elapsed() >= SECOND * (BOUND + 4 * 30));
}

/// More that are found bad together than can be believed: the hub may be cut off.
#[tokio::test(start_paused = true)]
async fn that_all_are_bad_together_is_not_believed() {
    let ward = Ward::open().await;
    let (mut ids, count) = (Vec::new(), 40);
    for port in 1..=count {
        ward.doctor.finds(port, Outcome::Connected);
        ids.push(ward.register(brings(port, [leaves(asked("a", port, PASSING))])).await);
    }
    sleep(SECOND * 20).await;
    (1..=count).for_each(|port| ward.doctor.finds(port, Outcome::ConnectTimedOut));
    sleep(SECOND * 1800).await;
    assert!(ids.iter().all(|id| ward.how(*id) == (Unhealthy, vec![CRITICAL])));
    assert_eq!(ward.removals_held(), "40");
    // The way is back; one is gone for good. Its time counts from then, since who knows what was before.
    (2..=count).for_each(|port| ward.doctor.finds(port, Outcome::Connected));
    // Nobody knows whether it is only the last to come back: that takes its time.
    sleep(SECOND * 500).await;
    let took = ward.goes(ids[0]).await;
    assert!(took >= SECOND * BOUND && took <= SECOND * 100 + LATEST, "{took:?}");
    assert!(ids[1..].iter().all(|id| ward.how(*id) == (Healthy, vec![PASSING])));
    assert_eq!(ward.removals_held(), "0");
}

/// Some are asked so seldom that they were not when the others answered again.
#[tokio::test(start_paused = true)]
async fn what_was_found_in_a_cut_is_no_evidence_after_it() {
    let ward = Ward::open().await;
    let (mut ids, count) = (Vec::new(), 40);
    for port in 1..=count {
        ward.doctor.finds(port, Outcome::Connected);
        let interval = if port <= 5 { 1200 } else { 10 };
        let check = with(leaves(asked("a", port, PASSING)), |asks| asks.interval = interval);
        ids.push(ward.register(brings(port, [check])).await);
    }
    sleep(SECOND * 20).await;
    (1..=count).for_each(|port| ward.doctor.finds(port, Outcome::ConnectTimedOut));
    sleep(SECOND * 1500).await;
    assert!(ids.iter().all(|id| ward.how(*id) == (Unhealthy, vec![CRITICAL])));
    (1..=count).for_each(|port| ward.doctor.finds(port, Outcome::Connected));
    sleep(SECOND * 1500).await;
    assert!(ids.iter().all(|id| ward.how(*id) == (Healthy, vec![PASSING])));
}

/// Their clients are cut off before they ever said how they are.
#[tokio::test(start_paused = true)]
async fn that_all_are_silent_from_the_beginning_is_not_believed() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ids.push(ward.register(brings(port, [leaves(ttl("t", 30, CRITICAL))])).await);
    }
    sleep(SECOND * 300).await;
    assert!(ids.iter().all(|id| ward.is_there(*id)));
}
