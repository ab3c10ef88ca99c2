//! Rules of copying, as an operator sets them and follows them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::patient::site::{Row, Site};

/// What is copied, changed or removed is so within this on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// Removals are believed at once: the guard has tests of its own.
pub(crate) fn trusting() -> Value {
    json!({ "holdSeconds": 0, "confirmations": 1, "settleSeconds": 3, "emptyHoldSeconds": 2 })
}

/// A configuration whose removals are believed at once.
pub(crate) fn trusted(site: &Site, name: &str) -> Value {
    let mut body = site.config(name);
    body["specificConfig"]["removalGuard"] = trusting();
    body
}

/// The same with a rule.
pub(crate) fn with_rule(
    mut body: Value,
    direction: &str,
    targets: &[&str],
    include: &str,
) -> Value {
    body["specificConfig"]["sync"] =
        json!({ "direction": direction, "targets": targets, "include": [include] });
    body["syncEnabled"] = json!("Y");
    body["syncInterval"] = json!(5);
    body
}

/// Adds a configuration; its path.
pub(crate) async fn add(hub: &Hub, body: &Value) -> String {
    let (status, answer) = hub.post("/api/v1/external/configs", body).await;
    assert_eq!(status, 201, "{answer}");
    format!("/api/v1/external/configs/{}", answer["configId"].as_str().unwrap())
}

/// The routes of a rule.
pub(crate) async fn routes(hub: &Hub, rule: &str) -> Vec<Value> {
    let (status, body) = hub.get(&format!("{rule}/sync")).await;
    assert_eq!(status, 200, "{body}");
    body["routes"].as_array().unwrap().clone()
}

/// The sum of a figure over the routes of a rule.
pub(crate) async fn sum(hub: &Hub, rule: &str, figure: &str) -> u64 {
    routes(hub, rule).await.iter().map(|route| route[figure].as_u64().unwrap()).sum()
}

/// Has everything compared, and waits until what that asks for is done.
pub(crate) async fn compare(hub: &Hub, rule: &str) {
    let (status, body) = hub.post(&format!("{rule}/sync"), &json!({})).await;
    assert_eq!(status, 200, "{body}");
}

/// What a comparison would do, but for what is left alone.
pub(crate) async fn plan(hub: &Hub, rule: &str) -> Vec<Value> {
    let (status, body) = hub.post(&format!("{rule}/sync?dryRun=true"), &json!({})).await;
    assert_eq!(status, 200, "{body}");
    let actions = body["actions"].as_array().unwrap().iter();
    actions.filter(|one| one["action"] != "SKIP").cloned().collect()
}

/// Waits until a registry's own clients see exactly these of a service; how long it took.
pub(crate) async fn until_shown(
    site: &Site,
    service: &str,
    rows: &[Row],
    within: Duration,
    why: impl AsyncFn() -> String,
) -> Duration {
    let start = Instant::now();
    loop {
        let seen = site.look_again(service, rows).await;
        let seen = seen.map(|all| all.into_iter().map(|one| one.row).collect::<Vec<_>>());
        if seen.as_deref() == Some(rows) {
            return start.elapsed();
        }
        let late = start.elapsed() > within;
        assert!(!late, "{service} in {}: {seen:?}\nis not {rows:?}\n{}", site.kind, why().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The routes and the end of the log, for whoever reads that a test failed.
pub(crate) async fn told(hub: &Hub, rule: &str) -> String {
    format!("{:#}\n{}", Value::from(routes(hub, rule).await), hub.log_end())
}

/// Follows what is written for so long, after a comparison of everything: nothing is.
pub(crate) async fn is_silent(rules: &[(&Hub, &str)], span: Duration) {
    let mut before = Vec::new();
    for (hub, rule) in rules {
        compare(hub, rule).await;
        before.push(sum(hub, rule, "written").await);
    }
    let end = Instant::now() + span;
    while Instant::now() < end {
        for ((hub, rule), before) in rules.iter().zip(&before) {
            let now = sum(hub, rule, "written").await;
            assert_eq!(now, *before, "written at rest\n{}", told(hub, rule).await);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for (hub, rule) in rules {
        compare(hub, rule).await;
        let plan = plan(hub, rule).await;
        assert!(plan.is_empty(), "{plan:#?}");
    }
    for ((hub, rule), before) in rules.iter().zip(&before) {
        assert_eq!(sum(hub, rule, "written").await, *before, "{}", told(hub, rule).await);
    }
}

/// Waits until nothing is left to be written.
pub(crate) async fn until_done(hub: &Hub, rule: &str) {
    let path = format!("{rule}/sync");
    let done = |_, body: &Value| {
        let routes = body["routes"].as_array();
        routes.is_some_and(|all| !all.is_empty() && all.iter().all(|one| one["pending"] == 0))
    };
    hub.until(&path, SOON, done).await;
}
