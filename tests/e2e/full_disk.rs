//! The disk under SQLite is full: writers are told, readers and heartbeats do not notice, nothing
//! breaks, and with room again all goes on.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;

const WEB: &str = "/api/v1/services/web/instances";
const LIVE: usize = 20;
const LEASE: Duration = Duration::from_secs(2);
/// A write has its answer within this.
const WRITE: Duration = Duration::from_secs(12);
const RECOVERY: Duration = Duration::from_secs(10);
/// Writes until the disk is full, at most: each takes more than a page of it.
const WRITES: usize = 4000;

/// A small disk of its own; it is let go of when this is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, and a word where it is seen, when this process may not mount one; in CI a failure.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "hub-registry-test"])
            .arg(folder.path())
            .output();
        let reason = match mount {
            Ok(done) if done.status.success() => return Some(Self(folder)),
            Ok(done) => String::from_utf8_lossy(&done.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "no small disk can be mounted: {reason}");
        // Not `eprintln!`: the test runner keeps what that prints of a test that passes.
        let line = format!("SKIPPED full disk: no small disk can be mounted: {reason}\n");
        std::io::stderr().write_all(line.as_bytes()).ok();
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes what room is left but so much, in KiB; to be freed by removing the file.
    fn take_all_but(&self, left: u64) -> std::path::PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = std::fs::File::create(&ballast).unwrap();
        let block = [0x5a; 1024];
        let mut written: u64 = 0;
        while written < 16 * 1024 && file.write_all(&block).is_ok() {
            written += 1;
        }
        file.set_len((written.saturating_sub(left)) * 1024).unwrap();
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server that was just killed may hold a file for a moment.
        let done = Command::new("umount").arg("-l").arg(self.path()).status();
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.path().display());
        }
    }
}

async fn check(file: &Path) {
    let url = format!("sqlite://{}", file.display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let said: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&pool).await.unwrap();
    assert_eq!(said, ["ok"]);
    pool.close().await;
}

/// One client of the full disk.
struct Client {
    hub: Hub,
    live: Vec<String>,
    beaten: Instant,
    /// Hosts and weights of what was acknowledged.
    ledger: BTreeMap<String, i64>,
    ids: BTreeMap<String, String>,
    asked: usize,
    refused: usize,
}

impl Client {
    async fn register(&mut self) -> bool {
        self.asked += 1;
        let host = format!("h-{}", self.asked);
        let weight = (self.asked % 1000) as i64;
        let body = json!({
            "serviceName": format!("s-{}", self.asked % 5), "hostAddress": host, "portNumber": 80,
            "leaseSeconds": 86400, "weightValue": weight, "metadata": { "much": "x".repeat(6000) },
        });
        let answer = self.write(Method::POST, "/api/v1/instances", Some(&body)).await;
        if let Some(answer) = &answer {
            self.ids.insert(host.clone(), answer["instanceId"].as_str().unwrap().to_owned());
            self.ledger.insert(host, weight);
        }
        answer.is_some()
    }

