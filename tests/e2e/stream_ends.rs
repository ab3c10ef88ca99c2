//! Streams while the server stops, and while what it stands on fails.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, ServerKind, ServerOptions};
use hub_registry_testkit::stub::consul::StubConsul;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::events::{SOON, kinds, log, log_since, register};
use crate::hub::Hub;
use crate::listener::{Listener, Word};
use crate::proofs::{rounds, seed};
use crate::slow::{flood, stuck};

const WEB: &str = "/api/v1/services/web/instances";

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_with_a_thousand_subscribers_is_soon_over() {
    let mut hub = Hub::start().await;
    register(&hub, "s", 1).await;
    let mut listeners = Vec::new();
    for number in 0..1000 {
        listeners.push(match number % 2 {
            0 => Listener::sse(&hub, "?serviceName=s", None).await,
            _ => Listener::websocket(&hub, "?serviceName=s").await,
        });
    }
    // Some take nothing, of more than kernels keep.
    let (mut asleep, url) = (Vec::new(), format!("ws://127.0.0.1:{}", hub.port));
    for _ in 0..5 {
        asleep.push(stuck(&hub, "0").await);
    }
    let request = format!("{url}/api/v1/events/subscribe?since=0");
    let narrow = crate::slow::narrow(&hub).await;
    let (_socket, _) = tokio_tungstenite::client_async(request, narrow).await.unwrap();
    for round in 0..12 {
        flood(&hub, round).await;
    }
    register(&hub, "s", 2).await;
    let mut tasks = JoinSet::new();
    let asked = Instant::now();
    hub.signal("-TERM").await;
    for mut listener in listeners {
        tasks.spawn(async move {
            // What happened is told before the end.
            let told = listener.events(1, SOON).await;
            assert_eq!(kinds(&told), ["INSTANCE_REGISTER"]);
            while let Some(word) = listener.next().await {
                assert!(!matches!(word, Word::Event(_)), "{word:?}");
            }
        });
    }
    while let Some(ended) = tokio::time::timeout(SOON, tasks.join_next()).await.expect("an end") {
        ended.unwrap();
    }
    let told = asked.elapsed();
    assert_eq!(hub.ended(Duration::from_secs(40)).await, Some(0), "{}", hub.log());
    println!("1000 were told within {told:?}; the server ended after {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    assert!(hub.log().contains("stopped in_time=true"), "{}", hub.log());
}

/// A registry that the hub reads, and what is in it.
struct Consul {
    stub: StubConsul,
    client: reqwest::Client,
}

impl Consul {
    async fn start(hub: &Hub) -> Self {
        let stub = StubConsul::start().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let consul = Self { stub, client };
        consul.put(1, 1).await;
        let config = json!({
            "configName": "consul", "registryType": "CONSUL", "retryInterval": 200,
            "serverAddress": consul.stub.address().to_string(),
        });
        assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
        hub.until(WEB, SOON, |_, body| body["count"] == 1).await;
        consul
    }

    async fn put(&self, port: u16, version: u32) {
        let body = json!({
            "ID": format!("web-{port}"), "Name": "web", "Address": "10.0.0.1", "Port": port,
            "Meta": { "version": version.to_string() },
        });
        let url = format!("http://{}/v1/agent/service/register", self.stub.address());
        assert!(self.client.put(url).json(&body).send().await.unwrap().status().is_success());
    }
}

/// Events of a registry need no database: they go on while it is away, and are in the log after.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_events_flow_and_the_log_catches_up() {
    if !servers::require(ServerKind::Postgres) {
        return;
    }
    let mut server = servers::start(ServerKind::Postgres, ServerOptions::default()).await.unwrap();
    let dsn: &'static str = Box::leak(server.dsn().into_boxed_str());
    let hub = Hub::with("event:\n  bufferSize: 100\n", &[("REGISTRY_DB_DSN", dsn)]).await;
    let consul = Consul::start(&hub).await;
    let start = log(&hub, "").await.last().unwrap()["id"].as_str().unwrap().to_owned();
    let mut listener = Listener::sse(&hub, "", Some(&start)).await;
    let (mut seen, mut port) = (Vec::new(), 1);
    for hangs in [true, false] {
        match hangs {
            true => server.pause().await,
            false => server.kill().await,
        }
        for _ in 0..5 {
            port += 1;
            consul.put(port, 1).await;
            let told = listener.events(1, SOON).await.remove(0);
            assert_eq!((&told["portNumber"], &told["source"]), (&json!(port), &json!("consul")));
            seen.push(told);
        }
        // Who comes back finds it in memory.
        let last = seen[seen.len() - 4]["id"].as_str().unwrap();
        let mut back = Listener::websocket(&hub, &format!("?since={last}")).await;
        assert_eq!(back.events(3, SOON).await, seen[seen.len() - 3..]);
        match hangs {
            true => server.resume(),
            false => server.restart(Data::Kept).await.unwrap(),
        }
        let caught_up = |_, body: &Value| body["count"].as_u64() >= Some(seen.len() as u64);
        hub.until(&format!("/api/v1/events?afterId={start}"), SOON * 3, caught_up).await;
        assert_eq!(log_since(&hub, &start).await, seen, "each once, in order");
        let (status, body) =
            hub.post("/api/v1/groups", &json!({ "groupName": format!("g{port}") })).await;
        assert_eq!(status, 201, "{body}");
        seen.extend(listener.events(1, SOON).await);
    }
}

