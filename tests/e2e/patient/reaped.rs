//! Services that ask to be removed when they were critical for so long, at the hub and at a real Consul.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use serde_json::{Value, json};

use crate::hub::Hub;

/// The least bound there is, what leads to it, and two looks of a reaper.
const LATEST: Duration = Duration::from_secs(180);

struct Agent<'a> {
    name: &'static str,
    base: String,
    hub: &'a Hub,
}

impl Agent<'_> {
    async fn put(&self, path: &str, body: &Value) {
        let request = self.hub.client.put(format!("{}/v1/agent/{path}", self.base));
        let answer = request.json(body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{} {path}", self.name);
    }

    async fn services(&self) -> BTreeSet<String> {
        let answer = self.hub.client.get(format!("{}/v1/agent/services", self.base)).send().await;
        let body: Value = answer.unwrap().json().await.unwrap();
        body.as_object().unwrap().keys().cloned().collect()
    }

    /// The order in which they leave matters to nobody; who stays does.
    async fn lives(&self) {
        let at = |path: &str| self.hub.url(path);
        let (bad, good) = (at("/nowhere"), at("/health"));
        let leaves = "DeregisterCriticalServiceAfter";
        for (name, checks) in [
            // One of its checks asks for it, and is the one that is bad.
            (
                "bad",
                json!([{ "HTTP": bad, "Interval": "1s", leaves: "1m" }, { "TTL": "1h", "Status": "passing" }]),
            ),
            // Another one is bad.
            ("other", json!([{ "HTTP": good, "Interval": "1s", leaves: "1m" }, { "TTL": "1h" }])),
            ("silent", json!([{ "TTL": "5s", "Status": "passing", leaves: "1m" }])),
            // It was critical from the beginning, and its client says so.
            ("failed", json!([{ "CheckID": "failed", "TTL": "1h", leaves: "1m" }])),
            // Nobody said anything yet, which is no word against it.
            ("unspoken", json!([{ "TTL": "10m", leaves: "1m" }])),
            ("healed", json!([{ "CheckID": "healed", "TTL": "1h", leaves: "1m" }])),
            ("patient", json!([{ "HTTP": bad, "Interval": "1s", leaves: "1h" }])),
        ] {
            let body = json!({ "Name": name, "Address": "10.7.0.1", "Port": 80, "Checks": checks });
            self.put("service/register", &body).await;
        }
        self.put("check/fail/failed", &Value::Null).await;
        tokio::time::sleep(Duration::from_secs(40)).await;
        self.put("check/pass/healed", &Value::Null).await;
        let (start, mut there) = (Instant::now(), self.services().await);
        assert_eq!(there.len(), 7, "{}: a minute is not over: {there:?}", self.name);
        while there.len() > 4 {
            assert!(start.elapsed() < LATEST, "{}: {there:?}", self.name);
            tokio::time::sleep(Duration::from_millis(500)).await;
            there = self.services().await;
        }
        assert_eq!(
            there,
            ["healed", "other", "patient", "unspoken"].map(str::to_owned).into(),
            "{}",
            self.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_critical_for_so_long_is_removed_as_by_a_real_agent() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let hub = Hub::start().await;
    let ours = Agent { name: "hub", base: hub.url(""), hub: &hub };
    let theirs = Agent { name: "real", base: real.base_url(), hub: &hub };
    tokio::join!(ours.lives(), theirs.lives());
    // And it is told of each, with the reason.
    let (_, body) = hub.get("/api/v1/events?eventType=INSTANCE_DEREGISTER").await;
    let text = body.to_string();
    for check in ["service:bad:1", "service:silent", "failed"] {
        let says = format!("its check {check} was critical for 60 s");
        assert!(text.contains(&says), "{says}: {body:#}");
    }
    assert_eq!(hub.metric("hub_registry_health_check_removals_total").await, 3.0);
}
