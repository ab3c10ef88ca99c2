//! Services of odd names: one registration must not blind the hub for all others.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::subject::Agent;
use common::{connect, key, spec};
use hub_registry_core::{ErrorKind, Instance, Scope, ServiceKey};
use hub_registry_testkit::contract::Follower;
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(5);
/// A blocking read of the names returns at the latest.
const ROUND: Duration = Duration::from_secs(27);

/// What no path leads to.
const PATHLESS: [&str; 9] = ["..", ".", "/", "//", "/a", "a//b", "../catalog", "a/../b", "a/./b"];
/// What Consul answers 400 to.
const REFUSED: [&str; 3] = ["u\u{202E}x", "a\u{a0}b", "z\u{200b}"];
/// Odd, and no trouble.
const FINE: [&str; 8] = ["good", "...", "a/b", "a/", "a b", "%2e%2e", "é?#", "x*;\\"];

type Seen = BTreeMap<ServiceKey, Vec<Arc<Instance>>>;

async fn register(agent: &Agent, name: &str, port: u16) {
    let body = json!({"ID": format!("{name}:{port}"), "Name": name, "Port": port});
    agent.send("agent/service/register", body).await;
}

#[tokio::test]
async fn odd_names_are_left_out_and_the_others_followed() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let server = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let agent = Agent::new(server.address());
    for name in PATHLESS.into_iter().chain(REFUSED).chain(FINE) {
        register(&agent, name, 1).await;
    }
    let registry = connect(&spec(server.address())).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.expect("a Reset");
    let count = |seen: &Seen, name: &str| seen.get(&key(name)).map_or(0, Vec::len);
    for name in FINE {
        assert_eq!(count(&follower.seen, name), 1, "{name}");
        assert_eq!(registry.instances(&key(name)).await.unwrap().len(), 1, "{name}");
    }
    for name in PATHLESS {
        assert!(!follower.seen.contains_key(&key(name)), "{name}");
    }
    for name in PATHLESS.into_iter().chain(REFUSED) {
        let error = registry.instances(&key(name)).await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}: {error}");
    }
    register(&agent, "good", 2).await;
    follower.until("a second instance", SOON, |seen| count(seen, "good") == 2).await;

    // They may come and go under way too.
    register(&agent, "b/../c", 1).await;
    register(&agent, "v\u{202E}x", 1).await;
    register(&agent, "good", 3).await;
    follower.until("a third instance", SOON, |seen| count(seen, "good") == 3).await;
    let odd = |key: &ServiceKey| {
        let name = key.name.as_str();
        REFUSED.contains(&name) || ["b/../c", "v\u{202E}x"].contains(&name)
    };
    let none_odd = |seen: &Seen| !seen.keys().any(odd);
    follower.until("no name that was refused", ROUND, none_odd).await;
    let mut expected: Vec<_> = FINE.into_iter().chain(["consul"]).map(key).collect();
    expected.sort();
    // The follower may not have been told of the last ones yet, and so not have been refused.
    let end = Instant::now() + ROUND;
    loop {
        let listed = registry.services(&Scope::all()).await.unwrap();
        if listed == expected {
            break;
        }
        assert!(Instant::now() < end, "{listed:?} is not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    agent.send("agent/service/deregister/..:1", Value::Null).await;
    register(&agent, "good", 4).await;
    follower.until("a fourth instance", SOON, |seen| count(seen, "good") == 4).await;
}
