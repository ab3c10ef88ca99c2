//! Many clients that watch, by Nacos' gRPC and by Consul's blocking queries: nobody misses a state,
//! and how soon they have it. In full also at the real servers, in the same run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::grpc::client::Client;
use crate::hub::Hub;
use crate::proofs::rounds;

const SERVICES: usize = 50;
/// Everybody has everything so long after the last change.
const SETTLED: Duration = Duration::from_secs(30);

fn service(number: usize) -> String {
    format!("watched-{number}")
}

/// When each change was sent, by number; of the service of this number modulo [`SERVICES`].
type Sent = Mutex<HashMap<usize, Instant>>;

/// What a watcher saw: which change, when.
#[derive(Default)]
struct Seen(Mutex<Vec<(usize, Instant)>>);

impl Seen {
    /// The number in the metadata of the only instance; a state that is seen twice is seen once.
    fn note(&self, metadata: &Value) {
        let Some(number) = metadata["n"].as_str().and_then(|n| n.parse().ok()) else { return };
        let mut seen = self.0.lock();
        if seen.last().is_none_or(|(last, _)| *last != number) {
            seen.push((number, Instant::now()));
        }
    }

    fn last(&self) -> Option<usize> {
        self.0.lock().last().map(|(number, _)| *number)
    }
}

async fn watch_nacos(port: u16, service: String, seen: Arc<Seen>) {
    let mut client = Client::start(port).await;
    let hosts = client.subscribe(&service).await;
    seen.note(&hosts[0]["metadata"]);
    while let Ok(body) = client.pushed(|_, body| body["serviceInfo"].is_object()).await {
        seen.note(&body["serviceInfo"]["hosts"][0]["metadata"]);
    }
}

async fn watch_consul(client: reqwest::Client, base: String, service: String, seen: Arc<Seen>) {
    let mut index = "0".to_owned();
    loop {
        let url = format!("{base}/v1/health/service/{service}?index={index}&wait=60s");
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        index = answer.headers()["x-consul-index"].to_str().unwrap().to_owned();
        let body: Value = answer.json().await.unwrap();
        seen.note(&body[0]["Service"]["Meta"]);
    }
}

/// How a change is made.
enum Writer {
    Hub(Box<Hub>),
    Nacos(Box<tokio::sync::Mutex<Client>>),
    Consul(reqwest::Client, String),
}

impl Writer {
    async fn write(&self, number: usize) {
        let name = service(number % SERVICES);
        let metadata = json!({ "n": number.to_string() });
        match self {
            Self::Hub(hub) => {
                let body = json!({
                    "serviceName": name, "hostAddress": "10.11.0.1", "portNumber": 80,
                    "leaseSeconds": 3600, "metadata": metadata,
                });
                let (status, answer) = hub.post("/api/v1/instances", &body).await;
                assert!(status.is_success(), "{answer}");
            }
            Self::Nacos(client) => {
                let more = json!({ "metadata": metadata });
                client.lock().await.register(&name, "10.11.0.1", &more).await;
            }
            Self::Consul(client, base) => {
                let body = json!({
                    "Node": "n", "Address": "10.11.0.1",
                    "Service": { "ID": name, "Service": name, "Port": 80, "Meta": metadata },
                });
                let put = client.put(format!("{base}/v1/catalog/register")).json(&body);
                assert_eq!(put.send().await.unwrap().status(), 200);
            }
        }
    }
}

struct Watched {
    name: &'static str,
    watchers: Vec<(usize, Arc<Seen>)>,
}

/// Starts so many watchers of a kind; they run until the set is dropped.
fn start<F>(
    name: &'static str,
    count: usize,
    tasks: &mut JoinSet<()>,
    watch: impl Fn(String, Arc<Seen>) -> F,
) -> Watched
where
    F: Future<Output = ()> + Send + 'static,
{
    let watchers = (0..count).map(|number| {
        let seen = Arc::new(Seen::default());
        tasks.spawn(watch(service(number % SERVICES), Arc::clone(&seen)));
        (number % SERVICES, seen)
    });
    Watched { name, watchers: watchers.collect() }
}

