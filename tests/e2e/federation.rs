//! One view over a real Consul, a real Nacos and a real Eureka: the whole story on one set of
//! servers.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::foreign_events;
use crate::hub::Hub;
use crate::outages;
use crate::registries::{EUREKA_CACHE, Registries};

pub(crate) const KINDS: [&str; 3] = ["CONSUL", "NACOS", "EUREKA"];
pub(crate) const ORDERS: &str = "/api/v1/services/orders/instances";

#[tokio::test(flavor = "multi_thread")]
async fn one_view_over_three_real_registries() {
    let Some(mut registries) = Registries::start().await else {
        return;
    };
    let mut hub = Hub::start().await;
    let ids = add_all(&hub, &mut registries).await;
    one_list(&hub).await;
    lists_and_filters(&hub).await;
    changes_are_seen(&hub, &mut registries).await;
    foreign_events::each_registry_is_told_as_the_hub(&hub, &mut registries).await;
    outages::each_server_dies(&hub, &mut registries, &ids).await;
    outages::the_hub_restarts_alone(&mut hub, &ids).await;
    outages::the_servers_return_empty(&hub, &mut registries, &ids).await;
    operators(&hub, &ids[0]).await;
}

/// Each registry has `orders` at an address of its own and one service more; two share an address.
async fn add_all(hub: &Hub, registries: &mut Registries) -> Vec<String> {
    let mut ids = Vec::new();
    for (number, kind) in (1..).zip(KINDS) {
        registries.put(kind, "orders", &format!("10.0.{number}.1"), 8080).await;
        registries.put(kind, &format!("only-{}", kind.to_lowercase()), "10.0.5.1", 8080).await;
    }
    registries.put("CONSUL", "orders", "10.0.9.9", 9000).await;
    registries.put("NACOS", "orders", "10.0.9.9", 9000).await;
    let native = json!({
        "serviceName": "orders", "hostAddress": "10.0.4.1", "portNumber": 8080, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    for kind in KINDS {
        let (status, body) = hub.post("/api/v1/external/configs", &registries.config(kind)).await;
        assert_eq!(status, 201, "{body}");
        ids.push(body["configId"].as_str().unwrap().to_owned());
    }
    ids
}

async fn one_list(hub: &Hub) {
    hub.until(ORDERS, Duration::from_secs(30), |_, body| body["count"] == 5).await;
    let (_, body) = hub.get(ORDERS).await;
    assert_eq!((&body["stale"], &body["partial"]), (&json!(false), &json!(false)), "{body:#}");
    let hosts: Vec<_> =
        rows(&body).iter().map(|row| row["hostAddress"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["10.0.1.1", "10.0.2.1", "10.0.3.1", "10.0.4.1", "10.0.9.9"]);
    let kinds: Vec<_> =
        rows(&body)[..4].iter().map(|row| row["registryType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["CONSUL", "NACOS", "EUREKA", "SYSTEM"]);
    let shared = &rows(&body)[4];
    let mut origins: Vec<_> = shared["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["source"].as_str().unwrap())
        .collect();
    origins.sort_unstable();
    assert_eq!(origins, ["consul", "nacos"], "one row, two sources: {shared:#}");
    for row in rows(&body) {
        assert_eq!(
            (&row["instanceStatus"], &row["healthStatus"]),
            (&json!("UP"), &json!("HEALTHY")),
            "{row:#}"
        );
        if row["registryType"] != "SYSTEM" {
            assert_eq!(row["metadata"]["version"], "1", "{row:#}");
        }
    }
    assert_eq!(rows(&body)[0]["tags"], json!(["blue"]));
    for source in body["sources"].as_array().unwrap() {
        assert_eq!(source["state"], "LIVE", "{body:#}");
    }
}

async fn lists_and_filters(hub: &Hub) {
    for name in ["only-consul", "only-nacos", "only-eureka"] {
        let path = format!("/api/v1/services/{name}/instances");
        hub.until(&path, Duration::from_secs(10), |_, body| body["count"] == 1).await;
    }
    let (_, all) = hub.get("/api/v1/services?name=only-*").await;
    assert_eq!(all["count"], 3, "{all:#}");
    let (_, of_nacos) = hub.get("/api/v1/services?source=nacos&name=o*").await;
    let names: Vec<_> = of_nacos["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["serviceName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["only-nacos", "orders"]);
    let (_, from_consul) = hub.get(&format!("{ORDERS}?source=consul")).await;
    assert_eq!(from_consul["count"], 2, "{from_consul:#}");
    let (_, blue) = hub.get(&format!("{ORDERS}?tag=blue&meta.version=1")).await;
    assert_eq!(blue["count"], 2, "{blue:#}");
    let id = from_consul["instances"][0]["instanceId"].as_str().unwrap();
    let (status, body) =
        hub.send(reqwest::Method::DELETE, &format!("/api/v1/instances/{id}"), None).await;
    assert_eq!(status, 409, "a foreign instance is not ours to remove: {body}");
    assert_eq!(body["details"]["code"], "not_native", "{body}");
}

/// Ten changes of a service, and the first instance of five new ones, in each registry.
async fn changes_are_seen(hub: &Hub, registries: &mut Registries) {
    let poll = Duration::from_secs(1);
    let slack = Duration::from_millis(300);
    let bounds = [Duration::from_millis(500), Duration::from_secs(2), poll + EUREKA_CACHE + slack];
    for (kind, bound) in KINDS.into_iter().zip(bounds) {
        let (mut changes, mut firsts) = (Vec::new(), Vec::new());
        let service = format!("only-{}", kind.to_lowercase());
        let path = format!("/api/v1/services/{service}/instances");
        for number in 0..5 {
            let port = 9100 + number;
            for expected in [2, 1] {
                let start = Instant::now();
                if expected == 2 {
                    registries.put(kind, &service, "10.0.6.1", port).await;
                } else {
                    registries.remove(kind, &service, "10.0.6.1", port).await;
                }
                hub.until(&path, bound * 3, |_, body| body["count"] == expected).await;
                changes.push(start.elapsed());
            }
            let new = format!("new-{}-{number}", kind.to_lowercase());
            let start = Instant::now();
            registries.put(kind, &new, "10.0.7.1", 80).await;
            let path = format!("/api/v1/services/{new}/instances");
            hub.until(&path, bound * 3, |_, body| body["count"] == 1).await;
            firsts.push(start.elapsed());
        }
        for (what, mut seen) in [("change", changes), ("first instance of a new service", firsts)] {
            seen.sort();
            let (median, worst) = (seen[seen.len() / 2], seen[seen.len() - 1]);
            println!(
                "{kind}: {what} seen after {median:?} (median), {worst:?} (worst) of {}",
                seen.len()
            );
            assert!(worst < bound, "{kind}: {what} seen after {worst:?}, more than {bound:?}");
        }
    }
}

/// Connect, disconnect, test, edit and delete, as an operator does.
async fn operators(hub: &Hub, id: &str) {
    let path = |action: &str| format!("/api/v1/external/configs/{id}/{action}");
    let before = hub.get(ORDERS).await.1["count"].as_u64().unwrap();
    let (status, body) = hub.post(&path("disconnect"), &json!({})).await;
    assert_eq!((status.as_u16(), &body["state"]), (200, &json!("DISCONNECTED")), "{body:#}");
    let (_, body) = hub.get(ORDERS).await;
    assert_eq!(
        body["count"].as_u64().unwrap(),
        before - 1,
        "its own instance left at once, the shared one stays"
    );
    let (status, body) = hub.post(&path("connect"), &json!({})).await;
    assert_eq!((status.as_u16(), &body["state"]), (200, &json!("LIVE")), "{body:#}");
    let (_, body) = hub.get(ORDERS).await;
    assert_eq!(body["count"].as_u64().unwrap(), before);
    let (status, body) =
        hub.post(&path("test"), &json!({ "serverPort": 1, "serverAddress": "127.0.0.1" })).await;
    assert_eq!((status.as_u16(), &body["success"]), (200, &json!(false)), "{body:#}");
    let (status, body) = hub.send(reqwest::Method::POST, &path("test"), None).await;
    assert_eq!((status.as_u16(), &body["success"]), (200, &json!(true)), "{body:#}");
    let (status, body) = hub.get(&format!("/api/v1/external/configs/{id}")).await;
    assert_eq!(status, 200);
    let (status, answer) = hub.put(&format!("/api/v1/external/configs/{id}"), &body).await;
    assert_eq!(status, 200, "a GET answer put back: {answer}");
    let (_, text) = hub.get("/metrics").await;
    let text = text.as_str().unwrap();
    let live = format!("source=\"consul\",source_id=\"{id}\",state=\"LIVE\"}} 1");
    assert!(text.contains(&live), "{text}");
    let (status, _) =
        hub.send(reqwest::Method::DELETE, &format!("/api/v1/external/configs/{id}"), None).await;
    assert_eq!(status, 200);
    let (_, body) = hub.get(ORDERS).await;
    assert_eq!(body["count"].as_u64().unwrap(), before - 1);
}

pub(crate) fn rows(body: &Value) -> &Vec<Value> {
    body["instances"].as_array().unwrap_or_else(|| panic!("no instances: {body:#}"))
}
