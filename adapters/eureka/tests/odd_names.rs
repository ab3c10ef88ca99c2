//! Applications of odd names are read like any other.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::time::Duration;

use futures_util::StreamExt;
use hub_registry_core::{Change, GroupName, Scope, ServiceKey, ServiceName};
use hub_registry_testkit::contract::eventually;
use hub_registry_testkit::servers::{self, EurekaOptions, ServerKind, ServerOptions};
use serde_json::json;

const NAMES: [&str; 12] = [
    "..",
    ".",
    "/",
    "../catalog",
    "a/../b",
    "a\\b",
    "u\u{202E}x",
    "a b",
    "delta",
    "%2e%2e",
    "x?#;",
    "good",
];

#[tokio::test]
async fn odd_names_are_read_like_any_other() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let server = servers::start(ServerKind::Eureka, options).await.unwrap();
    let url = format!("http://{}/eureka/apps/ANY", server.address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for name in NAMES {
        let class = hub_registry_eureka::wire::DEFAULT_DATA_CENTER;
        let body = json!({"instance": {
            "instanceId": format!("{name}:1"), "hostName": "h", "app": name, "ipAddr": "10.0.0.1",
            "status": "UP", "port": {"$": 80, "@enabled": "true"}, "vipAddress": "any",
            "dataCenterInfo": {"@class": class, "name": "MyOwn"},
        }});
        let answer = client.post(&url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{name}: {}", answer.status());
    }
    let specific = json!({"pollInterval": "500ms"});
    let registry = common::connect(&common::spec(&[server.http_port()], &specific)).await;
    let mut expected: Vec<_> = NAMES
        .map(|name| ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap()))
        .into();
    expected.sort();
    let scope = Scope::all();
    let within = Duration::from_secs(40);
    eventually(
        "all of them",
        within,
        || registry.services(&scope),
        |all| all.as_ref().is_ok_and(|all| *all == expected),
    )
    .await;
    let first = registry.watch(Scope::all()).next().await.unwrap().unwrap();
    let Change::Reset(states) = first else { panic!("{first:?}") };
    assert!(states.iter().map(|state| &state.key).eq(&expected), "{states:?}");
    for key in &expected {
        let all = registry.instances(key).await;
        assert_eq!(all.unwrap_or_else(|error| panic!("{key}: {error}")).len(), 1, "{key}");
    }
}