impl Watched {
    async fn until(&self, what: &str, is_done: impl Fn(usize, &Seen) -> bool) {
        let end = Instant::now() + SETTLED;
        while let Some((service, seen)) =
            self.watchers.iter().find(|(at, seen)| !is_done(*at, seen))
        {
            assert!(
                Instant::now() < end,
                "{}: {what}: service {service}, last {:?}",
                self.name,
                seen.last()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Nobody missed a state or saw one before an older one; how long each took, sorted.
    fn delays(&self, sent: &HashMap<usize, Instant>, changes: usize) -> Vec<Duration> {
        let mut delays = Vec::new();
        for (service, seen) in &self.watchers {
            let seen = seen.0.lock();
            let numbers: Vec<_> = seen.iter().map(|(number, _)| *number).collect();
            let all: Vec<_> = (*service..changes).step_by(SERVICES).collect();
            assert_eq!(numbers, all, "{}: a watcher of service {service}", self.name);
            let changed = seen.iter().skip(1);
            delays.extend(changed.map(|(number, at)| at.saturating_duration_since(sent[number])));
        }
        delays.sort();
        delays
    }
}

/// Changes at the rate for so long, and what became of them.
async fn run(
    writer: Writer,
    (rate, seconds): (u32, u32),
    watched: impl AsyncFnOnce() -> Vec<Watched>,
) {
    let sent = Sent::default();
    for number in 0..SERVICES {
        sent.lock().insert(number, Instant::now());
        writer.write(number).await;
    }
    let all = watched().await;
    for watched in &all {
        watched.until("the first state", |at, seen| seen.last() == Some(at)).await;
    }
    let changes = SERVICES + (rate * seconds) as usize;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut under_way, writer) = (JoinSet::new(), Arc::new(writer));
    for number in SERVICES..changes {
        ticks.tick().await;
        sent.lock().insert(number, Instant::now());
        let writer = Arc::clone(&writer);
        under_way.spawn(async move { writer.write(number).await });
    }
    under_way.join_all().await;
    let sent = sent.into_inner();
    for watched in &all {
        let last = |at: usize| (at..changes).step_by(SERVICES).next_back();
        watched.until("the last state", |at, seen| seen.last() == last(at)).await;
        let delays = watched.delays(&sent, changes);
        let at = |part: usize| delays[(delays.len() - 1) * part / 1000].as_secs_f64() * 1000.0;
        println!(
            "{}: {} watchers, {rate} changes/s for {seconds} s, {} states: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            watched.name,
            watched.watchers.len(),
            delays.len(),
            at(500),
            at(990),
            at(1000),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_watches_misses_a_state() {
    // In a sample each service has time enough between two states for a disk that hesitates.
    let (count, pace) = (rounds(100, 1000) as usize, (rounds(20, 50), rounds(5, 60)));
    let hub = Hub::start().await;
    let mut tasks = JoinSet::new();
    let (port, base) = (hub.port + 1000, hub.url(""));
    let client = hub.client.clone();
    run(Writer::Hub(Box::new(hub)), pace, async || {
        vec![
            start("hub, Nacos' gRPC", count, &mut tasks, |name, seen| {
                watch_nacos(port, name, seen)
            }),
            start("hub, Consul's blocking queries", count, &mut tasks, |name, seen| {
                watch_consul(client.clone(), base.clone(), name, seen)
            }),
        ]
    })
    .await;
    tasks.shutdown().await;
    if crate::proofs::is_long() && servers::require(ServerKind::Nacos) {
        let real = servers::start(ServerKind::Nacos, ServerOptions::default()).await.unwrap();
        let port = real.http_port() + 1000;
        let writer = Box::new(tokio::sync::Mutex::new(Client::start(port).await));
        run(Writer::Nacos(writer), pace, async || {
            vec![start("a real Nacos 2.2.4", count, &mut tasks, |name, seen| {
                watch_nacos(port, name, seen)
            })]
        })
        .await;
        tasks.shutdown().await;
    }
    if crate::proofs::is_long() && servers::require(ServerKind::Consul) {
        let real = servers::start(
            ServerKind::Consul,
            // Else it closes the connections above two hundred.
            ServerOptions::default()
                .with_argument("-hcl=limits { http_max_conns_per_client = 5000 }"),
        )
        .await
        .unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = format!("http://127.0.0.1:{}", real.http_port());
        run(Writer::Consul(client.clone(), base.clone()), pace, async || {
            vec![start("a real Consul 1.8.7", count, &mut tasks, |name, seen| {
                watch_consul(client.clone(), base.clone(), name, seen)
            })]
        })
        .await;
        tasks.shutdown().await;
    }
}
