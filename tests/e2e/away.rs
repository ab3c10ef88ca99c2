//! The database goes away under load, dead or hanging, and comes back: readers and heartbeats do
//! not notice, writers are told in time, and what was acknowledged is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use parking_lot::Mutex;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::proofs::rounds;

const WEB: &str = "/api/v1/services/web/instances";
const LIVE: usize = 200;
const LEASE: Duration = Duration::from_secs(5);
const WRITERS: usize = 12;
/// A write has its answer within this: what it may wait for the database, and a busy machine.
const WRITE: Duration = Duration::from_secs(12);
/// Less than anybody waits for a connection to the database: nobody who reads does.
const READ: Duration = Duration::from_secs(4);
const READY: Duration = Duration::from_secs(4);
/// Four databases have just been started, and nothing is proved by then.
const BEGIN: Duration = Duration::from_secs(30);
/// After the database is back, writes are taken within this.
const RECOVERY: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Killed: connections end, new ones are refused.
    Dead,
    /// Stopped: connections stay open, and nothing is answered.
    Hanging,
}

impl Fault {
    async fn begin(self, server: &mut Server) {
        match self {
            Self::Dead => server.kill().await,
            Self::Hanging => server.pause().await,
        }
    }

    async fn end(self, server: &mut Server) {
        match self {
            Self::Dead => server.restart(Data::Kept).await.unwrap(),
            Self::Hanging => server.resume(),
        }
    }
}

/// What the clients have counted, all of them together.
#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    reads: AtomicU64,
    beats: AtomicU64,
    written: AtomicU64,
    refused: AtomicU64,
    slowest_read: Mutex<Duration>,
    slowest_write: Mutex<Duration>,
}

