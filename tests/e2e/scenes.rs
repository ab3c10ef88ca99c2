//! What happens to registries in a life, on the real ones, and when each row leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use hub_registry_testkit::servers::{
    self, Data, EurekaOptions, Login, Server, ServerKind, ServerOptions,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::federation::rows;
use crate::hub::Hub;
use crate::registries::{Writer, word};

pub(crate) const WEB: &str = "web";
pub(crate) const PORT: u16 = 8080;
/// What passes at once is seen within this on a busy machine.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(8);
const HELD: &str = "hub_registry_source_removals_held_total";

/// A hub that reads one registry.
pub(crate) struct Scene {
    pub hub: Hub,
    pub writer: Writer,
    pub config: String,
}

impl Scene {
    pub(crate) async fn of(kind: ServerKind, writer: Writer, address: String, more: Value) -> Self {
        Self::on(Hub::start().await, kind, writer, address, more).await
    }

    /// The same with a hub that runs already.
    pub(crate) async fn on(
        hub: Hub,
        kind: ServerKind,
        writer: Writer,
        address: String,
        more: Value,
    ) -> Self {
        let mut config = json!({
            "configName": "scene", "registryType": word(kind), "serverAddress": address,
            "readTimeout": 3000, "retryInterval": 200,
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        let (status, answer) = hub.post("/api/v1/external/configs", &config).await;
        assert_eq!(status, 201, "{answer}");
        let config = format!("/api/v1/external/configs/{}", answer["configId"].as_str().unwrap());
        Self { hub, writer, config }
    }

    /// One with a server of its own.
    pub(crate) async fn with_server(kind: ServerKind, more: Value) -> Option<(Self, Server)> {
        Self::with_clients(kind, more, 0..0).await
    }

    /// The same, with clients that were there before the hub: what came within the last minute pays
    /// for what goes.
    async fn with_clients(
        kind: ServerKind,
        more: Value,
        numbers: std::ops::Range<u32>,
    ) -> Option<(Self, Server)> {
        if !servers::require(kind) {
            return None;
        }
        let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
        let server = servers::start(kind, options).await.unwrap();
        let writer = Writer::new(word(kind), server.base_url());
        let address = server.address().to_string();
        let register = async |number| writer.register(WEB, &host(number), PORT, "1").await;
        for number in numbers.clone() {
            register(number).await;
        }
        let scene = Self::of(kind, writer.clone(), address, more).await;
        scene.seen(WEB, &all(numbers, PORT)).await;
        Some((scene, server))
    }

    /// Waits until all of these are seen.
    async fn seen(&self, service: &str, all: &BTreeSet<(String, u16)>) {
        let path = format!("/api/v1/services/{service}/instances");
        let seen = |_, body: &Value| {
            let shown: BTreeSet<_> = shown(body).into_keys().collect();
            all.is_subset(&shown)
        };
        self.hub.until(&path, Duration::from_secs(30), seen).await;
    }

    /// Clients come, all together, and are seen.
    pub(crate) async fn come(&self, service: &str, numbers: std::ops::Range<u32>, port: u16) {
        let come = numbers.clone().map(|number| async move {
            self.writer.register(service, &host(number), port, "1").await;
        });
        join_all(come).await;
        self.seen(service, &all(numbers, port)).await;
    }

    pub(crate) async fn go(&self, service: &str, numbers: std::ops::Range<u32>, port: u16) {
        let go = numbers.map(|number| async move {
            self.writer.remove(service, &host(number), port).await;
        });
        join_all(go).await;
    }

    /// Follows a service until it shows only these, none of them held; when the others left. Those
    /// that stay are there all the time.
    pub(crate) async fn follow(
        &self,
        service: &str,
        stay: &BTreeSet<(String, u16)>,
        within: Duration,
    ) -> BTreeMap<(String, u16), Duration> {
        let path = format!("/api/v1/services/{service}/instances");
        let (start, mut left) = (Instant::now(), BTreeMap::new());
        let mut before: BTreeSet<(String, u16)> = BTreeSet::new();
        loop {
            let (_, body) = self.hub.get(&path).await;
            let shown = shown(&body);
            for one in stay {
                assert!(shown.contains_key(one), "{one:?} lives and is missing: {body:#}");
            }
            let now: BTreeSet<_> = shown.keys().cloned().collect();
            for gone in before.difference(&now) {
                left.insert(gone.clone(), start.elapsed());
            }
            if now == *stay && !shown.values().any(|held| *held) {
                return left;
            }
            let late = start.elapsed() > within;
            assert!(!late, "not {stay:?} within {within:?}: {body:#}\n{}", self.hub.log_end());
            before = now;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn state(&self) -> Value {
        self.hub.get(&format!("{}/status", self.config)).await.1
    }

    pub(crate) async fn until_state(&self, state: &str, within: Duration) -> Duration {
        let path = format!("{}/status", self.config);
        self.hub.until(&path, within, |_, body| body["state"] == state).await
    }

    /// How many removals were ever held.
    async fn held(&self) -> f64 {
        let (_, text) = self.hub.get("/metrics").await;
        let text = text.as_str().unwrap();
        let lines = text.lines().filter(|line| line.starts_with(HELD));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    async fn removed(&self) -> f64 {
        self.hub.metric("hub_registry_view_instance_changes_total{change=\"removed\"}").await
    }
}

pub(crate) fn host(number: u32) -> String {
    format!("10.7.0.{}", number + 1)
}

pub(crate) fn all(numbers: std::ops::Range<u32>, port: u16) -> BTreeSet<(String, u16)> {
    numbers.map(|number| (host(number), port)).collect()
}

/// The rows, and whether each is held.
pub(crate) fn shown(body: &Value) -> BTreeMap<(String, u16), bool> {
    if !body["instances"].is_array() {
        return BTreeMap::new();
    }
    let one = |row: &Value| {
        let host = row["hostAddress"].as_str().unwrap().to_owned();
        let port = u16::try_from(row["portNumber"].as_u64().unwrap()).unwrap();
        ((host, port), row["held"] == true)
    };
    rows(body).iter().map(one).collect()
}

fn print(what: &str, left: &BTreeMap<(String, u16), Duration>) {
    let (first, last) = (left.values().min(), left.values().max());
    println!("{what}: {} left, the first after {first:.1?}, the last after {last:.1?}", left.len());
}

/// Half of forty leave together: a fifth may go at once, the others when they are confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_consul_scaled_down_by_half_is_confirmed_in_15_seconds() {
    let scene = Scene::with_clients(ServerKind::Consul, json!({}), 0..40).await;
    let Some((scene, _server)) = scene else { return };
    scene.go(WEB, 20..40, PORT).await;
    let left = scene.follow(WEB, &all(0..20, PORT), Duration::from_secs(60)).await;
    print("scaled down by half", &left);
    let held: Vec<_> = left.values().filter(|when| **when > AT_ONCE).collect();
    assert!(held.len() >= 11, "at most nine at once: {left:?}");
    assert!(held.iter().all(|when| **when >= Duration::from_secs(14)), "{left:?}");
    assert!(held.iter().all(|when| **when <= Duration::from_secs(40)), "{left:?}");
    assert_eq!(scene.state().await["state"], "LIVE");
}

/// New ones come, the old ones go, twice: once on other hosts, once on another port.
#[tokio::test(flavor = "multi_thread")]
async fn blue_green_and_a_change_of_every_port_are_no_loss() {
    let scene = Scene::with_clients(ServerKind::Consul, json!({}), 0..20).await;
    let Some((scene, _server)) = scene else { return };
    scene.come(WEB, 20..40, PORT).await;
    scene.go(WEB, 0..20, PORT).await;
    let left = scene.follow(WEB, &all(20..40, PORT), AT_ONCE).await;
    print("blue, then green", &left);
    scene.come(WEB, 20..40, PORT + 1).await;
    scene.go(WEB, 20..40, PORT).await;
    let left = scene.follow(WEB, &all(20..40, PORT + 1), AT_ONCE).await;
    print("another port", &left);
    assert!(scene.held().await < 0.5, "a swap is no loss");
    assert!((scene.removed().await - 40.0).abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_eureka_of_three_loses_one_then_two_then_all() {
    let more = json!({ "specificConfig": { "pollInterval": "500ms" } });
    let Some((scene, _server)) = Scene::with_server(ServerKind::Eureka, more).await else {
        return;
    };
    scene.come(WEB, 0..3, PORT).await;
    for number in [2, 1] {
        scene.go(WEB, number..number + 1, PORT).await;
        let left = scene.follow(WEB, &all(0..number, PORT), AT_ONCE).await;
        print("one of a few", &left);
    }
    assert!(scene.held().await < 0.5, "a few may just leave");
    scene.go(WEB, 0..1, PORT).await;
    let left = scene.follow(WEB, &BTreeSet::new(), Duration::from_secs(60)).await;
    print("the last of all", &left);
    let when = left[&(host(0), PORT)];
    assert!((14..=40).contains(&when.as_secs()), "{when:?}");
}

/// A registry that is really empty now: the truth gets through by itself, or when an operator says so.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_nacos_is_really_removed() {
    let guard = json!({ "specificConfig": { "removalGuard": { "emptyHoldSeconds": 20 } } });
    let Some((scene, _server)) = Scene::with_server(ServerKind::Nacos, guard).await else {
        return;
    };
    scene.come(WEB, 0..12, PORT).await;
    scene.go(WEB, 0..12, PORT).await;
    let left = scene.follow(WEB, &BTreeSet::new(), Duration::from_secs(90)).await;
    print("all of it, by itself", &left);
    // What is told first may be few enough to leave at once.
    let late = left.values().filter(|when| **when >= Duration::from_secs(14));
    assert!(late.count() >= 3, "{left:?}");

    scene.come(WEB, 0..30, PORT).await;
    scene.go(WEB, 0..30, PORT).await;
    scene.until_state("PROTECTED", Duration::from_secs(15)).await;
    let accept = format!("{}/accept-removals", scene.config);
    let (status, body) = scene.hub.post(&accept, &json!({ "heldRevision": 1 })).await;
    assert_eq!(status, 409, "not what was seen: {body:#}");
    let start = Instant::now();
    while !shown(&scene.hub.get("/api/v1/services/web/instances").await.1).is_empty() {
        let seen = scene.state().await["heldRevision"].clone();
        let (status, body) = scene.hub.post(&accept, &json!({ "heldRevision": seen })).await;
        assert!(status == 200 || status == 409, "{body:#}");
        assert!(start.elapsed() < Duration::from_secs(10), "{body:#}");
    }
    println!("all of it, accepted: gone {:.1?} after the first try", start.elapsed());
}

/// A Consul token that loses its rights makes every list empty, without an error; later it is
/// deleted. Nobody leaves for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_consul_token_that_expires_into_empty_lists_costs_nobody() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let options = ServerOptions::default().with_login();
    let server = servers::start(ServerKind::Consul, options).await.unwrap();
    let root = Login::of(ServerKind::Consul).password;
    let ask = async |method: reqwest::Method, path: &str, body: Value| -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("{}/v1/acl/{path}", server.base_url()));
        let answer = request.header("x-consul-token", root).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
    };
    let put = reqwest::Method::PUT;
    let rights = r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let policy = json!({ "Name": "hub", "Rules": rights });
    let policy = ask(put.clone(), "policy", policy).await["ID"].as_str().unwrap().to_owned();
    let token = json!({ "Policies": [{ "ID": policy }] });
    let token = ask(put.clone(), "token", token).await;
    let (accessor, secret) = (token["AccessorID"].as_str().unwrap(), token["SecretID"].clone());

    let writer = Writer::with_token(server.base_url(), root);
    let more = json!({ "authEnabled": "Y", "accessToken": secret });
    let scene = Scene::of(ServerKind::Consul, writer, server.address().to_string(), more).await;
    scene.come(WEB, 0..15, PORT).await;
    let set = async |rules: &str| {
        let path = format!("policy/{policy}");
        let body = json!({ "ID": policy, "Name": "hub", "Rules": rules });
        ask(put.clone(), &path, body).await;
    };
    let everybody = all(0..15, PORT);
    set("").await;
    // The agent remembers rights for a while, and a read that waits goes on waiting.
    let took = scene.until_state("STALE", Duration::from_secs(90)).await;
    let state = scene.state().await;
    println!("without rights: STALE after {took:.1?}: {}", state["lastErrorMessage"]);
    assert_eq!(state["errorDetails"]["code"], "forbidden", "{state:#}");
    let there = |body: &Value| shown(body).into_keys().collect::<BTreeSet<_>>() == everybody;
    assert!(there(&scene.hub.get("/api/v1/services/web/instances").await.1));

    set(rights).await;
    // As an operator would; by itself it is tried again after 30 s.
    let connect = format!("{}/connect", scene.config);
    let start = Instant::now();
    while scene.hub.post(&connect, &json!({})).await.1["state"] != "LIVE" {
        assert!(start.elapsed() < Duration::from_secs(90), "{:#}", scene.state().await);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("renewed: LIVE after {:.1?}", start.elapsed());
    scene.follow(WEB, &everybody, AT_ONCE).await;

    ask(reqwest::Method::DELETE, &format!("token/{accessor}"), json!({})).await;
    let took = scene.until_state("STALE", Duration::from_secs(90)).await;
    println!("deleted: STALE after {took:.1?}");
    assert!(there(&scene.hub.get("/api/v1/services/web/instances").await.1));
    assert!(scene.removed().await < 0.5, "nobody left");
}

/// The leader dies; the two that are left elect another, and until then say that there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_consul_that_elects_a_leader_loses_nobody() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let cluster = servers::start_cluster(ServerKind::Consul, 3, ServerOptions::default()).await;
    let mut cluster = cluster.unwrap();
    let leader = async |server: &Server| -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/status/leader", server.base_url());
        let Ok(answer) = client.get(url).send().await else { return String::new() };
        answer.text().await.unwrap_or_default().trim().trim_matches('"').to_owned()
    };
    // Its RPC port is one above its HTTP port.
    let first = leader(&cluster[0]).await;
    let leads = |server: &Server| first.ends_with(&format!(":{}", server.http_port() + 1));
    let place = cluster.iter().position(leads).expect("one of the three leads");
    let others: Vec<_> = (0..3).filter(|other| *other != place).collect();
    // What an agent registered goes with it: the clients are those of one that lives on.
    let writer = Writer::new("CONSUL", cluster[others[0]].base_url());
    let address = cluster[others[1]].address().to_string();
    let scene = Scene::of(ServerKind::Consul, writer, address, json!({})).await;
    scene.come(WEB, 0..15, PORT).await;

    cluster[place].kill().await;
    let start = Instant::now();
    let everybody = all(0..15, PORT);
    let mut stale = false;
    loop {
        let now = leader(&cluster[others[1]]).await;
        let (_, body) = scene.hub.get("/api/v1/services/web/instances").await;
        assert_eq!(shown(&body).into_keys().collect::<BTreeSet<_>>(), everybody, "{body:#}");
        stale |= body["stale"] == true;
        let elected = !now.is_empty() && now != first;
        if elected && scene.state().await["state"] == "LIVE" {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "leader {now:?}, {body:#}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("another leader and LIVE after {:.1?}, stale meanwhile: {stale}", start.elapsed());
    // It is heard: what comes now is seen, and what goes leaves as ever.
    scene.come(WEB, 15..16, PORT).await;
    scene.go(WEB, 15..16, PORT).await;
    scene.follow(WEB, &everybody, AT_ONCE).await;
    assert!((scene.removed().await - 1.0).abs() < 0.5, "nobody but that one left");
}

/// Two Eurekas that copy from each other are restarted one after the other. The hub knows both.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_a_eureka_pair_loses_nobody() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let pair = servers::start_cluster(ServerKind::Eureka, 2, options).await;
    let mut pair = pair.unwrap();
    let addresses = format!("{},{}", pair[0].address(), pair[1].address());
    let writers = [0, 1].map(|place: usize| Writer::new("EUREKA", pair[place].base_url()));
    let more = json!({ "specificConfig": { "pollInterval": "500ms" } });
    let [first, second] = writers;
    let scene = Scene::of(ServerKind::Eureka, first, addresses, more).await;
    scene.come(WEB, 0..15, PORT).await;
    let everybody = all(0..15, PORT);
    let hosts: BTreeSet<_> = everybody.iter().map(|(host, _)| host.clone()).collect();
    let has_all = async |writer: &Writer| {
        let start = Instant::now();
        while writer.hosts(WEB).await != hosts {
            assert!(start.elapsed() < Duration::from_secs(60), "no copies from its peer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    has_all(&second).await;
    for place in [0, 1] {
        pair[place].kill().await;
        let start = Instant::now();
        pair[place].restart(Data::Kept).await.unwrap();
        has_all(if place == 0 { &scene.writer } else { &second }).await;
        println!("{place} is back with all copies after {:.1?}", start.elapsed());
        let (_, body) = scene.hub.get("/api/v1/services/web/instances").await;
        assert_eq!(shown(&body).into_keys().collect::<BTreeSet<_>>(), everybody, "{body:#}");
    }
    // What the servers say of themselves may be held for longer than that.
    scene.follow(WEB, &everybody, Duration::from_secs(60)).await;
    assert!(scene.removed().await < 0.5, "nobody left");
}
