//! A line that loses packets one way, or some of all, or carries them late: it harms the registry
//! behind it and nobody else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::network::{self, Line, Quality};
use hub_registry_testkit::servers::{self, EurekaOptions, Server, ServerKind, ServerOptions};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::federation::{KINDS, ORDERS, rows};
use crate::hub::Hub;
use crate::proofs::{rounds, seed};
use crate::registries::Writer;
use crate::scenes::AT_ONCE;

const NAME: &str = "bad_network::a_bad_line_harms_only_the_registry_behind_it";
const PORT: u16 = 8080;
/// How many clients each registry has at first.
const CLIENTS: u32 = 5;
const SETTLE: Duration = Duration::from_secs(10);
/// A line that is silent one way is noticed within the 30 s of half-open connections.
const NOTICED: Duration = Duration::from_secs(33);
/// And then the other side has to be heard again within this: the longest silence of a watch, and
/// a busy machine.
const HEARD: Duration = Duration::from_secs(45);
/// The dead have left: twice their hold, and a busy machine.
const LEFT: Duration = Duration::from_secs(2 * SETTLE.as_secs() + 30);

/// The four lines, and whether the registry behind one is certainly lost.
const LINES: [(&str, bool); 4] = [
    ("nothing gets there", true),
    ("nothing comes back", true),
    ("30 % is lost", false),
    ("a second late each way", false),
];

fn quality(line: usize) -> Quality {
    match line {
        0 => Quality::NOTHING_THERE,
        1 => Quality::NOTHING_BACK,
        2 => Quality::lossy(0.3),
        _ => Quality::late(Duration::from_secs(1)),
    }
}

/// A registry at the end of a line.
struct Lane {
    kind: &'static str,
    number: u8,
    line: Line,
    writer: Writer,
    status: String,
    clients: u32,
    version: u32,
    // After the line: its network ends with that.
    server: Server,
}

impl Lane {
    async fn new(number: u8, kind: ServerKind, seed: u64, hub: &Hub) -> Self {
        let line = Line::new(number, seed.wrapping_add(number.into()));
        let quick = ServerOptions::default().with_eureka(EurekaOptions::quick());
        let server = servers::start(kind, quick.with_far(line.far())).await.unwrap();
        let kind = KINDS[usize::from(number)];
        let mut specific = json!({ "removalGuard": { "settleSeconds": SETTLE.as_secs() } });
        if kind == "EUREKA" {
            specific["pollInterval"] = json!("500ms");
        }
        let config = json!({
            "configName": kind.to_lowercase(), "registryType": kind, "specificConfig": specific,
            "serverAddress": format!("{}:{}", line.address(), server.http_port()),
        });
        let (status, answer) = hub.post("/api/v1/external/configs", &config).await;
        assert_eq!(status, 201, "{answer}");
        let status =
            format!("/api/v1/external/configs/{}/status", answer["configId"].as_str().unwrap());
        let writer = Writer::new(kind, server.base_url());
        Self { kind, number, line, writer, status, clients: 0, version: 0, server }
    }

    /// One client more; its address.
    async fn comes(&mut self) -> String {
        self.clients += 1;
        let host = format!("10.{}.0.{}", self.number + 1, self.clients);
        self.writer.register("orders", &host, PORT, "1").await;
        host
    }

    /// A change that is told to the registry now; its number.
    async fn changes(&mut self) -> String {
        self.version += 1;
        let version = self.version.to_string();
        self.writer.register(&self.probe(), "10.9.9.9", PORT, &version).await;
        version
    }

    /// How long a connection over the line takes to be there.
    async fn there_and_back(&self) -> Duration {
        let start = Instant::now();
        let address = (self.line.address(), self.server.http_port());
        tokio::net::TcpStream::connect(address).await.unwrap();
        start.elapsed()
    }

    fn probe(&self) -> String {
        format!("probe-{}", self.kind.to_lowercase())
    }
}

/// Those who live and were seen, and how long the slowest read took.
#[derive(Default)]
struct Seen {
    living: Mutex<BTreeSet<String>>,
    slowest: Mutex<Duration>,
    stop: AtomicBool,
}

