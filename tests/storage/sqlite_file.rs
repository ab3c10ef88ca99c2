//! What only a file can do.

use std::sync::Arc;

use hub_registry::error::{Error, ErrorCode};
use hub_registry::storage::{ConfigStore, NativeStore, SqlStore, StorageErrorKind};

use crate::database::{Database, Kind};
use crate::sample::{config, put};

#[tokio::test]
async fn a_row_with_nonsense_does_not_hide_the_others() {
    let database = Database::fresh(Kind::Sqlite).await.unwrap();
    database.store.insert(&config("a", "a")).await.unwrap();
    database.store.insert(&config("b", "b")).await.unwrap();
    database
        .sql(
            "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverPort = 'x80', editTime = 'yesterday' \
             WHERE externalConfigId = 'a'",
        )
        .await;
    let rows = ConfigStore::list_all(&database.store).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].unreadable, ["serverPort", "editTime"]);
    assert_eq!(rows[1], config("b", "b"));
}

#[tokio::test]
async fn readers_and_other_processes_go_on_while_we_write() {
    let database = Database::fresh(Kind::Sqlite).await.unwrap();
    let other = Arc::new(SqlStore::open(&database.config).await.unwrap());
    let writer = {
        let store = database.store.clone();
        tokio::spawn(async move {
            for port in 1..200 {
                store.commit(&[put(&port.to_string(), port)]).await.unwrap();
            }
        })
    };
    for number in 0..50 {
        let name = number.to_string();
        other.insert(&config(&name, &name)).await.unwrap();
        assert_eq!(ConfigStore::list_all(&*other).await.unwrap().len(), number + 1);
    }
    writer.await.unwrap();
    assert_eq!(other.load().await.unwrap().instances.len(), 199);
}

#[tokio::test]
async fn errors_and_debug_tell_no_secret() {
    let database = Database::fresh(Kind::Sqlite).await.unwrap();
    let row = config("a", "a");
    assert!(!format!("{row:?}").contains("hunter2"));
    database.store.close().await;
    let error = database.store.insert(&row).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Unavailable);
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(Error::from(error).code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let text = "this is not a database, but it is long enough to look at";
    std::fs::write(&path, text.repeat(30)).unwrap();
    let error = SqlStore::sqlite(path.to_str().unwrap(), 1).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Corrupt);
    assert!(SqlStore::sqlite(":memory:", 3).await.is_ok());
    let deep = folder.path().join("deep/er/registry.db");
    assert!(SqlStore::sqlite(deep.to_str().unwrap(), 3).await.is_ok());
}

/// Who may only read is told that later may be better: somebody can change that while we run.
#[tokio::test]
async fn a_file_that_is_read_only_is_unavailable() {
    let database = Database::fresh(Kind::Sqlite).await.unwrap();
    let path = format!("{}?mode=ro", database.config.dsn);
    let store = SqlStore::sqlite(&path, 1).await.unwrap();
    let error = store.commit(&[put("1", 1)]).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Unavailable, "{error}");
    assert_eq!(store.load().await.unwrap().instances.len(), 0);
}
