//! What happens, told: the log, streams of it, and what becomes of both when things fail.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::hub::Hub;
use crate::listener::{Listener, Word};

pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn instance(service: &str, port: u16) -> Value {
    json!({
        "serviceName": service, "hostAddress": "10.0.0.1", "portNumber": port,
        "leaseSeconds": 86400, "metadata": { "version": "1" },
    })
}

pub(crate) async fn register(hub: &Hub, service: &str, port: u16) -> String {
    let (status, body) = hub.post("/api/v1/instances", &instance(service, port)).await;
    assert!(status.is_success(), "{status} {body}");
    body["instanceId"].as_str().unwrap().to_owned()
}

pub(crate) async fn log(hub: &Hub, query: &str) -> Vec<Value> {
    let (status, body) = hub.get(&format!("/api/v1/events?limit=1000{query}")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["events"].as_array().unwrap().clone()
}

pub(crate) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["eventType"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_in_the_stream_and_in_the_log() {
    let hub = Hub::start().await;
    let mut all = Listener::sse(&hub, "", None).await;
    let mut socket = Listener::websocket(&hub, "?serviceName=orders").await;
    let mut others = Listener::sse(&hub, "?serviceName=others", None).await;
    let id = register(&hub, "orders", 80).await;
    let path = format!("/api/v1/instances/{id}");
    let (status, _) = hub.put(&path, &json!({ "weightValue": 7, "metadata": {"a": "b"} })).await;
    assert_eq!(status, 200);
    let health = json!({ "healthStatus": "UNHEALTHY" });
    assert_eq!(hub.put(&format!("{path}/health"), &health).await.0, 200);
    let service = json!({ "serviceDescription": "what it is" });
    assert_eq!(hub.put("/api/v1/services/orders", &service).await.0, 200);
    let group = json!({ "groupName": "payments" });
    assert_eq!(hub.post("/api/v1/groups", &group).await.0, 201);
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200);
    let expected = [
        "GROUP_CREATE",
        "SERVICE_CREATE",
        "INSTANCE_REGISTER",
        "INSTANCE_UPDATE",
        "INSTANCE_HEALTH_CHANGE",
        "SERVICE_UPDATE",
        "GROUP_CREATE",
        "INSTANCE_DEREGISTER",
    ];
    let told = all.events(expected.len(), SOON).await;
    assert_eq!(kinds(&told), expected);
    let first = told[0]["revision"].as_i64().unwrap();
    for event in &told[..3] {
        assert_eq!(event["revision"], first, "one commit, one revision");
    }
    let registered = &told[2];
    assert_eq!(registered["id"], format!("{first}-2"));
    for (name, value) in [
        ("tenantId", json!("default")),
        ("groupName", json!("DEFAULT_GROUP")),
        ("serviceName", json!("orders")),
        ("hostAddress", json!("10.0.0.1")),
        ("portNumber", json!(80)),
        ("source", json!("native")),
    ] {
        assert_eq!(registered[name], value, "{registered:#}");
    }
    assert_eq!(registered["data"]["metadata"], json!({ "version": "1" }));
    assert_eq!(told[3]["data"]["weightValue"], json!({ "old": 100, "new": 7 }));
    assert_eq!(told[0]["serviceName"], Value::Null, "{:#}", told[0]);
    assert_eq!(log(&hub, "").await, told, "the log says the same");
    // The other transport, filtered.
    let of_orders: Vec<_> =
        told.iter().filter(|event| event["serviceName"] == "orders").cloned().collect();
    assert_eq!(socket.events(of_orders.len(), SOON).await, of_orders);
    assert_eq!(log(&hub, "&serviceName=orders").await, of_orders);
    register(&hub, "others", 81).await;
    assert_eq!(kinds(&others.events(2, SOON).await), ["SERVICE_CREATE", "INSTANCE_REGISTER"]);
    assert!(hub.metric("hub_registry_events_total{type=\"INSTANCE_REGISTER\"}").await > 1.5);
    assert!(hub.metric("hub_registry_event_subscribers{transport=\"sse\"}").await > 1.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_asked_by_type_time_place_and_number() {
    let hub = Hub::start().await;
    for port in 1..=30 {
        register(&hub, if port % 2 == 0 { "even" } else { "odd" }, port).await;
    }
    let (_, body) = hub.get("/api/v1/events?eventType=INSTANCE_REGISTER&limit=4").await;
    assert_eq!(body["count"], 30);
    let newest: Vec<_> =
        body["events"].as_array().unwrap().iter().map(|e| e["portNumber"].as_i64()).collect();
    assert_eq!(newest, [Some(27), Some(28), Some(29), Some(30)], "the newest, in order");
    let first = log(&hub, "&eventType=INSTANCE_REGISTER&serviceName=odd").await[0].clone();
    let after = format!("&afterId={}&eventType=INSTANCE_REGISTER", first["id"].as_str().unwrap());
    let following = log(&hub, &after).await;
    assert_eq!((following.len(), &following[0]["portNumber"]), (29, &json!(2)));
    let (_, body) = hub.get(&format!("/api/v1/events?limit=2{after}")).await;
    assert_eq!((body["events"].as_array().unwrap().len(), &body["count"]), (2, &json!(29)));
    let time = following[9]["eventTime"].as_str().unwrap();
    let since = log(&hub, &format!("&startTime={time}&eventType=INSTANCE_REGISTER")).await;
    let before = log(&hub, &format!("&endTime={time}&eventType=INSTANCE_REGISTER")).await;
    assert_eq!((since.len() + before.len(), since.is_empty()), (30, false));
    assert!(log(&hub, "&groupName=none").await.is_empty());
    assert!(log(&hub, "&source=consul").await.is_empty());
    for bad in [
        "eventType=NONSENSE",
        "afterId=x",
        "limit=0",
        "limit=1001",
        "startTime=yesterday",
        "startTime=2026-01-02T00:00:00Z&endTime=2026-01-01T00:00:00Z",
        "colour=red",
    ] {
        let (status, body) = hub.get(&format!("/api/v1/events?{bad}")).await;
        assert_eq!(status, 400, "{bad}: {body}");
        assert!(body["details"]["field"].is_string(), "{bad}: {body}");
    }
    let (status, body) = hub.get("/api/v1/events/subscribe").await;
    assert_eq!((status.as_u16(), &body["details"]["field"]), (400, &json!("Accept")));
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_are_for_those_who_ask_for_them() {
    let hub = Hub::start().await;
    let id = register(&hub, "s", 1).await;
    let mut all = Listener::sse(&hub, "", None).await;
    let mut beats = Listener::sse(&hub, "?eventType=INSTANCE_HEARTBEAT", None).await;
    let beat = format!("/api/v1/instances/{id}/heartbeat");
    for _ in 0..3 {
        assert_eq!(hub.send(Method::PUT, &beat, None).await.0, 200);
    }
    let told = beats.events(3, SOON).await;
    assert_eq!(kinds(&told), ["INSTANCE_HEARTBEAT"; 3]);
    assert_eq!((&told[0]["id"], &told[0]["portNumber"]), (&Value::Null, &json!(1)));
    register(&hub, "s", 2).await;
    assert_eq!(kinds(&all.events(1, SOON).await), ["INSTANCE_REGISTER"]);
    assert!(log(&hub, "&eventType=INSTANCE_HEARTBEAT").await.is_empty());
}

/// Comes and goes a hundred times while things happen: nothing is missing, nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_reconnects_make_one_history() {
    let hub = Hub::start().await;
    register(&hub, "s0", 1).await;
    let start = log(&hub, "").await.last().unwrap()["id"].as_str().unwrap().to_owned();
    let (url, client) = (hub.url("/api/v1/instances"), hub.client.clone());
    let churn = tokio::spawn(async move {
        for number in 0..600_u32 {
            let body = json!({
                "serviceName": format!("s{}", number % 5), "hostAddress": "10.0.0.2",
                "portNumber": 1 + number % 50, "leaseSeconds": 86400, "weightValue": number,
            });
            let answer = client.post(&url).json(&body).send().await.unwrap();
            assert!(answer.status().is_success());
        }
    });
    let (mut last, mut seen) = (start.clone(), Vec::new());
    let mut random = fastrand::Rng::with_seed(crate::proofs::seed());
    for round in 0..100 {
        let mut listener = match round % 3 {
            0 => Listener::sse(&hub, "", Some(&last)).await,
            1 => Listener::sse(&hub, &format!("?since={last}"), None).await,
            _ => Listener::websocket(&hub, &format!("?since={last}")).await,
        };
        let end = tokio::time::Instant::now() + Duration::from_millis(random.u64(..40));
        while let Ok(Some(word)) = tokio::time::timeout_at(end, listener.next()).await {
            let Word::Event(event) = word else { panic!("{word:?} in round {round}") };
            last = event["id"].as_str().unwrap().to_owned();
            seen.push(event);
        }
    }
    churn.await.unwrap();
    let whole = log_since(&hub, &start).await;
    let mut rest = Listener::sse(&hub, "", Some(&last)).await;
    seen.extend(rest.events(whole.len() - seen.len(), SOON).await);
    assert_eq!(seen, whole);
    println!("{} events over 100 connections", seen.len());
}

/// All of the log after an event, page by page.
pub(crate) async fn log_since(hub: &Hub, id: &str) -> Vec<Value> {
    let (mut all, mut last) = (Vec::new(), id.to_owned());
    loop {
        let page = log(hub, &format!("&afterId={last}")).await;
        let Some(end) = page.last() else { return all };
        last = end["id"].as_str().unwrap().to_owned();
        all.extend(page);
    }
}

/// Crashes under churn: whoever resumes is given all of it once, and the log tells what is there.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_leaves_no_gap_and_tells_nothing_twice() {
    let mut random = fastrand::Rng::with_seed(crate::proofs::seed());
    let mut hub = Hub::start().await;
    register(&hub, "s0", 1).await;
    let mut last = log(&hub, "").await.last().unwrap()["id"].as_str().unwrap().to_owned();
    let start = last.clone();
    let (mut seen, mut resyncs) = (Vec::new(), 0);
    let rounds = crate::proofs::rounds(6, 100);
    for round in 0..rounds {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (client, url) = (hub.client.clone(), hub.url("/api/v1/instances"));
                let mut random = random.fork();
                tokio::spawn(async move {
                    loop {
                        let body = json!({
                            "serviceName": format!("s{}", random.u8(..5)),
                            "hostAddress": format!("10.0.{writer}.{}", random.u8(1..20)),
                            "portNumber": 80, "leaseSeconds": 86400,
                            "weightValue": random.u32(..1000),
                        });
                        if client.post(&url).json(&body).send().await.is_err() {
                            return;
                        }
                    }
                })
            })
            .collect();
        let mut listener = Listener::sse(&hub, "", Some(&last)).await;
        let end = tokio::time::Instant::now() + Duration::from_millis(random.u64(50..400));
        let reading = async {
            while let Some(word) = listener.next().await {
                match word {
                    Word::Event(event) => {
                        last = event["id"].as_str().unwrap().to_owned();
                        seen.push(event);
                    }
                    Word::Resync(_) => resyncs += 1,
                    Word::Bookmark(_) => {}
                }
            }
        };
        // The moment of the crash is the test's input.
        tokio::time::timeout_at(end, reading).await.ok();
        hub.kill().await;
        // What was on its way to the subscriber is read still.
        while let Ok(Some(word)) =
            tokio::time::timeout(Duration::from_secs(2), listener.next()).await
        {
            if let Word::Event(event) = word {
                last = event["id"].as_str().unwrap().to_owned();
                seen.push(event);
            }
        }
        for writer in writers {
            writer.await.unwrap();
        }
        hub.run().await;
        assert_eq!(resyncs, 0, "round {round}: nothing but native changes: it is all known");
    }
    let whole = log_since(&hub, &start).await;
    let mut rest = Listener::sse(&hub, "", Some(&last)).await;
    seen.extend(rest.events(whole.len() - seen.len(), SOON).await);
    assert_eq!(seen.len(), whole.len());
    assert_eq!(seen, whole);
    replay(&hub, &log_since(&hub, "0").await).await;
    println!("{rounds} kills, {} events, each once", seen.len());
}

