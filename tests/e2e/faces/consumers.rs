//! What programs that read a Consul go by: Traefik tells instances apart by node and id,
//! consul-template waits for values that are not there, names are found in whatever case.

use std::collections::BTreeSet;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;

async fn entries(client: &Client, base: &str, service: &str) -> Vec<Value> {
    let url = format!("{base}/v1/health/service/{service}");
    let answer = client.get(url).send().await.unwrap();
    answer.json::<Vec<Value>>().await.unwrap()
}

/// Node and id, and the same by the node's own id.
fn keys(entries: &[Value]) -> [BTreeSet<String>; 2] {
    ["Node", "ID"].map(|by| {
        let keys =
            entries.iter().map(|one| format!("{} {}", one["Node"][by], one["Service"]["ID"]));
        keys.collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_with_one_id_are_two() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let hub = Hub::start().await;
    // As by the default of a framework: name and port.
    for host in [2, 3] {
        let address = std::net::IpAddr::from([127, 0, 0, host]);
        let client = Client::builder().no_proxy().local_address(address).build().unwrap();
        let body = json!({ "ID": "app-8080", "Name": "app", "Address": format!("10.14.0.{host}"), "Port": 8080 });
        let put = client.put(hub.url("/v1/agent/service/register")).json(&body);
        assert_eq!(put.send().await.unwrap().status(), 200);
    }
    let found = entries(&hub.client, &hub.url(""), "app").await;
    for keys in keys(&found) {
        assert_eq!(keys.len(), 2, "{keys:?}");
    }
    assert_eq!(found[0]["Node"]["Address"], "127.0.0.2");
    // Each node has what it has, and is in the list of nodes.
    for one in &found {
        let name = one["Node"]["Node"].as_str().unwrap();
        let url = hub.url(&format!("/v1/catalog/node/{name}"));
        let node: Value = hub.client.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(node["Services"]["app-8080"]["Address"], one["Service"]["Address"], "{node}");
    }
    // Those of a real one.
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    for node in ["n1", "n2"] {
        let body = json!({
            "Node": node, "ID": format!("00000000-1111-2222-3333-0000000000{node}").replace('n', "0"),
            "Address": format!("10.14.1.{}", &node[1..]),
            "Service": { "ID": "dup", "Service": "dup", "Port": 80 },
        });
        let url = format!("{}/v1/catalog/register", real.base_url());
        assert_eq!(hub.client.put(url).json(&body).send().await.unwrap().status(), 200);
    }
    let body = json!({
        "Node": "n1", "ID": "00000000-1111-2222-3333-000000000001", "Address": "10.14.1.1",
        "Service": {
            "ID": "own", "Service": "own", "Port": 81, "Address": "10.14.2.1",
            "Weights": { "Passing": 10, "Warning": 10 },
        },
    });
    let url = format!("{}/v1/catalog/register", real.base_url());
    assert_eq!(hub.client.put(url).json(&body).send().await.unwrap().status(), 200);
    let config = json!({
        "configName": "real", "registryType": "CONSUL",
        "serverAddress": format!("127.0.0.1:{}", real.http_port()),
    });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let path = "/api/v1/services/own/instances";
    hub.until(path, Duration::from_secs(10), |_, body| body["count"] == 1).await;
    let path = "/api/v1/services/dup/instances";
    hub.until(path, Duration::from_secs(10), |_, body| body["count"] == 2).await;
    for base in [hub.url(""), real.base_url()] {
        let get = async |path: &str, filter: &str| {
            let get = hub.client.get(format!("{base}/v1/catalog/{path}"));
            get.query(&[("filter", filter)]).send().await.unwrap()
        };
        for (filter, count) in [("Service == dup", 1), ("Port == 82", 0)] {
            let node: Value = get("node/n1", filter).await.json().await.unwrap();
            assert_eq!(node["Node"]["Node"], "n1", "{base}");
            assert_eq!(node["Services"].as_object().unwrap().len(), count, "{base}: {node}");
            let node: Value = get("node-services/n1", filter).await.json().await.unwrap();
            assert_eq!(node["Node"]["Node"], "n1", "{base}");
            assert_eq!(node["Services"].as_array().unwrap().len(), count, "{base}: {node}");
        }
        // Its node is where that is, whatever its own address.
        let own = &entries(&hub.client, &base, "own").await[0];
        let seen =
            json!([own["Node"]["Address"], own["Service"]["Address"], own["Service"]["Weights"]]);
        assert_eq!(
            seen,
            json!(["10.14.1.1", "10.14.2.1", { "Passing": 10, "Warning": 10 }]),
            "{base}"
        );
        for path in ["node/n1", "node/nobody", "node-services/n1"] {
            let refused = get(path, "Node == n1").await;
            assert!(!refused.status().is_success(), "{base} {path}");
            let text = refused.text().await.unwrap();
            assert!(text.contains("Selector \"Node\" is not valid"), "{base} {path}: {text}");
        }
        for keys in keys(&entries(&hub.client, &base, "dup").await) {
            assert_eq!(keys.len(), 2, "{base}: {keys:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_value_that_is_not_there_waits() {
    let hub = Hub::start().await;
    let url = hub.url("/v1/kv/a/b?stale&wait=2s");
    let answer = hub.client.get(&url).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-consul-index"]),
        (404, &"1".parse().unwrap())
    );
    let start = Instant::now();
    let answer = hub.client.get(format!("{url}&index=1")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert!(start.elapsed() > Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_found_in_whatever_case_and_metadata_of_nodes_hide_all() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let hub = Hub::start().await;
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    for base in [hub.url(""), real.base_url()] {
        let body = json!({ "Name": "Cased", "Address": "10.14.2.1", "Port": 80, "Tags": ["t"] });
        let put = hub.client.put(format!("{base}/v1/agent/service/register")).json(&body);
        assert_eq!(put.send().await.unwrap().status(), 200);
        for name in ["Cased", "cased", "CASED"] {
            assert_eq!(entries(&hub.client, &base, name).await.len(), 1, "{base} {name}");
        }
        for (path, expected) in [
            ("health/service/Cased?node-meta=rack:r1", json!([])),
            ("catalog/service/Cased?node-meta=rack:r1", json!([])),
            ("catalog/services?node-meta=rack:r1", json!({})),
            ("catalog/nodes?node-meta=rack:r1", json!([])),
        ] {
            let answer = hub.client.get(format!("{base}/v1/{path}")).send().await.unwrap();
            assert_eq!(answer.json::<Value>().await.unwrap(), expected, "{base} {path}");
        }
    }
    // Those of a group likewise, as long as no other group has the name.
    let body = json!({ "Name": "Team--Cased", "Address": "10.14.2.3", "Port": 80 });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
    assert_eq!(put.send().await.unwrap().status(), 200);
    for name in ["Team--Cased", "team--cased", "TEAM--CASED"] {
        let found = entries(&hub.client, &hub.url(""), name).await;
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0]["Service"]["Address"], "10.14.2.3", "{name}");
    }
    // Two that differ in nothing else are two.
    let body = json!({ "Name": "cased", "Address": "10.14.2.2", "Port": 80 });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
    assert_eq!(put.send().await.unwrap().status(), 200);
    for (name, address) in [("cased", "10.14.2.2"), ("Cased", "10.14.2.1")] {
        let found = entries(&hub.client, &hub.url(""), name).await;
        assert_eq!(found[0]["Service"]["Address"], address, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_name_in_another_case_hears_of_it() {
    let hub = Hub::start().await;
    let url = hub.url("/v1/health/service/WEB");
    let first = hub.client.get(&url).send().await.unwrap();
    let index = first.headers()["x-consul-index"].to_str().unwrap().to_owned();
    let (client, start) = (hub.client.clone(), Instant::now());
    let waits = tokio::spawn(async move {
        let answer = client.get(format!("{url}?index={index}&wait=30s")).send().await.unwrap();
        answer.json::<Vec<Value>>().await.unwrap()
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let body = json!({ "Name": "web", "Address": "10.14.3.1", "Port": 80 });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
    assert_eq!(put.send().await.unwrap().status(), 200);
    let found = waits.await.unwrap();
    assert_eq!(found[0]["Service"]["Service"], "web");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_a_name_in_another_case_does_not_fall_when_it_leaves() {
    let hub = Hub::start().await;
    let index = async || {
        let answer = hub.client.get(hub.url("/v1/health/service/WEB")).send().await.unwrap();
        answer.headers()["x-consul-index"].to_str().unwrap().parse::<i64>().unwrap()
    };
    let mut indexes = vec![index().await];
    for (id, name) in [("1", "web"), ("2", "Web")] {
        let body = json!({ "ID": id, "Name": name, "Address": "10.14.4.1", "Port": 80 });
        let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
        assert_eq!(put.send().await.unwrap().status(), 200);
        indexes.push(index().await);
    }
    // The later one leaves first.
    for id in ["2", "1"] {
        let url = hub.url(&format!("/v1/agent/service/deregister/{id}"));
        assert_eq!(hub.client.put(url).send().await.unwrap().status(), 200);
        indexes.push(index().await);
    }
    assert!(indexes.is_sorted(), "{indexes:?}");
}
