//! Leases against the real server: a stopped process, and a network that is cut.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;

const WEB: &str = "/api/v1/services/web/instances";
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// Clients that beat every third of their lease, fifty over one connection.
pub(crate) struct Clients {
    pub ids: Vec<String>,
    /// Ids of which the hub said that it does not know them.
    pub unknown: Arc<Mutex<Vec<String>>>,
    beating: tokio::task::JoinSet<()>,
}

impl Clients {
    async fn register(hub: &Hub, hosts: &str, count: u32) -> Vec<String> {
        let one = |number| {
            json!({
                "serviceName": "web", "hostAddress": format!("{hosts}-{number}"), "portNumber": 80,
                "leaseSeconds": LEASE.as_secs(),
            })
        };
        let all: Vec<_> = (0..count).map(one).collect();
        let (_, body) = hub.post("/api/v1/instances/batch", &json!({ "instances": all })).await;
        let results = body["results"].as_array().unwrap_or_else(|| panic!("{body}"));
        results.iter().map(|result| result["instanceId"].as_str().unwrap().to_owned()).collect()
    }

    /// They beat at this address until they are dropped.
    pub(crate) async fn start(hub: &Hub, port: u16, hosts: &str, count: u32) -> Self {
        let ids = Self::register(hub, hosts, count).await;
        let unknown: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut beating = tokio::task::JoinSet::new();
        for (number, some) in ids.chunks(50).enumerate() {
            let body = json!({ "instanceIds": some });
            let unknown = Arc::clone(&unknown);
            let url = format!("http://127.0.0.1:{port}/api/v1/heartbeats");
            let third = LEASE / 3;
            let http = reqwest::Client::builder().no_proxy().timeout(third).build().unwrap();
            beating.spawn(async move {
                let begin = Instant::now() + third * (number as u32 % 20) / 20;
                let mut ticks = tokio::time::interval_at(begin, third);
                loop {
                    ticks.tick().await;
                    // Not reached: the next beat may.
                    let Ok(answer) = http.put(&url).json(&body).send().await else { continue };
                    let Ok(answer) = answer.json::<Value>().await else { continue };
                    let lost = answer["unknown"].as_array().into_iter().flatten();
                    unknown.lock().extend(lost.filter_map(Value::as_str).map(str::to_owned));
                }
            });
        }
        Self { ids, unknown, beating }
    }
}

async fn count(hub: &Hub) -> usize {
    hub.metric("hub_registry_view_instances").await as usize
}

pub(crate) async fn expirations(hub: &Hub) -> usize {
    hub.metric("hub_registry_lease_expirations_total").await as usize
}