/// What the events make of it is what is there.
async fn replay(hub: &Hub, events: &[Value]) {
    let mut weights: BTreeMap<[String; 3], i64> = BTreeMap::new();
    let key = |row: &Value| {
        ["serviceName", "hostAddress", "portNumber"].map(|name| row[name].to_string())
    };
    for event in events {
        let key = key(event);
        match event["eventType"].as_str().unwrap() {
            "INSTANCE_REGISTER" => {
                let weight = event["data"]["weightValue"].as_i64().unwrap();
                assert_eq!(weights.insert(key, weight), None, "twice: {event:#}");
            }
            "INSTANCE_UPDATE" => {
                let known = weights.get_mut(&key).unwrap();
                assert_eq!(event["data"]["weightValue"]["old"], *known, "a gap: {event:#}");
                *known = event["data"]["weightValue"]["new"].as_i64().unwrap();
            }
            _ => {}
        }
    }
    let (_, body) = hub.get("/api/v1/instances?pageSize=1000").await;
    let there: BTreeMap<_, _> = body["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (key(row), row["weightValue"].as_i64().unwrap()))
        .collect();
    assert_eq!(weights, there);
}

/// A restart in order: the same stream goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_no_gap_and_a_changed_table_is_one() {
    let mut hub = Hub::start().await;
    register(&hub, "s", 1).await;
    let told = log(&hub, "").await;
    let last = told.last().unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
    hub.run().await;
    let mut listener = Listener::sse(&hub, "", Some(&last)).await;
    register(&hub, "s", 2).await;
    assert_eq!(kinds(&listener.events(1, SOON).await), ["INSTANCE_REGISTER"]);
    let mut from_start = Listener::sse(&hub, "?since=0", None).await;
    assert_eq!(from_start.events(4, SOON).await, log(&hub, "").await);
    // Somebody works on the tables while the hub is down: nobody can tell what that was.
    hub.kill().await;
    let url = format!("sqlite://{}", hub.dir.path().join("registry.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let sql = "UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET weightValue = 3";
    sqlx::query(sql).execute(&pool).await.unwrap();
    pool.close().await;
    hub.run().await;
    let mut listener = Listener::sse(&hub, "", Some(&last)).await;
    let Some(Word::Resync(revision)) = listener.next().await else { panic!("a silent gap") };
    register(&hub, "s", 3).await;
    let told = listener.events(1, SOON).await;
    assert!(told[0]["revision"].as_i64().unwrap() > revision);
}
