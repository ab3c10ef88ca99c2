//! Three real registries that die, freeze, lie and return by chance, under readers: nobody who
//! lives is ever missed, nobody reads an error, and no source is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use hub_registry_testkit::servers::{self, Data, EurekaOptions, Server, ServerKind, ServerOptions};
use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::federation::rows;
use crate::hub::Hub;
use crate::proofs::{rounds, seed};
use crate::registries::{EUREKA_CACHE, Writer};

const SERVICES: [&str; 4] = ["orders", "pay", "mail", "search"];
/// How many clients of a service each registry has at first.
const CLIENTS: u32 = 5;
const SETTLE: Duration = Duration::from_secs(20);
/// Within this a registry that is well again is heard: the longest pause (30 s, after 401 and
/// 403), the longest silence of a watch (30 s), and a busy machine.
const HEARD: Duration = Duration::from_secs(90);
/// Within this the dead have left: twice their hold, and a busy machine.
const LEFT: Duration = Duration::from_secs(2 * SETTLE.as_secs() + 30);
const PORT: u16 = 8080;

/// A client by its service and address.
type Client = (&'static str, String);

/// Who has to be seen.
#[derive(Default)]
struct Truth {
    /// They live, and were seen in the view.
    living: Mutex<BTreeSet<Client>>,
    /// They died; nobody returns.
    dead: Mutex<BTreeSet<Client>>,
}

/// The proxies in front of a registry.
struct Front {
    http: FaultProxy,
    grpc: Option<FaultProxy>,
}

impl Front {
    async fn of(server: &Server) -> Self {
        loop {
            let http = FaultProxy::start(server.address()).await;
            if server.kind() != ServerKind::Nacos {
                return Self { http, grpc: None };
            }
            let address = (server.address().ip(), server.http_port() + 1000).into();
            let grpc = FaultProxy::start(address).await;
            // Clients find the gRPC port above the HTTP port: the kernel gives ports in no order.
            if http.port() < grpc.port() {
                return Self { http, grpc: Some(grpc) };
            }
        }
    }

    async fn set(&self, fault: &Fault) {
        let canned = matches!(fault, Fault::Answer { .. } | Fault::Reflect { .. } | Fault::Huge(_));
        match &self.grpc {
            Some(grpc) if !canned => {
                tokio::join!(self.http.set(fault.clone()), grpc.set(fault.clone()));
            }
            _ => self.http.set(fault.clone()).await,
        }
    }

    fn config(&self, kind: &str) -> Value {
        let mut specific = json!({ "removalGuard": { "settleSeconds": SETTLE.as_secs() } });
        if let Some(grpc) = &self.grpc {
            specific["grpcPortOffset"] = json!(grpc.port() - self.http.port());
        }
        if kind == "EUREKA" {
            specific["pollInterval"] = json!("500ms");
        }
        json!({
            "configName": kind.to_lowercase(), "registryType": kind,
            "serverAddress": self.http.address().to_string(), "specificConfig": specific,
            "connectionTimeout": 1000, "readTimeout": 3000, "maxRetries": 0, "retryInterval": 200,
        })
    }
}

/// What happens to a registry.
#[derive(Debug)]
enum Flip {
    Fault(&'static str, Fault),
    Freeze,
    Restart(Data),
}

impl Flip {
    fn name(&self) -> &'static str {
        match self {
            Self::Fault(name, _) => name,
            Self::Freeze => "freeze",
            Self::Restart(Data::Kept) => "kill, restart",
            Self::Restart(Data::Wiped) => "kill, restart empty",
        }
    }

    fn by_chance(kind: &str, random: &mut Rng) -> Self {
        let bytes = |random: &mut Rng| 1 << random.u32(4..12);
        let fault = match random.u32(..100) {
            0..3 => return Self::Restart(Data::Wiped),
            3..6 => return Self::Restart(Data::Kept),
            6..16 => return Self::Freeze,
            16..26 => ("refuse", Fault::Refuse),
            26..32 => ("reset", Fault::Reset),
            32..42 => ("black hole", Fault::Hang),
            42..50 => ("cut", Fault::Truncate(bytes(random))),
            50..54 => ("half close", Fault::HalfClose(bytes(random))),
            // So many that no answer stays readable: one that is, and says something else, is true to
            // whoever reads it.
            54..62 => {
                let one_in = random.usize(8..24);
                ("turned bits", Fault::Flip { one_in, seed: random.u64(..) })
            }
            62..68 => ("slow", Fault::Delay(Duration::from_millis(random.u64(500..2500)))),
            68..74 => {
                let most = Duration::from_millis(random.u64(100..1500));
                ("jitter", Fault::Jitter { most, seed: random.u64(..) })
            }
            74..80 => ("each connection its own", Self::script(random)),
            80..88 => ("empty", Self::empty(kind, random)),
            _ => {
                // Refused credentials cost 30 s each: few of them, and only where there is time.
                let mut all = Fault::wrong_answers();
                if random.u8(..4) != 0 || rounds(0, 1) == 0 {
                    all.retain(|(name, _)| !matches!(*name, "unauthorized" | "forbidden" | "huge"));
                }
                all.swap_remove(random.usize(..all.len()))
            }
        };
        Self::Fault(fault.0, fault.1)
    }

    fn script(random: &mut Rng) -> Fault {
        let mut faults = vec![Fault::None, Fault::Refuse, Fault::Hang, Fault::Truncate(100)];
        faults.push(Fault::Delay(Duration::from_millis(300)));
        faults.push(Fault::answer(500, "text/plain", "oops"));
        Fault::Scripted { seed: random.u64(..), faults }
    }

    /// A good answer that says that there is nothing.
    fn empty(kind: &str, random: &mut Rng) -> Fault {
        let json = "application/json";
        let applications =
            r#"{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}"#;
        match (kind, random.bool()) {
            ("CONSUL", true) => Fault::reflect(200, "{ }"),
            ("CONSUL", false) => Fault::reflect(200, "[]"),
            ("NACOS", true) => Fault::answer(200, json, r#"{"count":0,"doms":[]}"#),
            ("NACOS", false) => {
                Fault::answer(200, json, r#"{"count":0,"serviceList":[],"hosts":[],"list":[]}"#)
            }
            _ => Fault::answer(200, json, applications),
        }
    }
}

/// One registry with its clients, and what is done to it.
struct Lane {
    number: usize,
    kind: &'static str,
    server: Server,
    front: Front,
    writer: Writer,
    clients: BTreeSet<Client>,
    next: u32,
    round: u32,
    /// How often a registry kept a change from everybody.
    cached: u32,
    random: Rng,
    hub: Arc<Hub>,
    truth: Arc<Truth>,
    took: BTreeMap<&'static str, (u32, Duration)>,
}

impl Lane {
    fn probe(&self) -> String {
        format!("probe-{}", self.kind.to_lowercase())
    }

    fn new_client(&mut self, service: &'static str) -> Client {
        self.next += 1;
        let (high, low) = (self.next / 250, self.next % 250 + 1);
        (service, format!("10.{}.{high}.{low}", self.number + 1))
    }

    async fn register(&self, client: &Client) {
        self.writer.register(client.0, &client.1, PORT, "1").await;
    }

    fn forget(&mut self, client: &Client) {
        self.clients.remove(client);
        self.truth.living.lock().remove(client);
        self.truth.dead.lock().insert(client.clone());
    }

    /// One that may die: each service keeps two.
    fn doomed(&mut self) -> Option<Client> {
        let service = SERVICES[self.random.usize(..SERVICES.len())];
        let of: Vec<_> = self.clients.iter().filter(|client| client.0 == service).collect();
        (of.len() > 2).then(|| of[self.random.usize(..of.len())].clone())
    }

    /// Clients come and go as ever.
    async fn change(&mut self) {
        match self.random.u8(..8) {
            0 => {
                let Some(client) = self.doomed() else { return };
                self.forget(&client);
                self.writer.remove(client.0, &client.1, PORT).await;
            }
            1 if self.clients.len() < 30 => {
                let service = SERVICES[self.random.usize(..SERVICES.len())];
                let client = self.new_client(service);
                self.register(&client).await;
                self.clients.insert(client);
            }
            _ => {}
        }
    }

    async fn flip(&mut self) {
        self.change().await;
        let flip = Flip::by_chance(self.kind, &mut self.random);
        let pause = Duration::from_millis(match self.random.u8(..12) {
            // Long enough for what is silent to be noticed.
            0 => self.random.u64(4000..12_000),
            _ => self.random.u64(..900),
        });
        match &flip {
            Flip::Fault(_, fault) => {
                self.front.set(fault).await;
                tokio::time::sleep(pause).await;
                self.change().await;
                self.front.set(&Fault::None).await;
            }
            Flip::Freeze => {
                self.server.pause().await;
                tokio::time::sleep(pause).await;
                self.server.resume();
            }
            Flip::Restart(data) => self.restart(*data, pause).await,
        }
        let took = self.heard(&flip).await;
        let entry = self.took.entry(flip.name()).or_default();
        *entry = (entry.0 + 1, entry.1.max(took));
        self.compare(&flip).await;
    }

    /// It dies, some of its clients die with it, and the others return when they notice.
    async fn restart(&mut self, data: Data, pause: Duration) {
        self.server.kill().await;
        let dead: Vec<_> = (0..self.random.u8(..3)).filter_map(|_| self.doomed()).collect();
        dead.iter().for_each(|client| self.forget(client));
        tokio::time::sleep(pause).await;
        self.server.restart(data).await.unwrap();
        if self.kind == "CONSUL" && data == Data::Kept {
            for client in dead.iter().collect::<BTreeSet<_>>() {
                self.writer.remove(client.0, &client.1, PORT).await;
            }
        }
        let mut clients: Vec<_> = self.clients.iter().cloned().collect();
        self.random.shuffle(&mut clients);
        for (place, client) in clients.iter().enumerate() {
            if place == clients.len() / 2 {
                tokio::time::sleep(Duration::from_millis(self.random.u64(..2000))).await;
            }
            self.register(client).await;
        }
    }

    /// Waits until a change made now is seen.
    async fn heard(&mut self, flip: &Flip) -> Duration {
        self.round += 1;
        let (probe, version) = (self.probe(), self.round.to_string());
        self.writer.register(&probe, "10.9.9.9", PORT, &version).await;
        let start = Instant::now();
        let mut asked = start;
        let path = format!("/api/v1/services/{probe}/instances");
        loop {
            let (_, body) = self.hub.get(&path).await;
            if body["instances"][0]["metadata"]["version"] == version {
                return start.elapsed();
            }
            if asked.elapsed() > Duration::from_secs(5) {
                asked = Instant::now();
                if !self.writer.shows(&probe, &version).await {
                    self.cached += 1;
                    self.writer.register(&probe, "10.9.9.9", PORT, &version).await;
                }
            }
            let stuck = start.elapsed() > HEARD;
            assert!(!stuck, "{} {flip:?}: stuck: {body:#}\n{}", self.kind, self.hub.log_end());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The view holds all who live, and besides them only some who died.
    async fn compare(&self, flip: &Flip) {
        let start = Instant::now();
        loop {
            let shown = self.shown().await;
            let missing: Vec<_> = self.clients.difference(&shown).collect();
            {
                let dead = self.truth.dead.lock();
                let invented: Vec<_> =
                    shown.difference(&self.clients).filter(|one| !dead.contains(*one)).collect();
                assert!(invented.is_empty(), "{} {flip:?}: {invented:?} never were", self.kind);
            }
            if missing.is_empty() {
                // From now on nobody may miss them.
                self.truth.living.lock().extend(self.clients.iter().cloned());
                return;
            }
            // Only those who came during the fault may not be there yet.
            assert!(start.elapsed() < HEARD, "{} {flip:?}: {missing:?} missing", self.kind);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whom this registry shows in the view.
    async fn shown(&self) -> BTreeSet<Client> {
        let mut shown = BTreeSet::new();
        let own = format!("10.{}.", self.number + 1);
        for service in SERVICES {
            let (_, body) = self.hub.get(&format!("/api/v1/services/{service}/instances")).await;
            let hosts =
                rows(&body).iter().map(|row| row["hostAddress"].as_str().unwrap().to_owned());
            shown.extend(hosts.filter(|host| host.starts_with(&own)).map(|host| (service, host)));
        }
        shown
    }

    /// Waits until the view is what the registry itself lists, and that is who lives.
    async fn settled(&self) -> Duration {
        let start = Instant::now();
        loop {
            let shown = self.shown().await;
            if shown == self.clients {
                break;
            }
            let late = start.elapsed() > LEFT;
            let left: Vec<_> = shown.symmetric_difference(&self.clients).collect();
            assert!(!late, "{}: {left:?} after {LEFT:?}\n{}", self.kind, self.hub.log_end());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let took = start.elapsed();
        tokio::time::sleep(EUREKA_CACHE * 2).await;
        for service in SERVICES {
            let listed = self.writer.hosts(service).await;
            let of = self.clients.iter().filter(|client| client.0 == service);
            let living: BTreeSet<_> = of.map(|client| client.1.clone()).collect();
            assert_eq!(listed, living, "{} {service}", self.kind);
        }
        took
    }
}

async fn lane(
    number: usize,
    kind: ServerKind,
    seed: u64,
    hub: &Arc<Hub>,
    truth: &Arc<Truth>,
) -> Lane {
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let server = servers::start(kind, options).await.unwrap();
    let name = ["CONSUL", "NACOS", "EUREKA"][number];
    let mut lane = Lane {
        number,
        kind: name,
        front: Front::of(&server).await,
        writer: Writer::new(name, server.base_url()),
        server,
        clients: BTreeSet::new(),
        next: 0,
        round: 0,
        cached: 0,
        random: Rng::with_seed(seed.wrapping_add(number as u64)),
        hub: Arc::clone(hub),
        truth: Arc::clone(truth),
        took: BTreeMap::new(),
    };
    for service in SERVICES {
        for _ in 0..CLIENTS {
            let client = lane.new_client(service);
            lane.register(&client).await;
            lane.clients.insert(client);
        }
    }
    let (status, answer) = hub.post("/api/v1/external/configs", &lane.front.config(name)).await;
    assert_eq!(status, 201, "{answer}");
    let start = Flip::Fault("start", Fault::None);
    lane.heard(&start).await;
    lane.compare(&start).await;
    lane
}

/// Reads services at random; whoever was seen and lives must be there, whatever happens.
async fn read(hub: Arc<Hub>, truth: Arc<Truth>, mut random: Rng, stop: Arc<AtomicBool>) -> u64 {
    let mut reads = 0;
    while !stop.load(Ordering::Relaxed) {
        let service = SERVICES[random.usize(..SERVICES.len())];
        let of = |truth: &Truth| -> BTreeSet<String> {
            let living = truth.living.lock();
            living
                .iter()
                .filter(|client| client.0 == service)
                .map(|client| client.1.clone())
                .collect()
        };
        let before = of(&truth);
        let url = hub.url(&format!("/api/v1/services/{service}/instances"));
        let answer = hub.client.get(url).send().await.expect("a read never fails");
        assert_eq!(answer.status(), 200);
        let body: Value = answer.json().await.unwrap();
        let shown: BTreeSet<_> =
            rows(&body).iter().map(|row| row["hostAddress"].as_str().unwrap()).collect();
        // Who died meanwhile may be missing.
        let after = of(&truth);
        for host in before.intersection(&after) {
            assert!(
                shown.contains(host.as_str()),
                "{service}: {host} lives: {body:#}\n{}",
                hub.log()
            );
        }
        reads += 1;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    reads
}

#[tokio::test(flavor = "multi_thread")]
async fn three_registries_that_flip_by_chance_lose_nobody() {
    let kinds = [ServerKind::Consul, ServerKind::Nacos, ServerKind::Eureka];
    if kinds.map(servers::require) != [true; 3] {
        return;
    }
    let seed = seed();
    let count = rounds(20, 1000);
    let (hub, truth) = (Arc::new(Hub::start().await), Arc::new(Truth::default()));
    let [consul, nacos, eureka] = [0, 1, 2].map(|n| lane(n, kinds[n], seed, &hub, &truth));
    let (consul, nacos, eureka) = tokio::join!(consul, nacos, eureka);

    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|number| {
            let random = Rng::with_seed(seed.wrapping_add(100 + number));
            let (hub, truth) = (Arc::clone(&hub), Arc::clone(&truth));
            tokio::spawn(read(hub, truth, random, Arc::clone(&stop)))
        })
        .collect();
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let lanes: Vec<_> = [consul, nacos, eureka]
        .into_iter()
        .map(|mut lane| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut number = 0;
                while number < u64::from(count) {
                    lane.flip().await;
                    number = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if number % 100 == 0 {
                        println!("{number} flips after {:.0?}", start.elapsed());
                    }
                }
                let settled = lane.settled().await;
                println!("{}: flips, and how long it took at most to be heard again", lane.kind);
                for (name, (count, took)) in &lane.took {
                    println!("  {count:4} {name}: {took:.1?}");
                }
                if lane.cached > 0 {
                    println!("  {} changes its own cache kept from everybody", lane.cached);
                }
                println!("  the view is the registry {settled:.1?} after the last");
                lane
            })
        })
        .collect();
    let mut ended = Vec::new();
    for lane in lanes {
        ended.push(lane.await.unwrap());
        let broken = readers.iter().any(tokio::task::JoinHandle::is_finished);
        assert!(!broken, "a reader met an error or missed somebody");
    }
    stop.store(true, Ordering::Relaxed);
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.unwrap();
    }
    let dead = truth.dead.lock().len();
    let removed = hub.metric("hub_registry_view_instance_changes_total{change=\"removed\"}").await;
    assert_eq!(removed as usize, dead, "each of the dead left once, and nobody else");
    assert!(!hub.log().contains("panicked"), "{}", hub.log_end());
    let flips = done.load(Ordering::Relaxed);
    let took = start.elapsed();
    println!("{flips} flips in {took:.0?}, {reads} reads, {dead} removals, all of the dead");
}