/// Looks until it is so; how long that took.
async fn until(
    hub: &Hub,
    within: Duration,
    what: &str,
    mut so: impl AsyncFnMut(&Hub) -> bool,
) -> Duration {
    let start = Instant::now();
    while !so(hub).await {
        assert!(start.elapsed() < within, "not within {within:?}: {what}\n{}", hub.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    start.elapsed()
}

/// SIGSTOP for four leases, then SIGCONT: no client that beats is evicted.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_process_evicts_no_live_client() {
    let hub = Hub::start().await;
    let clients = Clients::start(&hub, hub.port, "h", 300).await;
    until(&hub, LEASE * 3, "they beat", async |hub| count(hub).await == 300).await;
    let stop = if std::env::var_os("HUB_REGISTRY_LONG").is_some() { 120 } else { 12 };
    hub.signal("-STOP").await;
    tokio::time::sleep(Duration::from_secs(stop)).await;
    hub.signal("-CONT").await;
    let end = Instant::now() + LEASE * 4;
    while Instant::now() < end {
        assert_eq!((count(&hub).await, expirations(&hub).await), (300, 0), "{}", hub.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(clients.unknown.lock().is_empty());
    assert!(hub.log().contains("the process was paused"), "{}", hub.log());
    println!("stopped for {stop} s: 300 of 300 live clients kept");
}

/// 700 of 1,000 clients are cut off: nothing leaves while it may be held, then in sweeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_most_clients_is_held_and_then_swept() {
    let (max, interval) = (Duration::from_secs(15), Duration::from_secs(2));
    let hub = Hub::with_config(
        "registry:\n  selfPreservation:\n    max: 15s\n  sweep:\n    interval: 2s\n",
    )
    .await;
    let proxy = FaultProxy::start(([127, 0, 0, 1], hub.port).into()).await;
    let cut = Clients::start(&hub, proxy.port(), "cut", 700).await;
    let live = Clients::start(&hub, hub.port, "live", 300).await;
    until(&hub, LEASE * 3, "all beat", async |hub| count(hub).await == 1000).await;
    proxy.set(Fault::Hang).await;
    let metric = "hub_registry_self_preservation";
    until(&hub, LEASE * 3, "it holds", async |hub| hub.metric(metric).await > 0.5).await;
    let began = Instant::now();
    until(&hub, LEASE * 3, "all are held", async |hub| {
        hub.metric("hub_registry_leases_held").await as usize == 700
    })
    .await;
    let (_, body) = hub.get(WEB).await;
    let rows = body["instances"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["healthStatus"] == "HEALTHY"), "health does not move");
    for row in rows {
        let is_cut = row["hostAddress"].as_str().unwrap().starts_with("cut");
        assert_eq!(row["held"], is_cut, "{row}");
    }
    assert_eq!(body["sources"][0]["state"], "PROTECTED", "{}", body["sources"]);
    // Nothing leaves for as long as it may be held; then never more than the cap at once.
    let mut seen = vec![(Instant::now(), 1000)];
    until(&hub, max + interval * 20, "the cut ones are swept out", async |hub| {
        let now = count(hub).await;
        let (_, before) = seen[seen.len() - 1];
        assert!(now <= before && before - now <= 150, "{before} -> {now}");
        if now != before {
            seen.push((Instant::now(), now));
        }
        now == 300
    })
    .await;
    let held = seen[1].0.duration_since(began);
    assert!(held >= max - Duration::from_millis(500), "the first left after {held:?}");
    let steps: Vec<_> = seen.iter().map(|(_, count)| *count).collect();
    assert_eq!(steps, [1000, 850, 700, 550, 400, 300]);
    for pair in seen[1..].windows(2) {
        let apart = pair[1].0.duration_since(pair[0].0);
        assert!(apart + Duration::from_millis(500) >= interval, "two sweeps {apart:?} apart");
    }
    assert!(live.unknown.lock().is_empty(), "a live client was evicted");
    println!("held for {held:?}, then {steps:?}");
    drop(cut);
}

/// 50 of 1,000 are cut off: they leave in time, and nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_of_few_clients_removes_those_and_only_those() {
    let hub = Hub::start().await;
    let proxy = FaultProxy::start(([127, 0, 0, 1], hub.port).into()).await;
    let cut = Clients::start(&hub, proxy.port(), "cut", 50).await;
    let live = Clients::start(&hub, hub.port, "live", 950).await;
    until(&hub, LEASE * 3, "all beat", async |hub| count(hub).await == 1000).await;
    proxy.set(Fault::Hang).await;
    let took = until(&hub, LEASE * 6, "they leave", async |hub| count(hub).await == 950).await;
    assert!(took >= LEASE * 2, "they left after {took:?} already");
    for id in &cut.ids {
        let (status, _) = hub.get(&format!("/api/v1/instances/{id}")).await;
        assert_eq!(status, 404);
    }
    assert!(live.unknown.lock().is_empty(), "a live client was evicted");
    assert_eq!(expirations(&hub).await, 50);
    println!("50 of 1,000 left after {took:?}");
}

/// One of three dies: unhealthy after one lease, gone after three.
#[tokio::test(flavor = "multi_thread")]
async fn one_dead_of_three_leaves_in_time() {
    let hub = Hub::start().await;
    let live = Clients::start(&hub, hub.port, "live", 2).await;
    let dead = Clients::register(&hub, "dead", 1).await.remove(0);
    let start = Instant::now();
    let path = format!("/api/v1/instances/{dead}");
    let second = Duration::from_secs(1);
    hub.until(&path, LEASE + second * 2, |_, body| body["healthStatus"] == "UNHEALTHY").await;
    assert!(start.elapsed() >= LEASE - second / 2, "too early: {:?}", start.elapsed());
    hub.until(&path, LEASE * 2 + second * 2, |status, _| status == 404).await;
    assert!(start.elapsed() >= LEASE * 3 - second / 2, "too early: {:?}", start.elapsed());
    assert_eq!(count(&hub).await, 2);
    assert_eq!(live.beating.len(), 1);
}
