//! Every state that a writer has a word for, as those see it who ask for all there is.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::grpc::client::Client;
use crate::hub::Hub;

const WITHIN: Duration = Duration::from_secs(1);
const READERS: [&str; 7] =
    ["rest", "prometheus", "eureka", "consul", "nacos", "nacos-list", "nacos-grpc"];

/// What an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Well,
    /// Well, and something is about to be wrong: Consul alone has a word for it.
    Warning,
    /// Up, and known to be unhealthy.
    Sick,
    Down,
    Starting,
    Out,
    /// Nobody says: Eureka alone has a word for it.
    Unknown,
}

use State::{Down, Out, Sick, Starting, Unknown, Warning, Well};

/// The reader's word for it.
fn word(reader: &str, state: State) -> &'static str {
    match (reader, state) {
        ("rest" | "prometheus", Well | Warning) => "UP",
        ("rest" | "prometheus", Sick) => "UP UNHEALTHY",
        ("rest" | "prometheus", Down | Unknown) => "DOWN",
        ("eureka", Well | Warning) => "UP",
        ("eureka", Sick | Down) => "DOWN",
        ("eureka", Unknown) => "UNKNOWN",
        ("rest" | "prometheus" | "eureka", Starting) => "STARTING",
        ("rest" | "prometheus" | "eureka", Out) => "OUT_OF_SERVICE",
        ("consul", Well) => "passing",
        ("consul", Warning) => "warning",
        ("consul", Out) => "maintenance",
        ("consul", _) => "critical",
        (_, Well | Warning) => "healthy",
        (_, Sick) => "unhealthy",
        // A list has none of them; the console's shows them.
        (_, _) => "disabled",
    }
}

/// Who writes what to make it so; each in a service of its own.
const CASES: [(&str, &str, State); 25] = [
    ("rest", "up", Well),
    ("rest", "status UP", Well),
    ("rest", "status DOWN", Down),
    ("rest", "status STARTING", Starting),
    ("rest", "status OUT_OF_SERVICE", Out),
    ("rest", "health UNHEALTHY", Sick),
    ("eureka", "says UP", Well),
    ("eureka", "says DOWN", Down),
    ("eureka", "says STARTING", Starting),
    ("eureka", "says OUT_OF_SERVICE", Out),
    ("eureka", "says UNKNOWN", Unknown),
    ("eureka", "set DOWN", Down),
    ("eureka", "set OUT_OF_SERVICE", Out),
    ("consul", "none", Well),
    ("consul", "passing", Well),
    ("consul", "warning", Warning),
    ("consul", "critical", Sick),
    ("consul", "maintenance", Out),
    ("nacos", "enabled=true", Well),
    ("nacos", "enabled=false", Out),
    ("nacos", "ephemeral=false&healthy=true", Well),
    ("nacos", "ephemeral=false&healthy=false", Sick),
    ("nacos-grpc", "healthy", Well),
    ("nacos-grpc", "unhealthy", Sick),
    ("nacos-grpc", "disabled", Out),
];

struct World {
    hub: Hub,
    grpc: Mutex<Client>,
}

