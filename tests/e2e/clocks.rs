//! The wall clock of the server jumps, forward and back, under load. Leases, ages and orders are of
//! other clocks: nobody notices but by the times that are shown.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::events::{SOON, instance, log, log_since};
use crate::hub::Hub;
use crate::leases::{Clients, LEASE, expirations};
use crate::listener::{Listener, Word};
use crate::proofs::{rounds, seed};
use crate::registries::Writer;
use crate::scenes::{PORT, Scene, host};

const CLIENTS: usize = 200;
const HOUR: i64 = 3600;
/// Older than this nothing gets that is read all the time: Consul says something every 20 s.
const OLDEST: i64 = 30_000;
/// A time that is shown is this near to the clock, on a busy machine.
const NEAR: i64 = 5_000;

/// The wall clock of a process, so many seconds off, by libfaketime. Its monotonic clock goes on.
struct Wall {
    offset: PathBuf,
    library: PathBuf,
    _folder: tempfile::TempDir,
}

impl Wall {
    /// `None`, and a word where it is seen, where the library is missing; in CI a failure.
    fn new() -> Option<Self> {
        let found = |folder: &Path| {
            let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let libraries = folders.map(|one| one.path().join("faketime/libfaketimeMT.so.1"));
            libraries.into_iter().find(|library| library.is_file())
        };
        let Some(library) = found(Path::new("/usr/lib")) else {
            let reason = "faketime is missing; it is installed by: tests/servers/install faketime";
            let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
            assert!(!is_ci, "{reason}");
            // Not `eprintln!`: the test runner keeps what that prints of a test that passes.
            std::io::stderr().write_all(format!("SKIPPED clocks: {reason}\n").as_bytes()).ok();
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let wall = Self { offset: folder.path().join("offset"), library, _folder: folder };
        wall.set(0);
        Some(wall)
    }

    fn set(&self, seconds: i64) {
        let next = self.offset.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        // At once: half a file would be no time.
        std::fs::rename(next, &self.offset).unwrap();
    }

    fn environment(&self) -> [(&'static str, &'static str); 4] {
        let text = |path: &Path| &*path.to_str().unwrap().to_owned().leak();
        [
            ("LD_PRELOAD", text(&self.library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.offset)),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

fn now_ms() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64
}

/// How far a time that the hub shows is from what its clock says.
fn off_by(time: &Value, offset: i64) -> i64 {
    let Some(time) = time.as_str() else { return i64::MAX };
    let time = chrono::DateTime::parse_from_rfc3339(time).unwrap();
    (time.timestamp_millis() - now_ms() - offset * 1000).abs()
}

/// Reads all the time: nobody is missing, revisions never fall, nobody is stale or strangely old.
async fn read(hub: Arc<Hub>, stop: Arc<AtomicBool>) -> i64 {
    let (mut reads, mut revisions, mut oldest) = (0, [0, 0], 0);
    while !stop.load(Ordering::Relaxed) {
        for (last, (service, count)) in revisions.iter_mut().zip([("web", CLIENTS), ("orders", 12)])
        {
            let url = hub.url(&format!("/api/v1/services/{service}/instances"));
            let answer = hub.client.get(url).send().await.expect("a read never fails");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(body["count"], count, "{body:#}\n{}", hub.log_end());
            let revision = body["revision"].as_i64().unwrap();
            assert!(revision >= *last, "revision {revision} after {last}");
            *last = revision;
            for source in body["sources"].as_array().unwrap() {
                let age = source["ageMs"].as_i64().unwrap();
                assert!(source["state"] == "LIVE" && (0..OLDEST).contains(&age), "{source:#}");
                oldest = oldest.max(age);
            }
            reads += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    println!("{reads} reads, the oldest of {oldest} ms, up to revision {revisions:?}");
    revisions[1]
}

/// Changes in the registry and in the hub, until it is told to stop.
async fn change(hub: Arc<Hub>, writer: Writer, stop: Arc<AtomicBool>) -> u64 {
    let mut changes = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut one = instance("jobs", 80);
        one["weightValue"] = json!(1 + changes % 1000);
        let request = hub.client.post(hub.url("/api/v1/instances")).json(&one);
        assert!(request.send().await.unwrap().status().is_success());
        writer.register("orders", &host(0), PORT, &changes.to_string()).await;
        changes += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    changes
}

/// Takes every event; what is told is told in order, each once.
async fn follow(mut listener: Listener, stop: Arc<AtomicBool>) -> Vec<String> {
    let (mut ids, mut last) = (Vec::new(), (0, 0));
    loop {
        let next = tokio::time::timeout(Duration::from_millis(500), listener.next()).await;
        match next {
            Err(_) if stop.load(Ordering::Relaxed) => return ids,
            Err(_) | Ok(Some(Word::Bookmark(_))) => {}
            Ok(Some(Word::Event(event))) => {
                let id = event["id"].as_str().unwrap();
                let place = crate::subscriber::id_of(id).unwrap();
                assert!(place > last, "{place:?} after {last:?}");
                last = place;
                ids.push(id.to_owned());
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
}

/// Jumps, and waits until what is shown is of that time.
async fn jump(hub: &Hub, wall: &Wall, offset: i64, id: &str, scene: &str) {
    wall.set(offset);
    let body = json!({ "serviceDescription": format!("at {offset}") });
    assert_eq!(hub.put("/api/v1/services/web", &body).await.0, 200);
    let path = "/api/v1/events?eventType=SERVICE_UPDATE&serviceName=web&limit=1";
    let heard = |_, body: &Value| off_by(&body["events"][0]["eventTime"], offset) < NEAR;
    hub.until(path, SOON, heard).await;
    // Its age is of the other clock: it was heard within a lease.
    let (_, row) = hub.get(&format!("/api/v1/instances/{id}")).await;
    let off = off_by(&row["lastHeartbeatTime"], offset);
    assert!(off < NEAR + LEASE.as_millis() as i64, "{row:#}");
    let (_, status) = hub.get(&format!("{scene}/status")).await;
    assert_eq!(status["state"], "LIVE", "{status:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_jumps_evicts_nobody_and_moves_no_order() {
    let Some(wall) = Wall::new() else { return };
    let mut random = fastrand::Rng::with_seed(seed());
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let server = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let (writer, address) =
        (Writer::new("CONSUL", server.base_url()), server.address().to_string());
    let hub = Hub::with("", &wall.environment()).await;
    let scene = Scene::on(hub, ServerKind::Consul, writer, address, json!({})).await;
    let clients = Clients::start(&scene.hub, scene.hub.port, "h", CLIENTS as u32).await;
    let all = |_, body: &Value| body["count"] == CLIENTS;
    scene.hub.until("/api/v1/services/web/instances", SOON, all).await;
    scene.come("orders", 0..12, PORT).await;
    let Scene { hub, writer, config } = scene;
    let first = log(&hub, "").await.last().unwrap()["id"].as_str().unwrap().to_owned();
    let listener = Listener::sse(&hub, "", Some(&first)).await;
    let (mut hub, stop) = (Arc::new(hub), Arc::new(AtomicBool::new(false)));
    let readers = [0, 1].map(|_| tokio::spawn(read(Arc::clone(&hub), Arc::clone(&stop))));
    let changing = tokio::spawn(change(Arc::clone(&hub), writer, Arc::clone(&stop)));
    let following = tokio::spawn(follow(listener, Arc::clone(&stop)));

    let mut jumps = vec![HOUR, -HOUR, HOUR - 1, 0];
    jumps.extend((0..rounds(4, 200)).map(|_| random.i64(-HOUR..=HOUR)));
    let start = Instant::now();
    for offset in &jumps {
        jump(&hub, &wall, *offset, &clients.ids[0], &config).await;
        // Long enough for beats, sweeps and writes to happen at that time.
        tokio::time::sleep(LEASE / 2).await;
    }
    let took = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let mut last = 0;
    for reader in readers {
        last = last.max(reader.await.unwrap());
    }
    let (changes, told) = (changing.await.unwrap(), following.await.unwrap());
    assert_eq!(expirations(&hub).await, 0);
    assert!(clients.unknown.lock().is_empty(), "a live client was evicted");
    let newest = |_, body: &Value| body["events"][0]["id"].as_str() == told.last().map(|id| &**id);
    hub.until("/api/v1/events?limit=1", SOON, newest).await;
    let logged = log_since(&hub, &first).await;
    let logged: Vec<_> = logged.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(logged, told, "the log is in the order in which it was told");
    println!(
        "{} jumps in {took:.0?}, {changes} changes, {} events in order, nobody evicted",
        jumps.len(),
        told.len()
    );
    restarts_in_the_past(Arc::get_mut(&mut hub).unwrap(), &wall, &clients, last).await;
}

/// The hub starts again, two hours before it ended.
async fn restarts_in_the_past(hub: &mut Hub, wall: &Wall, clients: &Clients, last: i64) {
    wall.set(HOUR);
    hub.kill().await;
    wall.set(-HOUR);
    hub.run().await;
    let (_, body) = hub.get("/api/v1/services/orders/instances").await;
    assert_eq!(body["count"], 12, "{body:#}");
    let revision = body["revision"].as_i64().unwrap();
    assert!(revision > last, "revision {revision} after {last}");
    for source in body["sources"].as_array().unwrap() {
        let age = source["ageMs"].as_i64().unwrap();
        assert!((0..OLDEST).contains(&age), "{source:#}");
    }
    let end = Instant::now() + LEASE * 2;
    while Instant::now() < end {
        let (_, body) = hub.get("/api/v1/services/web/instances").await;
        assert_eq!(body["count"], CLIENTS, "{body:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(clients.unknown.lock().is_empty(), "a live client was evicted");
    println!("started again two hours before: nobody evicted, revision {revision} after {last}");
}
