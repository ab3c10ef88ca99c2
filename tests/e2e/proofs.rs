//! Long proofs: a short sample in each run, the full counts with `tests/run --long`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hub_registry_testkit::stub::consul::StubConsul;
use hub_registry_testkit::stub::fault::Fault;
use serde_json::json;

use crate::hub::Hub;

const WEB: &str = "/api/v1/services/web/instances";

/// `sample`, or `full` when all of it is asked for.
pub(crate) fn rounds(sample: u32, full: u32) -> u32 {
    if is_long() { full } else { sample }
}

/// Whether all of each proof is asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("HUB_REGISTRY_LONG").is_some()
}

/// A seed of the clock's, printed, or the one given to repeat a run.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("HUB_REGISTRY_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("HUB_REGISTRY_SEED={seed}");
    seed
}

async fn register(stub: &StubConsul) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 1..=3 {
        let body = json!({
            "ID": format!("web-{number}"), "Name": "web", "Address": format!("10.0.0.{number}"), "Port": 80,
        });
        let url = format!("http://{}/v1/agent/service/register", stub.address());
        assert!(client.put(url).json(&body).send().await.unwrap().status().is_success());
    }
}

/// A registry that dies, lies, forgets and returns, again and again: no reader ever misses an
/// instance, and no removal is ever told.
#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_registry_never_empties_the_view() {
    let mut random = fastrand::Rng::with_seed(seed());
    let hub = Hub::start().await;
    let stub = StubConsul::start().await;
    register(&stub).await;
    let config = json!({
        "configName": "flapping", "registryType": "CONSUL", "serverAddress": stub.address().to_string(),
        "readTimeout": 1000, "maxRetries": 0,
    });
    let (_, answer) = hub.post("/api/v1/external/configs", &config).await;
    let status =
        format!("/api/v1/external/configs/{}/status", answer["configId"].as_str().unwrap());
    hub.until(WEB, Duration::from_secs(10), |_, body| body["count"] == 3).await;

    let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = {
        let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
        let (client, url) = (hub.client.clone(), hub.url(WEB));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let answer = client.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                let body: serde_json::Value = answer.json().await.unwrap();
                assert_eq!(body["count"], 3, "{body:#}");
                reads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    let count = rounds(8, 1000);
    for round in 0..count {
        let html = "<html>moved</html>";
        let fault = match random.u8(..6) {
            0 => Fault::Refuse,
            1 => Fault::answer(200, "text/html", html),
            2 => Fault::answer(500, "text/plain", "oops"),
            3 => Fault::Truncate(random.usize(1..400)),
            4 => Fault::answer(200, "application/json", "{}"),
            _ => {
                stub.forget();
                Fault::Refuse
            }
        };
        let shown = format!("{fault:?}");
        stub.fault(fault).await;
        hub.until(&status, Duration::from_secs(15), |_, body| body["state"] == "STALE").await;
        tokio::time::sleep(Duration::from_millis(random.u64(..300))).await;
        stub.up().await;
        register(&stub).await;
        hub.until(&status, Duration::from_secs(60), |_, body| body["state"] == "LIVE").await;
        assert!(!reader.is_finished(), "round {round}, {shown}: {:?}", reader.await);
    }
    stop.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    let removed = hub.metric("hub_registry_view_instance_changes_total{change=\"removed\"}").await;
    assert!(removed < 0.5, "{removed} removals were told");
    println!(
        "{count} faults, {} reads, no instance missing, no removal",
        reads.load(Ordering::Relaxed)
    );
}
