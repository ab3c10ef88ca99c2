//! What one change costs: by how many services there are, and how large its own is. Processor time
//! of the whole way: HTTP, disk, view, event.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::arguments::Arguments;
use crate::hub::{Hub, cpu_seconds, instance, signal};
use crate::report::Report;

const EACH: u32 = 10;
const SERVICES: [u32; 2] = [100, 20_000];
const INSTANCES: [u32; 3] = [10, 100, 1000];
/// Of a round.
const CHANGES: u32 = 1000;
const REST: Duration = Duration::from_secs(2);

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let mut hubs = Vec::new();
    for services in SERVICES {
        let hub = Hub::start().await;
        hub.fill((services, EACH)).await;
        hubs.push(hub);
    }
    let mut costs = vec![Vec::new(); SERVICES.len()];
    for round in 0..arguments.rounds {
        for turn in 0..hubs.len() {
            let who = (round + turn) % hubs.len();
            others(&hubs, who, "STOP");
            // Spread over as many services in both.
            costs[who].push(cost(&hubs[who], SERVICES[0], EACH).await);
            others(&hubs, who, "CONT");
        }
    }
    let costs: Vec<_> = costs.into_iter().map(median).collect();
    let mut rows: Vec<_> = SERVICES
        .iter()
        .zip(&costs)
        .map(|(services, cost)| row(*services, EACH, *cost, costs[0]))
        .collect();
    drop(hubs);
    let mut first = None;
    for each in INSTANCES {
        let hub = Hub::start().await;
        hub.fill((10, each)).await;
        let mut all = Vec::new();
        for _ in 0..arguments.rounds.min(3) {
            all.push(cost(&hub, 10, each).await);
        }
        let cost = median(all);
        rows.push(row(10, each, cost, *first.get_or_insert(cost)));
    }
    let columns = ["services", "instances of each", "processor time of a change, µs", "ratio"];
    report.table("What one change costs", &columns, &rows);
}

fn others(hubs: &[Hub], who: usize, name: &str) {
    let rest = hubs.iter().enumerate().filter(|(place, _)| *place != who);
    rest.for_each(|(_, hub)| signal(hub.process(), name));
}

fn row(services: u32, each: u32, cost: f64, first: f64) -> Vec<String> {
    let ratio = cost / first;
    vec![services.to_string(), each.to_string(), format!("{cost:.0}"), format!("{ratio:.2}")]
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Microseconds of one, one after the other, less what it takes at rest in that time.
async fn cost(hub: &Hub, services: u32, each: u32) -> f64 {
    let rest = share(hub, async { tokio::time::sleep(REST).await }).await;
    let start = Instant::now();
    let busy = share(hub, async {
        for number in 0..CHANGES {
            let mut body = instance(number % services, number / services % each, 36_000);
            body["metadata"]["version"] = json!(fastrand::u64(..).to_string());
            let request = hub.client.post(hub.url("/api/v1/instances")).json(&body);
            assert!(request.send().await.unwrap().status().is_success());
        }
    });
    let busy = busy.await;
    (busy - rest) * start.elapsed().as_secs_f64() * 1e6 / f64::from(CHANGES)
}

/// The share of a core it takes meanwhile.
async fn share(hub: &Hub, work: impl Future<Output = ()>) -> f64 {
    let (start, before) = (Instant::now(), cpu_seconds(hub.process()));
    work.await;
    (cpu_seconds(hub.process()) - before) / start.elapsed().as_secs_f64()
}
