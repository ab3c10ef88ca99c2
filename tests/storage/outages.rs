//! The database goes away and comes back; nobody has to restart for it.

use std::time::Duration;

use hub_registry::config::DatabaseConfig;
use hub_registry::storage::{
    Database as _, NativeStore, RevisionStore, SqlStore, StorageErrorKind,
};
use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use tokio::time::Instant;

use crate::database::{Kind, config, run};
use crate::sample::put;

async fn start(kind: Kind) -> Option<(Server, DatabaseConfig)> {
    let kind = kind.server()?;
    if !servers::require(kind) {
        return None;
    }
    let few = match kind {
        ServerKind::Postgres => ["-c", "max_connections=12"].as_slice(),
        _ => &["--max-connections=8"],
    };
    let options = few.iter().fold(ServerOptions::default(), |o, word| o.with_argument(*word));
    let server = servers::start(kind, options).await.unwrap_or_else(|error| panic!("{error}"));
    let config = config(&server.dsn());
    Some((server, config))
}

async fn unavailable(store: &SqlStore, port: i64) {
    let begin = Instant::now();
    let error = store.commit(&[put("x", port)]).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Unavailable, "{error}");
    assert!(begin.elapsed() < Duration::from_secs(21), "bounded: {:?}", begin.elapsed());
    println!("{error} after {:?}", begin.elapsed());
}

async fn goes_and_returns(kind: Kind) {
    let Some((mut server, config)) = start(kind).await else {
        return;
    };
    let store = SqlStore::open(&config).await.unwrap();
    store.commit(&[put("1", 1)]).await.unwrap();

    server.kill().await;
    unavailable(&store, 90).await;
    assert_eq!(store.ping().await.unwrap_err().kind(), StorageErrorKind::Unavailable);
    server.restart(Data::Kept).await.unwrap();
    store.commit(&[put("2", 2)]).await.unwrap();
    let rows = store.load().await.unwrap().instances;
    assert_eq!(rows.len(), 2, "what was acknowledged is there after a crash");

    // Restarted between two calls: every connection of the pool is dead, and nobody notices.
    let all = (0..5).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.raise(&format!("s{n}"), 1).await.unwrap() })
    });
    for raised in all.collect::<Vec<_>>() {
        raised.await.unwrap();
    }
    server.restart(Data::Kept).await.unwrap();
    store.commit(&[put("3", 3)]).await.unwrap();

    // It hangs: bounded, and no connection is lost for good.
    server.pause().await;
    let hanging = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { unavailable(&store, 100 + n).await })
    });
    for one in hanging.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    server.resume();
    let begin = Instant::now();
    while let Err(error) = store.commit(&[put("4", 4)]).await {
        assert!(begin.elapsed() < Duration::from_secs(10), "{error}");
    }
    println!("{kind:?} back {:?} after it went on", begin.elapsed());
    for port in 5..20 {
        store.commit(&[put(&port.to_string(), port)]).await.unwrap();
    }
    assert!(store.connections().open <= 10, "{:?}", store.connections());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_goes_and_returns() {
    goes_and_returns(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_goes_and_returns() {
    goes_and_returns(Kind::MariaDb).await;
}

/// Locks held by somebody else, connections used up, idle ones let go.
async fn is_crowded(kind: Kind) {
    let Some((_server, config)) = start(kind).await else {
        return;
    };
    let wide = DatabaseConfig { max_open_conns: 30, max_idle_conns: 2, ..config.clone() };
    let store = SqlStore::open(&wide).await.unwrap();
    store.commit(&[put("1", 1)]).await.unwrap();
    let lock = match kind {
        Kind::Postgres => "BEGIN; LOCK TABLE HUB_REGISTRY_SERVICE_INSTANCE; SELECT pg_sleep(9)",
        _ => "BEGIN; SELECT * FROM HUB_REGISTRY_SERVICE_INSTANCE FOR UPDATE; SELECT SLEEP(9)",
    };
    let locking = tokio::spawn({
        let config = config.clone();
        async move { run(&config, lock.to_owned()).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Locked out, and more of them than the server takes.
    let crowd = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { unavailable(&store, 1 + n % 2).await })
    });
    for one in crowd.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    locking.await.unwrap();
    store.commit(&[put("2", 2)]).await.unwrap();
    let begin = Instant::now();
    while store.connections().open > 2 {
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", store.connections());
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Several that come back at the same moment may all find room: the next that does not goes.
        store.ping().await.unwrap();
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_crowded() {
    is_crowded(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_is_crowded() {
    is_crowded(Kind::MariaDb).await;
}
