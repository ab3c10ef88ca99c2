//! Instances that no two registries have the same fields for.

use serde_json::{Map, Value, json};

use crate::patient::site::{Site, id};
use hub_registry_testkit::servers::ServerKind;

/// One instance, of a service of its own.
pub(super) struct Case {
    pub service: String,
    /// In the words of its registry.
    body: Value,
    /// What the hub makes of it at its source, as far as it is said here: a case that is read as
    /// something else proves nothing.
    read: Value,
}

impl Case {
    fn new(kind: ServerKind, name: &str, body: Value, read: Value) -> Self {
        Self { service: format!("fields-{kind}-{name}"), body, read }
    }

    /// Where it is read as something else at its source.
    pub(super) fn unlike(&self, row: &Value) -> Vec<String> {
        let said = self.read.as_object().unwrap().iter();
        let unlike = said.filter(|(field, value)| row[*field] != **value);
        unlike.map(|(field, value)| format!("{}: {field} is not {value}", self.service)).collect()
    }
}

/// Keys and values that trouble some registry, so long as it takes them.
fn odd(keys: &[&str], long: usize) -> Value {
    let values = ["1", "\u{503c}\u{3042}\u{ac12}", "<&\"'>\\", "a=b,c;d", ""];
    let pairs = keys.iter().zip(values.iter().cycle());
    let mut all: Map<_, _> = pairs.map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    all.insert("long".to_owned(), json!("l\u{f6}ng-".repeat(long / 6)));
    all.into()
}

fn many(count: usize) -> Value {
    let pairs = (0..count).map(|number| (format!("k{number:02}"), json!(format!("v{number}"))));
    Map::from_iter(pairs).into()
}

pub(super) fn of_consul() -> Vec<Case> {
    let case = |name: &str, body, read| Case::new(ServerKind::Consul, name, body, read);
    let keys = ["plain", "under_score", "hyphen-ated", "1digit", "UPPER"];
    let check = |state: &str| json!({ "state": state });
    vec![
        case("odd", json!({ "Meta": odd(&keys, 500) }), json!({ "metadata": odd(&keys, 500) })),
        case("many", json!({ "Meta": many(64) }), json!({ "metadata": many(64) })),
        case(
            "weight",
            json!({ "Weights": { "Passing": 7, "Warning": 1 } }),
            json!({ "weightValue": 700 }),
        ),
        case(
            "tags",
            json!({ "Tags": ["blue", "a,b", "gr\u{fc}n\\", "k=v"] }),
            json!({ "tags": ["blue", "a,b", "gr\u{fc}n\\", "k=v"] }),
        ),
        case(
            "critical",
            check("critical"),
            json!({ "instanceStatus": "UP", "healthStatus": "UNHEALTHY" }),
        ),
        case(
            "warning",
            check("warning"),
            json!({ "healthStatus": "HEALTHY", "metadata": { "consul-status": "warning" } }),
        ),
        case("maintained", check("maintained"), json!({ "instanceStatus": "OUT_OF_SERVICE" })),
        case(
            "grpc",
            json!({ "Meta": { "protocol": "grpc", "contextPath": "/api/v1" } }),
            json!({ "protocolType": "GRPC", "contextPath": "/api/v1" }),
        ),
        case("secure", json!({ "Meta": { "secure": "true" } }), json!({ "protocolType": "HTTPS" })),
    ]
}

pub(super) fn of_nacos() -> Vec<Case> {
    let case = |name: &str, body, read| Case::new(ServerKind::Nacos, name, body, read);
    let keys = ["with.dots", "under_score", "\u{540d}\u{524d}", "sp ace", "fed-own"];
    vec![
        case("odd", json!({ "metadata": odd(&keys, 300) }), json!({})),
        case("many", json!({ "metadata": many(64) }), json!({})),
        case("full", json!({ "metadata": { "full": "x".repeat(850) } }), json!({})),
        case("half-weight", json!({ "weight": "2.5" }), json!({ "weightValue": 250 })),
        case("no-weight", json!({ "weight": "0" }), json!({ "weightValue": 0 })),
        case(
            "disabled",
            json!({ "enabled": "false" }),
            json!({ "instanceStatus": "OUT_OF_SERVICE" }),
        ),
        case(
            "unhealthy",
            json!({ "healthy": "false" }),
            json!({ "instanceStatus": "UP", "healthStatus": "UNHEALTHY" }),
        ),
        case("grouped", json!({ "groupName": "team" }), json!({ "groupName": "team" })),
        case("clustered", json!({ "clusterName": "east" }), json!({})),
        case(
            "grpc",
            json!({ "metadata": { "protocol": "grpc" } }),
            json!({ "protocolType": "GRPC" }),
        ),
    ]
}

