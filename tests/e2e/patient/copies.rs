//! Copies from one registry to another, on the real ones.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, EurekaOptions, Server, ServerKind, ServerOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::registries::{Writer, word};

/// A copy is there, changed or gone within this.
const SOON: Duration = Duration::from_secs(20);

struct Pair {
    hub: Hub,
    from: (Server, Writer),
    to: (Server, Writer),
    rule: String,
    from_eureka: bool,
}

/// A registry, and what its clients do.
pub(super) async fn server(kind: ServerKind) -> (Server, Writer) {
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let server = servers::start(kind, options).await.unwrap();
    let writer = Writer::new(word(kind), server.base_url());
    (server, writer)
}

/// The body that makes the hub read it.
pub(super) fn config(name: &str, server: &Server, kind: ServerKind, specific: Value) -> Value {
    let mut specific = specific;
    if kind == ServerKind::Eureka {
        specific["pollInterval"] = json!("1s");
    }
    // What leaves is believed at once: the guard has tests of its own.
    specific["removalGuard"] = json!({"holdSeconds": 1, "confirmations": 1, "settleSeconds": 5});
    json!({
        "configName": name, "registryType": word(kind), "serverAddress": server.address().to_string(),
        "retryInterval": 200, "specificConfig": specific,
    })
}

impl Pair {
    /// A hub with a rule from one registry to the other; `None`, visibly, where one cannot be had.
    async fn start(from: ServerKind, to: ServerKind, orphan: &str) -> Option<Self> {
        if [from, to].map(servers::require) != [true; 2] {
            return None;
        }
        let (one, two) = tokio::join!(server(from), server(to));
        let hub = Hub::start().await;
        let (status, answer) =
            hub.post("/api/v1/external/configs", &config("to", &two.0, to, json!({}))).await;
        assert_eq!(status, 201, "{answer}");
        let sync = json!({"sync": {
            "direction": "in", "targets": ["to"], "include": ["copied-*"], "orphan": orphan,
        }});
        let mut body = config("from", &one.0, from, sync);
        body["syncEnabled"] = json!("Y");
        body["syncInterval"] = json!(5);
        let (status, answer) = hub.post("/api/v1/external/configs", &body).await;
        assert_eq!(status, 201, "{answer}");
        let id = answer["configId"].as_str().unwrap();
        let rule = format!("/api/v1/external/configs/{id}");
        let from_eureka = from == ServerKind::Eureka;
        Some(Self { hub, from: one, to: two, rule, from_eureka })
    }

    /// What the target's own clients see of a service: addresses and versions.
    async fn there(&self, service: &str) -> BTreeMap<(String, u16), String> {
        self.to.1.list(service).await
    }

