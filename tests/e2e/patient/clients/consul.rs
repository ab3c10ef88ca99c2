//! Unmodified clients of Consul in three languages, as their libraries are published: they register
//! with the hub, find and watch each other and what lives elsewhere, fail, leave, and are killed.

use std::path::Path;

use hub_registry_testkit::servers;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::client::{Client, SOON, asked, program};
use crate::hub::Hub;

const LANGUAGES: [&str; 3] = ["python", "javascript", "go"];

fn host(language: usize) -> String {
    format!("10.8.0.{}", language + 1)
}

async fn start(language: usize, installed: &Path, hub: &Hub) -> Client {
    let mut command = program("consul", LANGUAGES[language], installed);
    let server = format!("127.0.0.1:{}", hub.port);
    command.args([&server, LANGUAGES[language], &host(language), "8080"]);
    Client::start(LANGUAGES[language], command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_three_languages_live_at_the_hub_as_at_an_agent() {
    let Some(installed) = servers::require_library("consul-clients") else { return };
    let mut hub = Hub::start().await;
    let mut clients = Vec::new();
    for language in 0..LANGUAGES.len() {
        clients.push(start(language, &installed, &hub).await);
    }
    let native = json!({
        "serviceName": "elsewhere", "hostAddress": "10.8.0.9", "portNumber": 81, "leaseSeconds": 3600,
        "metadata": { "kept": "ä & <b>" },
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    for client in &mut clients {
        for (language, name) in LANGUAGES.into_iter().enumerate() {
            let found = client.until(name, |found| found.len() == 1).await;
            let expected = json!({
                "host": host(language), "port": 8080, "metadata": { "by": name, "a_b": "1 < 2" },
            });
            assert_eq!(found[0], expected, "{}", client.name);
        }
        let found = client.until("elsewhere", |found| found.len() == 1).await;
        assert_eq!(found[0]["metadata"]["kept"], "ä & <b>", "{}", client.name);
    }
    // Each watches, and is woken when the next one fails, and when it passes again.
    for who in 0..clients.len() {
        let other = (who + 1) % clients.len();
        for (word, count) in [("critical", 0), ("passing", 1)] {
            let now = clients[who].say(&format!("watch {}", LANGUAGES[other])).await;
            assert_eq!(now["found"].as_array().unwrap().len(), 1 - count, "{now}");
            clients[other].say(&format!("status {word}")).await;
            let then = timeout(SOON, clients[who].answer()).await;
            let then = then.unwrap_or_else(|_| panic!("{} was not woken", LANGUAGES[who]));
            assert_eq!(then["found"].as_array().unwrap().len(), count, "{} {then}", LANGUAGES[who]);
        }
    }
    // And when it says something else of itself.
    for who in 0..clients.len() {
        let other = (who + 1) % clients.len();
        clients[who].say(&format!("watch {}", LANGUAGES[other])).await;
        clients[other].say("change new").await;
        let then = timeout(SOON, clients[who].answer()).await;
        let then = then.unwrap_or_else(|_| panic!("{} was not woken", LANGUAGES[who]));
        assert_eq!(then["found"][0]["metadata"]["said"], "new", "{} {then}", LANGUAGES[who]);
    }
    // The hub is killed and comes back: nobody is lost for longer than it takes.
    hub.kill().await;
    hub.run().await;
    for name in LANGUAGES {
        let (_, answer) = hub.get(&format!("/api/v1/services/{name}/instances")).await;
        assert_eq!(answer["count"], 1, "{answer}");
    }
    // Each is killed: it is critical when its TTL is over, and stays. Each comes back and leaves: at once.
    for (who, name) in LANGUAGES.into_iter().enumerate() {
        clients[who].kill().await;
        if let Some(other) = clients.get_mut(who + 1) {
            other.until(name, <[Value]>::is_empty).await;
        }
        let there = format!("/v1/health/service/{name}");
        asked(&hub, &there, |_, all| all[0]["Checks"][0]["Status"] == "critical").await;
        let again = start(who, &installed, &hub).await;
        again.finds_itself_and_leaves(&hub, &there, |_, all| *all == json!([])).await;
    }
}
