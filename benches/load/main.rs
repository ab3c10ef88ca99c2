//! How many durable registrations and heartbeats a second the whole server takes over HTTP, from
//! 1, 16 and 64 clients that keep their connections, and how long the slowest hundredth waits.
//!
//! ```sh
//! cargo bench --bench load                       # SQLite, PostgreSQL and MariaDB
//! cargo bench --bench load -- sqlite             # one of them
//! cargo bench --bench load -- sqlite --clients 64 --seconds 10 --services 1000
//! ```
//!
//! Every 201 is on disk: SQLite runs with `synchronous=FULL`, the others as their packages set
//! them. The load comes from this process, on the same cores.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark: a failure is a panic"
)]

mod client;
mod hub;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use client::{Client, Figures};
use hub::Hub;
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use tokio::task::JoinSet;

const CLIENTS: [u32; 3] = [1, 16, 64];

#[derive(Clone, Copy)]
struct Plan {
    /// How many at once; none: each of [`CLIENTS`], one after the other.
    clients: Option<u32>,
    seconds: u64,
    services: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |name: &str| {
        let place = words.iter().position(|word| word == name)?;
        Some(words[place + 1].parse::<u32>().unwrap())
    };
    let plan = Plan {
        clients: number("--clients"),
        seconds: number("--seconds").unwrap_or(5).into(),
        services: number("--services").unwrap_or(1000),
    };
    let databases = ["sqlite", "postgres", "mariadb"];
    let named = databases.iter().any(|name| words.iter().any(|word| word == name));
    let wants = |name: &str| !named || words.iter().any(|word| word == name);
    println!(
        "| database | clients | registrations/s | p50 ms | p99 ms | heartbeats/s | p50 ms | p99 ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    if wants("sqlite") {
        run("sqlite", None, plan).await;
    }
    for (name, kind) in [("postgres", ServerKind::Postgres), ("mariadb", ServerKind::MariaDb)] {
        if wants(name) && servers::require(kind) {
            let mut server = servers::start(kind, ServerOptions::default()).await.unwrap();
            run(name, Some(server.dsn()), plan).await;
            server.kill().await;
        }
    }
}

async fn run(name: &str, dsn: Option<String>, plan: Plan) {
    let hub = Hub::start(dsn.as_deref()).await;
    let numbers = Arc::new(AtomicU32::new(0));
    for clients in plan.clients.map_or_else(|| CLIENTS.to_vec(), |only| vec![only]) {
        let next = Arc::clone(&numbers);
        let registrations = load(&hub, clients, plan, move |_| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            (registration(number, plan.services), 201)
        })
        .await;
        let ids = Arc::new(hub.ids(2000).await);
        let beats = load(&hub, clients, plan, move |turn| {
            (heartbeat(&ids[turn as usize % ids.len()]), 200)
        })
        .await;
        println!("| {name} | {clients} | {registrations} | {beats} |");
    }
}

/// What all clients did in the time; each takes its next request from `make` with its number of
/// turns, and expects the status.
async fn load(
    hub: &Hub,
    clients: u32,
    plan: Plan,
    make: impl Fn(u32) -> (Vec<u8>, u16) + Clone + Send + 'static,
) -> Figures {
    let stop = Arc::new(AtomicBool::new(false));
    let mut all = JoinSet::new();
    let start = std::time::Instant::now();
    for number in 0..clients {
        let (mut client, stop) = (Client::connect(hub.port).await, Arc::clone(&stop));
        let make = make.clone();
        all.spawn(async move {
            let mut turn = number.wrapping_mul(7919);
            while !stop.load(Ordering::Relaxed) {
                let (request, status) = make(turn);
                client.ask(&request, status).await;
                turn = turn.wrapping_add(1);
            }
            client.times
        });
    }
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let times = all.join_all().await.concat();
    Figures::new(times, start.elapsed())
}

fn registration(number: u32, services: u32) -> Vec<u8> {
    let (service, host) = (number % services, number / services);
    let body = format!(
        "{{\"serviceName\":\"service-{service}\",\"hostAddress\":\"10.{}.{}.{}\",\
         \"portNumber\":8080,\"leaseSeconds\":3600,\"metadata\":{{\"version\":\"1.4.2\",\
         \"zone\":\"z1\"}},\"tags\":[\"blue\"]}}",
        host >> 16 & 255,
        host >> 8 & 255,
        host & 255,
    );
    request("POST", "/api/v1/instances", &body)
}

fn heartbeat(id: &str) -> Vec<u8> {
    request("PUT", &format!("/api/v1/instances/{id}/heartbeat"), "")
}

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