/// Who follows a registry through crashes of the hub: events, or RESYNC and the list, make of it
/// what is there.
#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_a_registry_changes_leaves_no_silent_gap() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut hub = Hub::start().await;
    let consul = Consul::start(&hub).await;
    let mut place = "0".to_owned();
    let (mut model, mut listed): (BTreeMap<u64, String>, i64) = (BTreeMap::new(), 0);
    let (mut port, mut version, mut events, mut resyncs) = (1, 1, 0, 0);
    let rounds = rounds(5, 50);
    for _ in 0..rounds {
        let mut listener = match random.bool() {
            true => Listener::sse(&hub, "", Some(&place)).await,
            false => Listener::websocket(&hub, &format!("?since={place}")).await,
        };
        let changes = async {
            for _ in 0..random.u32(5..20) {
                version += 1;
                if random.bool() || port > 50 {
                    consul.put(random.u16(1..=port), version).await;
                } else {
                    port += 1;
                    consul.put(port, version).await;
                }
                tokio::time::sleep(Duration::from_millis(random.u64(..30))).await;
            }
        };
        let reading = async {
            while let Some(word) = listener.next().await {
                match word {
                    Word::Event(event) => {
                        place = event["id"].as_str().unwrap().to_owned();
                        events += 1;
                        if event["revision"].as_i64().unwrap() > listed {
                            apply(&mut model, &event);
                        }
                    }
                    Word::Resync(_) => {
                        resyncs += 1;
                        let body = list(&hub).await;
                        listed = body["revision"].as_i64().unwrap();
                        place = listed.to_string();
                        model = shown(&body);
                    }
                    Word::Bookmark(at) => place = at.to_string(),
                }
            }
        };
        // The moment of the crash is the test's input.
        tokio::select! {
            () = changes => {}
            () = reading => {}
        }
        hub.kill().await;
        hub.run().await;
    }
    // And all that came of it.
    consul.put(60, 1).await;
    hub.until(WEB, SOON * 3, |_, body| body["count"] == u64::from(port) + 1).await;
    let (_, body) = hub.get(WEB).await;
    let mut listener = Listener::sse(&hub, "", Some(&place)).await;
    let end = Instant::now() + SOON;
    while model != shown(&body) {
        match tokio::time::timeout_at(end, listener.next()).await {
            Ok(Some(Word::Event(event))) => {
                if event["revision"].as_i64().unwrap() > listed {
                    apply(&mut model, &event);
                }
            }
            Ok(Some(Word::Resync(_))) => {
                let body = list(&hub).await;
                listed = body["revision"].as_i64().unwrap();
                model = shown(&body);
            }
            Ok(Some(Word::Bookmark(_))) => {}
            other => panic!("{other:?}: {model:?} is not {:?}", shown(&body)),
        }
    }
    println!("{rounds} kills, {events} events, RESYNC {resyncs} times, {} instances", model.len());
}

/// The list as soon as there is one: killed before it kept what the registry said, the hub says 503
/// until the registry was heard again.
async fn list(hub: &Hub) -> Value {
    let end = Instant::now() + SOON;
    loop {
        let (status, body) = hub.get(WEB).await;
        if status == 200 {
            return body;
        }
        assert!(status == 503 && Instant::now() < end, "{status} {body:#}\n{}", hub.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn apply(model: &mut BTreeMap<u64, String>, event: &Value) {
    let Some(port) = event["portNumber"].as_u64() else { return };
    let metadata = &event["data"]["metadata"];
    match event["eventType"].as_str().unwrap() {
        "INSTANCE_REGISTER" => {
            let version = metadata["version"].as_str().unwrap_or_default().to_owned();
            assert_eq!(model.insert(port, version), None, "twice: {event:#}");
        }
        "INSTANCE_UPDATE" if metadata.is_object() => {
            let known = model.get_mut(&port).unwrap_or_else(|| panic!("a gap: {event:#}"));
            assert_eq!(metadata["old"]["version"], **known, "a gap: {event:#}");
            *known = metadata["new"]["version"].as_str().unwrap().to_owned();
        }
        "INSTANCE_DEREGISTER" => assert!(model.remove(&port).is_some(), "{event:#}"),
        _ => {}
    }
}

fn shown(body: &Value) -> BTreeMap<u64, String> {
    let rows = body["instances"].as_array().unwrap().iter();
    rows.map(|row| {
        let version = row["metadata"]["version"].as_str().unwrap_or_default();
        (row["portNumber"].as_u64().unwrap(), version.to_owned())
    })
    .collect()
}

/// A registry that is disconnected and connected again tells it like a native change.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_s_disconnect_is_told_whole() {
    let hub = Hub::start().await;
    let consul = Consul::start(&hub).await;
    consul.put(2, 1).await;
    hub.until(WEB, SOON, |_, body| body["count"] == 2).await;
    let mut listener = Listener::sse(&hub, "?serviceName=web", None).await;
    let (_, body) = hub.get("/api/v1/external/configs").await;
    let id = body["configs"][0]["configId"].as_str().unwrap().to_owned();
    let path = |action: &str| format!("/api/v1/external/configs/{id}/{action}");
    assert_eq!(hub.send(Method::POST, &path("disconnect"), None).await.0, 200);
    let told = listener.events(3, SOON).await;
    assert_eq!(kinds(&told), ["INSTANCE_DEREGISTER", "INSTANCE_DEREGISTER", "SERVICE_DELETE"]);
    assert!(told.iter().all(|event| event["revision"] == told[0]["revision"]), "{told:#?}");
    let told = log(&hub, "&eventType=EXTERNAL_DISCONNECT").await;
    assert_eq!((told.len(), &told[0]["source"]), (1, &json!("consul")));
}
