//! How a connection begins, and where there is none.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Client;
use super::port;
use crate::hub::{Hub, free_port};

/// What a client of this kind says of itself.
fn setup(abilities: Value) -> Value {
    let labels = json!({ "source": "sdk", "module": "naming" });
    json!({
        "clientVersion": "Nacos-Java-Client:v3.0.1", "tenant": "", "labels": labels,
        "abilityTable": abilities,
    })
}

async fn next(client: &mut Client) -> (String, Value) {
    timeout(Duration::from_secs(10), client.next()).await.expect("nothing comes").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_what_it_can_do_is_told_so_first() {
    let hub = Hub::start().await;
    let mut writer = Client::start(port(&hub)).await;
    writer.register("asked", "10.20.0.1", &json!({})).await;
    let can = json!({ "supportPersistentInstanceByGrpc": true, "fuzzyWatch": true });
    for abilities in [json!({}), can] {
        let mut client = Client::connect(port(&hub), true).await;
        let (_, check) = client.ask("ServerCheckRequest", json!({})).await;
        assert_eq!(check["supportAbilityNegotiation"], true, "{check}");
        assert!(check["connectionId"].as_str().is_some_and(|id| !id.is_empty()), "{check}");
        client.say("ConnectionSetupRequest", &setup(abilities));
        let (kind, ack) = next(&mut client).await;
        assert_eq!(kind, "SetupAckRequest", "{ack}");
        assert_eq!(ack["abilityTable"], json!({ "supportPersistentInstanceByGrpc": true }));
        let id = ack["requestId"].as_str().unwrap();
        assert!(!id.is_empty() && ack["headers"].is_object(), "{ack}");
        client.say("SetupAckResponse", &json!({ "resultCode": 200, "requestId": id }));
        // From now on it is known, and told nothing else of itself.
        assert_eq!(client.subscribe("asked").await[0]["ip"], "10.20.0.1");
        let (kind, push) = next(&mut client).await;
        assert_eq!(kind, "NotifySubscriberRequest", "{push}");
        // What it was told is so.
        let stays = json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "stays",
            "type": "registerInstance",
            "instance": { "ip": "10.20.0.2", "port": 80, "ephemeral": false, "healthy": true },
        });
        let (kind, answer) = client.ask("PersistentInstanceRequest", stays).await;
        assert_eq!((&*kind, &answer["resultCode"]), ("InstanceResponse", &json!(200)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_of_what_it_can_do_is_told_nothing() {
    let hub = Hub::start().await;
    let mut client = Client::connect(port(&hub), true).await;
    client.set_up().await;
    let mut other = Client::connect(port(&hub), true).await;
    other.say("ConnectionSetupRequest", &setup(Value::Null));
    for client in [&mut client, &mut other] {
        while client.ask("HealthCheckRequest", json!({})).await.0 != "HealthCheckResponse" {
            tokio::task::yield_now().await;
        }
        client.subscribe("asked").await;
        let (kind, push) = next(client).await;
        assert_eq!(kind, "NotifySubscriberRequest", "{push}");
    }
}

/// Whether somebody takes connections there.
async fn is_open(port: u16) -> bool {
    match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => false,
        Err(error) => panic!("port {port}: {error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_its_ports_are_refused() {
    for (enabled, own) in [(true, false), (false, false), (true, true), (false, true)] {
        let port = free_port();
        let mut config = format!("facades:\n  nacos:\n    enabled: {enabled}\n");
        if own {
            config.push_str(&format!("    port: {port}\n"));
        }
        let hub = Hub::with_config(&config).await;
        let (http, grpc) = if own { (port, port + 1000) } else { (hub.port, hub.port + 1000) };
        assert_eq!(is_open(grpc).await, enabled, "{config}");
        assert_eq!(is_open(http).await, enabled || !own, "{config}");
        let list = hub.url("/nacos/v1/ns/service/list?pageNo=1&pageSize=10");
        let status = hub.client.get(list).send().await.unwrap().status();
        assert_eq!(status, if enabled { 200 } else { 404 }, "{config}");
    }
}
