//! What one change costs the hub does not grow with what exists.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::proofs::rounds;
use crate::usage::{median, processor_time};

/// How many services are changed, however many there are.
const CHANGED: usize = 10;
/// How many instances a service has.
const EACH: u16 = 5;

fn instance(service: usize, port: u16, version: u32) -> Value {
    json!({
        "serviceName": format!("svc-{service:04}"), "hostAddress": "10.0.0.1", "portNumber": port,
        "leaseSeconds": 86400, "metadata": { "version": version.to_string() },
    })
}

/// A hub with so many services.
struct Subject {
    services: usize,
    hub: Hub,
    version: u32,
}

impl Subject {
    async fn start(services: usize) -> Self {
        let hub = Hub::start().await;
        let all: Vec<_> = (0..services)
            .flat_map(|service| (1..=EACH).map(move |port| instance(service, port, 0)))
            .collect();
        for some in all.chunks(500) {
            let (status, body) =
                hub.post("/api/v1/instances/batch", &json!({ "instances": some })).await;
            assert_eq!(status, 200, "{body}");
        }
        Self { services, hub, version: 0 }
    }

    /// Processor time of the process over so many changes, less what it takes at rest; each.
    async fn changes(&mut self, count: u32, rest: Duration) -> Duration {
        let (id, url) = (self.hub.id(), self.hub.url("/api/v1/instances"));
        let (begin, before) = (Instant::now(), processor_time(id));
        tokio::time::sleep(rest).await;
        let idle = (processor_time(id) - before).as_secs_f64() / begin.elapsed().as_secs_f64();
        let (begin, before) = (Instant::now(), processor_time(id));
        for number in 0..count {
            self.version += 1;
            let service = number as usize % CHANGED * (self.services / CHANGED);
            let body = instance(service, 1 + (number % u32::from(EACH)) as u16, self.version);
            let answer = self.hub.client.post(&url).json(&body).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.status());
        }
        let took = (processor_time(id) - before).as_secs_f64();
        let at_rest = idle * begin.elapsed().as_secs_f64();
        Duration::from_secs_f64((took - at_rest).max(0.0) / f64::from(count))
    }
}

/// Few services of 200 and of 2,000 change, in turns; how much processor time one change takes.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_costs_the_same_among_two_hundred_and_two_thousand_services() {
    let mut hubs = [Subject::start(200).await, Subject::start(2000).await];
    let (count, rest) = (rounds(100, 300), Duration::from_secs(rounds(1, 5).into()));
    let mut costs = [Vec::new(), Vec::new()];
    for round in 0..rounds(3, 9) {
        for turn in 0..2 {
            let which = (round as usize + turn) % 2;
            costs[which].push(hubs[which].changes(count, rest).await);
        }
    }
    for (hub, costs) in hubs.iter().zip(&costs) {
        println!(
            "{} services: {:.2?} of processor time a change, {costs:.2?}",
            hub.services,
            median(costs)
        );
    }
    let ratio = median(&costs[1]).as_secs_f64() / median(&costs[0]).as_secs_f64();
    println!("2,000 services cost {ratio:.2} times what 200 do");
    // No bound on time here, but on what was made: a change is one service's.
    for hub in &hubs {
        let changes =
            hub.hub.metric("hub_registry_view_instance_changes_total{change=\"updated\"}").await;
        assert_eq!(changes as u32, hub.version, "each change changes one row");
    }
}
