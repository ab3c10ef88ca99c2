//! Applications of odd names are read like any other. The server of today refuses to register
//! them; older ones took whatever the body said.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use futures_util::StreamExt;
use hub_registry_core::{Change, GroupName, Scope, ServiceKey, ServiceName};
use hub_registry_testkit::stub::eureka::EurekaStub;
use hub_registry_testkit::stub::fault::Fault;
use serde_json::{Value, json};

/// What no path leads to.
const PATHLESS: [&str; 6] = ["..", ".", "/", "../catalog", "a/../b", "a\\b"];
const OTHERS: [&str; 4] = ["u\u{202E}x", "a b", "%2e%2e", "good"];

fn application(name: &str) -> Value {
    json!({"name": name, "instance": [{
        "instanceId": format!("{name}:1"), "app": name, "ipAddr": "10.0.0.1",
        "status": "UP", "port": {"$": 80, "@enabled": "true"},
    }]})
}

#[tokio::test]
async fn odd_names_are_read_like_any_other() {
    let stub = EurekaStub::start().await;
    let names: Vec<_> = PATHLESS.into_iter().chain(OTHERS).collect();
    let all: Vec<_> = names.iter().map(|name| application(name)).collect();
    let list = json!({"applications": {"apps__hashcode": "UP_10_", "application": all}});
    // Whatever the path: a call of one application must not take another answer for its own.
    let answer = Fault::answer(200, "application/json", &list.to_string());
    stub.proxy().set(answer).await;
    let registry = common::connect(&common::spec(&[stub.port()], &json!({}))).await;
    let key = |name: &&str| {
        ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
    };
    let mut expected: Vec<_> = names.iter().map(key).collect();
    expected.sort();
    assert_eq!(registry.services(&Scope::all()).await.unwrap(), expected);
    let first = registry.watch(Scope::all()).next().await.unwrap().unwrap();
    let Change::Reset(states) = first else { panic!("{first:?}") };
    assert!(states.iter().map(|state| &state.key).eq(&expected), "{states:?}");
    for name in &PATHLESS {
        let all = registry.instances(&key(name)).await;
        assert_eq!(all.unwrap_or_else(|error| panic!("{name}: {error}")).len(), 1, "{name}");
    }
}
