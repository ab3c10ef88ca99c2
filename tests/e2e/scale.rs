//! A Consul with thousands of services that change all the time: what it costs the hub, what the hub
//! costs the Consul, and how soon each change is seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_testkit::servers::{self, Server, ServerKind, ServerOptions};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::listener::{Listener, Word};
use crate::proofs::{rounds, seed};
use crate::relay::{Passed, Relay};
use crate::usage::{processor_time, quantile, resident};

/// How many instances a service has.
const EACH: usize = 10;
const NODES: usize = 200;
/// Of one transaction (Consul's `maxTxnOps`).
const OPERATIONS: usize = 64;
/// What one agent gives to one client address (`limits.http_max_conns_per_client`).
const CONNECTIONS: usize = 200;
/// What the hub may ask of one Consul in any second.
const REQUESTS: usize = 500;
/// A change that no check tells of is seen within 11 s of 2,000 services, on a machine at rest.
const SEEN: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Scale {
    services: usize,
    /// Changes a minute.
    changes: u32,
    seconds: u32,
}

impl Scale {
    fn now() -> Self {
        // A twentieth of all instances a minute; in the sample as many as in the full count.
        Self { services: rounds(400, 2000) as usize, changes: 1000, seconds: rounds(8, 120) }
    }

    fn instances(self) -> usize {
        self.services * EACH
    }
}

/// The number of an instance is its place: node, service, address.
#[derive(Clone, Copy, Debug)]
struct Place(usize);

impl Place {
    fn node(self) -> String {
        format!("node-{}", self.0 % NODES)
    }

    fn service(self, scale: Scale) -> String {
        // Those that come later go round.
        format!("svc-{:04}", self.0 / EACH % scale.services)
    }

    fn host(self) -> String {
        format!("10.{}.{}.{}", 32 + self.0 / 65536, self.0 / 256 % 256, self.0 % 256)
    }

    fn put(self, scale: Scale, version: u32) -> [Value; 2] {
        let (node, id) = (self.node(), format!("i-{}", self.0));
        let service = json!({
            "ID": id, "Service": self.service(scale), "Address": self.host(), "Port": 8080,
            "Tags": ["blue"], "Meta": { "version": version.to_string(), "zone": "z1" },
        });
        [
            json!({ "Service": { "Verb": "set", "Node": node, "Service": service } }),
            self.check("passing"),
        ]
    }

    fn check(self, status: &str) -> Value {
        let check = json!({
            "Node": self.node(), "CheckID": format!("check-{}", self.0), "Name": "alive",
            "Status": status, "ServiceID": format!("i-{}", self.0),
        });
        json!({ "Check": { "Verb": "set", "Check": check } })
    }

    fn delete(self, scale: Scale) -> Value {
        // 1.8.7 wants the name too.
        let service = json!({ "ID": format!("i-{}", self.0), "Service": self.service(scale) });
        json!({ "Service": { "Verb": "delete", "Node": self.node(), "Service": service } })
    }
}

/// Who writes to Consul, with one connection.
struct Writer {
    url: String,
    client: reqwest::Client,
}

impl Writer {
    fn new(server: &Server) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { url: format!("{}/v1/txn", server.base_url()), client }
    }

    async fn write(&self, operations: &[Value]) {
        let answer = self.client.put(&self.url).json(operations).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
    }

    async fn fill(&self, scale: Scale) {
        let node = |number: usize| {
            let (name, address) = (format!("node-{number}"), format!("10.9.0.{number}"));
            json!({ "Node": { "Verb": "set", "Node": { "Node": name, "Address": address } } })
        };
        let nodes = (0..NODES).map(node);
        let instances = (0..scale.instances()).flat_map(|number| Place(number).put(scale, 1));
        let all: Vec<_> = nodes.chain(instances).collect();
        for some in all.chunks(OPERATIONS) {
            self.write(some).await;
        }
    }
}

const KINDS: [&str; 4] = ["metadata", "leaves", "comes", "check fails"];

/// When each change that was not seen yet was sent, by the address of its instance.
type Sent = Arc<Mutex<HashMap<String, (usize, Instant)>>>;

