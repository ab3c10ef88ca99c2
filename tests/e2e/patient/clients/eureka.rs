//! Unmodified clients of Eureka in four languages, as their libraries are published: they register
//! with the hub, find each other and what lives elsewhere, change, leave, and are killed.

use std::path::Path;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::client::{Client, asked, java, program};
use crate::hub::Hub;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Python,
    JavaScript,
    Java,
    Go,
}

impl Language {
    const ALL: [Self; 4] = [Self::Python, Self::JavaScript, Self::Java, Self::Go];

    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::Java => "java",
            Self::Go => "go",
        }
    }

    fn host(self) -> String {
        format!("10.6.0.{}", self as usize + 1)
    }

    async fn start(self, installed: &Path, hub: &Hub) -> Client {
        let mut command = self.command(installed);
        command.args([&hub.url("/eureka"), self.name(), &self.host(), "8080"]);
        Client::start(self.name(), command).await
    }

    fn command(self, installed: &Path) -> Command {
        if self == Self::Java {
            java("eureka", "EurekaApp", installed)
        } else {
            program("eureka", self.name(), installed)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_in_four_languages_live_at_the_hub_as_at_a_eureka() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let Some(installed) = servers::require_library("eureka-clients") else { return };
    let mut hub = Hub::start().await;
    let mut clients = Vec::new();
    for language in Language::ALL {
        clients.push(language.start(&installed, &hub).await);
    }
    // Each finds each, with its metadata, and one that is not Eureka's.
    let native = json!({
        "serviceName": "elsewhere", "hostAddress": "10.6.0.9", "portNumber": 81, "leaseSeconds": 3600,
        "metadata": { "kept": "ä & <b>" },
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    for client in &mut clients {
        for other in Language::ALL {
            let found = client.until(other.name(), |found| found.len() == 1).await;
            assert_eq!(
                (&found[0]["host"], &found[0]["port"]),
                (&json!(other.host()), &json!(8080))
            );
            assert_eq!(found[0]["metadata"]["by"], other.name());
            // XStream doubles the underscore, and those that read XML without it leave it at that.
            let key = if ["python", "go"].contains(&client.name) { "a__b" } else { "a_b" };
            assert_eq!(found[0]["metadata"][key], "1 < 2", "{} {found:?}", client.name);
        }
        let found = client.until("elsewhere", |found| found.len() == 1).await;
        assert_eq!(found[0]["metadata"]["kept"], "ä & <b>", "{}", client.name);
    }
    // The hub itself has them as its own, healthy by their heartbeats, longer than a lease lasts.
    tokio::time::sleep(Duration::from_secs(5)).await;
    for language in Language::ALL {
        let (_, answer) = hub.get(&format!("/api/v1/services/{}/instances", language.name())).await;
        assert_eq!(answer["instances"][0]["healthStatus"], "HEALTHY", "{language:?}: {answer}");
    }
    // Each takes itself out of service, and comes back; the one that has no way to is taken out.
    for (who, language) in Language::ALL.into_iter().enumerate() {
        let name = language.name();
        let id = format!("{}:{name}:8080", language.host());
        let status = hub.url(&format!("/eureka/apps/{name}/{id}/status"));
        let status =
            |method, value| hub.client.request(method, format!("{status}?value={value}")).send();
        if language == Language::JavaScript {
            assert_eq!(status(Method::PUT, "OUT_OF_SERVICE").await.unwrap().status(), 200);
        } else {
            clients[who].say("status OUT_OF_SERVICE").await;
        }
        for client in &mut clients {
            client.until(name, <[Value]>::is_empty).await;
        }
        if language == Language::JavaScript {
            assert_eq!(status(Method::DELETE, "UP").await.unwrap().status(), 200);
        } else {
            clients[who].say("status UP").await;
        }
        for client in &mut clients {
            client.until(name, |found| found.len() == 1).await;
        }
    }
    // Those that can say something else of themselves do.
    for (who, name) in [(1, "javascript"), (2, "java"), (3, "go")] {
        assert_eq!(clients[who].say("change new").await["changed"], true, "{name}");
        for client in &mut clients {
            client.until(name, |found| found[0]["metadata"]["said"] == "new").await;
        }
    }
    // The hub is killed and comes back: nobody loses anybody for longer than it takes.
    hub.kill().await;
    hub.run().await;
    for client in &mut clients {
        for other in Language::ALL {
            client.until(other.name(), |found| found.len() == 1).await;
        }
    }
    // Each is killed: the others see that it is down, and then gone. Each comes back and leaves: at once.
    for (who, language) in Language::ALL.into_iter().enumerate() {
        let name = language.name();
        clients[who].kill().await;
        for other in &mut clients[who + 1..] {
            other.until(name, <[Value]>::is_empty).await;
        }
        let app = format!("/eureka/apps/{name}");
        asked(&hub, &app, |status, _| status == 404).await;
        let again = language.start(&installed, &hub).await;
        again.finds_itself_and_leaves(&hub, &app, |status, _| status == 404).await;
    }
}