    /// `None`: it was refused, as it should be.
    async fn write(&mut self, method: Method, path: &str, body: Option<&Value>) -> Option<Value> {
        let start = Instant::now();
        let mut request = self.hub.client.request(method, self.hub.url(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body: Value = answer.json().await.unwrap();
        assert!(start.elapsed() < WRITE, "a write took {:?}: {status} {body}", start.elapsed());
        match status.as_u16() {
            200 | 201 => Some(body),
            503 | 507 => {
                assert!(headers.contains_key("retry-after"), "{body}");
                assert!(body["error"].as_str().unwrap().contains("database"), "{body}");
                self.refused += 1;
                None
            }
            _ => panic!("{status} {body}; {}", self.hub.log()),
        }
    }

    /// Everybody beats, if it is time, and is there.
    async fn live(&mut self) {
        if self.beaten.elapsed() >= LEASE / 4 {
            self.beaten = Instant::now();
            let body = json!({ "instanceIds": self.live });
            let (status, body) = self.hub.put("/api/v1/heartbeats", &body).await;
            assert_eq!((status.as_u16(), &body["renewed"]), (200, &json!(LIVE)), "{body}");
        }
        let (status, body) = self.hub.get(WEB).await;
        let rows = body["instances"].as_array().unwrap();
        let healthy = rows.iter().filter(|row| row["healthStatus"] == "HEALTHY").count();
        assert_eq!((status.as_u16(), rows.len(), healthy), (200, LIVE, LIVE), "{body}");
    }

    /// Registers until so many in a row were refused.
    async fn fill(&mut self) {
        let (end, mut in_a_row) = (self.asked + WRITES, 0);
        while in_a_row < 10 {
            assert!(self.asked < end, "the disk does not get full");
            in_a_row = if self.register().await { 0 } else { in_a_row + 1 };
            self.live().await;
        }
    }

    async fn shown(&self) -> BTreeMap<String, i64> {
        let mut shown = BTreeMap::new();
        for service in 0..5 {
            let (_, body) = self.hub.get(&format!("/api/v1/services/s-{service}/instances")).await;
            for row in body["instances"].as_array().into_iter().flatten() {
                let host = row["hostAddress"].as_str().unwrap().to_owned();
                shown.insert(host, row["weightValue"].as_i64().unwrap());
            }
        }
        shown
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_survived() {
    let Some(disk) = Disk::mount() else { return };
    let file = disk.path().join("registry.db");
    let dsn: &'static str = Box::leak(file.display().to_string().into_boxed_str());
    let hub = Hub::with_environment(&[("REGISTRY_DB_DSN", dsn)]).await;
    let one = |number| {
        json!({
            "serviceName": "web", "hostAddress": format!("live-{number}"), "portNumber": 80,
            "leaseSeconds": LEASE.as_secs(),
        })
    };
    let all: Vec<_> = (0..LIVE).map(one).collect();
    let (_, body) = hub.post("/api/v1/instances/batch", &json!({ "instances": all })).await;
    let results = body["results"].as_array().unwrap().iter();
    let live = results.map(|one| one["instanceId"].as_str().unwrap().to_owned()).collect();
    let (ledger, ids) = (BTreeMap::new(), BTreeMap::new());
    let beaten = Instant::now();
    let mut client = Client { hub, live, beaten, ledger, ids, asked: 0, refused: 0 };
    client.live().await;

    // Twice: what the first time left behind must not spoil the second.
    for round in 0..2 {
        let ballast = disk.take_all_but(512);
        client.fill().await;
        check(&file).await;
        // Changes and removals are refused too, or they are done; for more than three leases.
        let (end, refused) = (Instant::now() + LEASE * 4, client.refused);
        let mut known = client.ids.clone().into_iter();
        while Instant::now() < end {
            client.live().await;
            client.register().await;
            let Some((host, id)) = known.next() else { continue };
            let path = format!("/api/v1/instances/{id}");
            if client.write(Method::DELETE, &path, None).await.is_some() {
                client.ledger.remove(&host);
                client.ids.remove(&host);
            }
        }
        assert!(client.refused > refused, "it was not full");
        assert_eq!(client.hub.get("/ready").await.0, 200);
        assert_eq!(client.shown().await, client.ledger, "round {round}");

        std::fs::remove_file(ballast).unwrap();
        let freed = Instant::now();
        while !client.register().await {
            assert!(freed.elapsed() < RECOVERY, "no writes with room again: {}", client.hub.log());
            client.live().await;
        }
        println!("writes again {:?} after there was room", freed.elapsed());
        for _ in 0..20 {
            assert!(client.register().await, "refused with room: {}", client.hub.log());
        }
    }
    assert_eq!(client.hub.metric("hub_registry_lease_expirations_total").await as u64, 0);
    assert!(!client.hub.log().contains("panicked"), "{}", client.hub.log());
    client.hub.kill().await;
    check(&file).await;
    client.hub.run().await;
    assert_eq!(client.shown().await, client.ledger, "the file has other than was acknowledged");
    assert_eq!(client.hub.get(WEB).await.1["count"], LIVE);
    println!(
        "{} of {} acknowledged are there, {} were refused",
        client.ledger.len(),
        client.asked,
        client.refused
    );
}
