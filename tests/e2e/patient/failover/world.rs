//! A hub with a registry and its standby, and readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::{self, EurekaOptions, Server, ServerKind, ServerOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::registries::{Writer, word};

pub(super) const SOON: Duration = Duration::from_secs(60);
pub(super) const SERVICES: [&str; 3] = ["web", "api", "cart"];
pub(super) const PRIMARY: &str = "10.0.1.1";
pub(super) const STANDBY: &str = "10.0.2.1";

pub(super) struct World {
    pub(super) hub: Hub,
    pub(super) primary: Server,
    pub(super) standby: Server,
    http: reqwest::Client,
    pub(super) primary_id: String,
    pub(super) standby_id: String,
    /// So many instances of each service both know at least.
    least: usize,
}

impl World {
    /// Three services in two Consuls; `ports` instances of each in the standby, two in the primary.
    pub(super) async fn start(ports: u16, failover: Value) -> Option<Self> {
        Self::of(ServerKind::Consul, ports, failover).await
    }

    /// The same in two registries of this kind.
    pub(super) async fn of(kind: ServerKind, ports: u16, failover: Value) -> Option<Self> {
        if !servers::require(kind) {
            return None;
        }
        let options = || ServerOptions::default().with_eureka(EurekaOptions::quick());
        let server = || servers::start(kind, options());
        let (primary, standby) = tokio::join!(server(), server());
        let hub = Hub::with_config("external:\n  pollInterval: 500ms\n").await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (primary, standby) = (primary.unwrap(), standby.unwrap());
        let ids = (String::new(), String::new());
        let least = usize::from(ports.min(2));
        let mut world =
            Self { hub, primary, standby, http, primary_id: ids.0, standby_id: ids.1, least };
        world.clients_come().await;
        for service in SERVICES {
            for port in 0..ports {
                put(&world.standby, service, STANDBY, 8000 + port).await;
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

    /// The clients of the primary register, or do so again.
    pub(super) async fn clients_come(&self) {
        for service in SERVICES {
            for port in 0..2 {
                put(&self.primary, service, PRIMARY, 8000 + port).await;
            }
        }
    }

    async fn add(&self, name: &str, server: &Server, more: Value) -> String {
        let mut body = json!({
            "configName": name, "registryType": word(server.kind()), "serverAddress": server.address().to_string(),
            "retryInterval": 200, "connectionTimeout": 1000, "readTimeout": 2000, "maxRetries": 0,
            "specificConfig": { "services": { "exclude": ["consul"] } },
        });
        if server.kind() == ServerKind::Eureka {
            body["specificConfig"]["pollInterval"] = json!("500ms");
        }
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

    pub(super) fn path(&self, action: &str) -> String {
        format!("/api/v1/external/configs/{}/{action}", self.primary_id)
    }

    pub(super) async fn until_live(&self, id: &str) {
        let path = format!("/api/v1/external/configs/{id}/status");
        self.hub.until(&path, SOON, |_, body| body["state"] == "LIVE").await;
    }

    /// Until all it shows is of this host, and as many as both know.
    pub(super) async fn until_hosts(&self, service: &str, host: &str) {
        let all = |body: &Value| {
            let hosts = hosts(body);
            hosts.len() >= self.least && hosts.iter().all(|one| one == host)
        };
        self.hub.until(&instances(service), SOON, |_, body| all(body)).await;
    }

    pub(super) async fn until_status(&self, word: &str) -> Duration {
        let path = self.path("status");
        self.hub.until(&path, SOON, |_, body| body["failoverStatus"] == word).await
    }

    pub(super) async fn status(&self) -> Value {
        self.hub.get(&self.path("status")).await.1
    }

    pub(super) async fn until_waits_for(&self, word: &str) {
        let path = self.path("status");
        self.hub.until(&path, SOON, |_, body| body["failover"]["waitsFor"] == word).await;
    }

    /// Until a restart would go on from there.
    pub(super) async fn until_on_disk(&self, word: &str) {
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
    pub(super) async fn until_told(&self, steps: &[&str]) {
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
    pub(super) async fn left(&self, service: &str) -> u64 {
        let path = format!("/api/v1/events?eventType=INSTANCE_DEREGISTER&serviceName={service}");
        self.hub.get(&path).await.1["count"].as_u64().unwrap()
    }

    /// Reads every service all the time; each answer has as many instances as both know.
    /// Only where the hub is restarted it may say 503 for a moment.
    pub(super) fn readers(&self, restarts: bool) -> Readers {
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

async fn put(server: &Server, service: &str, host: &str, port: u16) {
    let writer = Writer::new(word(server.kind()), server.base_url());
    writer.register(service, host, port, "1").await;
}

pub(super) struct Readers {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicUsize>,
    tasks: [JoinHandle<()>; 3],
}

impl Readers {
    pub(super) async fn end(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        let reads = self.reads.load(Ordering::Relaxed);
        assert!(reads > 100, "{reads} reads prove little");
        println!("{what}: {reads} reads, none failed, none lacked an instance");
    }
}

pub(super) fn instances(service: &str) -> String {
    format!("/api/v1/services/{service}/instances")
}

pub(super) fn hosts(body: &Value) -> Vec<String> {
    let rows = body["instances"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|row| row["hostAddress"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn quick() -> Value {
    json!({ "specificConfig": { "failover": { "after": "2s", "goodReads": 1, "holdDown": "2s" } } })
}
