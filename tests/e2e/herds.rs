//! Five hundred clients of a registry that restarts without anything: each notices by a heartbeat of
//! its own and registers again, as real clients do. Readers miss nobody meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hub_registry_testkit::servers::{Data, ServerKind};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::proofs::rounds;
use crate::registries::Writer;
use crate::scenes::{PORT, Scene, host, shown};

const SERVICES: u32 = 10;
/// Of each service.
const CLIENTS: u32 = 50;
const REMOVED: &str = "hub_registry_view_instance_changes_total{change=\"removed\"}";
const BACK: Duration = Duration::from_secs(60);

fn name(service: u32) -> String {
    format!("herd-{service}")
}

fn all() -> impl Iterator<Item = (u32, u32)> {
    (0..SERVICES).flat_map(|service| (0..CLIENTS).map(move |client| (service, client)))
}

/// Each client beats once in `period`, at a moment of its own, and registers where it is unknown.
/// They end when this is dropped.
struct Herd {
    beats: Arc<AtomicU64>,
    registered: Arc<AtomicU32>,
    clients: JoinSet<()>,
}

impl Herd {
    fn start(writer: &Writer, period: Duration) -> Self {
        let (beats, registered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU32::new(0)));
        let mut clients = JoinSet::new();
        for (place, (service, client)) in (0..).zip(all()) {
            let (writer, name, host) = (writer.clone(), name(service), host(client));
            let (beats, registered) = (Arc::clone(&beats), Arc::clone(&registered));
            let first = Instant::now() + period * place / (SERVICES * CLIENTS);
            clients.spawn(async move {
                let mut ticks = tokio::time::interval_at(first, period);
                loop {
                    ticks.tick().await;
                    match writer.beat(&name, &host, PORT).await {
                        Some(true) => {
                            beats.fetch_add(1, Ordering::Relaxed);
                        }
                        Some(false) => {
                            writer.register(&name, &host, PORT, "1").await;
                            registered.fetch_add(1, Ordering::Relaxed);
                        }
                        // Its next beat may be answered.
                        None => {}
                    }
                }
            });
        }
        Self { beats, registered, clients }
    }

    fn registered(&self) -> u32 {
        self.registered.load(Ordering::Relaxed)
    }
}

/// Reads service after service; whoever lives is in each answer.
async fn read(hub: Arc<Hub>, stop: Arc<AtomicBool>) -> u64 {
    let everybody: BTreeSet<_> = (0..CLIENTS).map(|client| (host(client), PORT)).collect();
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        for service in 0..SERVICES {
            let url = hub.url(&format!("/api/v1/services/{}/instances", name(service)));
            let answer = hub.client.get(url).send().await.expect("a read never fails");
            assert_eq!(answer.status(), 200);
            let shown: BTreeSet<_> = shown(&answer.json().await.unwrap()).into_keys().collect();
            let missing: Vec<_> = everybody.difference(&shown).collect();
            assert!(missing.is_empty(), "{missing:?} live and are missing\n{}", hub.log_end());
            reads += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    reads
}

fn is(state: &'static str) -> impl Fn(StatusCode, &Value) -> bool {
    move |_, body| body["state"] == state
}

async fn come_back(kind: ServerKind) {
    let more = if kind == ServerKind::Eureka {
        json!({ "specificConfig": { "pollInterval": "500ms" } })
    } else {
        json!({})
    };
    let Some((scene, mut server)) = Scene::with_server(kind, more).await else { return };
    let Scene { hub, writer, config } = scene;
    let hub = Arc::new(hub);
    let register = |(service, client)| {
        let writer = writer.clone();
        async move { writer.register(&name(service), &host(client), PORT, "1").await }
    };
    stream::iter(all()).for_each_concurrent(16, register).await;
    let status = format!("{config}/status");
    let count = SERVICES * CLIENTS;
    let whole = |body: &Value| {
        body["state"] == "LIVE" && body["instances"] == count && body["heldRemovals"] == 0
    };
    until_whole(&hub, &writer, &status, whole).await;

    // Longer than a cold Java on a busy machine takes until it is read: else all are back by then.
    let period = Duration::from_secs(rounds(20, 30).into());
    let mut herd = Herd::start(&writer, period);
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..3).map(|_| tokio::spawn(read(Arc::clone(&hub), Arc::clone(&stop)))).collect();
    // Those that are known do not register again.
    let start = Instant::now();
    while herd.beats.load(Ordering::Relaxed) < u64::from(count / 10) {
        assert!(start.elapsed() < period + BACK, "no beats are answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(herd.registered(), 0, "they were known");

    server.kill().await;
    hub.until(&status, BACK, is("STALE")).await;
    server.restart(Data::Wiped).await.unwrap();
    let back = Instant::now();
    hub.until(&status, BACK, is("PROTECTED")).await;
    let (_, body) = hub.get(&status).await;
    println!(
        "{kind}: PROTECTED {:.1?} after it is back, {} held, {} registered again by then",
        back.elapsed(),
        body["heldRemovals"],
        herd.registered()
    );
    while herd.registered() < count {
        let late = back.elapsed() > period + BACK;
        assert!(!late, "{} of {count} registered again", herd.registered());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("{kind}: the last of {count} registered again {:.1?} after", back.elapsed());
    until_whole(&hub, &writer, &status, whole).await;
    println!("{kind}: LIVE with all of them, none held, {:.1?} after", back.elapsed());

    stop.store(true, Ordering::Relaxed);
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.unwrap();
    }
    for service in 0..SERVICES {
        let path = format!("/api/v1/services/{}/instances", name(service));
        let rows = shown(&hub.get(&path).await.1);
        assert!(rows.len() == CLIENTS as usize && !rows.values().any(|held| *held), "{rows:?}");
    }
    assert_eq!(herd.registered(), count, "each registered again once");
    let ended = herd.clients.try_join_next();
    assert!(ended.is_none(), "a client was refused: {ended:?}");
    let (_, body) = hub.get("/api/v1/events?eventType=INSTANCE_DEREGISTER").await;
    assert_eq!(body["count"], 0, "{body:#}");
    assert!(hub.metric(REMOVED).await < 0.5, "a removal was shown");
    println!("{kind}: {reads} reads, nobody missing, no removal");
}

/// Waits until it is so. What Eureka's cache kept from everybody shows with the next registration.
async fn until_whole(hub: &Hub, writer: &Writer, status: &str, whole: impl Fn(&Value) -> bool) {
    let (start, mut asked) = (Instant::now(), Instant::now());
    loop {
        let (_, body) = hub.get(status).await;
        if whole(&body) {
            return;
        }
        assert!(start.elapsed() < BACK, "{body:#}\n{}", hub.log_end());
        if asked.elapsed() > Duration::from_secs(3) {
            asked = Instant::now();
            writer.register(&name(0), &host(0), PORT, "1").await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_clients_of_a_eureka_register_again_and_none_is_missed() {
    come_back(ServerKind::Eureka).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_clients_of_a_nacos_register_again_and_none_is_missed() {
    come_back(ServerKind::Nacos).await;
}
