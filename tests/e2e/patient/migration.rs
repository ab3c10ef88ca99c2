//! Services on their way from a real Eureka to a real Nacos, with clients that live there and a
//! reader that never stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::{self, Server, ServerKind};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::copies::{config, server};
use crate::hub::Hub;
use crate::patient::site::{Row, Site};
use crate::proofs;
use crate::registries::Writer;

/// Anything is copied, and seen to be, within this.
const SOON: Duration = Duration::from_secs(40);
/// What a Eureka no longer lists is believed after this at the latest: its list counts once in 30 s.
const BELIEVED: Duration = Duration::from_secs(100);
const HOST: &str = "10.8.0.1";
const PORTS: [u16; 3] = [1, 2, 3];

struct Scene {
    hub: Hub,
    eureka: (Server, Writer),
    nacos: (Server, Writer),
    services: Vec<String>,
    id: String,
}

impl Scene {
    /// Both registries, clients at the first, and a migration that is planned; `None`, visibly,
    /// where one of them cannot be had.
    async fn start(services: usize) -> Option<Self> {
        if [ServerKind::Eureka, ServerKind::Nacos].map(servers::require) != [true; 2] {
            return None;
        }
        let (eureka, nacos) = tokio::join!(server(ServerKind::Eureka), server(ServerKind::Nacos));
        let services: Vec<_> = (0..services).map(|number| format!("moved-{number}")).collect();
        for service in &services {
            for port in PORTS {
                eureka.1.register(service, HOST, port, "1").await;
            }
        }
        nacos.1.register("somebodys-own", HOST, 1, "1").await;
        let hub = Hub::start().await;
        let ends = [("old", ServerKind::Eureka, &eureka.0), ("new", ServerKind::Nacos, &nacos.0)];
        for (name, kind, server) in ends {
            let body = config(name, server, kind, json!({}));
            let (status, answer) = hub.post("/api/v1/external/configs", &body).await;
            assert_eq!(status, 201, "{answer}");
        }
        let body = json!({
            "name": "away from eureka", "from": "old", "to": "new",
            "services": {"include": ["moved-*"]},
            "gates": {"parityMinutes": 0, "maxLagMs": 60_000},
        });
        let (status, answer) = hub.post("/api/v1/migrations", &body).await;
        assert_eq!(status, 201, "{answer}");
        let id = answer["migrationId"].as_str().unwrap().to_owned();
        let scene = Self { hub, eureka, nacos, services, id };
        scene.until_read().await;
        Some(scene)
    }

    async fn until_read(&self) {
        for service in &self.services {
            let path = format!("/api/v1/services/{service}/instances");
            self.hub.until(&path, SOON, |_, body| body["count"] == 3).await;
        }
    }

    fn path(&self, more: &str) -> String {
        format!("/api/v1/migrations/{}{more}", self.id)
    }

    async fn delete(&self, path: &str) -> (StatusCode, Value) {
        self.hub.send(Method::DELETE, path, None).await
    }

    async fn step(&self, step: &str) -> (u16, Value) {
        let (status, answer) = self.hub.post(&self.path(step), &json!({})).await;
        (status.as_u16(), answer)
    }

