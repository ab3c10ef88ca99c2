//! An instance that comes and goes many times a second: subscribers of its service are told so many
//! changes a second at most, and the last of them is true.

use std::collections::BTreeSet;
use std::time::Duration;

use hub_registry_testkit::servers::ServerKind;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::listener::{Listener, Word};
use crate::proofs::{rounds, seed};
use crate::registries::Writer;
use crate::scenes::{AT_ONCE, PORT, Scene, WEB, all, host};

/// So many changes of one service a second are followed at most, after a few at once: what is asked
/// at first, and what came late to the subscriber.
const CAP: f64 = 10.0;
const AT_FIRST: f64 = 5.0;
/// The instance that flaps, and those that do not.
const FLAPPER: u32 = 100;
const STABLE: std::ops::Range<u32> = 0..15;

/// Where it flaps, and how often a second.
#[derive(Clone, Copy)]
struct Flaps {
    service: &'static str,
    hz: f64,
}

/// Comes and goes, so often a second on average, until it is told to stop; then it stays. How often
/// it turned.
async fn flap(writer: Writer, flaps: Flaps, seed: u64, stop: watch::Receiver<bool>) -> u32 {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut turns, mut next) = (0, Instant::now());
    while !*stop.borrow() || turns % 2 == 0 {
        if turns % 2 == 0 {
            writer.register(flaps.service, &host(FLAPPER), PORT, "1").await;
        } else {
            writer.remove(flaps.service, &host(FLAPPER), PORT).await;
        }
        turns += 1;
        next += Duration::from_secs_f64((0.5 + random.f64()) / flaps.hz);
        tokio::time::sleep_until(next).await;
    }
    turns
}

/// The events of the instance that flaps, until it is quiet after the last that is expected: how many
/// came, and over how long.
async fn told(hub: &Hub, mut listener: Listener, stop: watch::Receiver<bool>) -> (u32, Duration) {
    let (mut count, mut there) = (0, false);
    let (mut first, mut last) = (None, Instant::now());
    loop {
        if *stop.borrow() && there && last.elapsed() > Duration::from_secs(2) {
            return (count, last.duration_since(first.unwrap_or(last)));
        }
        let late = *stop.borrow() && last.elapsed() > AT_ONCE * 2;
        assert!(!late, "it stays, and nobody is told\n{}", hub.log_end());
        let next = tokio::time::timeout(Duration::from_millis(100), listener.next()).await;
        let event = match next {
            Err(_) | Ok(Some(Word::Bookmark(_))) => continue,
            Ok(Some(Word::Event(event))) => event,
            Ok(other) => panic!("{other:?}"),
        };
        if event["hostAddress"] != host(FLAPPER) {
            continue;
        }
        count += 1;
        last = Instant::now();
        first.get_or_insert(last);
        let now_there = match event["eventType"].as_str().unwrap() {
            "INSTANCE_REGISTER" => true,
            "INSTANCE_DEREGISTER" => false,
            _ => continue,
        };
        assert_ne!(now_there, there, "told twice: {event:#}");
        there = now_there;
    }
}

async fn part(scene: &Scene, flaps: Flaps, seed: u64, lasts: Duration) {
    let Flaps { service, hz } = flaps;
    let (stop, stopped) = watch::channel(false);
    let listener = Listener::sse(&scene.hub, &format!("?serviceName={service}"), None).await;
    let flapping = tokio::spawn(flap(scene.writer.clone(), flaps, seed, stopped.clone()));
    let start = Instant::now();
    let others = async {
        let (mut slowest, mut number) = (Duration::ZERO, 200);
        while start.elapsed() < lasts {
            // One that is new comes beside it, and one of another service.
            for beside in [WEB, "other"] {
                let begin = Instant::now();
                scene.come(beside, number..number + 1, PORT).await;
                slowest = slowest.max(begin.elapsed());
                scene.go(beside, number..number + 1, PORT).await;
            }
            number += 1;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        stop.send_replace(true);
        slowest
    };
    let ((count, over), slowest) = tokio::join!(told(&scene.hub, listener, stopped), others);
    let turns = flapping.await.unwrap();
    println!(
        "{hz} times a second in {service}: {turns} turns, {count} events over {over:.1?}, {:.1} a second; \
         others seen after {slowest:.1?} at most",
        f64::from(count) / over.as_secs_f64()
    );
    let most = CAP * over.as_secs_f64() + AT_FIRST;
    assert!(f64::from(count) <= most, "{count} events over {over:?}");
    assert!(slowest < Duration::from_secs(4), "a new one waited for it: {slowest:?}");
    let others = if service == WEB { all(STABLE, PORT) } else { BTreeSet::new() };
    let stay = others.iter().cloned().chain(all(FLAPPER..FLAPPER + 1, PORT)).collect();
    scene.follow(service, &stay, AT_ONCE).await;
    // The next part begins without it.
    scene.go(service, FLAPPER..FLAPPER + 1, PORT).await;
    scene.follow(service, &others, AT_ONCE).await;
}

async fn flaps(kind: ServerKind, all_flaps: &[(&'static str, f64)]) {
    let seed = seed();
    let Some((scene, _server)) = Scene::with_server(kind, json!({})).await else { return };
    scene.come(WEB, STABLE, PORT).await;
    let lasts = Duration::from_secs(rounds(3, 60).into());
    for &(service, hz) in all_flaps {
        part(&scene, Flaps { service, hz }, seed, lasts).await;
    }
    assert_eq!(scene.state().await["state"], "LIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_flaps_in_a_consul_is_told_ten_times_a_second_at_most() {
    flaps(ServerKind::Consul, &[(WEB, 10.0), (WEB, 50.0), ("alone", 50.0)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_flaps_in_a_nacos_is_told_ten_times_a_second_at_most() {
    flaps(ServerKind::Nacos, &[(WEB, 50.0)]).await;
}
