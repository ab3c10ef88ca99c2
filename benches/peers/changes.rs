//! From sending a change to its subscriber having it: the hub's blocking queries and server-sent
//! events, and Consul's blocking queries, at the same pace. The limit is a server that only writes:
//! how long its writer waits for the answer, since nobody may hear of what is not on disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::arguments::Arguments;
use crate::durable::DurableLimit;
use crate::hub::{Hub, address, instance};
use crate::peer::{Kind, Peer};
use crate::reads::SIZE;
use crate::report::Report;

/// Each follows a service of its own.
const SUBSCRIBERS: u32 = 100;
const CHANGES: u32 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Limit,
    Blocking,
    Events,
    Consul,
}

impl Way {
    fn name(self) -> [&'static str; 2] {
        match self {
            Self::Limit => ["limit", "none: on disk, and answered"],
            Self::Blocking => ["hub", "blocking query"],
            Self::Events => ["hub", "server-sent events"],
            Self::Consul => ["consul", "blocking query"],
        }
    }
}

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    // One for all: what is left of an earlier measurement counts as seen.
    let began = Instant::now();
    let mut rows = Vec::new();
    let limit = DurableLimit::start().await;
    rows.push(row(Way::Limit, measure(Way::Limit, limit.port, began, arguments).await));
    drop(limit);
    let hub = Hub::start().await;
    hub.fill(SIZE).await;
    for way in [Way::Blocking, Way::Events] {
        if arguments.wants("hub") {
            rows.push(row(way, measure(way, hub.port, began, arguments).await));
        }
    }
    drop(hub);
    if arguments.wants("consul")
        && let Some(consul) = Peer::start(Kind::Consul).await
    {
        consul.fill(SIZE).await;
        rows.push(row(Way::Consul, measure(Way::Consul, consul.port, began, arguments).await));
    }
    let columns = ["of", "subscription", "p50 ms", "p99 ms", "max ms", "changes seen"];
    let title =
        format!("From a change to its subscriber: {CHANGES} changes/s, {SUBSCRIBERS} subscribers");
    report.table(&title, &columns, &rows);
}

fn row(way: Way, mut delays: Vec<Duration>) -> Vec<String> {
    delays.sort();
    let at = |share: f64| {
        let place = ((delays.len() as f64 * share) as usize).min(delays.len() - 1);
        format!("{:.2}", delays[place].as_secs_f64() * 1000.0)
    };
    let [of, subscription] = way.name().map(str::to_owned);
    vec![of, subscription, at(0.5), at(0.99), at(1.0), delays.len().to_string()]
}

type Delays = Arc<Mutex<Vec<Duration>>>;

async fn measure(way: Way, port: u16, began: Instant, arguments: &Arguments) -> Vec<Duration> {
    let delays = Delays::default();
    let mut subscribers = JoinSet::new();
    for service in 0..SUBSCRIBERS {
        let delays = Arc::clone(&delays);
        match way {
            Way::Limit => break,
            Way::Blocking => subscribers.spawn(blocking(port, service, began, delays)),
            Way::Events => subscribers.spawn(events(port, service, began, delays)),
            Way::Consul => subscribers.spawn(consul(port, service, began, delays)),
        };
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let client = Arc::new(client());
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CHANGES);
    let mut writes = JoinSet::new();
    for number in 0..arguments.seconds * 4 * CHANGES {
        ticks.tick().await;
        let client = Arc::clone(&client);
        let delays = Arc::clone(&delays);
        writes.spawn(async move {
            let sent = began.elapsed();
            write(way, client, port, number % SUBSCRIBERS, began).await;
            if way == Way::Limit {
                delays.lock().push(began.elapsed().saturating_sub(sent));
            }
        });
    }
    writes.join_all().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    subscribers.shutdown().await;
    let delays = std::mem::take(&mut *delays.lock());
    assert!(delays.len() as u32 > arguments.seconds * 4 * CHANGES / 2, "most were not seen");
    delays
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap()
}

/// Writes when it was sent into the metadata of an instance.
async fn write(way: Way, client: Arc<reqwest::Client>, port: u16, service: u32, began: Instant) {
    let sent = began.elapsed().as_micros().to_string();
    let request = match way {
        Way::Consul => {
            let host = address(0);
            client.put(format!("http://127.0.0.1:{port}/v1/catalog/register")).json(&json!({
                "Node": format!("node-{host}"), "Address": host, "Service": {
                    "ID": format!("service-{service}-{host}"), "Service": format!("service-{service}"),
                    "Address": host, "Port": 8080, "Meta": { "sent": sent },
                },
            }))
        }
        Way::Limit | Way::Blocking | Way::Events => {
            let mut body = instance(service, 0, 36_000);
            body["metadata"] = json!({ "sent": sent });
            client.post(format!("http://127.0.0.1:{port}/api/v1/instances")).json(&body)
        }
    };
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// What a subscriber of one service saw last.
struct Seen {
    began: Instant,
    last: u64,
    delays: Delays,
}

impl Seen {
    fn sent(&mut self, micros: Option<&str>) {
        let Some(micros) = micros.and_then(|micros| micros.parse().ok()) else { return };
        if micros > self.last {
            self.last = micros;
            let after = self.began.elapsed().saturating_sub(Duration::from_micros(micros));
            self.delays.lock().push(after);
        }
    }
}

async fn blocking(port: u16, service: u32, began: Instant, delays: Delays) {
    let (client, mut seen, mut index) = (client(), Seen { began, last: 0, delays }, 0);
    loop {
        let url = format!(
            "http://127.0.0.1:{port}/api/v1/services/service-{service}/instances?index={index}&wait=60s"
        );
        let answer: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        index = answer["revision"].as_i64().unwrap();
        let all = answer["instances"].as_array().unwrap().iter();
        all.for_each(|one| seen.sent(one["metadata"]["sent"].as_str()));
    }
}

async fn events(port: u16, service: u32, began: Instant, delays: Delays) {
    let (client, mut seen) = (client(), Seen { began, last: 0, delays });
    let url =
        format!("http://127.0.0.1:{port}/api/v1/events/subscribe?serviceName=service-{service}");
    let request = client.get(url).header("accept", "text/event-stream");
    let mut stream = request.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while let Some(part) = stream.next().await {
        text.push_str(std::str::from_utf8(&part.unwrap()).unwrap());
        while let Some(end) = text.find('\n') {
            let line: String = text.drain(..=end).collect();
            if let Some(data) = line.strip_prefix("data:") {
                // The old value and the new one, in either order: times rise.
                let all = data.split("\"sent\":\"").skip(1);
                all.for_each(|rest| seen.sent(rest.split('"').next()));
            }
        }
    }
}

async fn consul(port: u16, service: u32, began: Instant, delays: Delays) {
    let (client, mut seen, mut index) = (client(), Seen { began, last: 0, delays }, "0".to_owned());
    loop {
        let url = format!(
            "http://127.0.0.1:{port}/v1/health/service/service-{service}?index={index}&wait=60s"
        );
        let answer = client.get(url).send().await.unwrap();
        index = answer.headers()["x-consul-index"].to_str().unwrap().to_owned();
        let all: Value = answer.json().await.unwrap();
        let all = all.as_array().unwrap().iter();
        all.for_each(|one| seen.sent(one["Service"]["Meta"]["sent"].as_str()));
    }
}
