//! Consul's blocking queries: what stands beside each answer, how long one waits, and that no index
//! falls with a restart of the hub.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::consul::{put, read};
use crate::hub::Hub;

const WAIT: Duration = Duration::from_secs(4);
/// What an answer may take besides: not as much as a jitter of more than a sixteenth would.
const SLACK: Duration = Duration::from_millis(750);
/// How many wait for each list: of a jitter of half the wait one of them has too much.
const WAITING: usize = 10;

async fn get(hub: &Hub, path: &str) -> Response {
    hub.client.get(hub.url(&format!("/v1/{path}"))).send().await.unwrap()
}

fn index(answer: &Response) -> u64 {
    answer.headers()["x-consul-index"].to_str().unwrap().parse().unwrap()
}

async fn register(hub: &Hub, name: &str, port: u16, check: Value) {
    let id = format!("{name}-{port}");
    let mut body = json!({ "ID": id, "Name": name, "Address": "10.17.0.1", "Port": port });
    if !check.is_null() {
        body["Check"] = check;
    }
    assert_eq!(put(hub, "/v1/agent/service/register", &body).await, 200, "{name}");
}

/// Says this of a check.
async fn says(hub: &Hub, word: &str, id: &str) {
    assert_eq!(put(hub, &format!("/v1/agent/check/{word}/{id}"), &Value::Null).await, 200, "{id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_has_all_that_clients_read_beside_it() {
    let hub = Hub::start().await;
    register(&hub, "web", 80, json!({ "TTL": "1h", "Status": "passing" })).await;
    let newest = index(&get(&hub, "health/state/any").await);
    assert!(newest > 1);
    for path in [
        "catalog/services",
        "catalog/service/web",
        "catalog/service/nobody",
        "catalog/nodes",
        "catalog/node/hub-registry",
        "catalog/node/nobody",
        "health/service/web",
        "health/service/web?passing",
        "health/service/web?tag=none",
        "health/service/web?filter=Service.Port+%3D%3D+80",
        "health/service/nobody",
        "health/checks/web",
        "health/state/any",
        "health/state/critical",
        "health/node/hub-registry",
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        // At once, after a change, and in vain.
        for asks in ["", "index=1&wait=1s", &format!("index={newest}&wait=1ms")] {
            let answer = get(&hub, &format!("{path}{mark}{asks}")).await;
            let shown = format!("{path}{mark}{asks}: {:?}", answer.headers());
            assert_eq!(answer.status(), 200, "{shown}");
            for (name, value) in [
                ("x-consul-knownleader", "true"),
                ("x-consul-lastcontact", "0"),
                ("x-consul-effective-consistency", "leader"),
                ("content-type", "application/json"),
            ] {
                assert_eq!(answer.headers().get(name).unwrap(), value, "{shown}");
                assert_eq!(answer.headers().get_all(name).iter().count(), 1, "{shown}");
            }
            assert!((1..=newest).contains(&index(&answer)), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_in_vain_waits_so_long_and_a_sixteenth_more_at_most() {
    let hub = Hub::start().await;
    register(&hub, "web", 80, Value::Null).await;
    let mut waiting = JoinSet::new();
    for path in ["catalog/services", "health/service/web", "health/state/any"] {
        let at = index(&get(&hub, path).await);
        let url = hub.url(&format!("/v1/{path}?index={at}&wait={}s", WAIT.as_secs()));
        for _ in 0..WAITING {
            let asks = hub.client.get(&url);
            waiting.spawn(async move {
                let started = Instant::now();
                let answer = asks.send().await.unwrap();
                (path, started.elapsed(), answer.status(), index(&answer) == at)
            });
        }
    }
    for (path, took, status, is_same) in waiting.join_all().await {
        assert!(status == 200 && is_same, "{path}: {status}");
        assert!(took >= WAIT, "{path}: {took:?}");
        assert!(took <= WAIT + WAIT / 16 + SLACK, "{path}: {took:?}");
    }
}

/// What each of these is waited from.
async fn indexes(hub: &Hub) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for path in
        ["catalog/services", "catalog/nodes", "catalog/node/hub-registry", "health/state/any"]
    {
        all.insert(path.to_owned(), index(&get(hub, path).await));
    }
    for name in ["first", "second", "ttl", "gone", "nobody"] {
        for path in ["health/service", "health/checks", "catalog/service"] {
            let path = format!("{path}/{name}");
            let at = index(&get(hub, &path).await);
            all.insert(path, at);
        }
    }
    all
}

/// Whoever had an index from before waits on from it, and misses nothing.
async fn nobody_misses(hub: &Hub, before: &BTreeMap<String, u64>, port: u16) {
    let mut waiting = JoinSet::new();
    for path in ["catalog/services", "health/service/first", "health/service/gone"] {
        let asks = hub.client.get(hub.url(&format!("/v1/{path}?index={}&wait=60s", before[path])));
        waiting.spawn(async move { (path, asks.send().await.unwrap()) });
    }
    for name in ["first", "gone"] {
        register(hub, name, port, Value::Null).await;
    }
    let answers = tokio::time::timeout(Duration::from_secs(10), waiting.join_all()).await;
    for (path, _) in answers.expect("somebody waits on") {
        // One that was answered before the change is so after it.
        let at = index(&get(hub, path).await);
        assert!(at > before[path], "{path}: {at} after {}", before[path]);
    }
    let gone = format!("/v1/agent/service/deregister/gone-{port}");
    assert_eq!(put(hub, &gone, &Value::Null).await, 200);
    assert_eq!(read(hub, "/v1/health/service/gone").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_index_falls_with_a_restart() {
    let mut hub = Hub::start().await;
    register(&hub, "first", 80, Value::Null).await;
    register(&hub, "second", 80, Value::Null).await;
    register(&hub, "gone", 80, Value::Null).await;
    register(&hub, "ttl", 80, json!({ "TTL": "1h", "Status": "passing" })).await;
    assert_eq!(put(&hub, "/v1/agent/service/deregister/gone-80", &Value::Null).await, 200);
    for (round, crash) in [(1, true), (2, false), (3, true), (4, true)] {
        // Indexes move with what is said of health too, up to the moment of the end.
        for _ in 0..10 {
            says(&hub, "fail", "service:ttl-80").await;
            says(&hub, "pass", "service:ttl-80").await;
        }
        register(&hub, "second", 80 + round, Value::Null).await;
        let before = indexes(&hub).await;
        if crash {
            hub.kill().await;
        } else {
            assert_eq!(hub.terminate().await, Some(0));
        }
        hub.run().await;
        let after = indexes(&hub).await;
        let fallen = before.iter().filter(|(path, index)| after[*path] < **index);
        let fallen: Vec<_> = fallen.map(|(path, at)| (path, at, after[path])).collect();
        assert!(fallen.is_empty(), "round {round}, a crash: {crash}: {fallen:?}");
        nobody_misses(&hub, &before, 90 + round).await;
    }
}