impl World {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.hub.client.request(method, self.hub.url(path))
    }

    async fn send(&self, request: RequestBuilder) -> Value {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status}: {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn write(&self, writer: &str, how: &str, service: &str) {
        let host = "10.22.0.1";
        let (how, said) = how.split_once(' ').unwrap_or((how, ""));
        match writer {
            "rest" => {
                let body = json!({
                    "serviceName": service, "hostAddress": host, "portNumber": 80, "leaseSeconds": 3600,
                });
                let (status, made) = self.hub.post("/api/v1/instances", &body).await;
                assert_eq!(status, 201, "{made}");
                let path = format!("/api/v1/instances/{}", made["instanceId"].as_str().unwrap());
                let field = match how {
                    "status" => "instanceStatus",
                    "health" => "healthStatus",
                    _ => return,
                };
                let put = self.request(Method::PUT, &format!("{path}/{how}"));
                self.send(put.json(&json!({ field: said }))).await;
            }
            "eureka" => {
                let app = service.to_uppercase();
                let status = if how == "says" { said } else { "UP" };
                let body = json!({ "instance": {
                    "instanceId": "one", "hostName": host, "ipAddr": host, "app": app, "status": status,
                    "vipAddress": service, "port": { "$": 80, "@enabled": "true" },
                    "dataCenterInfo": { "name": "MyOwn" },
                } });
                let path = format!("/eureka/apps/{app}");
                self.send(self.request(Method::POST, &path).json(&body)).await;
                if how == "set" {
                    let path = format!("{path}/one/status?value={said}");
                    self.send(self.request(Method::PUT, &path)).await;
                }
            }
            "consul" => {
                let mut body = json!({ "Name": service, "Address": host, "Port": 80 });
                if how != "none" {
                    let status = if how == "maintenance" { "passing" } else { how };
                    body["Check"] = json!({ "TTL": "1h", "Status": status });
                }
                let path = "/v1/agent/service/register";
                self.send(self.request(Method::PUT, path).json(&body)).await;
                if how == "maintenance" {
                    let path = format!("/v1/agent/service/maintenance/{service}?enable=true");
                    self.send(self.request(Method::PUT, &path)).await;
                }
            }
            "nacos" => {
                let path =
                    format!("/nacos/v1/ns/instance?serviceName={service}&ip={host}&port=80&{how}");
                self.send(self.request(Method::POST, &path)).await;
            }
            _ => {
                let said = json!({ "healthy": how != "unhealthy", "enabled": how != "disabled" });
                self.grpc.lock().await.register(service, host, &said).await;
            }
        }
    }

    async fn json(&self, path: &str) -> Value {
        let request = self.request(Method::GET, path).header("accept", "application/json");
        request.send().await.unwrap().json().await.unwrap_or_default()
    }

    /// What this reader says of the one instance of a service.
    async fn read(&self, reader: &str, service: &str) -> String {
        let one = |list: &Value| match list.as_array().map(Vec::as_slice) {
            Some([one]) => one.clone(),
            _ => panic!("{reader} of {service}: {list}"),
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let state = |status: String, health: String| match (status.as_str(), health.as_str()) {
            ("UP", "UNHEALTHY") => format!("{status} {health}"),
            _ => status,
        };
        let host = |host: &Value| match (&host["enabled"], &host["healthy"]) {
            (Value::Bool(false), _) => "disabled".to_owned(),
            (_, Value::Bool(true)) => "healthy".to_owned(),
            _ => "unhealthy".to_owned(),
        };
        let listed = |hosts: &Value| match hosts.as_array().is_some_and(Vec::is_empty) {
            true => "disabled".to_owned(),
            false => host(&one(hosts)),
        };
        match reader {
            "rest" => {
                let list = self.json(&format!("/api/v1/services/{service}/instances")).await;
                let row = one(&list["instances"]);
                state(text(&row["instanceStatus"]), text(&row["healthStatus"]))
            }
            "prometheus" => {
                let list = self.json(&format!("/api/v1/sd/prometheus?name={service}")).await;
                let labels = &one(&list)["labels"];
                let label = |name: &str| text(&labels[format!("__meta_hub_registry_{name}")]);
                state(label("status"), label("health"))
            }
            "eureka" => {
                let app = self.json(&format!("/eureka/apps/{service}")).await;
                text(&one(&app["application"]["instance"])["status"])
            }
            "consul" => {
                let list = self.json(&format!("/v1/health/service/{service}")).await;
                aggregated(&one(&list)["Checks"])
            }
            "nacos" => {
                let path = format!(
                    "/nacos/v1/ns/catalog/instances?serviceName={service}&clusterName=DEFAULT\
                     &pageNo=1&pageSize=10"
                );
                host(&one(&self.json(&path).await["list"]))
            }
            "nacos-list" => {
                let path = format!("/nacos/v1/ns/instance/list?serviceName={service}");
                listed(&self.json(&path).await["hosts"])
            }
            _ => {
                let body = json!({
                    "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service,
                });
                let (_, answer) = self.grpc.lock().await.ask("ServiceQueryRequest", body).await;
                listed(&answer["serviceInfo"]["hosts"])
            }
        }
    }
}

/// As Consul's client for Go takes them together (`HealthChecks.AggregatedStatus`).
fn aggregated(checks: &Value) -> String {
    let checks = checks.as_array().unwrap();
    let is_maintenance = |check: &Value| {
        let id = check["CheckID"].as_str().unwrap();
        id == "_node_maintenance" || id.starts_with("_service_maintenance:")
    };
    if checks.iter().any(is_maintenance) {
        return "maintenance".to_owned();
    }
    let is = |word: &&str| checks.iter().any(|check| check["Status"] == *word);
    ["critical", "warning"].into_iter().find(is).unwrap_or("passing").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_the_same_to_all_whoever_writes_it() {
    let hub = Hub::start().await;
    let grpc = Mutex::new(Client::start(hub.port + 1000).await);
    let world = World { hub, grpc };
    let mut wrong = Vec::new();
    for (number, (writer, how, state)) in CASES.into_iter().enumerate() {
        let service = format!("state-{number}");
        world.write(writer, how, &service).await;
        let end = Instant::now() + WITHIN;
        for reader in READERS {
            let expected = word(reader, state);
            let mut seen = world.read(reader, &service).await;
            while seen != expected && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(20)).await;
                seen = world.read(reader, &service).await;
            }
            if seen != expected {
                wrong.push(format!("{writer}, {how}: {reader} says {seen}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