    /// Waits until the next step is allowed, and takes it.
    async fn advance_to(&self, state: &str) {
        let end = Instant::now() + if state == "DONE" { BELIEVED } else { SOON };
        loop {
            let (status, answer) = self.step("/advance").await;
            if status == 200 {
                assert_eq!(answer["state"], state, "{answer}");
                return;
            }
            assert_eq!(status, 409, "{answer}");
            assert!(answer["details"]["reasons"].is_array(), "{answer}");
            assert!(Instant::now() < end, "not {state}: {answer}\n{}", self.hub.log_end());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn until_whole(&self) -> Value {
        let whole = |_, body: &Value| {
            body["percent"] == 100.0 && body["equal"] == json!(3 * self.services.len())
        };
        self.hub.until(&self.path("/parity"), SOON, whole).await;
        self.hub.get(&self.path("/parity")).await.1
    }

    /// What the target's own clients see.
    async fn copies(&self) -> BTreeMap<String, BTreeSet<u16>> {
        let mut all = BTreeMap::new();
        for service in &self.services {
            let there = self.nacos.1.list(service).await;
            all.insert(service.clone(), there.keys().map(|(_, port)| *port).collect());
        }
        all
    }

    fn all_copies(&self) -> BTreeMap<String, BTreeSet<u16>> {
        self.services.iter().map(|service| (service.clone(), PORTS.into())).collect()
    }

    async fn until_copies(&self, wanted: &BTreeMap<String, BTreeSet<u16>>) {
        let end = Instant::now() + SOON;
        loop {
            let there = self.copies().await;
            if there == *wanted {
                return;
            }
            assert!(Instant::now() < end, "{there:?} is not {wanted:?}\n{}", self.hub.log_end());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Who is named first for the instances of a service.
    async fn first_source(&self, service: &str) -> Value {
        let (_, body) = self.hub.get(&format!("/api/v1/services/{service}/instances")).await;
        body["instances"][0]["sources"][0]["source"].clone()
    }

    /// Each client registers at the target, and goes at the source.
    async fn clients_move(&self) {
        for service in &self.services {
            for port in PORTS {
                self.nacos.1.register(service, HOST, port, "1").await;
                self.eureka.1.remove(service, HOST, port).await;
            }
        }
    }
}

/// A reader that asks for one service after the other, all the time.
struct Reader {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(u64, Vec<String>)>,
}

impl Reader {
    fn start(hub: &Hub, services: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, stopped) = (hub.client.clone(), Arc::clone(&stop));
        let urls: Vec<_> = services
            .iter()
            .map(|service| hub.url(&format!("/api/v1/services/{service}/instances")))
            .collect();
        let wanted: BTreeSet<u64> = PORTS.map(u64::from).into();
        let task = tokio::spawn(async move {
            let (mut reads, mut wrong) = (0, Vec::new());
            let mut pace = tokio::time::interval(Duration::from_millis(20));
            for url in urls.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                pace.tick().await;
                let answer = client.get(url).send().await.unwrap();
                let status = answer.status();
                let body: Value = answer.json().await.unwrap();
                let instances = body["instances"].as_array().into_iter().flatten();
                let right = |i: &Value| {
                    i["hostAddress"] == HOST
                        && i["metadata"]["version"] == "1"
                        && i["healthStatus"] == "HEALTHY"
                        && i["instanceStatus"] == "UP"
                };
                let (mut ports, mut all_right) = (BTreeSet::new(), true);
                for instance in instances {
                    all_right &= right(instance);
                    ports.insert(instance["portNumber"].as_u64().unwrap_or(0));
                }
                if status != 200 || ports != wanted || !all_right || body["count"] != 3 {
                    wrong.push(format!("{url}: {status} {body}"));
                }
                reads += 1;
            }
            (reads, wrong)
        });
        Self { stop, task }
    }

    async fn end(self) -> (u64, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

/// Clients that beat at the source until they are gone.
fn beat(scene: &Scene, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (writer, services) = (scene.eureka.1.clone(), scene.services.clone());
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        for (service, port) in services.iter().flat_map(|s| PORTS.map(|port| (s, port))).cycle() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            writer.beat(service, HOST, port).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

#[tokio::test]
async fn readers_see_all_of_it_in_every_state_and_on_the_way_back() {
    let services = proofs::rounds(8, 100) as usize;
    let Some(scene) = Scene::start(services).await else { return };
    let reader = Reader::start(&scene.hub, &scene.services);
    let gone = Arc::new(AtomicBool::new(false));
    let beats = beat(&scene, &gone);

    // Nothing is there before the first step, and what it would do can be read, once both
    // registries were.
    scene.hub.until(&scene.path("/plan"), SOON, |status, _| status == 200).await;
    let (_, plan) = scene.hub.get(&scene.path("/plan")).await;
    assert_eq!(plan["count"], 3 * services, "{plan}");
    assert!(plan["actions"].as_array().unwrap().iter().all(|a| a["action"] == "REGISTER"));
    assert!(scene.copies().await.values().all(BTreeSet::is_empty));
    let start = Instant::now();
    scene.advance_to("MIRROR").await;
    let (status, refused) = scene.step("/advance").await;
    assert!(status == 409 || status == 200, "{refused}");
    scene.until_whole().await;
    let whole = start.elapsed();
    assert_eq!(scene.copies().await, scene.all_copies());
    if status == 409 {
        let reasons = refused["details"]["reasons"].to_string();
        assert!(reasons.contains("parity: "), "{refused}");
        scene.advance_to("DUAL").await;
    }
    assert_eq!(scene.first_source("moved-1").await, "old");

    scene.advance_to("CUTOVER").await;
    assert_eq!(scene.first_source("moved-1").await, "new");
    let (status, answer) = scene.step("/rollback").await;
    assert_eq!((status, &answer["state"]), (200, &json!("DUAL")), "{answer}");
    assert_eq!(scene.first_source("moved-1").await, "old");
    // One service goes ahead, and comes back.
    let (status, answer) = scene.step("/advance?serviceName=moved-1").await;
    assert_eq!((status, &answer["state"]), (200, &json!("CUTOVER")), "{answer}");
    assert_eq!(scene.first_source("moved-1").await, "new");
    assert_eq!(scene.first_source("moved-2").await, "old");
    let (status, answer) = scene.step("/rollback?serviceName=moved-1").await;
    assert_eq!((status, &answer["state"]), (200, &json!("DUAL")), "{answer}");

    scene.advance_to("CUTOVER").await;
    // What registers through the hub goes to the target.
    let hubs_own = json!({
        "serviceName": "moved-by-hub", "hostAddress": HOST, "portNumber": 9,
        "leaseSeconds": 3600, "metadata": {"version": "1"},
    });
    let (status, made) = scene.hub.post("/api/v1/instances", &hubs_own).await;
    assert_eq!(status, 201, "{made}");
    let end = Instant::now() + SOON;
    while scene.nacos.1.list("moved-by-hub").await.len() != 1 {
        assert!(Instant::now() < end, "{}", scene.hub.log_end());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    scene.advance_to("DRAIN").await;
    let (_, report) = scene.hub.get(&scene.path("")).await;
    assert_eq!(report["leftCount"], 3 * services + 1, "{report:#}");
    let (status, answer) = scene.step("/advance").await;
    assert_eq!(status, 409, "{answer}");
    assert!(answer["details"]["reasons"].to_string().contains("drained: "), "{answer}");
    gone.store(true, Ordering::Relaxed);
    beats.await.unwrap();
    scene.clients_move().await;
    let id = made["instanceId"].as_str().unwrap();
    let (status, answer) = scene.delete(&format!("/api/v1/instances/{id}")).await;
    assert_eq!(status, 200, "{answer}");
    scene.advance_to("DONE").await;

    // Nothing of the hub's is left at the source, whatever its cache says.
    let eureka = Site::of(&scene.eureka.0);
    let rows = PORTS.map(|port| Row::new(HOST, port, "1"));
    let end = Instant::now() + SOON;
    for service in &scene.services {
        while eureka.look_again(service, &rows).await.is_none_or(|left| !left.is_empty()) {
            assert!(Instant::now() < end, "{service}: {}", scene.hub.log_end());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(scene.copies().await, scene.all_copies());
    assert_eq!(scene.nacos.1.list("somebodys-own").await.len(), 1);
    for step in ["/rollback", "/pause"] {
        let (status, answer) = scene.step(step).await;
        assert_eq!(status, 409, "{step} of what is done: {answer}");
    }
    let (reads, wrong) = reader.end().await;
    println!("{services} services: whole after {whole:.1?}, {reads} reads, {} wrong", wrong.len());
    assert!(reads > 100, "{reads}");
    assert!(wrong.is_empty(), "{} of {reads}: {}\n{}", wrong.len(), wrong[0], scene.hub.log_end());
}

#[tokio::test]
async fn a_hub_killed_in_any_state_goes_on_where_it_was() {
    let Some(mut scene) = Scene::start(4).await else { return };
    for state in ["MIRROR", "DUAL", "CUTOVER", "DRAIN"] {
        scene.advance_to(state).await;
        // At once, in the middle of what the step asks for.
        scene.hub.kill().await;
        scene.hub.run().await;
        let (_, report) = scene.hub.get(&scene.path("")).await;
        assert_eq!(report["state"], state, "{report:#}");
        for service in &scene.services {
            let (status, body) =
                scene.hub.get(&format!("/api/v1/services/{service}/instances")).await;
            assert_eq!((status.as_u16(), &body["count"]), (200, &json!(3)), "{state}: {body:#}");
        }
        scene.until_whole().await;
        scene.until_copies(&scene.all_copies()).await;
        // Afterwards, when all is quiet.
        scene.hub.kill().await;
        scene.hub.run().await;
        scene.until_read().await;
        let (_, report) = scene.hub.get(&scene.path("")).await;
        assert_eq!(report["state"], state, "{report:#}");
    }
    // Paused, it stays as it is, whatever happens at the source.
    let (status, answer) = scene.step("/pause").await;
    assert_eq!((status, &answer["paused"]), (200, &json!(true)), "{answer}");
    scene.eureka.1.remove("moved-1", HOST, 1).await;
    scene.hub.kill().await;
    scene.hub.run().await;
    let missing = |_, body: &Value| body["extra"] == 1;
    scene.hub.until(&scene.path("/parity"), SOON, missing).await;
    assert_eq!(scene.copies().await, scene.all_copies());
    let (status, answer) = scene.step("/resume").await;
    assert_eq!((status, &answer["paused"]), (200, &json!(false)), "{answer}");
    let mut wanted = scene.all_copies();
    wanted.insert("moved-1".to_owned(), [2, 3].into());
    scene.until_copies(&wanted).await;

    // All the way back: the copies leave, and nothing else.
    for state in ["CUTOVER", "DUAL", "MIRROR", "PLANNED"] {
        let (status, answer) = scene.step("/rollback").await;
        assert_eq!((status, &answer["state"]), (200, &json!(state)), "{answer}");
    }
    let none = scene.services.iter().map(|service| (service.clone(), BTreeSet::new())).collect();
    scene.until_copies(&none).await;
    assert_eq!(scene.nacos.1.list("somebodys-own").await.len(), 1);
    assert_eq!(scene.eureka.1.list("moved-2").await.len(), 3);

    // What becomes of copies must be said; kept ones are the hub's no more.
    scene.advance_to("MIRROR").await;
    scene.until_copies(&wanted).await;
    let (status, answer) = scene.delete(&scene.path("")).await;
    assert_eq!((status.as_u16(), &answer["details"]["field"]), (400, &json!("copies")), "{answer}");
    let (status, answer) = scene.delete(&scene.path("?copies=keep")).await;
    assert_eq!((status.as_u16(), &answer["copies"]), (200, &json!(11)), "{answer}");
    assert_eq!(scene.hub.get(&scene.path("")).await.0, 404);
    scene.hub.kill().await;
    scene.hub.run().await;
    scene.until_copies(&wanted).await;
}

#[tokio::test]
async fn what_is_asked_for_wrongly_is_refused_with_the_field_and_the_rule() {
    let hub = Hub::start().await;
    let body = |more: Value| {
        let mut body = json!({"name": "m", "from": "native", "to": "nowhere"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, field) in [
        (json!({}), "to"),
        (json!({"from": "nobody"}), "from"),
        (json!({"to": "native"}), "to"),
        (json!({"name": ""}), "name"),
        (json!({"gates": {"maxLagMs": 0}}), "gates.maxLagMs"),
        (json!({"groupMap": {"a": "x", "b": "x"}}), "groupMap"),
        (json!({"unknown": 1}), "unknown"),
    ] {
        let (status, answer) = hub.post("/api/v1/migrations", &body(more)).await;
        let found = (status.as_u16(), &answer["details"]["field"]);
        assert_eq!(found, (400, &json!(field)), "{answer}");
    }
    let nobody = format!("/api/v1/migrations/{}", "0".repeat(32));
    assert_eq!(hub.get(&nobody).await.0, 404);
    assert_eq!(hub.get("/api/v1/migrations/x").await.0, 404);
    let (_, list) = hub.get("/api/v1/migrations").await;
    assert_eq!(list["count"], 0, "{list}");
}
