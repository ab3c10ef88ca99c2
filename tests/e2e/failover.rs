//! A standby in the place of a registry that fails, with two real Consuls, and readers all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::hub::Hub;

const SOON: Duration = Duration::from_secs(60);
const SERVICES: [&str; 3] = ["web", "api", "cart"];
const PRIMARY: &str = "10.0.1.1";
const STANDBY: &str = "10.0.2.1";

struct World {
    hub: Hub,
    primary: Server,
    standby: Server,
    http: reqwest::Client,
    primary_id: String,
    standby_id: String,
    /// So many instances of each service both know at least.
    least: usize,
}

impl World {
    /// Three services in both; `ports` instances of each in the standby, two in the primary.
    async fn start(ports: u16, failover: Value) -> Option<Self> {
        if !servers::require(ServerKind::Consul) {
            return None;
        }
        let consul = || servers::start(ServerKind::Consul, ServerOptions::default());
        let (primary, standby) = tokio::join!(consul(), consul());
        let hub = Hub::with_config("external:\n  pollInterval: 500ms\n").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (primary, standby) = (primary.unwrap(), standby.unwrap());
        let ids = (String::new(), String::new());
        let least = usize::from(ports.min(2));
        let mut world =
            Self { hub, primary, standby, http, primary_id: ids.0, standby_id: ids.1, least };
        for service in SERVICES {
            for port in 0..2 {
                world.put(&world.primary, service, PRIMARY, 8000 + port).await;
            }
            for port in 0..ports {
                world.put(&world.standby, service, STANDBY, 8000 + port).await;
            }
        }
        world.standby_id = world.add("standby", &world.standby, json!({})).await;
        world.until_live(&world.standby_id).await;
        let mut more = json!({ "failoverEnabled": "Y", "failoverConfigId": world.standby_id,
            "failoverStrategy": "AUTO" });
        more.as_object_mut().unwrap().extend(failover.as_object().unwrap().clone());
        world.primary_id = world.add("primary", &world.primary, more).await;
        world.until_live(&world.primary_id).await;
        for service in SERVICES {
            world.until_hosts(service, PRIMARY).await;
        }
        Some(world)
    }

