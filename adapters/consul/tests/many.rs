//! More services than connections: all are watched right.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::subject::Agent;
use common::{connect, key, spec};
use hub_registry_core::{HealthStatus, Instance, Scope, ServiceKey};
use hub_registry_testkit::contract::{Follower, Lags};
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use serde_json::{Value, json};
use tokio::time::Instant;

const SERVICES: usize = 300;
/// One client address may have 200 at a Consul agent, and the hub is not the only client.
const ALLOWED: usize = 180;
const SOON: Duration = Duration::from_secs(5);

type Seen = BTreeMap<ServiceKey, Vec<Arc<Instance>>>;

fn name(number: usize) -> String {
    format!("many-{number:03}")
}

fn body(number: usize, port: u16, status: &str) -> Value {
    let name = name(number);
    json!({
        "ID": format!("{name}-{port}"), "Name": name, "Port": port,
        "Check": {"CheckID": format!("{name}-{port}"), "TTL": "1h", "Status": status},
    })
}

/// Open connections of this machine to the port.
fn connections(port: u16) -> usize {
    let remote = format!(":{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table.lines().skip(1).map(str::split_whitespace);
    lines
        .filter(|line| {
            let mut words = line.clone().skip(2);
            let to = words.next().is_some_and(|to| to.ends_with(&remote));
            to && words.next() == Some("01")
        })
        .count()
}

#[tokio::test]
async fn three_hundred_services_are_watched_with_few_connections() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let server = servers::start(ServerKind::Consul, ServerOptions::default()).await;
    let server = server.unwrap();
    let agent = Agent::new(server.address());
    for number in 0..SERVICES {
        agent.send("agent/service/register", body(number, 1, "passing")).await;
    }
    let registry = connect(&spec(server.address())).await;
    let start = Instant::now();
    let scope = Scope::new(&["many-*".to_owned()], &[], Vec::new());
    let mut follower = Follower::new(registry.watch(scope));
    follower.until("all of them", SOON, |seen| seen.len() == SERVICES).await;
    println!("{SERVICES} services read in {:?}", start.elapsed());

    let lags = Lags::default();
    // The first has a connection of its own, the last shares.
    for number in [0, 150, SERVICES - 1] {
        let service = key(&name(number));
        let count = |seen: &Seen| seen.get(&service).map_or(0, Vec::len);
        let start = Instant::now();
        agent.send("agent/service/register", body(number, 2, "passing")).await;
        follower.until("a second instance", SOON, |seen| count(seen) == 2).await;
        lags.add(start.elapsed());

        let start = Instant::now();
        let update = format!("agent/check/update/{}-2", name(number));
        agent.send(&update, json!({"Status": "critical"})).await;
        let unhealthy = |list: &Vec<Arc<Instance>>| {
            list.iter().any(|instance| instance.health == HealthStatus::Unhealthy)
        };
        follower.until("its check", SOON, |seen| seen.get(&service).is_some_and(unhealthy)).await;
        lags.add(start.elapsed());

        let start = Instant::now();
        let path = format!("agent/service/deregister/{}-2", name(number));
        agent.send(&path, Value::Null).await;
        follower.until("its end", SOON, |seen| count(seen) == 1).await;
        lags.add(start.elapsed());

        let start = Instant::now();
        let path = format!("agent/service/deregister/{}-1", name(number));
        agent.send(&path, Value::Null).await;
        follower.until("the service's end", SOON, |seen| !seen.contains_key(&service)).await;
        lags.add(start.elapsed());

        let start = Instant::now();
        agent.send("agent/service/register", body(number, 3, "passing")).await;
        follower.until("the service's return", SOON, |seen| count(seen) == 1).await;
        lags.add(start.elapsed());
    }
    lags.print("300 services");

    // A burst over all of them.
    let start = Instant::now();
    let burst = async {
        for number in 0..SERVICES {
            let body = body(number, 9, "warning");
            agent.send("agent/service/register", body).await;
        }
    };
    let two = |seen: &Seen| seen.values().all(|list| list.len() == 2);
    let seen = follower.until("two of each", SOON * 3, two);
    let most = AtomicUsize::new(0);
    let count = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            most.fetch_max(connections(server.http_port()), Ordering::Relaxed);
        }
    };
    tokio::select! {
        _ = futures_util::future::join(burst, seen) => {}
        () = count => {}
    }
    let took = start.elapsed();
    println!("a burst of {SERVICES} registrations was seen after {took:?}");
    let most = most.into_inner();
    println!("at most {most} connections");
    assert!((20..ALLOWED).contains(&most), "{most} connections");
}