    /// Waits until the target's own clients see these ports, of this version.
    async fn until_there(&self, service: &str, ports: &[u16], version: &str) -> Duration {
        let start = Instant::now();
        let mut again = start + Duration::from_secs(5);
        loop {
            // An answer that a Eureka made while it was told of a change can lack it until the next
            // change (see `Writer::shows`): there is one.
            if self.from_eureka && Instant::now() > again && !ports.is_empty() {
                again += Duration::from_secs(5);
                self.from.1.register(service, HOST, ports[0], version).await;
            }
            let there = self.there(service).await;
            let seen: Vec<_> = there.keys().map(|(_, port)| *port).collect();
            if seen == ports && there.values().all(|v| v == version) {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < SOON,
                "{service}: {there:?} is not {ports:?} of version {version}: {}\n{}",
                self.status().await,
                self.hub.log_end()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn status(&self) -> Value {
        self.hub.get(&format!("{}/sync", self.rule)).await.1
    }

    async fn plan(&self) -> Vec<(String, u64)> {
        let (status, body) =
            self.hub.post(&format!("{}/sync?dryRun=true", self.rule), &json!({})).await;
        assert_eq!(status, 200, "{body}");
        let actions = body["actions"].as_array().unwrap();
        let action = |one: &Value| {
            (one["action"].as_str().unwrap().to_owned(), one["portNumber"].as_u64().unwrap())
        };
        actions.iter().map(action).collect()
    }
}

const HOST: &str = "10.7.0.1";

async fn one_way(from: ServerKind, to: ServerKind) {
    let Some(mut pair) = Pair::start(from, to, "EXPIRE").await else { return };
    // Somebody's own at the target: in a service of its own, and at an address that is copied too.
    pair.to.1.register("own", HOST, 1, "1").await;
    pair.to.1.register("copied-both", HOST, 7, "own").await;
    for port in [1, 2, 3] {
        pair.from.1.register("copied-web", HOST, port, "1").await;
    }
    pair.from.1.register("copied-both", HOST, 7, "1").await;
    pair.from.1.register("private", HOST, 1, "1").await;
    let came = pair.until_there("copied-web", &[1, 2, 3], "1").await;
    assert_eq!(pair.there("private").await, BTreeMap::new());

    pair.from.1.register("copied-web", HOST, 2, "2").await;
    pair.from.1.register("copied-web", HOST, 1, "2").await;
    pair.from.1.register("copied-web", HOST, 3, "2").await;
    let changed = pair.until_there("copied-web", &[1, 2, 3], "2").await;

    // Each instance once, under where it comes from.
    let path = "/api/v1/services/copied-web/instances";
    let (_, body) = pair.hub.get(path).await;
    assert_eq!(body["count"], 3, "{body:#}");
    for instance in body["instances"].as_array().unwrap() {
        let origins = instance["sources"].as_array().unwrap();
        let origins: Vec<_> = origins.iter().map(|origin| origin["source"].clone()).collect();
        assert_eq!(origins, ["from"], "{body:#}");
    }

    pair.from.1.remove("copied-web", HOST, 2).await;
    let left = pair.until_there("copied-web", &[1, 3], "2").await;
    let gone = |_, body: &Value| body["count"] == 2;
    pair.hub.until(path, SOON, gone).await;

    // What the hub does not own is as it was, and said to be left alone.
    assert_eq!(pair.there("own").await.len(), 1);
    let both = pair.there("copied-both").await;
    assert_eq!(both, BTreeMap::from([((HOST.to_owned(), 7), "own".to_owned())]));
    let end = Instant::now() + SOON;
    loop {
        // What the hub sees of the target may be a moment old.
        let plan = pair.plan().await;
        if plan.contains(&("SKIP".to_owned(), 7)) {
            break;
        }
        assert!(Instant::now() < end, "{plan:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    // A dead source changes nothing there.
    pair.from.0.kill().await;
    let stale = |_, body: &Value| {
        let mut sources = body["sources"].as_array().unwrap().iter();
        sources.any(|source| source["source"] == "from" && source["state"] == "STALE")
    };
    pair.hub.until(path, SOON, stale).await;
    assert!(
        pair.plan().await.iter().all(|(action, _)| action == "SKIP"),
        "{:?}",
        pair.plan().await
    );
    assert_eq!(pair.there("copied-web").await.len(), 2);

    // The hub dies meanwhile and comes again: it still knows what is its own.
    pair.hub.kill().await;
    pair.hub.run().await;
    pair.from.0.restart(Data::Wiped).await.unwrap();
    pair.from.1.register("copied-web", HOST, 3, "2").await;
    let back = pair.until_there("copied-web", &[3], "2").await;

    // The rule ends, and so do its copies; what others registered stays.
    let (status, answer) = pair.hub.put(&pair.rule, &json!({"syncEnabled": "N"})).await;
    assert_eq!(status, 200, "{answer}");
    pair.until_there("copied-web", &[], "").await;
    assert_eq!((pair.there("own").await.len(), pair.there("copied-both").await.len()), (1, 1));
    println!(
        "{from} to {to}: came {came:.1?}, changed {changed:.1?}, left {left:.1?}, after both were back {back:.1?}"
    );
}

#[tokio::test]
async fn a_consul_is_copied_into_a_nacos() {
    one_way(ServerKind::Consul, ServerKind::Nacos).await;
}

#[tokio::test]
async fn a_nacos_is_copied_into_a_eureka() {
    one_way(ServerKind::Nacos, ServerKind::Eureka).await;
}

#[tokio::test]
async fn a_eureka_is_copied_into_a_consul() {
    one_way(ServerKind::Eureka, ServerKind::Consul).await;
}

/// From a registry into the native one, where its rows stay when the registry is gone, and from
/// the native one into it.
#[tokio::test]
async fn the_native_registry_is_copied_from_and_to() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let (mut consul, writer) = server(ServerKind::Consul).await;
    let hub = Hub::start().await;
    let sync = json!({"sync": {
        "direction": "both", "targets": ["native"], "include": ["copied-*"], "orphan": "KEEP",
    }});
    let mut body = config("consul", &consul, ServerKind::Consul, sync);
    body["syncEnabled"] = json!("Y");
    let (status, answer) = hub.post("/api/v1/external/configs", &body).await;
    assert_eq!(status, 201, "{answer}");
    let rule = format!("/api/v1/external/configs/{}", answer["configId"].as_str().unwrap());
    writer.register("copied-in", HOST, 1, "1").await;
    writer.register("copied-in", HOST, 3, "1").await;
    let own = json!({
        "serviceName": "copied-out", "hostAddress": HOST, "portNumber": 2, "leaseSeconds": 3600,
        "weightValue": 7, "metadata": {"version": "1"},
    });
    let (status, made) = hub.post("/api/v1/instances", &own).await;
    assert_eq!(status, 201, "{made}");
    let end = Instant::now() + SOON;
    while writer.list("copied-out").await.len() != 1 {
        assert!(Instant::now() < end, "{}", hub.log_end());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // In, and out; and how many were written on the way in.
    let figures = |there: [u64; 2], written: u64| {
        move |_, body: &Value| {
            let of = |source: &str| {
                let mut routes = body["routes"].as_array().unwrap().iter();
                routes.find(|route| route["source"] == source).unwrap().clone()
            };
            let (into, out) = (of("consul"), of("native"));
            let copies = [&into, &out].map(|route| route["copies"].as_u64().unwrap());
            copies == there && into["pending"] == 0 && into["written"].as_u64() >= Some(written)
        }
    };
    let path = format!("{rule}/sync");
    hub.until(&path, SOON, figures([2, 1], 2)).await;
    writer.register("copied-in", HOST, 1, "2").await;
    hub.until(&path, SOON, figures([2, 1], 3)).await;
    writer.remove("copied-in", HOST, 3).await;
    hub.until(&path, SOON, figures([1, 1], 4)).await;

    // The registry dies, and its configuration is taken away: what was copied stays.
    consul.kill().await;
    let path = "/api/v1/services/copied-in/instances";
    let (status, answer) = hub.send(Method::DELETE, &rule, None).await;
    assert_eq!(status, 200, "{answer}");
    let native = |_, body: &Value| {
        body["count"] == 1 && body["instances"][0]["sources"][0]["source"] == "native"
    };
    hub.until(path, SOON, native).await;
    // Long enough for the engine to look at what is left of the rule.
    let ended = |_, body: &Value| body.as_str().is_some_and(|text| !text.contains("sync_copies{"));
    hub.until("/metrics", SOON, ended).await;
    let (_, body) = hub.get(path).await;
    assert_eq!(
        (&body["count"], &body["instances"][0]["metadata"]["version"]),
        (&json!(1), &json!("2"))
    );
    let id = body["instances"][0]["instanceId"].as_str().unwrap();
    let (_, row) = hub.get(&format!("/api/v1/instances/{id}")).await;
    assert_eq!(row["healthCheckType"], "NONE", "no lease ends it: {row:#}");
}