impl Counts {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

fn longest(slot: &Mutex<Duration>, took: Duration) {
    let mut slot = slot.lock();
    *slot = took.max(*slot);
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

async fn read(url: String, counts: Arc<Counts>) {
    let http = client();
    while counts.goes_on() {
        let start = Instant::now();
        let answer = http.get(&url).send().await.expect("a read is answered");
        assert_eq!(answer.status(), 200, "a read failed");
        let body: Value = answer.json().await.unwrap();
        let took = start.elapsed();
        assert!(took < READ, "a read took {took:?}");
        longest(&counts.slowest_read, took);
        let rows = body["instances"].as_array().unwrap();
        let healthy = rows.iter().filter(|row| row["healthStatus"] == "HEALTHY").count();
        assert_eq!((rows.len(), healthy), (LIVE, LIVE), "not all are there and healthy");
        counts.reads.fetch_add(1, Ordering::Relaxed);
        // The pace of this client.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn beat(url: String, ids: Vec<String>, counts: Arc<Counts>) {
    let (http, body) = (client(), json!({ "instanceIds": ids }));
    let mut ticks = tokio::time::interval(LEASE / 4);
    while counts.goes_on() {
        ticks.tick().await;
        let answer = http.put(&url).json(&body).send().await.expect("heartbeats are answered");
        assert_eq!(answer.status(), 200, "heartbeats failed");
        let body: Value = answer.json().await.unwrap();
        assert_eq!((&body["renewed"], &body["unknown"]), (&json!(ids.len()), &json!([])));
        counts.beats.fetch_add(ids.len() as u64, Ordering::Relaxed);
    }
}

/// Hosts with their ids and the weights that were acknowledged last; `None`: removed.
type Ledger = BTreeMap<String, (String, Option<i64>)>;

/// One that registers, changes and removes, and keeps account of what it was answered.
struct Writer {
    name: String,
    http: reqwest::Client,
    url: String,
    random: fastrand::Rng,
    ledger: Ledger,
    asked: usize,
    counts: Arc<Counts>,
}

impl Writer {
    async fn run(mut self) -> Ledger {
        while self.counts.goes_on() {
            self.step().await;
            // The pace of this client.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.ledger
    }

    async fn step(&mut self) {
        self.asked += 1;
        let weight = self.random.i64(1..1000);
        let there = self.ledger.iter().filter(|(_, (_, weight))| weight.is_some());
        let there: Vec<_> = there.map(|(host, (id, _))| (host.clone(), id.clone())).collect();
        let old = (self.random.u8(..10) >= 5).then(|| self.random.choice(&there)).flatten();
        let (host, wanted, request) = match old {
            None => {
                let host = format!("{}-{}", self.name, self.asked);
                let body = json!({
                    "serviceName": format!("s-{}", self.asked % 7), "hostAddress": host,
                    "portNumber": 80, "leaseSeconds": 86400, "weightValue": weight,
                });
                (host, Some(weight), self.http.post(&self.url).json(&body))
            }
            Some((host, id)) => {
                let url = format!("{}/{id}", self.url);
                match self.random.bool() {
                    true => {
                        let request = self.http.put(url).json(&json!({ "weightValue": weight }));
                        (host.clone(), Some(weight), request)
                    }
                    false => (host.clone(), None, self.http.delete(url)),
                }
            }
        };
        let start = Instant::now();
        let answer = request.send().await.expect("a write is answered");
        let (status, again) = (answer.status(), answer.headers().contains_key(header::RETRY_AFTER));
        let body: Value = answer.json().await.unwrap();
        let took = start.elapsed();
        assert!(took < WRITE, "a write took {took:?}: {status} {body}");
        longest(&self.counts.slowest_write, took);
        match status {
            StatusCode::CREATED | StatusCode::OK => {
                let id = body["instanceId"].as_str().unwrap().to_owned();
                self.ledger.insert(host, (id, wanted));
                self.counts.written.fetch_add(1, Ordering::Relaxed);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                assert!(again, "no Retry-After: {body}");
                assert_eq!(body["error"], "the database is not available");
                self.counts.refused.fetch_add(1, Ordering::Relaxed);
            }
            _ => panic!("{status} {body}"),
        }
    }
}

/// Waits until it is so; fails at once when a client has failed.
async fn until(
    what: &str,
    within: Duration,
    clients: &mut JoinSet<()>,
    so: impl Fn() -> bool,
) -> Duration {
    let start = Instant::now();
    while !so() {
        if let Some(Err(failed)) = clients.try_join_next() {
            std::panic::resume_unwind(failed.into_panic());
        }
        assert!(start.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}

/// `/ready` says UP with 200, in time, and this of the database.
async fn ready(hub: &Hub) -> Value {
    let start = Instant::now();
    let (status, body) = hub.get("/ready").await;
    let took = start.elapsed();
    assert!(took < READY, "/ready took {took:?}");
    assert_eq!((status.as_u16(), &body["status"]), (200, &json!("UP")), "{body}");
    body["checks"]["database"]["status"].clone()
}

/// A database that takes longer than half a second to answer a probe counts as down, and so it may
/// for once when all that runs here asks the same disk.
async fn database_is_up(hub: &Hub) {
    hub.until("/ready", RECOVERY, |status, body| {
        status == 200 && body["checks"]["database"]["status"] == "UP"
    })
    .await;
}

/// What the hub shows of the writers' instances.
async fn shown(hub: &Hub) -> BTreeMap<String, i64> {
    let mut shown = BTreeMap::new();
    for service in 0..7 {
        let (_, body) = hub.get(&format!("/api/v1/services/s-{service}/instances")).await;
        for row in body["instances"].as_array().into_iter().flatten() {
            let host = row["hostAddress"].as_str().unwrap().to_owned();
            let twice = shown.insert(host, row["weightValue"].as_i64().unwrap());
            assert_eq!(twice, None, "{row} is there twice");
        }
    }
    shown
}

async fn comes_back(kind: ServerKind, fault: Fault, seed: u64) {
    if !servers::require(kind) {
        return;
    }
    let away = Duration::from_secs(u64::from(rounds(20, 600)));
    let mut server = servers::start(kind, ServerOptions::default()).await.unwrap();
    let dsn: &'static str = Box::leak(server.dsn().into_boxed_str());
    let mut hub = Hub::with_environment(&[("REGISTRY_DB_DSN", dsn)]).await;
    let one = |number| {
        json!({
            "serviceName": "web", "hostAddress": format!("live-{number}"), "portNumber": 80,
            "leaseSeconds": LEASE.as_secs(),
        })
    };
    let all: Vec<_> = (0..LIVE).map(one).collect();
    let (_, body) = hub.post("/api/v1/instances/batch", &json!({ "instances": all })).await;
    let results = body["results"].as_array().unwrap().iter();
    let ids: Vec<_> = results.map(|one| one["instanceId"].as_str().unwrap().to_owned()).collect();

    let counts = Arc::new(Counts::default());
    let (mut clients, mut writers) = (JoinSet::new(), Vec::new());
    for some in ids.chunks(25) {
        clients.spawn(beat(hub.url("/api/v1/heartbeats"), some.to_vec(), Arc::clone(&counts)));
    }
    for _ in 0..4 {
        clients.spawn(read(hub.url(WEB), Arc::clone(&counts)));
    }
    let mut random = fastrand::Rng::with_seed(seed);
    for number in 0..WRITERS {
        let writer = Writer {
            name: format!("writer-{number}"),
            http: client(),
            url: hub.url("/api/v1/instances"),
            random: random.fork(),
            ledger: Ledger::new(),
            asked: 0,
            counts: Arc::clone(&counts),
        };
        let (tell, ledger) = tokio::sync::oneshot::channel();
        writers.push(ledger);
        clients.spawn(async move { tell.send(writer.run().await).unwrap() });
    }
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    until("writes", BEGIN, &mut clients, || of(&counts.written) > 100).await;
    database_is_up(&hub).await;

    fault.begin(&mut server).await;
    let began = Instant::now();
    let none = of(&counts.refused);
    until("refused", WRITE, &mut clients, || of(&counts.refused) > none).await;
    let mut probes = 0_u32;
    let mut written = of(&counts.written);
    while began.elapsed() < away {
        assert_eq!(ready(&hub).await, "DOWN");
        probes += 1;
        let later = Instant::now() + Duration::from_millis(500);
        until("the next probe", READY, &mut clients, || Instant::now() >= later).await;
        let now = of(&counts.written);
        assert_eq!(now, written, "a write was acknowledged without the database");
        written = now;
    }
    let refused = of(&counts.refused) - none;
    assert!(refused >= WRITERS as u64, "only {refused} writes were refused: this proves little");

    fault.end(&mut server).await;
    let recovery = until("writes again", RECOVERY, &mut clients, || {
        of(&counts.written) >= written + WRITERS as u64
    })
    .await;
    database_is_up(&hub).await;
    // For a lease more: what the outage may have left behind would show.
    let end = Instant::now() + LEASE;
    until("a lease more", LEASE * 2, &mut clients, || Instant::now() >= end).await;
    counts.stop.store(true, Ordering::Relaxed);
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let expired = hub.metric("hub_registry_lease_expirations_total").await as u64;
    let log = hub.log();
    assert!(expired == 0 && !log.contains("panicked"), "{expired} expired: {log}");

    let mut expected = BTreeMap::new();
    for ledger in writers {
        let ledger = ledger.await.unwrap();
        let there = ledger.into_iter().filter_map(|(host, (_, weight))| Some((host, weight?)));
        expected.extend(there);
    }
    assert_eq!(shown(&hub).await, expected, "the hub shows other than it acknowledged");
    hub.kill().await;
    hub.run().await;
    assert_eq!(shown(&hub).await, expected, "the database has other than was acknowledged");
    let (_, body) = hub.get(WEB).await;
    assert_eq!(body["count"], LIVE);
    println!(
        "{kind} {fault:?} for {away:?}: {} reads, {} heartbeats, 0 failed; {} writes, {refused} \
         refused; slowest read {:?}, slowest write {:?}; {probes} probes; writes again {recovery:?} \
         after its return",
        of(&counts.reads),
        of(&counts.beats),
        of(&counts.written),
        counts.slowest_read.lock(),
        counts.slowest_write.lock(),
    );
}

async fn both_come_back(fault: Fault) {
    let seed = crate::proofs::seed();
    tokio::join!(
        comes_back(ServerKind::Postgres, fault, seed),
        comes_back(ServerKind::MariaDb, fault, seed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_is_survived_under_load() {
    both_come_back(Fault::Dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_database_is_survived_under_load() {
    both_come_back(Fault::Hanging).await;
}
