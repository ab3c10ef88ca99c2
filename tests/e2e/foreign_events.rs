//! What happens in a Consul, a Nacos and a Eureka is told as what happens in the hub.

use std::time::Duration;

use serde_json::{Value, json};

use crate::events::{kinds, log};
use crate::federation::KINDS;
use crate::hub::Hub;
use crate::listener::Listener;
use crate::registries::Registries;

/// Longer than any of them takes until a reader sees it.
const SEEN: Duration = Duration::from_secs(20);

/// Two instances come, one changes and leaves.
const STORY: [&str; 5] = [
    "SERVICE_CREATE",
    "INSTANCE_REGISTER",
    "INSTANCE_REGISTER",
    "INSTANCE_UPDATE",
    "INSTANCE_DEREGISTER",
];

async fn native(hub: &Hub, service: &str) {
    let mut id = Value::Null;
    for (host, version) in [("10.0.8.1", "1"), ("10.0.8.2", "1"), ("10.0.8.2", "2")] {
        let body = json!({
            "serviceName": service, "hostAddress": host, "portNumber": 80,
            "leaseSeconds": 3600, "metadata": { "version": version },
        });
        let (status, body) = hub.post("/api/v1/instances", &body).await;
        assert!(status.is_success(), "{body}");
        id = body["instanceId"].clone();
    }
    let path = format!("/api/v1/instances/{}", id.as_str().unwrap());
    assert_eq!(hub.send(reqwest::Method::DELETE, &path, None).await.0, 200);
}

/// The same story in each registry and in the hub itself, told alike.
pub(crate) async fn each_registry_is_told_as_the_hub(hub: &Hub, registries: &mut Registries) {
    let mut stories = Vec::new();
    for kind in KINDS.into_iter().chain(["SYSTEM"]) {
        let service = format!("told-{}", kind.to_lowercase());
        let mut listener = Listener::sse(hub, &format!("?serviceName={service}"), None).await;
        let mut told = Vec::new();
        if kind == "SYSTEM" {
            native(hub, &service).await;
            told.extend(listener.events(5, SEEN).await);
        } else {
            registries.put(kind, &service, "10.0.8.1", 80).await;
            told.extend(listener.events(2, SEEN).await);
            registries.put(kind, &service, "10.0.8.2", 80).await;
            told.extend(listener.events(1, SEEN).await);
            registries.write(kind, &service, "10.0.8.2", 80, "2").await;
            told.extend(listener.events(1, SEEN).await);
            registries.remove(kind, &service, "10.0.8.2", 80).await;
            told.extend(listener.events(1, SEEN).await);
        }
        assert_eq!(kinds(&told), STORY, "{kind}: {told:#?}");
        assert_eq!(log(hub, &format!("&serviceName={service}")).await, told, "{kind}");
        let source = if kind == "SYSTEM" { "native".to_owned() } else { kind.to_lowercase() };
        for event in &told {
            assert_eq!(event["source"], source, "{event:#}");
        }
        assert_eq!(told[1]["data"]["metadata"]["version"], "1", "{:#}", told[1]);
        let changed = &told[3]["data"]["metadata"];
        assert_eq!(changed["old"]["version"], "1", "{:#}", told[3]);
        assert_eq!(changed["new"]["version"], "2", "{:#}", told[3]);
        stories.push(told.iter().map(form).collect::<Vec<_>>());
    }
    for story in &stories[..3] {
        assert_eq!(story, &stories[3], "not of the form of native events");
    }
}

/// The fields there are, and what must be the same whoever tells it.
fn form(event: &Value) -> (Vec<String>, [Value; 3]) {
    let fields = event.as_object().unwrap().keys().cloned().collect();
    let same = ["groupName", "hostAddress", "portNumber"].map(|name| event[name].clone());
    (fields, same)
}
