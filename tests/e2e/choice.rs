//! Who is chosen, and why; what there is in all.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::federation::rows;
use crate::hub::Hub;

async fn register(hub: &Hub, port: u16, more: Value) -> String {
    let mut body = json!({
        "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": port, "leaseSeconds": 3600,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = hub.post("/api/v1/instances", &body).await;
    assert!(status == 201 || status == 200, "{answer}");
    answer["instanceId"].as_str().unwrap().to_owned()
}

async fn picks(hub: &Hub, query: &str, count: usize) -> Vec<u64> {
    let mut ports = Vec::new();
    for _ in 0..count {
        let (status, one) = hub.get(&format!("/api/v1/services/web/select{query}")).await;
        assert_eq!(status, 200, "{one}");
        ports.push(one["portNumber"].as_u64().unwrap());
    }
    ports
}

fn counts(ports: &[u64]) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    ports.iter().for_each(|port| *counts.entry(*port).or_default() += 1);
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_exact_per_service() {
    let hub = Hub::start().await;
    for (port, weight) in [(1, 500), (2, 300), (3, 200), (4, 0)] {
        register(&hub, port, json!({ "weightValue": weight })).await;
    }
    register(&hub, 9, json!({ "serviceName": "busy" })).await;
    let mut all = Vec::new();
    for _ in 0..30 {
        all.extend(picks(&hub, "?strategy=WEIGHTED_ROUND_ROBIN", 1).await);
        // What others ask for takes no turns.
        hub.get("/api/v1/services/busy/select?strategy=WEIGHTED_ROUND_ROBIN").await;
        hub.get("/api/v1/services/web/select?strategy=ROUND_ROBIN").await;
        hub.get("/api/v1/services/web/instances").await;
    }
    for window in all.windows(10) {
        assert_eq!(counts(window), BTreeMap::from([(1, 5), (2, 3), (3, 2)]), "{all:?}");
    }
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]), "smooth: {all:?}");
    let even = picks(&hub, "?strategy=ROUND_ROBIN", 9).await;
    assert_eq!(counts(&even), BTreeMap::from([(1, 3), (2, 3), (3, 3)]), "{even:?}");
    // The service's own strategy is used where none is asked for.
    let strategy = json!({ "loadBalanceStrategy": "WEIGHTED_ROUND_ROBIN" });
    assert_eq!(hub.put("/api/v1/services/web", &strategy).await.0, 200);
    let own = picks(&hub, "", 20).await;
    assert_eq!(counts(&own), BTreeMap::from([(1, 10), (2, 6), (3, 4)]), "{own:?}");
    // One that leaves, or becomes sick, gets nothing more.
    let (_, list) = hub.get("/api/v1/services/web/instances").await;
    let first = rows(&list)[0]["instanceId"].as_str().unwrap().to_owned();
    let sick = json!({ "healthStatus": "UNHEALTHY" });
    assert_eq!(hub.put(&format!("/api/v1/instances/{first}/health"), &sick).await.0, 200);
    assert_eq!(counts(&picks(&hub, "", 10).await), BTreeMap::from([(2, 6), (3, 4)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_connections_and_bursts() {
    let hub = Hub::start().await;
    let mut ids = Vec::new();
    for port in 1..=3 {
        ids.push(register(&hub, port, json!({})).await);
    }
    for (id, connections) in ids.iter().zip([20, 4, 7]) {
        let path = format!("/api/v1/instances/{id}/load");
        let (status, answer) = hub.put(&path, &json!({ "connections": connections })).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["expiresInSeconds"], 60);
    }
    let query = "?strategy=LEAST_CONNECTIONS";
    assert_eq!(picks(&hub, query, 3).await, [2, 2, 2]);
    let burst = counts(&picks(&hub, query, 12).await);
    assert_eq!(burst, BTreeMap::from([(2, 6), (3, 6)]), "the two are levelled");
    let (_, why) = hub.get("/api/v1/services/web/explain").await;
    assert_eq!(rows(&why)[0]["load"]["reported"], 20, "{why:#}");
    assert_eq!(rows(&why)[1]["load"]["picksSince"], 9, "{why:#}");
    let none = format!("/api/v1/instances/{}/load", "0".repeat(32));
    assert_eq!(hub.put(&none, &json!({ "connections": 1 })).await.0, 404);
    let other = format!("/api/v1/instances/{}/load?tenantId=other", ids[0]);
    assert_eq!(hub.put(&other, &json!({ "connections": 1 })).await.0, 404, "another tenant's");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_addresses_and_zones() {
    let hub = Hub::start().await;
    for (port, zone) in [(1, "z1"), (2, "z2"), (3, "z2")] {
        register(&hub, port, json!({ "metadata": { "zone": zone } })).await;
    }
    let (status, body) = hub.get("/api/v1/services/web/select?strategy=CONSISTENT_HASH").await;
    assert_eq!((status.as_u16(), &body["details"]["field"]), (400, &json!("key")), "{body}");
    let by_key = picks(&hub, "?strategy=CONSISTENT_HASH&key=user-7", 5).await;
    assert_eq!(counts(&by_key).len(), 1, "{by_key:?}");
    // The address is that of the connection, whatever a header says.
    let mut chosen = Vec::new();
    for n in 0..20 {
        let request = hub.client.get(hub.url("/api/v1/services/web/select?strategy=IP_HASH&key=x"));
        let forged = format!("10.{n}.2.3");
        let request = request.header("x-real-ip", &forged).header("client-ip", &forged);
        let one: Value = request.send().await.unwrap().json().await.unwrap();
        chosen.push(one["portNumber"].as_u64().unwrap());
    }
    assert_eq!(counts(&chosen).len(), 1, "{chosen:?}");
    let near = "?strategy=ZONE_AFFINITY&zone=z1";
    assert_eq!(counts(&picks(&hub, near, 10).await), BTreeMap::from([(1, 10)]));
    let (_, list) = hub.get(&format!("/api/v1/services/web/instances{near}")).await;
    assert_eq!(list["count"], 3, "a zone is a wish here, not a filter");
    let sick = rows(&list)[0]["instanceId"].as_str().unwrap().to_owned();
    let health = json!({ "healthStatus": "UNHEALTHY" });
    assert_eq!(hub.put(&format!("/api/v1/instances/{sick}/health"), &health).await.0, 200);
    let others = counts(&picks(&hub, near, 40).await);
    assert!(others.keys().eq([&2, &3]), "the others take over: {others:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_explains_itself() {
    let hub = Hub::start().await;
    let service = json!({ "serviceName": "web", "metadata": { "protectThreshold": "0.3" } });
    assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
    register(&hub, 1, json!({ "metadata": { "a": "b" } })).await;
    register(&hub, 2, json!({ "healthStatus": "UNHEALTHY", "instanceStatus": "DOWN" })).await;
    register(&hub, 3, json!({ "weightValue": 0, "healthCheckType": "NONE" })).await;
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let (status, why) = hub.get("/api/v1/services/web/explain").await;
    assert_eq!(status, 200, "{why}");
    assert_eq!(why["protection"]["protectThreshold"], 0.3, "{why:#}");
    assert_eq!(why["protection"]["protected"], false);
    assert_eq!(
        (&why["partial"], &why["missingSources"][0]["source"]),
        (&json!(true), &json!("deaf"))
    );
    let sources = why["sources"].as_array().unwrap();
    assert_eq!(sources[0]["source"], "native");
    assert_eq!((&sources[0]["order"], &sources[0]["contributes"]), (&json!(1), &json!(true)));
    assert_eq!(
        (&sources[1]["source"], &sources[1]["contributes"]),
        (&json!("deaf"), &json!(false))
    );
    let rows = rows(&why);
    let first = &rows[0];
    assert_eq!((&first["selectable"], &first["hindrances"]), (&json!(true), &json!([])));
    assert_eq!(first["healthReason"]["reason"], "heartbeats");
    assert_eq!(first["fields"]["metadata"]["a"], "native");
    assert_eq!(first["origins"][0]["state"], "LIVE");
    assert_eq!(first["origins"][0]["hold"], Value::Null);
    assert_eq!(rows[1]["hindrances"].as_array().unwrap().len(), 2, "{:#}", rows[1]);
    assert_eq!(rows[1]["healthReason"]["reason"], "stated by a request");
    assert_eq!(rows[2]["hindrances"].as_array().unwrap().len(), 2, "{:#}", rows[2]);
    let (status, _) = hub.get("/api/v1/services/none/explain").await;
    assert_eq!(status, 503, "the one that is deaf may know it");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_add_up_and_stay_in_the_tenant() {
    let hub = Hub::start().await;
    for port in 1..=4 {
        register(&hub, port, json!({ "groupName": if port == 4 { "b" } else { "a" } })).await;
    }
    register(
        &hub,
        5,
        json!({ "groupName": "b", "instanceStatus": "DOWN", "healthCheckType": "NONE" }),
    )
    .await;
    let (_, stats) = hub.get("/api/v1/stats").await;
    let totals = [("groups", 2), ("services", 2), ("instances", 5), ("held", 0)];
    for (name, count) in totals {
        assert_eq!(stats[name], count, "{name}: {stats:#}");
    }
    assert_eq!((&stats["byStatus"]["UP"], &stats["byStatus"]["DOWN"]), (&json!(4), &json!(1)));
    assert_eq!(stats["byHealth"], json!({ "HEALTHY": 4, "UNHEALTHY": 0, "UNKNOWN": 1 }));
    assert_eq!(stats["byGroup"][1]["groupName"], "b");
    assert_eq!(stats["byGroup"][1]["instances"], 2);
    assert_eq!(
        (&stats["bySource"][0]["source"], &stats["bySource"][0]["instances"]),
        (&json!("native"), &json!(5))
    );
    let (_, instances) = hub.get("/api/v1/stats/instances?pageSize=1&page=2").await;
    assert_eq!(instances["byProtocol"], json!({ "HTTP": 5 }), "{instances:#}");
    assert_eq!(instances["byGroup"].as_array().unwrap().len(), 1);
    assert_eq!(instances["groups"], 2);
    assert_eq!(instances["leases"]["heartBeating"], 4, "{instances:#}");
    let (_, health) = hub.get("/api/v1/stats/health").await;
    assert_eq!(
        (&health["healthy"], &health["healthyShare"]),
        (&json!(4), &json!(0.8)),
        "{health:#}"
    );
    assert_eq!(health["checks"]["checks"], 0);
    for path in ["stats", "stats/instances", "stats/health"] {
        let (_, other) = hub.get(&format!("/api/v1/{path}?tenantId=other")).await;
        assert_eq!((&other["instances"], &other["byGroup"]), (&json!(0), &json!([])), "{other:#}");
    }
}
