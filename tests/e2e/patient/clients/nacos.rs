//! Unmodified clients of Nacos 1.x in three languages, as their libraries are published: they register
//! with the hub, find, watch and change, are told of what is down, leave, and are killed.

use std::path::Path;

use hub_registry_testkit::servers;
use serde_json::{Value, json};

use super::client::{Client, asked, program};
use crate::hub::Hub;

const LANGUAGES: [&str; 3] = ["python", "javascript", "go"];

fn host(language: usize) -> String {
    format!("10.9.1.{}", language + 1)
}

async fn start(language: usize, hub: &Hub, installed: &Path) -> Client {
    let name = LANGUAGES[language];
    let mut command = program("nacos", name, installed);
    command.args([&format!("127.0.0.1:{}", hub.port), name, &host(language), "8080"]);
    Client::start(name, command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_three_languages_live_at_the_hub_as_at_a_nacos() {
    let Some(installed) = servers::require_library("nacos-clients") else { return };
    let mut hub = Hub::start().await;
    let mut clients = Vec::new();
    for language in 0..LANGUAGES.len() {
        clients.push(start(language, &hub, &installed).await);
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
    // Each is told of what another says of itself, who is out of use, and in use again.
    for who in 0..LANGUAGES.len() {
        let other = (who + 1) % LANGUAGES.len();
        clients[who].say(&format!("watch {}", LANGUAGES[other])).await;
        // The library in Python tells of what changes only, and needs something to compare it with.
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        clients[other].say("change new").await;
        let is_new = |seen: &Value| seen[0]["metadata"]["said"] == "new";
        clients[who].seen(LANGUAGES[other], is_new).await;
        for (word, count) in [("down", 0), ("up", 1)] {
            clients[other].say(&format!("status {word}")).await;
            // The library in JavaScript keeps what it has rather than take an empty list.
            if LANGUAGES[who] != "javascript" {
                clients[who].until(LANGUAGES[other], |found| found.len() == count).await;
            }
            let list = format!("/nacos/v1/ns/instance/list?serviceName={}", LANGUAGES[other]);
            let is = |_, answer: &Value| {
                answer["hosts"].as_array().is_some_and(|all| all.len() == count)
            };
            asked(&hub, &list, is).await;
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
    // One is killed: the others are told that it is not well.
    clients[0].kill().await;
    for client in &mut clients[1..] {
        client.until("python", <[Value]>::is_empty).await;
    }
    // Each is, and is gone after that; each comes back and leaves, at once.
    for (who, name) in LANGUAGES.into_iter().enumerate() {
        let list = format!("/nacos/v1/ns/instance/list?serviceName={name}");
        let is_empty = |_, answer: &Value| answer["hosts"] == json!([]);
        clients[who].kill().await;
        asked(&hub, &list, is_empty).await;
        start(who, &hub, &installed).await.finds_itself_and_leaves(&hub, &list, is_empty).await;
    }
}
