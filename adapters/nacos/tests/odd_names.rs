//! Services of odd names: one registration must not blind the hub for all others.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use std::time::Duration;

use hub_registry_core::Scope;
use hub_registry_testkit::contract::Follower;
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};

use common::{Writer, connect, instance, service, spec};

const SOON: Duration = Duration::from_secs(5);

const NAMES: [&str; 11] = [
    "..",
    ".",
    "/",
    "../catalog",
    "a/../b",
    "a\\b",
    "u\u{202E}x",
    "a b",
    "%2e%2e",
    "x?#;&=",
    "good",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_are_read_like_any_other() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let server = servers::start(ServerKind::Nacos, ServerOptions::default()).await;
    let server = server.expect("nacos");
    let writer = Writer::new(server.http_port());
    let all = NAMES.map(service);
    for (service, number) in all.iter().zip(1..) {
        writer.put(&instance(service, number)).await;
    }
    let registry = connect(&spec(server.http_port())).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower
        .until("all of them", SOON, |seen| {
            all.iter().all(|service| seen.get(service).is_some_and(|list| list.len() == 1))
        })
        .await;
    for service in &all {
        assert_eq!(registry.instances(service).await.unwrap().len(), 1, "{service}");
    }
    let good = service("good");
    writer.put(&instance(&good, 2)).await;
    follower.until("a second instance", SOON, |seen| seen[&good].len() == 2).await;
}