pub(super) fn of_eureka() -> Vec<Case> {
    let case = |name: &str, body, read| Case::new(ServerKind::Eureka, name, body, read);
    let keys = ["with.dots", "under_score", "\u{540d}\u{524d}", "double__score", "zone"];
    let state =
        |word: &str, status: &str| (json!({ "status": word }), json!({ "instanceStatus": status }));
    let [down, out, starting] = [
        state("DOWN", "DOWN"),
        state("OUT_OF_SERVICE", "OUT_OF_SERVICE"),
        state("STARTING", "STARTING"),
    ];
    let tls = json!({
        "port": { "$": 80, "@enabled": "false" }, "securePort": { "$": 8080, "@enabled": "true" },
    });
    let large =
        json!({ "metadata": { "first": "x".repeat(2048), "second": "\u{f6}".repeat(1024) } });
    vec![
        case("odd", json!({ "metadata": odd(&keys, 400) }), json!({ "metadata": odd(&keys, 400) })),
        case("many", json!({ "metadata": many(64) }), json!({ "metadata": many(64) })),
        case("large", large.clone(), large),
        case("down", down.0, down.1),
        case("out", out.0, out.1),
        case("starting", starting.0, starting.1),
        case("unknown", json!({ "status": "UNKNOWN" }), json!({ "healthStatus": "UNKNOWN" })),
        case("secure", tls, json!({ "protocolType": "HTTPS" })),
        case(
            "path",
            json!({ "homePageUrl": "http://10.130.2.8:8080/api/" }),
            json!({ "contextPath": "/api" }),
        ),
        case(
            "tags",
            json!({ "metadata": { "fed-tags": "blue,a\\,b" } }),
            json!({ "tags": ["blue", "a,b"] }),
        ),
    ]
}

/// Its registry is told of it, at an address of its own.
pub(super) async fn write(site: &Site, case: &Case) {
    let (service, port) = (case.service.as_str(), 8080);
    let net = match site.kind {
        ServerKind::Consul => 0,
        ServerKind::Nacos => 1,
        _ => 2,
    };
    let host = if service.ends_with("-path") {
        "10.130.2.8".to_owned()
    } else {
        format!("10.130.{net}.1")
    };
    let body = case.body.clone();
    match site.kind {
        ServerKind::Consul => {
            let mut fields = json!({ "Address": host, "Port": port });
            let mut state = "passing".to_owned();
            for (key, value) in body.as_object().unwrap() {
                if key == "state" {
                    value.as_str().unwrap().clone_into(&mut state);
                } else {
                    fields[key] = value.clone();
                }
            }
            let own = id(service, &host, port);
            if state != "maintained" {
                return site.put_consul(service, &own, fields, &state).await;
            }
            site.put_consul(service, &own, fields, "passing").await;
            let body = json!({
                "Node": "clients", "Address": "127.0.0.1",
                "Check": {
                    "Node": "clients", "CheckID": format!("_service_maintenance:{own}"),
                    "Name": "Service Maintenance Mode", "ServiceID": own, "Status": "critical",
                },
            });
            let request = site.http.put(site.url("/v1/catalog/register")).json(&body);
            assert!(request.send().await.unwrap().status().is_success());
        }
        ServerKind::Nacos => {
            let metadata = body.get("metadata").cloned().unwrap_or_else(|| json!({}));
            let more = body.as_object().unwrap().iter().filter(|(key, _)| *key != "metadata");
            let more: Vec<_> = more
                .map(|(key, value)| (key.as_str(), value.as_str().unwrap().to_owned()))
                .collect();
            site.put_nacos(service, &host, port, metadata, &more).await;
        }
        _ => site.put_eureka(service, &host, port, body).await,
    }
}

/// It leaves its registry.
pub(super) async fn remove(site: &Site, service: &str, group: &str) {
    if group.is_empty() {
        return site.remove(service, "10.130.0.1", 8080).await;
    }
    let query =
        [("serviceName", service), ("ip", "10.130.1.1"), ("port", "8080"), ("groupName", group)];
    let request = site.http.delete(site.url("/v1/ns/instance")).query(&query);
    assert!(request.send().await.unwrap().status().is_success());
}
