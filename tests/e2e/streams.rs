//! What a stream promises, held against what is done to it: tenants, rights, filters, places.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::events::{SOON, instance, kinds, log, register};
use crate::hub::Hub;
use crate::listener::{Listener, Word};
use crate::wire::Wire;

const FOLLOW: &str = "/api/v1/events/subscribe";

/// What a stream that begins there says first.
async fn first(hub: &Hub, since: &str) -> [Word; 2] {
    let query = format!("?since={since}");
    let mut both = [Listener::sse(hub, &query, None).await, Listener::websocket(hub, &query).await];
    let [one, other] = &mut both;
    let said = async { [one.next().await.unwrap(), other.next().await.unwrap()] };
    tokio::time::timeout(SOON, said).await.expect("a word")
}

async fn is_resync(hub: &Hub, since: &str) {
    for word in first(hub, since).await {
        assert!(matches!(word, Word::Resync(_)), "{since}: {word:?}");
    }
}

async fn status(hub: &Hub, query: &str, accept: &str, last: Option<&str>) -> (u16, Value) {
    let mut request = hub.client.get(hub.url(&format!("{FOLLOW}{query}"))).header("accept", accept);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = if status == 200 { Value::Null } else { answer.json().await.unwrap_or_default() };
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_refused_with_the_field() {
    let hub = Hub::start().await;
    let long = format!("?serviceName={}", "x".repeat(513));
    let source = format!("?source={}", "x".repeat(513));
    for (query, field) in [
        ("?since=x", "since"),
        ("?since=", "since"),
        ("?since=-1", "since"),
        ("?since=1-", "since"),
        ("?since=1-2-3", "since"),
        ("?since=99999999999999999", "since"),
        ("?since=1&since=2", "since"),
        ("?eventType=NONSENSE", "eventType"),
        ("?eventType=", "eventType"),
        ("?eventType=RESYNC", "eventType"),
        ("?serviceName=", "serviceName"),
        (&long, "serviceName"),
        (&source, "source"),
        ("?groupName=", "groupName"),
        ("?colour=red", "colour"),
        ("?afterId=1", "afterId"),
        ("?serviceName=%ff", "query"),
    ] {
        let (code, body) = status(&hub, query, "text/event-stream", None).await;
        assert_eq!((code, &body["details"]["field"]), (400, &json!(field)), "{query}: {body}");
        let url = hub.url(&format!("{FOLLOW}{query}")).replace("http", "ws");
        match tokio_tungstenite::connect_async(url).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                assert_eq!(answer.status(), 400, "{query}");
            }
            other => panic!("{query}: {:?}", other.map(|_| "connected")),
        }
    }
    for last in ["x", "1-", "-1", "9-9-9"] {
        let (code, body) = status(&hub, "", "text/event-stream", Some(last)).await;
        assert_eq!((code, &body["details"]["field"]), (400, &json!("Last-Event-ID")), "{last}");
    }
    let (code, _) = status(&hub, "", "application/json", None).await;
    assert_eq!(code, 400);
    assert_eq!(hub.send(Method::POST, FOLLOW, Some(&json!({}))).await.0, 405);
    // A giant filter is one filter, or refused before anybody looks at it.
    let many = format!("?{}", "eventType=INSTANCE_REGISTER&".repeat(2000));
    assert_eq!(status(&hub, &many, "text/event-stream", None).await.0, 200);
    let giant = format!("?{}", "eventType=INSTANCE_REGISTER&".repeat(20_000));
    let mut wire = Wire::connect(hub.port).await.unwrap();
    let answer = wire.ask("GET", &format!("{FOLLOW}{giant}"), "").await.unwrap();
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
    let mut filtered = Listener::sse(&hub, &many, None).await;
    register(&hub, "s", 1).await;
    assert_eq!(kinds(&filtered.events(1, SOON).await), ["INSTANCE_REGISTER"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_nobody_was_told_is_no_place() {
    let hub = Hub::start().await;
    for port in 1..=3 {
        register(&hub, "s", port).await;
    }
    let told = log(&hub, "").await;
    let revision = told.last().unwrap()["revision"].as_i64().unwrap();
    for since in ["9007199254740991", "9007199254740991-7", "9999999999999999"] {
        is_resync(&hub, since).await;
    }
    is_resync(&hub, &(revision + 1).to_string()).await;
    // Behind the last event of its revision there is only what follows.
    register(&hub, "s", 4).await;
    let last = log(&hub, "").await.pop().unwrap();
    for since in [format!("{revision}-999999"), revision.to_string()] {
        for word in first(&hub, &since).await {
            assert_eq!(word, Word::Event(last.clone()), "{since}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_old_or_too_much_leaves_and_who_resumes_there_is_told() {
    for (retention, most) in [("maxEvents: 20", 20), ("events: 1s", 0)] {
        let config =
            format!("event:\n  bufferSize: 5\nretention:\n  interval: 1s\n  {retention}\n");
        let hub = Hub::with_config(&config).await;
        for port in 1..=60 {
            register(&hub, "s", port).await;
        }
        let first = log(&hub, "&afterId=0").await;
        hub.until("/api/v1/events", SOON * 2, |_, body| body["count"].as_u64() <= Some(most)).await;
        assert!(!first.is_empty(), "nothing was there");
        is_resync(&hub, first[0]["id"].as_str().unwrap()).await;
        is_resync(&hub, "0").await;
        let kept = log(&hub, "").await;
        assert_eq!(kept.len() as u64, most);
        if let [oldest, rest @ ..] = &kept[..] {
            let since = format!("?since={}", oldest["id"].as_str().unwrap());
            let mut listener = Listener::sse(&hub, &since, None).await;
            assert_eq!(listener.events(rest.len(), SOON).await, rest);
        }
        let resyncs = hub.metric("hub_registry_event_resyncs_total{reason=\"retention\"}").await;
        assert!(resyncs > 3.5, "{retention}: {resyncs}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_persistence_nothing_is_written_and_the_buffer_counts() {
    let mut hub = Hub::with_config("event:\n  bufferSize: 10\n  enablePersistence: false\n").await;
    let mut listener = Listener::sse(&hub, "", None).await;
    for port in 1..=20 {
        register(&hub, "s", port).await;
    }
    let told = listener.events(22, SOON).await;
    let id = |at: usize| told[at]["id"].as_str().unwrap();
    let mut back = Listener::websocket(&hub, &format!("?since={}", id(14))).await;
    assert_eq!(back.events(7, SOON).await, told[15..]);
    is_resync(&hub, id(3)).await;
    assert!(hub.metric("hub_registry_event_resyncs_total{reason=\"buffer\"}").await > 1.5);
    let (status, body) = hub.get("/api/v1/events").await;
    assert_eq!(status, 404, "{body}");
    assert!(body["error"].as_str().unwrap().contains("event.enablePersistence"), "{body}");
    let last = id(21).to_owned();
    hub.kill().await;
    hub.run().await;
    is_resync(&hub, &last).await;
    let mut listener = Listener::sse(&hub, "", None).await;
    register(&hub, "s", 21).await;
    assert_eq!(kinds(&listener.events(1, SOON).await), ["INSTANCE_REGISTER"]);
    assert_eq!(hub.terminate().await, Some(0));
    let url = format!("sqlite://{}", hub.dir.path().join("registry.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM HUB_REGISTRY_SERVICE_EVENT")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_told_of_its_own_only() {
    let hub = Hub::start().await;
    let (red, blue) = ("?tenantId=red", "?tenantId=blue");
    let mut listeners = [
        Listener::sse(&hub, &format!("{red}&serviceName=s"), None).await,
        Listener::websocket(&hub, blue).await,
    ];
    for port in 1..=40 {
        let path = format!("/api/v1/instances{}", if port % 2 == 0 { red } else { blue });
        assert_eq!(hub.post(&path, &instance("s", port)).await.0, 201);
    }
    let names = ["red", "blue"];
    for (number, (listener, tenant)) in listeners.iter_mut().zip(names).enumerate() {
        // 20 instances, their service, and for who asks for all the group.
        for event in listener.events(21 + number, SOON).await {
            assert_eq!(event["tenantId"], tenant, "{event:#}");
            let port = event["portNumber"].as_u64();
            assert!(port.is_none_or(|port| port % 2 == number as u64), "{event:#}");
        }
    }
    let of_red = log(&hub, "&tenantId=red").await;
    assert!(of_red.len() == 22 && of_red.iter().all(|event| event["tenantId"] == "red"));
    // Another tenant's place is none, or one of its own.
    let since = of_red[10]["id"].as_str().unwrap();
    for listener in [
        &mut Listener::sse(&hub, &format!("{blue}&since={since}"), None).await,
        &mut Listener::websocket(&hub, &format!("?tenantId=green&since={since}")).await,
    ] {
        let end = Instant::now() + Duration::from_millis(500);
        while let Ok(Some(word)) = tokio::time::timeout_at(end, listener.next()).await {
            match word {
                Word::Event(event) => assert_eq!(event["tenantId"], "blue"),
                Word::Resync(_) | Word::Bookmark(_) => {}
            }
        }
    }
}

/// A server with security on, and what its tokens may.
struct Secured {
    hub: Hub,
}

impl Secured {
    async fn token(&self, role: &str, tenant: &str, user: &str) -> String {
        let line = ["token", "create", "--role", role, "--tenant", tenant, "--user", user];
        self.hub.command(&line).await
    }

    async fn with(&self, token: &str, method: Method, path: &str, body: &Value) -> (u16, String) {
        let request = self.hub.client.request(method, self.hub.url(path)).bearer_auth(token);
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn register(&self, token: &str, group: &str, service: &str) {
        let body = json!({
            "serviceName": service, "groupName": group, "hostAddress": "10.0.0.1",
            "portNumber": 80, "healthCheckType": "NONE",
        });
        let (status, text) = self.with(token, Method::POST, "/api/v1/instances", &body).await;
        assert_eq!(status, 201, "{text}");
    }
}

/// The names of services in all that is told until one of this name comes.
async fn services(listener: &mut Listener, last: &str) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let event = listener.events(1, SOON).await.remove(0);
        assert_eq!(event["tenantId"], "acme");
        let Some(name) = event["serviceName"].as_str() else { continue };
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
        if name == last && event["eventType"] == "INSTANCE_REGISTER" {
            return names;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_hold_on_streams_and_end_with_the_credential() {
    let hub = Hub::with_config("security:\n  enabled: true\nexternal:\n  pollInterval: 1s\n").await;
    let world = Secured { hub };
    let hub = &world.hub;
    let owner = world.token("writer", "acme", "olga").await;
    let listed = world.token("reader", "acme", "rita").await;
    let stranger = world.token("reader", "acme", "walt").await;
    let scoped = {
        let line = ["token", "create", "--role", "reader", "--tenant", "acme", "--user", "gina"];
        hub.command(&[&line[..], &["--group", "elsewhere"]].concat()).await
    };
    let other = world.token("admin", "other", "otto").await;
    let group = json!({
        "groupName": "closed", "ownerUserId": "olga", "readUserIds": ["rita"],
        "accessControlEnabled": "Y",
    });
    assert_eq!(world.with(&owner, Method::POST, "/api/v1/groups", &group).await.0, 201);

    let sse =
        async |token: &str, query: &str| Listener::sse_as(hub, query, None, Some(token)).await;
    let mut of_listed = sse(&listed, "").await;
    let mut of_stranger = sse(&stranger, "").await;
    let mut of_scoped = Listener::websocket_as(hub, "", Some(&scoped)).await;
    let mut of_other = sse(&other, "").await;
    world.register(&owner, "closed", "secret").await;
    world.register(&owner, "DEFAULT_GROUP", "open").await;
    world.register(&owner, "elsewhere", "far").await;
    world.register(&other, "DEFAULT_GROUP", "theirs").await;
    assert_eq!(services(&mut of_listed, "far").await, ["secret", "open", "far"]);
    assert_eq!(services(&mut of_stranger, "far").await, ["open", "far"]);
    assert_eq!(services(&mut of_scoped, "far").await, ["far"]);
    let theirs = of_other.events(3, SOON).await;
    assert!(theirs.iter().all(|event| event["tenantId"] == "other"), "{theirs:#?}");
    // From the log as well, over the stream and asked.
    let mut again = sse(&stranger, "?since=0").await;
    assert_eq!(services(&mut again, "far").await, ["open", "far"]);
    let (_, text) = world.with(&stranger, Method::GET, "/api/v1/events", &Value::Null).await;
    assert!(
        text.contains("open") && !text.contains("secret") && !text.contains("closed"),
        "{text}"
    );

    let refused = async |token: Option<&str>, query: &str| {
        let mut request = hub
            .client
            .get(hub.url(&format!("{FOLLOW}{query}")))
            .header("accept", "text/event-stream");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(refused(None, "").await, 401);
    assert_eq!(refused(Some("nonsense"), "").await, 401);
    assert_eq!(refused(Some(&stranger), "?groupName=closed").await, 403);
    assert_eq!(refused(Some(&stranger), "?tenantId=other").await, 403);

    // Who is taken off the list is told nothing more, at once.
    let patch = json!({ "readUserIds": [] });
    assert_eq!(world.with(&owner, Method::PUT, "/api/v1/groups/closed", &patch).await.0, 200);
    world.register(&owner, "closed", "secret-2").await;
    world.register(&owner, "DEFAULT_GROUP", "open-2").await;
    let told = services(&mut of_listed, "open-2").await;
    assert!(!told.contains(&"secret-2".to_owned()), "{told:?}");

    // A token that is revoked ends its streams, and no others.
    let mut socket = Listener::websocket_as(hub, "", Some(&stranger)).await;
    let tokens = hub.command(&["token", "list"]).await;
    let id = tokens.lines().find(|line| line.contains("  walt  ")).unwrap().split(' ').next();
    hub.command(&["token", "revoke", id.unwrap()]).await;
    let revoked = Instant::now();
    for listener in [&mut of_stranger, &mut again, &mut socket] {
        let end = async { while listener.next().await.is_some() {} };
        tokio::time::timeout(SOON, end).await.expect("the stream ends");
    }
    println!("streams of a revoked token ended within {:?}", revoked.elapsed());
    assert_eq!(refused(Some(&stranger), "").await, 401);
    world.register(&owner, "DEFAULT_GROUP", "open-3").await;
    services(&mut of_listed, "open-3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_room_for_so_many_and_one_s_own_are_counted() {
    let hub = Hub::with_config("event:\n  maxSubscribers: 4\n  maxSubscribersPerUser: 2\n").await;
    let mut seats = Vec::new();
    for user in ["ann", "ann", "ben", "ben"] {
        seats.push(Listener::sse(&hub, &format!("?userId={user}"), None).await);
    }
    let (code, body) = status(&hub, "?userId=cem", "text/event-stream", None).await;
    assert_eq!((code, &body["details"]["subscribers"]), (503, &json!(4)), "{body}");
    drop(seats.pop());
    hub.until("/metrics", SOON, |_, text| {
        text.as_str().unwrap().contains("hub_registry_event_subscribers{transport=\"sse\"} 3\n")
    })
    .await;
    let (code, body) = status(&hub, "?userId=ann", "text/event-stream", None).await;
    assert_eq!((code, &body["details"]["subscribers"]), (429, &json!(2)), "{body}");
    Listener::websocket(&hub, "?userId=cem").await;
}