impl Seen {
    fn slower(&self, took: Duration) {
        let mut slowest = self.slowest.lock();
        *slowest = took.max(*slowest);
    }
}

/// Nobody who lives is missed, whatever the line is like.
async fn read(hub: Arc<Hub>, seen: Arc<Seen>) -> u64 {
    let mut reads = 0;
    while !seen.stop.load(Ordering::Relaxed) {
        let living = seen.living.lock().clone();
        let start = Instant::now();
        let answer = hub.client.get(hub.url(ORDERS)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        let took = start.elapsed();
        seen.slower(took);
        let shown = hosts(&body);
        // Who died meanwhile may be missing.
        let living: Vec<_> = living.intersection(&*seen.living.lock()).cloned().collect();
        for one in living {
            assert!(shown.contains(&one), "{one} lives: {body:#}\n{}", hub.log_end());
        }
        reads += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    reads
}

fn hosts(body: &Value) -> BTreeSet<String> {
    if !body["instances"].is_array() {
        return BTreeSet::new();
    }
    rows(body).iter().map(|row| row["hostAddress"].as_str().unwrap().to_owned()).collect()
}

struct World {
    hub: Arc<Hub>,
    lanes: Vec<Lane>,
    seen: Arc<Seen>,
    dead: BTreeSet<String>,
}

impl World {
    async fn state(&self, lane: usize) -> String {
        let (_, body) = self.hub.get(&self.lanes[lane].status).await;
        body["state"].as_str().unwrap().to_owned()
    }

    /// Waits until this change of that registry is seen.
    async fn sees(&self, lane: usize, version: &str, within: Duration) -> Duration {
        let (start, lane) = (Instant::now(), &self.lanes[lane]);
        let (probe, mut asked) = (lane.probe(), start);
        loop {
            let (_, body) = self.hub.get(&format!("/api/v1/services/{probe}/instances")).await;
            if body["instances"][0]["metadata"]["version"] == version {
                return start.elapsed();
            }
            if asked.elapsed() > Duration::from_secs(5) {
                asked = Instant::now();
                if !lane.writer.shows(&probe, version).await {
                    lane.writer.register(&probe, "10.9.9.9", PORT, version).await;
                }
            }
            let late = start.elapsed() > within;
            assert!(!late, "{} {version}: {body:#}\n{}", lane.kind, self.hub.log_end());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A change of each of the others, one after the other; the slowest.
    async fn others_go_on(&mut self, bad: usize) -> Duration {
        let mut slowest = Duration::ZERO;
        for lane in (0..self.lanes.len()).filter(|lane| *lane != bad) {
            let version = self.lanes[lane].changes().await;
            slowest = slowest.max(self.sees(lane, &version, AT_ONCE).await);
            assert_eq!(self.state(lane).await, "LIVE", "{} suffers", self.lanes[lane].kind);
        }
        slowest
    }

    async fn bad_line(&mut self, bad: usize, line: usize, pause: Duration) {
        let (name, lost) = LINES[line];
        let kind = self.lanes[bad].kind;
        self.lanes[bad].line.set(quality(line));
        let start = Instant::now();
        let newcomer = self.lanes[bad].comes().await;
        let dies = format!("10.{}.0.{}", bad + 1, line + 1);
        self.seen.living.lock().remove(&dies);
        self.lanes[bad].writer.remove("orders", &dies, PORT).await;
        let (mut slowest, mut latest) = (Duration::ZERO, Duration::ZERO);
        let mut states = BTreeSet::new();
        let noticed = loop {
            slowest = slowest.max(self.others_go_on(bad).await);
            let state = self.state(bad).await;
            assert!(["LIVE", "STALE", "PROTECTED"].contains(&&*state), "{kind}: {state}");
            let is_stale = state == "STALE";
            states.insert(state);
            if is_stale && lost {
                break start.elapsed();
            }
            assert!(!lost || start.elapsed() < NOTICED, "{kind}, {name}: {states:?}");
            if !lost {
                let version = self.lanes[bad].changes().await;
                let took = self.sees(bad, &version, HEARD).await;
                latest = latest.max(took);
            }
            if start.elapsed() > pause && !lost {
                break start.elapsed();
            }
        };
        let late: Duration = quality(line).delay.into_iter().sum();
        if late > Duration::ZERO {
            let there_and_back = self.lanes[bad].there_and_back().await;
            assert!(there_and_back >= late, "{kind}, {name}: {there_and_back:?}");
        }
        let packets = self.lanes[bad].line.set(Quality::GOOD);
        assert!(packets > 0 || quality(line).loss == [0.0; 2], "{kind}, {name}: nothing was lost");
        let healed = Instant::now();
        let version = self.lanes[bad].changes().await;
        self.sees(bad, &version, HEARD).await;
        let there = |_, body: &Value| hosts(body).contains(&newcomer);
        self.hub.until(ORDERS, HEARD, there).await;
        let heard = healed.elapsed();
        println!(
            "{kind}, {name}: {states:?} for {noticed:.1?}, {packets} packets lost, a change there \
             seen within {latest:.1?}, elsewhere within {slowest:.1?}; heard again {heard:.1?} \
             after the line was good"
        );
        self.seen.living.lock().insert(newcomer);
        self.dead.insert(dies);
        self.hub.until(&self.lanes[bad].status, LEFT, |_, body| body["state"] == "LIVE").await;
    }

    /// The view is what the registries list, and that is who lives.
    async fn ends(&self) -> Duration {
        let living = self.seen.living.lock().clone();
        let took = self.hub.until(ORDERS, LEFT, |_, body| hosts(body) == living).await;
        let mut listed = BTreeSet::new();
        for lane in &self.lanes {
            listed.extend(lane.writer.hosts("orders").await);
        }
        assert_eq!(listed, living);
        took
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_harms_only_the_registry_behind_it() {
    let kinds = [ServerKind::Consul, ServerKind::Nacos, ServerKind::Eureka];
    if kinds.map(servers::require) != [true; 3] {
        return;
    }
    let patience = Duration::from_secs(rounds(300, 1800).into());
    if !network::apart(NAME, patience) {
        return;
    }
    let seed = seed();
    let hub = Arc::new(Hub::start().await);
    let lanes = (0..).zip(kinds).map(|(number, kind)| Lane::new(number, kind, seed, &hub));
    let lanes = futures_util::future::join_all(lanes).await;
    let mut world = World { hub, lanes, seen: Arc::default(), dead: BTreeSet::new() };
    for lane in 0..3 {
        for _ in 0..CLIENTS {
            let host = world.lanes[lane].comes().await;
            world.seen.living.lock().insert(host);
        }
        let version = world.lanes[lane].changes().await;
        world.sees(lane, &version, HEARD).await;
    }
    let living = world.seen.living.lock().clone();
    world.hub.until(ORDERS, HEARD, |_, body| hosts(body) == living).await;
    let reader = tokio::spawn(read(Arc::clone(&world.hub), Arc::clone(&world.seen)));

    let all = rounds(0, 1) == 1;
    let pause = Duration::from_secs(rounds(8, 20).into());
    // In a sample each registry has one of them, and one has two.
    let first = fastrand::Rng::with_seed(seed).usize(..3);
    for line in 0..LINES.len() {
        for bad in 0..3 {
            if all || bad == (first + line) % 3 {
                world.bad_line(bad, line, pause).await;
                assert!(!reader.is_finished(), "a reader missed somebody: {:?}", reader.await);
            }
        }
    }
    let settled = world.ends().await;
    world.seen.stop.store(true, Ordering::Relaxed);
    let reads = reader.await.unwrap();
    let removed =
        world.hub.metric("hub_registry_view_instance_changes_total{change=\"removed\"}").await;
    assert_eq!(removed as usize, world.dead.len(), "the dead left once, and nobody else");
    println!(
        "{reads} reads, the slowest {:.1?}; {} died meanwhile and left, no other removal; the view \
         is what the registries list {settled:.1?} after the last",
        world.seen.slowest.lock(),
        world.dead.len()
    );
}
