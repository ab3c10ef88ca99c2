//! A standby in the place of a registry that fails, with two real servers, and readers all the time.

mod kinds;
mod world;

use std::time::Duration;

use hub_registry_testkit::servers::Data;
use hub_registry_testkit::stub::consul::StubConsul;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;
use world::{PRIMARY, SERVICES, SOON, STANDBY, World, hosts, instances, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_primary_is_replaced_and_returns() {
    let Some(mut world) = World::start(2, quick()).await else { return };
    let readers = world.readers(true);
    world.primary.kill().await;
    let killed = Instant::now();
    world.until_status("FAILOVER").await;
    println!("FAILOVER {:?} after the kill", killed.elapsed());
    for service in SERVICES {
        world.until_hosts(service, STANDBY).await;
    }
    let status = world.status().await;
    assert_eq!(status["servedBy"], world.standby_id.as_str(), "{status:#}");
    assert_eq!((&status["failoverCount"], &status["state"]), (&json!(1), &json!("STALE")));
    assert!(status["failoverTime"].is_string() && status["recoverTime"].is_null(), "{status:#}");
    let (_, body) = world.hub.get(&instances("web")).await;
    assert_eq!((&body["stale"], &body["sources"][0]["source"]), (&json!(false), &json!("standby")));
    assert_eq!(status["failover"]["waitsFor"], "PRIMARY", "{status:#}");
    world.until_told(&["NORMAL FAILOVER"]).await;
    let line = format!(
        "hub_registry_failover_state{{source=\"primary\",source_id=\"{}\",state=\"FAILOVER\"}}",
        world.primary_id
    );
    assert!(world.hub.metric(&line).await > 0.5);

    // The hub crashes and starts again meanwhile.
    world.until_on_disk("FAILOVER").await;
    world.hub.kill().await;
    world.hub.run().await;
    let (status, body) = world.hub.get(&instances("web")).await;
    assert_eq!((status.as_u16(), hosts(&body).len()), (200, 2), "{body:#}\n{}", world.hub.log());
    assert!(hosts(&body).iter().all(|host| host == STANDBY), "{body:#}");
    assert_eq!(world.status().await["failoverStatus"], "FAILOVER");

    world.primary.restart(Data::Kept).await.unwrap();
    world.until_status("NORMAL").await;
    for service in SERVICES {
        world.until_hosts(service, PRIMARY).await;
    }
    let status = world.status().await;
    assert_eq!(status["servedBy"], world.primary_id.as_str());
    assert_eq!(status["failoverCount"], 1, "{status:#}");
    assert!(status["recoverTime"].is_string(), "{status:#}");
    assert_eq!(status["failover"]["waitsFor"], "NOTHING", "{status:#}");
    let steps = ["NORMAL FAILOVER", "FAILOVER RECOVERING", "RECOVERING NORMAL"];
    world.until_told(&steps).await;
    let log = world.hub.log();
    for line in
        ["FAILOVER: the standby serves in its place", "serves again; its standby steps back"]
    {
        assert!(log.contains(line), "{log}");
    }
    readers.end("killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_primary_is_replaced() {
    let Some(mut world) = World::start(2, quick()).await else { return };
    let readers = world.readers(false);
    world.primary.pause().await;
    let frozen = Instant::now();
    world.until_status("FAILOVER").await;
    println!("FAILOVER {:?} after the freeze", frozen.elapsed());
    world.until_hosts("web", STANDBY).await;
    world.primary.resume();
    world.until_status("NORMAL").await;
    world.until_hosts("web", PRIMARY).await;
    readers.end("frozen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_standby_and_a_dead_one_take_no_place_unless_an_operator_says_so() {
    // Three of six: at the floor of 51 % that is too few.
    let small = json!({ "specificConfig": { "failover": { "after": "1s", "floorPercent": 51 } } });
    let Some(mut world) = World::start(1, small).await else { return };
    let readers = world.readers(false);
    world.primary.kill().await;
    world.hub.until(&world.path("status"), SOON, |_, body| body["state"] == "STALE").await;
    world.until_waits_for("STANDBY_TOO_SMALL").await;
    let errors = || async { world.status().await["errorCount"].as_i64().unwrap() };
    let before = errors().await;
    world
        .hub
        .until(&world.path("status"), SOON, |_, body| {
            body["errorCount"].as_i64().unwrap() > before + 3
        })
        .await;
    assert_eq!(world.status().await["failoverStatus"], "NORMAL");
    world.until_hosts("web", PRIMARY).await;
    let (status, body) = world.hub.post(&world.path("failover"), &json!({})).await;
    assert_eq!((status.as_u16(), &body["failoverStatus"]), (200, &json!("FAILOVER")), "{body:#}");
    world.until_hosts("web", STANDBY).await;
    let (status, body) = world.hub.post(&world.path("failback"), &json!({})).await;
    assert_eq!((status.as_u16(), &body["details"]["code"]), (409, &json!("not_live")), "{body}");
    let (status, _) = world.hub.post(&world.path("failback?force=true"), &json!({})).await;
    assert_eq!(status, 200);
    world.until_hosts("web", PRIMARY).await;
    world.standby.kill().await;
    let path = format!("/api/v1/external/configs/{}/status", world.standby_id);
    world.hub.until(&path, SOON, |_, body| body["state"] == "STALE").await;
    world.until_waits_for("STANDBY_NOT_LIVE").await;
    let (status, body) = world.hub.post(&world.path("failover"), &json!({})).await;
    assert_eq!((status.as_u16(), &body["details"]["state"]), (409, &json!("STALE")), "{body}");
    let line = format!(
        "hub_registry_failover_helpless{{source=\"primary\",source_id=\"{}\"}}",
        world.primary_id
    );
    assert!(world.hub.metric(&line).await > 0.5);
    let (status, _) = world.hub.post(&world.path("failover?force=true"), &json!({})).await;
    assert_eq!(status, 200);
    world.until_hosts("web", STANDBY).await;
    // What an operator decided stays, though the primary is well.
    world.primary.restart(Data::Kept).await.unwrap();
    world.until_live(&world.primary_id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.status().await["failoverStatus"], "FAILOVER");
    let (status, body) = world.hub.post(&world.path("failback"), &json!({})).await;
    assert_eq!((status.as_u16(), &body["failoverStatus"]), (200, &json!("NORMAL")), "{body:#}");
    readers.end("operated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flapping_primary_is_held_down() {
    let rules = json!({ "specificConfig": { "failover": { "after": "1s", "goodReads": 1, "holdDown": "6s" } } });
    let Some(mut world) = World::start(2, rules).await else { return };
    let readers = world.readers(false);
    world.primary.kill().await;
    world.until_status("FAILOVER").await;
    for _ in 0..3 {
        world.primary.restart(Data::Kept).await.unwrap();
        world.until_status("RECOVERING").await;
        world.until_hosts("web", STANDBY).await;
        world.primary.kill().await;
        world.until_status("FAILOVER").await;
    }
    assert_eq!(world.status().await["failoverCount"], 1, "it never came back in between");
    // Two when the standby became one and was hidden, two when it took the place, none since.
    assert_eq!(world.left("web").await, 4);
    world.primary.restart(Data::Kept).await.unwrap();
    world.until_status("RECOVERING").await;
    let since = Instant::now();
    world.until_status("NORMAL").await;
    assert!(since.elapsed() > Duration::from_secs(5), "{:?}", since.elapsed());
    // The second time the hold-down is twice as long.
    world.primary.kill().await;
    world.until_status("FAILOVER").await;
    assert!(world.hub.log().contains("hold_down_s=12"), "{}", world.hub.log());
    readers.end("flapping").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_standby_is_refused_by_rest_and_an_error_by_sql() {
    use sqlx::ConnectOptions;
    let hub = Hub::with_config("external:\n  pollInterval: 300ms\n").await;
    // It answers: else the next failure to connect would take the place of the error looked for.
    let stub = StubConsul::start().await;
    let address = stub.address().to_string();
    let add = async |name: &str, more: Value| {
        let mut body =
            json!({ "configName": name, "registryType": "CONSUL", "serverAddress": address });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        hub.post("/api/v1/external/configs", &body).await
    };
    let (_, a) = add("a", json!({})).await;
    let a = a["configId"].as_str().unwrap().to_owned();
    let on = |id: &str| json!({ "failoverEnabled": "Y", "failoverConfigId": id });
    let (status, b) = add("b", on(&a)).await;
    assert_eq!(status, 201, "{b}");
    let b = b["configId"].as_str().unwrap().to_owned();
    for (id, rule) in [(&a, "another"), (&b, "circle"), (&"nobody".to_owned(), "no configuration")]
    {
        let (status, answer) = hub.put(&format!("/api/v1/external/configs/{a}"), &on(id)).await;
        assert_eq!(status, 400, "{answer}");
        assert_eq!(answer["details"]["field"], "failoverConfigId", "{answer}");
        assert!(answer["details"]["rule"].as_str().unwrap().contains(rule), "{answer}");
    }
    for (failover, key) in [
        (json!({ "after": "1ms" }), "after"),
        (json!({ "floorPercent": 101 }), "floorPercent"),
        (json!({ "goodReads": 0 }), "goodReads"),
        (json!({ "holdDown": "2h" }), "holdDown"),
    ] {
        let (status, answer) =
            add("c", json!({ "specificConfig": { "failover": failover } })).await;
        assert_eq!(status, 400, "{answer}");
        assert_eq!(
            answer["details"]["field"],
            format!("specificConfig.failover.{key}"),
            "{answer}"
        );
    }
    let path = hub.dir.path().join("registry.db");
    let mut database =
        sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let circle = "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET failoverEnabled = 'Y', failoverConfigId = ? WHERE externalConfigId = ?";
    sqlx::query(circle).bind(&b).bind(&a).execute(&mut database).await.unwrap();
    for id in [&a, &b] {
        let status = format!("/api/v1/external/configs/{id}/status");
        hub.until(&status, SOON, |_, body| {
            body["connectionStatus"] == "ERROR"
                && body["lastErrorMessage"].as_str().is_some_and(|m| m.contains("makes a circle"))
        })
        .await;
    }
    // Nothing of it outlives its cause.
    sqlx::query("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET failoverEnabled = 'N'")
        .execute(&mut database)
        .await
        .unwrap();
    let (status, answer) =
        hub.post(&format!("/api/v1/external/configs/{a}/failover"), &json!({})).await;
    assert_eq!(status, 409, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_no_standby_serves() {
    let hub = Hub::with_config("external:\n  enableFailover: false\n").await;
    let one =
        json!({ "configName": "s", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let (_, one) = hub.post("/api/v1/external/configs", &one).await;
    let two = json!({ "configName": "p", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1",
        "failoverEnabled": "Y", "failoverConfigId": one["configId"] });
    let (_, two) = hub.post("/api/v1/external/configs", &two).await;
    let path = format!(
        "/api/v1/external/configs/{}/failover?force=true",
        two["configId"].as_str().unwrap()
    );
    let (status, answer) = hub.post(&path, &json!({})).await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("external.enableFailover"), "{answer}");
}
