//! What the face of Consul says of the hub itself, and whose services it serves.

use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::consul::{put, read};
use crate::hub::{Hub, free_port};

async fn register(hub: &Hub, path: &str, name: &str) {
    let body = json!({ "ID": name, "Name": name, "Address": "10.18.0.1", "Port": 80 });
    assert_eq!(put(hub, path, &body).await, 200);
}

async fn by_nacos(hub: &Hub, namespace: &str, name: &str) {
    let path = format!(
        "/nacos/v1/ns/instance?namespaceId={namespace}&serviceName={name}&ip=10.18.0.2&port=80"
    );
    assert_eq!(hub.client.post(hub.url(&path)).send().await.unwrap().status(), 200);
}

async fn json(hub: &Hub, path: &str) -> (StatusCode, Value) {
    let request = hub.client.get(hub.url(path)).header("accept", "application/json");
    let answer = request.send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_is_served_where_it_is_configured() {
    let port = free_port();
    let config = format!("facades:\n  consul:\n    tenant: other\n    port: {port}\n");
    let hub = Hub::with_config(&config).await;
    register(&hub, "/v1/agent/service/register", "theirs").await;
    let (status, list) = hub.get("/api/v1/services/theirs/instances?tenantId=other").await;
    assert_eq!((status.as_u16(), &list["count"]), (200, &json!(1)), "{list}");
    assert_eq!(hub.get("/api/v1/services/theirs/instances").await.0, 404);
    assert_eq!(json(&hub, "/eureka/t/other/apps/THEIRS").await.0, 200);
    assert_eq!(json(&hub, "/eureka/apps/THEIRS").await.0, 404);
    by_nacos(&hub, "public", "ours").await;
    by_nacos(&hub, "other", "more").await;
    let url = format!("http://127.0.0.1:{port}/v1/catalog/services");
    let there: Value = hub.client.get(url).send().await.unwrap().json().await.unwrap();
    assert_eq!(there, json!({ "more": [], "theirs": [] }));
    assert_eq!(read(&hub, "/v1/catalog/services").await, there);
    assert_eq!(read(&hub, "/v1/health/service/ours").await, json!([]));
    let services = read(&hub, "/v1/agent/services").await;
    assert!(services["theirs"].is_object() && services.get("ours").is_none(), "{services}");
    // Changes of the others wake nobody; those of its own do.
    let answer = hub.client.get(hub.url("/v1/health/state/any")).send().await.unwrap();
    let index = answer.headers()["x-consul-index"].to_str().unwrap().to_owned();
    let wait = |wait: &str| {
        let path = format!("/v1/health/state/any?index={index}&wait={wait}");
        tokio::spawn(hub.client.get(hub.url(&path)).send())
    };
    let waiting = wait("2s");
    by_nacos(&hub, "public", "louder").await;
    let answer = waiting.await.unwrap().unwrap();
    assert_eq!(answer.headers()["x-consul-index"].to_str().unwrap(), index);
    let waiting = wait("60s");
    by_nacos(&hub, "other", "latest").await;
    let answer = timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().unwrap();
    assert_ne!(answer.headers()["x-consul-index"].to_str().unwrap(), index);
    // What it removes is its own.
    by_nacos(&hub, "public", "theirs").await;
    assert_eq!(put(&hub, "/v1/agent/service/deregister/theirs", &Value::Null).await, 200);
    assert_eq!(read(&hub, "/v1/health/service/theirs").await, json!([]));
    let (_, list) = hub.get("/api/v1/services/theirs/instances").await;
    assert_eq!(list["count"], 1, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_the_tenant_whatever_is_configured() {
    let config = "security:\n  enabled: true\nfacades:\n  consul:\n    tenant: other\n";
    let hub = Hub::with_config(config).await;
    let line = ["token", "create", "--role", "writer", "--user", "me", "--tenant"];
    for tenant in ["acme", "other"] {
        let token = hub.command(&[&line[..], &[tenant]].concat()).await;
        let body = json!({ "Name": tenant, "Address": "10.18.0.1", "Port": 80 });
        let call = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
        assert_eq!(call.header("x-consul-token", &token).send().await.unwrap().status(), 200);
        let list = hub.client.get(hub.url("/v1/catalog/services")).header("x-consul-token", &token);
        let list: Value = list.send().await.unwrap().json().await.unwrap();
        assert_eq!(list, json!({ tenant: [] }));
    }
}

/// What is in both is of one kind; and everything here is there.
fn differs(at: &str, here: &Value, there: &Value) -> Vec<String> {
    match (here, there) {
        (Value::Object(here), Value::Object(there)) => {
            let of = |(key, value): (&String, &Value)| match there.get(key) {
                Some(other) => differs(&format!("{at}/{key}"), value, other),
                None => vec![format!("{at}/{key}: not there")],
            };
            here.iter().flat_map(of).collect()
        }
        (Value::Array(here), Value::Array(there)) => match (here.first(), there.first()) {
            (Some(here), Some(there)) => differs(&format!("{at}/0"), here, there),
            _ => vec![],
        },
        (Value::Null, _) | (Value::String(_), Value::String(_)) => vec![],
        (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) => vec![],
        _ => vec![format!("{at}: {here} and {there}")],
    }
}

const OF_ITSELF: [&str; 5] =
    ["agent/self", "agent/members", "status/leader", "status/peers", "catalog/datacenters"];

#[tokio::test(flavor = "multi_thread")]
async fn it_is_an_agent_and_its_only_server() {
    let hub = Hub::with_config("facades:\n  consul:\n    datacenter: here\n").await;
    let [own, members, leader, peers, datacenters] = OF_ITSELF.map(|path| format!("/v1/{path}"));
    let (own, members) = (read(&hub, &own).await, read(&hub, &members).await);
    let (leader, peers) = (read(&hub, &leader).await, read(&hub, &peers).await);
    let config = &own["Config"];
    assert_eq!((&config["Datacenter"], &config["Server"]), (&json!("here"), &json!(true)));
    assert!(config["Version"].as_str().is_some_and(|version| !version.is_empty()), "{own}");
    assert_eq!(members, json!([own["Member"]]));
    assert_eq!(own["Member"]["Name"], config["NodeName"]);
    let member = &members[0];
    assert_eq!((&member["Status"], &member["Tags"]["dc"]), (&json!(1), &json!("here")));
    let address = leader.as_str().unwrap().parse::<std::net::SocketAddr>().unwrap();
    assert!(address.port() > 0);
    assert_eq!(peers, json!([leader]));
    assert_eq!(read(&hub, &datacenters).await, json!(["here"]));
    // Who names it is answered, who means another one is told.
    for path in OF_ITSELF {
        assert_eq!(json(&hub, &format!("/v1/{path}?dc=HERE")).await.0, 200, "{path}");
        let other = hub.client.get(hub.url(&format!("/v1/{path}?dc=there"))).send().await.unwrap();
        assert_eq!(other.status(), 500, "{path}");
        assert!(other.text().await.unwrap().contains("No path to datacenter"), "{path}");
    }
    // What is registered has the same node, in the same place.
    register(&hub, "/v1/agent/service/register", "web").await;
    let web = read(&hub, "/v1/health/service/web").await;
    let node = &web[0]["Node"];
    assert_eq!(
        (&node["Node"], &node["Datacenter"], &node["ID"]),
        (&config["NodeName"], &json!("here"), &config["NodeID"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_of_itself_has_the_form_of_a_real_consul() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let hub = Hub::start().await;
    for path in OF_ITSELF {
        let here = read(&hub, &format!("/v1/{path}")).await;
        let there = hub.client.get(format!("{}/v1/{path}", real.base_url())).send().await.unwrap();
        let there: Value = there.json().await.unwrap();
        let wrong = differs(path, &here, &there);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
