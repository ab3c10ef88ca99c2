//! The tables come about once, by the server or by the printed script.

use hub_registry::storage::sql::script;
use hub_registry::storage::{NativeStore, SqlStore};

use crate::database::{Database, run};
use crate::sample::put;
use crate::schema;

pub(crate) async fn a_second_run_finds_nothing_to_do(database: &Database) {
    database.store.commit(&[put("1", 1)]).await.unwrap();
    let (store, migrated) = SqlStore::migrate(&database.config).await.unwrap();
    assert_eq!(migrated.applied, [""; 0]);
    assert!(migrated.before > 0);
    assert_eq!(store.load().await.unwrap().instances.len(), 1);
    assert_eq!(store.kind(), database.config.kind);
    store.close().await;
}

pub(crate) async fn two_at_once_do_it_once(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let config = Database::empty(database.kind, &folder).await.unwrap();
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { SqlStore::migrate(&config).await.unwrap() })
        })
        .collect();
    let mut applied = Vec::new();
    for start in starts {
        let (store, migrated) = start.await.unwrap();
        applied.extend(migrated.applied);
        store.close().await;
    }
    assert_eq!(
        applied,
        [
            "0001 tables",
            "0002 secrets and failover",
            "0003 event log",
            "0004 sync",
            "0005 migrations",
            "0006 untold events"
        ]
    );
}

pub(crate) async fn the_printed_script_makes_the_same_tables(database: &Database) {
    let folder = tempfile::tempdir().unwrap();
    let config = Database::empty(database.kind, &folder).await.unwrap();
    run(&config, script(config.kind)).await;
    assert_eq!(schema::tables(&config).await, schema::tables(&database.config).await);
    let (store, migrated) = SqlStore::migrate(&config).await.unwrap();
    assert_eq!((migrated.applied.len(), migrated.before), (0, 6), "it knows that all was done");
    store.commit(&[put("1", 1)]).await.unwrap();
    store.close().await;
}