    async fn put(&self, server: &Server, service: &str, host: &str, port: u16) {
        let body = json!({ "ID": format!("{service}-{port}"), "Name": service, "Address": host, "Port": port });
        let url = format!("{}/v1/agent/service/register", server.base_url());
        let answer = self.http.put(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    async fn add(&self, name: &str, server: &Server, more: Value) -> String {
        let mut body = json!({
            "configName": name, "registryType": "CONSUL", "serverAddress": server.address().to_string(),
            "retryInterval": 200, "connectionTimeout": 1000, "readTimeout": 2000, "maxRetries": 0,
            "specificConfig": { "services": { "exclude": ["consul"] } },
        });
        for (key, value) in more.as_object().unwrap() {
            if key == "specificConfig" {
                for (key, value) in value.as_object().unwrap() {
                    body["specificConfig"][key] = value.clone();
                }
            } else {
                body[key] = value.clone();
            }
        }
        let (status, answer) = self.hub.post("/api/v1/external/configs", &body).await;
        assert_eq!(status, 201, "{answer}");
        answer["configId"].as_str().unwrap().to_owned()
    }

    fn path(&self, action: &str) -> String {
        format!("/api/v1/external/configs/{}/{action}", self.primary_id)
    }

    async fn until_live(&self, id: &str) {
        let path = format!("/api/v1/external/configs/{id}/status");
        self.hub.until(&path, SOON, |_, body| body["state"] == "LIVE").await;
    }

    async fn until_hosts(&self, service: &str, host: &str) {
        let path = instances(service);
        self.hub
            .until(&path, SOON, |_, body| {
                hosts(body).iter().all(|h| h == host) && !hosts(body).is_empty()
            })
            .await;
    }

    async fn until_status(&self, word: &str) -> Duration {
        let path = self.path("status");
        self.hub.until(&path, SOON, |_, body| body["failoverStatus"] == word).await
    }

    async fn status(&self) -> Value {
        self.hub.get(&self.path("status")).await.1
    }

    async fn until_waits_for(&self, word: &str) {
        let path = self.path("status");
        self.hub.until(&path, SOON, |_, body| body["failover"]["waitsFor"] == word).await;
    }

    /// Until a restart would go on from there.
    async fn until_on_disk(&self, word: &str) {
        use sqlx::ConnectOptions;
        let path = self.hub.dir.path().join("registry.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
        let mut database = options.connect().await.unwrap();
        let query =
            "SELECT failoverStatus FROM HUB_REGISTRY_EXTERNAL_STATUS WHERE externalConfigId = ?";
        let start = Instant::now();
        loop {
            let status: Option<String> = sqlx::query_scalar(query)
                .bind(&self.primary_id)
                .fetch_one(&mut database)
                .await
                .unwrap();
            if status.as_deref() == Some(word) {
                return;
            }
            assert!(start.elapsed() < SOON, "{status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Until exactly these steps were told, `OLD NEW`, oldest first.
    async fn until_told(&self, steps: &[&str]) {
        let path = "/api/v1/events?eventType=EXTERNAL_FAILOVER,EXTERNAL_RECOVER&limit=100";
        let told = |body: &Value| self.told(body);
        self.hub.until(path, SOON, |status, body| status == 200 && told(body) == steps).await;
    }

    fn told(&self, body: &Value) -> Vec<String> {
        let step = |event: &Value| {
            assert_eq!(event["source"], "primary", "{event:#}");
            let data = &event["data"];
            assert_eq!(data["configId"], self.primary_id.as_str(), "{event:#}");
            assert_eq!(data["failoverConfigId"], self.standby_id.as_str(), "{event:#}");
            let status = &data["failoverStatus"];
            let (old, new) = (status["old"].as_str().unwrap(), status["new"].as_str().unwrap());
            let kind = if new == "FAILOVER" { "EXTERNAL_FAILOVER" } else { "EXTERNAL_RECOVER" };
            assert_eq!(event["eventType"], kind, "{event:#}");
            (event["revision"].as_i64().unwrap(), format!("{old} {new}"))
        };
        let events = body["events"].as_array().unwrap();
        let mut steps: Vec<_> = events.iter().map(step).collect();
        steps.sort_by_key(|(revision, _)| *revision);
        steps.into_iter().map(|(_, step)| step).collect()
    }

    /// How many instances of a service left the view.
    async fn left(&self, service: &str) -> u64 {
        let path = format!("/api/v1/events?eventType=INSTANCE_DEREGISTER&serviceName={service}");
        self.hub.get(&path).await.1["count"].as_u64().unwrap()
    }

    /// Reads every service all the time; each answer has as many instances as both know.
    /// Only where the hub is restarted it may say 503 for a moment.
    fn readers(&self, restarts: bool) -> Readers {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let least = self.least;
        let tasks = SERVICES.map(|service| {
            let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
            let (url, client) = (self.hub.url(&instances(service)), self.http.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.get(&url).send().await;
                    assert!(restarts || answer.is_ok(), "{answer:?}");
                    let Ok(answer) = answer else { continue };
                    let status = answer.status();
                    if restarts && status == StatusCode::SERVICE_UNAVAILABLE {
                        continue;
                    }
                    let Ok(body) = answer.json::<Value>().await else { continue };
                    assert_eq!(status, 200, "{body:#}");
                    assert!(hosts(&body).len() >= least, "{service} lacks some: {body:#}");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        Readers { stop, reads, tasks }
    }
}

struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 3],
}

impl Readers {
    async fn end(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let reads = self.reads.load(Ordering::Relaxed);
        assert!(reads > 100, "{reads} reads prove little");
        println!("{what}: {reads} reads, none failed, none lacked an instance");
    }
}

fn instances(service: &str) -> String {
    format!("/api/v1/services/{service}/instances")
}

fn hosts(body: &Value) -> Vec<String> {
    let rows = body["instances"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["hostAddress"].as_str().unwrap().to_owned()).collect()
}

fn quick() -> Value {
    json!({ "specificConfig": { "failover": { "after": "2s", "goodReads": 1, "holdDown": "2s" } } })
}

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
    let add = async |name: &str, more: Value| {
        let mut body =
            json!({ "configName": name, "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
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
