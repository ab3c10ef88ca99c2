//! Unmodified clients of Nacos 2 and 3, as their libraries are published: they register with the hub,
//! find each other and what lives elsewhere, are told of changes, and are killed.

use std::path::Path;
use std::time::Duration;

use hub_registry_testkit::servers;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Client, asked, java, program};
use crate::hub::Hub;

const LANGUAGES: [&str; 3] = ["python", "go", "java"];
/// The library in Python registers anew at the next half minute of its life.
const REDO: Duration = Duration::from_secs(45);

fn host(language: usize) -> String {
    format!("10.9.2.{}", language + 1)
}

async fn start(language: usize, hub: &Hub, installed: &Path) -> Client {
    let name = LANGUAGES[language];
    let mut command = match name {
        "java" => java("spring-clients", "NacosClient", installed),
        _ => program("nacos-grpc", name, installed),
    };
    command.args([&format!("127.0.0.1:{}", hub.port), name, &host(language), "8080"]);
    Client::start(name, command).await
}

fn is_one(seen: &Value) -> bool {
    seen.as_array().is_some_and(|all| all.len() == 1)
}

/// Which connection registered the only instance of a service, which is well.
async fn connection(hub: &Hub, name: &str) -> String {
    let (_, answer) = hub.get(&format!("/api/v1/services/{name}/instances")).await;
    let instance = &answer["instances"][0];
    assert_eq!(instance["healthStatus"], "HEALTHY", "{name}: {answer}");
    let id = instance["instanceId"].as_str().unwrap();
    let (_, one) = hub.get(&format!("/api/v1/instances/{id}")).await;
    one["clientId"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_2_and_3_live_at_the_hub_as_at_a_nacos() {
    let Some(installed) = servers::require_library("nacos-grpc-clients") else { return };
    if servers::require_library("spring-clients").is_none() {
        return;
    }
    let mut hub = Hub::start().await;
    let mut clients = Vec::new();
    for language in 0..LANGUAGES.len() {
        clients.push(start(language, &hub, &installed).await);
    }
    for client in &mut clients {
        for (language, name) in LANGUAGES.into_iter().enumerate() {
            let found = client.until(name, |found| found.len() == 1).await;
            let (at, port) = (&found[0]["host"], &found[0]["port"]);
            assert_eq!((at, port), (&json!(host(language)), &json!(8080)), "{}", client.name);
            assert_eq!(found[0]["metadata"]["by"], name, "{}", client.name);
        }
        client.say("watch elsewhere").await;
    }
    // What comes, changes and goes elsewhere is told.
    let native = json!({
        "serviceName": "elsewhere", "hostAddress": "10.9.2.9", "portNumber": 81, "leaseSeconds": 3600,
        "metadata": { "kept": "ä & <b>" },
    });
    let (_, made) = hub.post("/api/v1/instances", &native).await;
    let path = format!("/api/v1/instances/{}", made["instanceId"].as_str().unwrap());
    for client in &mut clients {
        let told = client.seen("elsewhere", is_one).await;
        assert_eq!(told[0]["metadata"]["kept"], "ä & <b>", "{}", client.name);
    }
    let change = json!({ "metadata": { "kept": "2" } });
    assert_eq!(hub.send(Method::PUT, &path, Some(&change)).await.0, 200);
    for client in &mut clients {
        client.seen("elsewhere", |seen| seen[0]["metadata"]["kept"] == "2").await;
    }
    let gone = hub.send(Method::DELETE, &path, None).await.0;
    assert!(gone.is_success(), "{gone}");
    for client in &mut clients {
        client.seen("elsewhere", |seen| *seen == json!([])).await;
        // They have nothing but their connection, which is alive for longer than a lease.
        for name in LANGUAGES {
            client.say(&format!("watch {name}")).await;
        }
    }
    // What a client itself says is told: another metadata, that it is out of use, and back.
    for (who, name) in LANGUAGES.into_iter().enumerate() {
        assert_eq!(clients[who].say("change new").await["changed"], true);
        for client in &mut clients {
            client.seen(name, |seen| seen[0]["metadata"]["said"] == "new").await;
        }
        for (word, count) in [("down", 0), ("up", 1)] {
            clients[who].say(&format!("status {word}")).await;
            for client in &mut clients {
                client.seen(name, |seen| seen.as_array().is_some_and(|it| it.len() == count)).await;
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(62)).await;
    for name in LANGUAGES {
        connection(&hub, name).await;
    }
    // The hub is killed and comes back: nobody is lost, nobody is told that somebody was.
    let mut connections = Vec::new();
    for name in LANGUAGES {
        connections.push(connection(&hub, name).await);
    }
    hub.kill().await;
    hub.run().await;
    let end = Instant::now() + REDO;
    for (name, before) in LANGUAGES.into_iter().zip(connections) {
        // Registered again on a connection of its own.
        while connection(&hub, name).await == before {
            for client in &mut clients {
                let seen = client.say(&format!("seen {name}")).await["seen"].clone();
                assert!(is_one(&seen), "{} was told of {name}: {seen}", client.name);
            }
            assert!(Instant::now() < end, "{name} did not register again");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    // Each is killed, and gone with its connection; each comes back and leaves.
    for (who, name) in LANGUAGES.into_iter().enumerate() {
        let list = format!("/nacos/v1/ns/instance/list?serviceName={name}");
        let is_empty = |_, answer: &Value| answer["hosts"] == json!([]);
        clients[who].kill().await;
        let at = Instant::now();
        asked(&hub, &list, is_empty).await;
        assert!(at.elapsed() < Duration::from_secs(5), "{name}: {:?}", at.elapsed());
        if let Some(other) = clients.get_mut(who + 1) {
            other.seen(name, |seen| *seen == json!([])).await;
        }
        start(who, &hub, &installed).await.finds_itself_and_leaves(&hub, &list, is_empty).await;
    }
}