/// Evenly over the time, each of another instance.
async fn churn(writer: &Writer, scale: Scale, sent: &Sent) -> u32 {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut places: Vec<_> = (0..scale.instances()).collect();
    random.shuffle(&mut places);
    let count = scale.changes * scale.seconds / 60;
    let mut ticks = tokio::time::interval(Duration::from_secs(60) / scale.changes);
    for (number, place) in places.into_iter().take(count as usize).enumerate() {
        ticks.tick().await;
        let kind = number % KINDS.len();
        let place = Place(if kind == 2 { scale.instances() + place } else { place });
        let operations = match kind {
            0 => place.put(scale, 2).to_vec(),
            1 => vec![place.delete(scale)],
            2 => place.put(scale, 1).to_vec(),
            _ => vec![place.check("critical")],
        };
        sent.lock().insert(place.host(), (kind, Instant::now()));
        writer.write(&operations).await;
    }
    count
}

/// How long each change took from the request to Consul to a subscriber of the hub.
async fn listen(mut all: Listener, sent: Sent, seen: Arc<Mutex<[Vec<Duration>; 4]>>) {
    loop {
        let Some(Word::Event(event)) = all.next().await else { continue };
        let Some(host) = event["hostAddress"].as_str() else { continue };
        if let Some((kind, start)) = sent.lock().remove(host) {
            seen.lock()[kind].push(start.elapsed());
        }
    }
}

fn print(what: &str, passed: &Passed, took: Duration, processor: Duration) {
    println!(
        "{what}: {} requests in {took:.1?}: {:.0} a second, at most {} in any; at most {} \
         connections; {:.1} MB/s of answers; {:.2} cores",
        passed.requests(),
        passed.requests() as f64 / took.as_secs_f64(),
        passed.most_a_second(),
        passed.connections,
        passed.bytes as f64 / 1e6 / took.as_secs_f64(),
        processor.as_secs_f64() / took.as_secs_f64(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_services_of_one_consul_are_followed_within_bounds() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let scale = Scale::now();
    println!("{scale:?}, {} instances, each with a check", scale.instances());
    // A server as in production: in development mode its answers are spread over many lines.
    let servers = servers::start_cluster(ServerKind::Consul, 1, ServerOptions::default()).await;
    let server = servers.unwrap().remove(0);
    let (writer, relay) = (Writer::new(&server), Relay::start(server.address()).await);
    let start = Instant::now();
    writer.fill(scale).await;
    println!("written to Consul in {:.1?}", start.elapsed());

    let hub = Hub::start().await;
    let memory = async || {
        let tasks = hub.metric("hub_registry_runtime_tasks").await;
        format!("{} MB resident, {tasks} tasks", resident(hub.id()))
    };
    println!("the hub without a registry: {}", memory().await);
    let config = json!({
        "configName": "consul", "registryType": "CONSUL",
        "serverAddress": relay.address.to_string(),
    });
    // How much of the machine, since the last call.
    let mut last = (Instant::now(), processor_time(hub.id()));
    let mut phase = |what: &str| {
        let (passed, now) = (relay.passed(), (Instant::now(), processor_time(hub.id())));
        print(what, &passed, now.0 - last.0, now.1 - last.1);
        last = now;
        passed
    };
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let start = Instant::now();
    while (hub.metric("hub_registry_view_instances").await as usize) < scale.instances() {
        assert!(start.elapsed() < Duration::from_secs(180), "{}", hub.log_end());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let loaded = phase("loading");
    println!("loaded: {}", memory().await);
    tokio::time::sleep(Duration::from_secs(rounds(3, 20).into())).await;
    let rested = phase("at rest");

    let (sent, seen) = (Sent::default(), Arc::default());
    let all = Listener::sse(&hub, "", None).await;
    let listening = tokio::spawn(listen(all, Arc::clone(&sent), Arc::clone(&seen)));
    phase("before the changes");
    let count = churn(&writer, scale, &sent).await;
    let changed = phase("while it changes");
    let start = Instant::now();
    while !sent.lock().is_empty() {
        let late = start.elapsed() > SEEN || listening.is_finished();
        assert!(!late, "never seen: {:?}\n{}", sent.lock(), hub.log_end());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    listening.abort();
    println!("after it: {}", memory().await);
    let seen = std::mem::take(&mut *seen.lock());
    for (kind, all) in KINDS.iter().zip(&seen).chain([(&"all", &seen.concat())]) {
        let [half, most, slowest] = [0.5, 0.99, 1.0].map(|share| quantile(all, share));
        println!(
            "{kind}: seen after p50 {half:.2?}, p99 {most:.2?}, max {slowest:.2?} of {}",
            all.len()
        );
    }
    assert_eq!(seen.concat().len(), count as usize);
    for passed in [loaded, rested, changed] {
        assert!(passed.connections <= CONNECTIONS, "{} connections", passed.connections);
        let most = passed.most_a_second();
        assert!(most <= REQUESTS, "{most} requests in a second");
    }
}
