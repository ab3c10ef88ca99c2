//! Unmodified Spring Cloud applications, one by each registry's protocol: they see each other through
//! the hub.

use std::path::Path;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Client, java};
use crate::hub::Hub;

/// Kind of application, its class, where its jar is, and what it is asked for by.
const APPS: [(&str, &str, &str); 3] = [
    ("netflix", "EurekaApp", "eureka"),
    ("consul", "ConsulApp", "spring-clients"),
    ("alibaba", "NacosApp", "spring-clients"),
];

fn host(app: usize) -> String {
    format!("10.9.3.{}", app + 1)
}

async fn start(app: usize, hub: &Hub, installed: &Path) -> Client {
    let (name, class, jar) = APPS[app];
    let mut command = java(jar, class, installed);
    let address = match name {
        "netflix" => hub.url("/eureka"),
        _ => format!("127.0.0.1:{}", hub.port),
    };
    command.args([&address, name, &host(app), "8080"]);
    if name == "consul" {
        command.arg("--spring.cloud.consul.discovery.query-passing=true");
    }
    Client::start(name, command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_by_three_protocols_see_each_other_through_the_hub() {
    let Some(installed) = servers::require_library("spring-clients") else { return };
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let mut hub = Hub::start().await;
    let mut apps = Vec::new();
    for app in 0..APPS.len() {
        apps.push(start(app, &hub, &installed).await);
    }
    let all_see_all = async |apps: &mut Vec<Client>| {
        for client in apps {
            for (app, (name, ..)) in APPS.into_iter().enumerate() {
                let found = client.until(name, |found| found.len() == 1).await;
                let (at, port) = (&found[0]["host"], &found[0]["port"]);
                assert_eq!(
                    (at, port),
                    (&json!(host(app)), &json!(8080)),
                    "{} of {name}",
                    client.name
                );
                assert!(found[0]["metadata"]["by"].is_string(), "{}: {found:?}", client.name);
            }
        }
    };
    all_see_all(&mut apps).await;
    // The hub is killed and comes back: all of them are there at once, and still later.
    hub.kill().await;
    hub.run().await;
    all_see_all(&mut apps).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    all_see_all(&mut apps).await;
    // Each is killed, and gone for those who are left.
    while let Some(mut killed) = apps.pop() {
        killed.kill().await;
        let name = killed.name;
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let list =
                hub.url(&format!("/nacos/v1/ns/instance/list?serviceName={name}&healthyOnly=true"));
            let list: Value = hub.client.get(list).send().await.unwrap().json().await.unwrap();
            if list["hosts"] == json!([]) {
                break;
            }
            assert!(Instant::now() < end, "{name}: {list}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for client in &mut apps {
            client.until(name, <[Value]>::is_empty).await;
        }
    }
}
