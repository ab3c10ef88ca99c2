//! How many instances a second each database takes, durably, each with its event, in transactions
//! of 1 to 512 instances, one after the other.
//!
//! ```sh
//! cargo bench --bench storage                        # SQLite, PostgreSQL and MariaDB
//! cargo bench --bench storage -- sqlite postgres     # some of them
//! cargo bench --bench storage -- 'hub:secret@tcp(db:3306)/registry'    # one that runs somewhere
//! ```
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark: a failure is a panic")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use hub_registry::clock::Clock;
use hub_registry::config::{DatabaseConfig, Dsn};
use hub_registry::model::row::CommonColumns;
use hub_registry::storage::{
    EventRow, HeartbeatRow, InstanceRow, NativeStore, NativeWrite, SqlStore,
};
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use tokio::time::Instant;

/// How long each size of batch is measured.
const MEASURE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let wanted: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    if wants("sqlite") {
        let folder = tempfile::tempdir_in(".").unwrap();
        measure("sqlite", &folder.path().join("registry.db").to_string_lossy()).await;
    }
    for (name, kind) in [("postgres", ServerKind::Postgres), ("mariadb", ServerKind::MariaDb)] {
        if wants(name) && servers::require(kind) {
            let mut server = servers::start(kind, ServerOptions::default()).await.unwrap();
            measure(name, &server.dsn()).await;
            server.kill().await;
        }
    }
    for dsn in wanted.iter().filter(|word| word.contains(['/', '@'])) {
        measure("other", dsn).await;
    }
}

async fn measure(name: &str, dsn: &str) {
    let dsn = Dsn::parse(dsn).unwrap();
    let config = DatabaseConfig { kind: dsn.database(), dsn, ..DatabaseConfig::default() };
    let store = SqlStore::open(&config).await.unwrap();
    let now = Clock::System.now();
    let mut number = 0;
    for batch in [1, 16, 64, 512] {
        let (mut rows, mut slowest) = (0_u32, Duration::ZERO);
        let start = Instant::now();
        while start.elapsed() < MEASURE {
            let writes: Vec<_> = (0..batch)
                .flat_map(|_| {
                    number += 1;
                    [instance(number, now), event(number, now)]
                })
                .collect();
            let begin = Instant::now();
            store.commit(&writes).await.unwrap();
            slowest = slowest.max(begin.elapsed());
            rows += batch;
        }
        let rate = f64::from(rows) / start.elapsed().as_secs_f64();
        let mean = start.elapsed() / (rows / batch);
        println!(
            "{name:9} batch {batch:3}: {rate:7.0} instances/s, commit {mean:6.1?} mean, \
             {slowest:6.1?} slowest"
        );
    }
    let beats: Vec<_> = (1..=5000.min(number)).map(|number| beat(number, now)).collect();
    let begin = Instant::now();
    store.flush(&beats).await.unwrap();
    println!("{name:9} {} heartbeats: {:.1?}", beats.len(), begin.elapsed());
    let begin = Instant::now();
    let loaded = store.load().await.unwrap().instances.len();
    println!("{name:9} {loaded} instances loaded: {:.1?}", begin.elapsed());
    store.close().await;
}

fn instance(number: u32, now: DateTime<Utc>) -> NativeWrite {
    // Ids are hashes: they do not arrive in order.
    let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    NativeWrite::PutInstance(InstanceRow {
        service_instance_id: format!("{scattered:016x}{number:016x}"),
        tenant_id: "default".to_owned(),
        group_name: "DEFAULT_GROUP".to_owned(),
        service_name: format!("service-{}", number % 500),
        host_address: format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
        port_number: Some(8080),
        instance_status: Some("UP".to_owned()),
        health_status: Some("HEALTHY".to_owned()),
        weight_value: Some(100),
        client_type: Some("SERVICE".to_owned()),
        metadata_json: Some(r#"{"version":"1.4.2","zone":"z1","team":"orders"}"#.to_owned()),
        tags_json: Some(r#"["blue","canary"]"#.to_owned()),
        register_time: Some(now),
        last_heartbeat_time: Some(now),
        health_check_type: Some("HEARTBEAT".to_owned()),
        lease_seconds: Some(30),
        ephemeral: Some("Y".to_owned()),
        common: CommonColumns {
            add_time: Some(now),
            add_who: Some("bench".to_owned()),
            edit_time: Some(now),
            edit_who: Some("bench".to_owned()),
            current_version: Some(1),
            active_flag: Some("Y".to_owned()),
            ..CommonColumns::default()
        },
        ..InstanceRow::default()
    })
}

fn event(number: u32, now: DateTime<Utc>) -> NativeWrite {
    NativeWrite::AddEvent(EventRow {
        tenant_id: "default".to_owned(),
        group_name: Some("DEFAULT_GROUP".to_owned()),
        service_name: Some(format!("service-{}", number % 500)),
        host_address: Some("10.0.0.1".to_owned()),
        port_number: Some(8080),
        event_type: "INSTANCE_REGISTER".to_owned(),
        event_source: "native".to_owned(),
        event_data_json: Some(r#"{"instanceStatus":"UP","healthStatus":"HEALTHY"}"#.to_owned()),
        event_message: Some("registered".to_owned()),
        event_time: now,
        revision: i64::from(number),
        who: "bench".to_owned(),
        ..EventRow::default()
    })
}

fn beat(number: u32, now: DateTime<Utc>) -> HeartbeatRow {
    let scattered = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    HeartbeatRow {
        tenant_id: "default".to_owned(),
        service_instance_id: format!("{scattered:016x}{number:016x}"),
        last_heartbeat_time: Some(now),
        last_health_check_time: None,
        health_status: "HEALTHY".to_owned(),
        ext_property: None,
    }
}
