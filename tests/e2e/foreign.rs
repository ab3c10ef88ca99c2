//! What is known from another registry only: groups, loads, statistics, and why it is shown.

use std::time::Duration;

use hub_registry_testkit::stub::consul::StubConsul;
use reqwest::Method;
use serde_json::{Value, json};

use crate::federation::rows;
use crate::hub::Hub;

const WEB: &str = "/api/v1/services/web/instances";

async fn put(hub: &Hub, consul: &StubConsul, host: &str, meta: Value) {
    let body = json!({
        "ID": format!("web-{host}"), "Name": "web", "Address": host, "Port": 80, "Meta": meta,
        "Tags": ["far"],
    });
    let url = format!("http://{}/v1/agent/service/register", consul.address());
    assert!(hub.client.put(url).json(&body).send().await.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_know_is_counted_explained_and_not_changed() {
    let (hub, consul) = (Hub::start().await, StubConsul::start().await);
    put(&hub, &consul, "10.0.0.1", json!({ "zone": "z1", "owner": "consul" })).await;
    put(&hub, &consul, "10.0.0.2", json!({})).await;
    let config = json!({
        "configName": "consul-a", "registryType": "CONSUL",
        "serverAddress": consul.address().to_string(), "conflictResolution": "merge",
        "specificConfig": {
            "priority": 7, "defaultGroup": "from-consul", "services": { "include": ["web"] },
        },
    });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let second = Duration::from_secs(10);
    hub.until(WEB, second, |_, body| body["count"] == 2).await;

    // A group nobody made here is listed with its source, and is not ours to change.
    let (_, list) = hub.get("/api/v1/groups?source=consul-a").await;
    assert_eq!(list["groups"][0]["groupName"], "from-consul", "{list:#}");
    assert_eq!(list["groups"][0]["sources"], json!(["consul-a"]));
    assert_eq!(list["groups"][0]["instanceCount"], 2);
    let group = "/api/v1/groups/from-consul";
    assert_eq!(hub.get(group).await.1["serviceCount"], 1);
    for (method, body) in [(Method::PUT, Some(json!({}))), (Method::DELETE, None)] {
        let (status, answer) = hub.send(method, group, body.as_ref()).await;
        let code = (status.as_u16(), &answer["details"]["code"]);
        assert_eq!(code, (409, &json!("not_native")), "{answer}");
    }
    assert_eq!(hub.get("/api/v1/groups?groupType=BUSINESS&source=consul-a").await.1["count"], 0);

    // The native registry knows one of the two as well; Consul adds what it lacks.
    let own = json!({
        "serviceName": "web", "groupName": "from-consul", "hostAddress": "10.0.0.1",
        "portNumber": 80, "leaseSeconds": 3600, "metadata": { "owner": "native" },
    });
    assert_eq!(hub.post("/api/v1/instances", &own).await.0, 201);
    let explain = "/api/v1/services/web/explain";
    let (_, why) = hub.get(explain).await;
    let names: Vec<_> =
        why["sources"].as_array().unwrap().iter().map(|s| s["source"].clone()).collect();
    assert_eq!(names, ["native", "consul-a"], "{why:#}");
    assert_eq!(why["sources"][1]["priority"], 7);
    assert_eq!(why["sources"][1]["conflictResolution"], "merge");
    let shared = &rows(&why)[0];
    assert_eq!(shared["origins"].as_array().unwrap().len(), 2);
    assert_eq!(shared["fields"]["fields"]["source"], "native");
    assert_eq!(shared["fields"]["metadata"], json!({ "owner": "native", "zone": "consul-a" }));
    assert_eq!(rows(&why)[1]["healthReason"]["decidedBy"], "registry");

    // Loads are taken for instances of any registry.
    let foreign = rows(&why)[1]["instanceId"].as_str().unwrap().to_owned();
    let load = format!("/api/v1/instances/{foreign}/load");
    for _ in 0..2 {
        assert_eq!(hub.put(&load, &json!({ "connections": 5 })).await.0, 200);
    }
    let (_, one) = hub.get("/api/v1/services/web/select?strategy=LEAST_CONNECTIONS").await;
    assert_eq!(one["hostAddress"], "10.0.0.1");
    let weight = json!({ "weightValue": 1 });
    let (status, answer) = hub.put(&format!("/api/v1/instances/{foreign}"), &weight).await;
    assert_eq!((status.as_u16(), &answer["details"]["code"]), (409, &json!("not_native")));

    // While Consul is away: stale, told, and the live origin has the say.
    consul.down().await;
    hub.until(explain, second, |_, why| why["sources"][1]["state"] == "STALE").await;
    let (_, why) = hub.get(explain).await;
    let rule = rows(&why)[1]["fields"]["states"]["rule"].as_str().unwrap();
    assert!(rule.contains("none is current"), "{why:#}");
    assert_eq!(rows(&why)[0]["fields"]["states"]["source"], "native");
    let (_, stats) = hub.get("/api/v1/stats").await;
    let source = &stats["bySource"][1];
    assert_eq!((&source["source"], &source["state"]), (&json!("consul-a"), &json!("STALE")));
    assert_eq!((&source["instances"], &stats["instances"]), (&json!(2), &json!(2)), "{stats:#}");

    // One that is missing when it returns is held, and that is said.
    consul.forget();
    consul.up().await;
    put(&hub, &consul, "10.0.0.1", json!({})).await;
    hub.until(explain, Duration::from_secs(20), |_, why| rows(why)[1]["held"] == true).await;
    let (_, why) = hub.get(explain).await;
    let hold = &rows(&why)[1]["origins"][0]["hold"];
    assert!(hold["missingMs"].is_u64() && hold["reason"].is_string(), "{why:#}");
}
