//! Discovery reads while 1,000 changes a second are written, spread over the services, and three
//! registries are connected. The limit has the same work beside it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::hub::{Hub, instance};
use crate::limit::Limit;
use crate::peer::{Kind, Peer};
use crate::reads::{CONNECTIONS, SIZE, any_of, path};
use crate::report::Report;
use crate::wrk::{self, Load, median};

const CHANGES: u32 = 1000;
/// Requests a second that make them.
const BATCHES: u32 = 20;
/// What each of the registries has.
const ELSEWHERE: (u32, u32) = (100, 5);

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let hub = Hub::start().await;
    hub.fill(SIZE).await;
    let mut connected = Vec::new();
    for kind in [Kind::Consul, Kind::Nacos, Kind::Eureka] {
        let Some(peer) = Peer::start(kind).await else { continue };
        peer.fill(ELSEWHERE).await;
        connect(&hub, &peer).await;
        connected.push(peer);
    }
    // Bytes that do not change: the limit answers with what was there before the changes.
    let calls = any_of(path);
    let limit = Limit::of(hub.port, &calls).await;
    let load = Load::Any(calls);
    let writer = Writer::start(&hub);
    let (mut most, mut own) = (Vec::new(), Vec::new());
    for round in 0..arguments.rounds {
        for turn in 0..2 {
            let (port, all) = match (round + turn) % 2 {
                0 => (limit.port, &mut most),
                _ => (hub.port, &mut own),
            };
            all.push(wrk::run(port, &load, CONNECTIONS, arguments.seconds).await);
        }
    }
    let written = writer.stop().await;
    let (most, own) = (median(&most), median(&own));
    let share = own.rate / most.rate;
    report.bar("hub, under 1,000 changes/s", share);
    let row = |who: &str, figures: wrk::Figures, share: f64| {
        vec![
            who.to_owned(),
            format!("{:.0}", figures.rate),
            format!("{share:.3}"),
            format!("{:.2}", figures.p50_ms),
            format!("{:.2}", figures.p99_ms),
            format!("{written:.0}"),
        ]
    };
    let rows = [row("limit", most, 1.0), row("hub", own, share)];
    let title = format!("Reads under change, {} registries connected", connected.len());
    let columns = ["of", "requests/s", "of the limit", "p50 ms", "p99 ms", "changes/s"];
    report.table(&title, &columns, &rows);
}

pub(crate) async fn connect(hub: &Hub, peer: &Peer) {
    let body = json!({
        "configName": peer.kind.name(),
        "registryType": peer.kind.name().to_uppercase(),
        "serverAddress": format!("127.0.0.1:{}", peer.port),
    });
    let url = hub.url("/api/v1/external/configs");
    let answer = hub.client.post(&url).json(&body).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let id = answer["configId"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let url = format!("{url}/{id}/status");
    for _ in 0..600 {
        let answer: Value = hub.client.get(&url).send().await.unwrap().json().await.unwrap();
        let of = |field: &str| answer[field].as_u64().unwrap_or_default() as u32;
        if answer["state"] == "LIVE" && of("services") >= ELSEWHERE.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} does not come", peer.kind.name());
}

/// Changes the metadata of instances, one of each service in turn.
struct Writer {
    stop: tokio_util::sync::CancellationToken,
    task: tokio::task::JoinHandle<f64>,
}

impl Writer {
    fn start(hub: &Hub) -> Self {
        let stop = tokio_util::sync::CancellationToken::new();
        let (client, url) = (hub.client.clone(), hub.url("/api/v1/instances/batch"));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let start = std::time::Instant::now();
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / BATCHES);
            let mut number = 0;
            while !stopped.is_cancelled() {
                ticks.tick().await;
                let batch: Vec<_> = (0..CHANGES / BATCHES)
                    .map(|_| {
                        number += 1;
                        let (service, host) = (number % SIZE.0, number / SIZE.0 % SIZE.1);
                        let mut one = instance(service, host, 36_000);
                        one["metadata"]["version"] = json!(number.to_string());
                        one
                    })
                    .collect();
                let body = json!({ "instances": batch });
                let answer = client.post(&url).json(&body).send().await.unwrap();
                assert!(answer.status().is_success());
            }
            f64::from(number) / start.elapsed().as_secs_f64()
        });
        Self { stop, task }
    }

    /// How many changes a second there were.
    async fn stop(self) -> f64 {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}
