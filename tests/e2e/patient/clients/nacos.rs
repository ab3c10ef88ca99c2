//! Unmodified clients of Nacos 1.x in three languages, as their libraries are published: they register
//! with the hub, find each other and what lives elsewhere, are told of what is down, and are killed.

use hub_registry_testkit::servers;
use serde_json::{Value, json};

use super::client::{Client, program};
use crate::hub::Hub;

const LANGUAGES: [&str; 3] = ["python", "javascript", "go"];

fn host(language: usize) -> String {
    format!("10.9.1.{}", language + 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_three_languages_live_at_the_hub_as_at_a_nacos() {
    let Some(installed) = servers::require_library("nacos-clients") else { return };
    let mut hub = Hub::start().await;
    let mut clients = Vec::new();
    for (language, name) in LANGUAGES.into_iter().enumerate() {
        let mut command = program("nacos", name, &installed);
        let server = format!("127.0.0.1:{}", hub.port);
        command.args([&server, name, &host(language), "8080"]);
        clients.push(Client::start(name, command).await);
    }
    let native = json!({
        "serviceName": "elsewhere", "hostAddress": "10.9.1.9", "portNumber": 81, "leaseSeconds": 3600,
        "metadata": { "kept": "ä & <b>" },
    });
    let (_, made) = hub.post("/api/v1/instances", &native).await;
    for client in &mut clients {
        for (language, name) in LANGUAGES.into_iter().enumerate() {
            let found = client.until(name, |found| found.len() == 1).await;
            assert_eq!(
                (&found[0]["host"], &found[0]["port"]),
                (&json!(host(language)), &json!(8080))
            );
            assert_eq!(found[0]["metadata"]["by"], name, "{}", client.name);
        }
        let found = client.until("elsewhere", |found| found.len() == 1).await;
        assert_eq!(found[0]["metadata"]["kept"], "ä & <b>", "{}", client.name);
    }
    // Longer than the longest of their leases: their heartbeats are heard.
    tokio::time::sleep(std::time::Duration::from_secs(17)).await;
    for name in LANGUAGES {
        let (_, answer) = hub.get(&format!("/api/v1/services/{name}/instances")).await;
        assert_eq!(answer["instances"][0]["healthStatus"], "HEALTHY", "{name}: {answer}");
    }
    // One is sick, and well again.
    let id = made["instanceId"].as_str().unwrap();
    for (word, count) in [("UNHEALTHY", 0), ("HEALTHY", 1)] {
        let health = json!({ "healthStatus": word });
        let path = format!("/api/v1/instances/{id}/health");
        assert_eq!(hub.send(reqwest::Method::PUT, &path, Some(&health)).await.0, 200);
        for client in &mut clients {
            client.until("elsewhere", |found| found.len() == count).await;
        }
    }
    // The hub is killed and comes back: nobody is lost.
    hub.kill().await;
    hub.run().await;
    for client in &mut clients {
        for name in LANGUAGES {
            client.until(name, |found| found.len() == 1).await;
        }
    }
    // One is killed: it is unhealthy, and then gone. One leaves: at once.
    let mut killed = clients.remove(0);
    killed.kill().await;
    for client in &mut clients {
        client.until("python", <[Value]>::is_empty).await;
    }
    clients.remove(1).leave().await;
    let list = hub.url("/nacos/v1/ns/instance/list?serviceName=go");
    let list: Value = hub.client.get(list).send().await.unwrap().json().await.unwrap();
    assert_eq!(list["hosts"], json!([]));
    // The library in JavaScript keeps what it has rather than take an empty list, which the answer is.
    clients.remove(0).leave().await;
}
