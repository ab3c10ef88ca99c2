//! Registries die and return; the view stands.

use std::time::Duration;

use serde_json::{Value, json};

use crate::federation::{KINDS, ORDERS, rows};
use crate::hub::Hub;
use crate::registries::Registries;

const NOTICED: Duration = Duration::from_secs(6);
const BACK: Duration = Duration::from_secs(120);
const REMOVED: &str = "hub_registry_view_instance_changes_total{change=\"removed\"}";

fn source<'a>(body: &'a Value, kind: &str) -> &'a Value {
    let name = kind.to_lowercase();
    let all = body["sources"].as_array().unwrap();
    all.iter().find(|s| s["source"] == name).unwrap_or_else(|| panic!("no {name}: {body:#}"))
}

/// One after the other: its instances stay, it is STALE with a growing age, the others are LIVE.
pub(crate) async fn each_server_dies(hub: &Hub, registries: &mut Registries, ids: &[String]) {
    let count = hub.get(ORDERS).await.1["count"].clone();
    let removed = hub.metric(REMOVED).await;
    for (number, kind) in KINDS.into_iter().enumerate() {
        registries.server(kind).kill().await;
        let took = hub
            .until(ORDERS, NOTICED, |_, body| {
                source(body, kind)["state"] == "STALE" && body["stale"] == true
            })
            .await;
        println!("{kind}: killed, STALE after {took:?}");
        let (_, body) = hub.get(ORDERS).await;
        assert_eq!(body["count"], count, "{kind} died and took instances along: {body:#}");
        let age = source(&body, kind)["ageMs"].as_i64().unwrap();
        hub.until(ORDERS, NOTICED, |_, body| {
            source(body, kind)["ageMs"].as_i64().unwrap() > age + 500
        })
        .await;
        for other in &KINDS[number + 1..] {
            assert_eq!(
                source(&body, other)["state"],
                "LIVE",
                "{kind} died and {other} suffers: {body:#}"
            );
        }
        let status = format!("/api/v1/external/configs/{}/status", ids[number]);
        let (_, body) = hub.get(&status).await;
        assert_eq!(
            (&body["state"], &body["connectionStatus"]),
            (&json!("STALE"), &json!("ERROR")),
            "{body:#}"
        );
        assert!(body["lastErrorMessage"].is_string(), "{body:#}");
    }
    let (status, body) = hub.get(&format!("{ORDERS}?maxStaleness=1ms")).await;
    assert_eq!(status, 503, "{body}");
    assert!((hub.metric(REMOVED).await - removed).abs() < 0.5, "an outage removed instances");
}

/// With every registry down the restarted hub serves all of them at once.
pub(crate) async fn the_hub_restarts_alone(hub: &mut Hub, ids: &[String]) {
    let before = hub.get(ORDERS).await.1;
    let ages: Vec<_> =
        KINDS.iter().map(|kind| source(&before, kind)["ageMs"].as_i64().unwrap()).collect();
    hub.kill().await;
    hub.run().await;
    let (status, after) = hub.get(ORDERS).await;
    assert_eq!(status, 200, "{after:#}");
    let plain = |body: &Value| {
        let key = |row: &Value| {
            (row["instanceId"].clone(), row["metadata"].clone(), row["healthStatus"].clone())
        };
        rows(body).iter().map(key).collect::<Vec<_>>()
    };
    assert_eq!(plain(&after), plain(&before), "the same instances as before the restart");
    assert_eq!(after["stale"], true);
    assert_eq!(after["partial"], false, "restored counts as loaded");
    for (kind, age) in KINDS.into_iter().zip(ages) {
        let now = source(&after, kind);
        assert_eq!(now["state"], "STALE");
        // The age on disk may lag by its writing interval.
        assert!(
            now["ageMs"].as_i64().unwrap() + 6000 > age,
            "{kind} got younger: {age} then {now}"
        );
    }
    assert_eq!(hub.get("/ready").await.0, 200);
    let revision = |body: &Value| body["revision"].as_i64().unwrap();
    assert!(revision(&after) > revision(&before), "revisions fell");
    assert_eq!(ids.len(), 3);
}

/// Each comes back empty; its clients register again; nobody saw a removal.
pub(crate) async fn the_servers_return_empty(
    hub: &Hub,
    registries: &mut Registries,
    ids: &[String],
) {
    let count = hub.get(ORDERS).await.1["count"].clone();
    for (number, kind) in KINDS.into_iter().enumerate() {
        registries.return_empty(kind).await;
        let status = format!("/api/v1/external/configs/{}/status", ids[number]);
        let protected = hub.until(&status, BACK, |_, body| body["state"] == "PROTECTED").await;
        let (_, body) = hub.get(ORDERS).await;
        assert_eq!(body["count"], count, "{kind} returned empty and emptied the view: {body:#}");
        let held = rows(&body).iter().filter(|row| row["held"] == true).count();
        assert!(held >= 1, "{kind}: what it does not list yet is held: {body:#}");
        registries.clients_return(kind).await;
        let live =
            hub.until(&status, Duration::from_secs(20), |_, body| body["state"] == "LIVE").await;
        println!(
            "{kind}: back and empty, PROTECTED after {protected:?}, LIVE {live:?} after its clients returned"
        );
        let (_, body) = hub.get(ORDERS).await;
        assert_eq!(body["count"], count, "{body:#}");
    }
    let (_, body) = hub.get(ORDERS).await;
    assert!(rows(&body).iter().all(|row| row["held"] == false), "{body:#}");
    assert_eq!(body["stale"], false);
    assert!(hub.metric(REMOVED).await < 0.5, "a restart of the registries removed instances");
}
