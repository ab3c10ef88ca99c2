//! What many leases cost by themselves: 200,000 instances, each renewed within its 30 s, beside the
//! same requests to a hub that has few.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::hub::{Hub, Size, cpu_seconds, signal};
use crate::report::Report;

const EACH: u32 = 10;
const LEASE: u32 = 30;
/// Renewed by one request.
const BATCH: usize = 1000;
/// All of them, in less than a lease.
const ROUND: Duration = Duration::from_secs(20);
const TIME: Duration = Duration::from_secs(60);

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let many = arguments.services * EACH;
    let full = Hub::start().await;
    let full_ids = filled(&full, (arguments.services, EACH)).await;
    let few = Hub::start().await;
    let few_ids = filled(&few, (100, EACH)).await;
    let repeated: Vec<_> = few_ids.iter().cycle().take(full_ids.len()).cloned().collect();
    signal(few.process(), "STOP");
    let full_share = renew(&full, &full_ids).await;
    signal(few.process(), "CONT");
    signal(full.process(), "STOP");
    let few_share = renew(&few, &repeated).await;
    signal(full.process(), "CONT");
    let row = |instances: u32, share: f64| {
        let beyond = (share - few_share) * 100.0;
        vec![instances.to_string(), format!("{:.1} %", share * 100.0), format!("{beyond:.1} %")]
    };
    let rows = [row(many, full_share), row(100 * EACH, few_share)];
    let pace = f64::from(many) / ROUND.as_secs_f64();
    let title = format!("Leases of {LEASE} s, {pace:.0} heartbeats/s, {BATCH} in a request");
    let columns = ["instances", "of a core", "beyond the requests"];
    report.table(&title, &columns, &rows);
}

async fn filled(hub: &Hub, size: Size) -> Vec<String> {
    // Not so short that the first is gone when the last one comes; the first renewal is in time.
    hub.fill_with(size, LEASE * 20).await;
    let ids = hub.ids((size.0 * size.1) as usize).await;
    hub.fill_with(size, LEASE).await;
    ids
}

/// The share of a core that it takes.
async fn renew(hub: &Hub, ids: &[String]) -> f64 {
    let batches: Vec<_> = ids.chunks(BATCH).collect();
    let mut ticks = tokio::time::interval(ROUND / batches.len() as u32);
    let (start, before) = (Instant::now(), cpu_seconds(hub.process()));
    for batch in batches.iter().cycle() {
        ticks.tick().await;
        if start.elapsed() > TIME {
            break;
        }
        let request = hub.client.put(hub.url("/api/v1/heartbeats"));
        let answer = request.json(&json!({ "instanceIds": batch })).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["renewed"], batch.len(), "{answer}");
    }
    (cpu_seconds(hub.process()) - before) / start.elapsed().as_secs_f64()
}
