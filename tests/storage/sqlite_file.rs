//! What only a file can do.

use std::sync::Arc;
use std::time::Duration;

use hub_registry::error::{Error, ErrorCode};
use hub_registry::storage::{
    ConfigStore, EventStore, LogBatch, NativeStore, SqlStore, StorageErrorKind,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::database::{Database, Kind};
use crate::sample::{config, event, put};

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

/// What the log may not have, and what a commit may not: the one is refused at once, the other when
/// all of it is to be committed.
const REFUSE: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER commits AFTER INSERT ON HUB_REGISTRY_SERVICE_INSTANCE WHEN NEW.portNumber = 99
        BEGIN INSERT INTO child VALUES (1); END;
    CREATE TRIGGER appends BEFORE INSERT ON HUB_REGISTRY_SERVICE_EVENT WHEN NEW.revision = 99
        BEGIN SELECT RAISE(ABORT, 'refused'); END;";

fn database_path(database: &Database) -> String {
    database.config.dsn.to_string()
}

/// How many commits are in its log of writes: frames that say how large the file is after them
/// (<https://www.sqlite.org/fileformat2.html#the_write_ahead_log>).
fn commits(database: &Database) -> usize {
    let log = std::fs::read(format!("{}-wal", database_path(database))).unwrap();
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let frames = log[32..].chunks_exact(24 + page);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

/// A commit of this instance while this event is appended; how both ended, and in how many commits.
async fn together(database: &Database, port: i64, revision: i64) -> (bool, bool, usize) {
    let path = database_path(database);
    let mut writer = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let before = commits(database);
    writer.execute("BEGIN IMMEDIATE").await.unwrap();
    let commit = tokio::spawn({
        let store = database.store.clone();
        async move { store.commit(&[put(&port.to_string(), port)]).await.is_ok() }
    });
    let append = tokio::spawn({
        let store = database.store.clone();
        let batch = LogBatch { rows: vec![event(revision)], ..LogBatch::default() };
        async move { store.append(Arc::new(batch)).await.is_ok() }
    });
    // Both wait for the writer; the commit, which asked first, gets it first.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!commit.is_finished() && !append.is_finished());
    writer.execute("ROLLBACK").await.unwrap();
    let (commit, append) = (commit.await.unwrap(), append.await.unwrap());
    (commit, append, commits(database) - before)
}

#[tokio::test]
async fn an_append_goes_with_a_commit_and_neither_harms_the_other() {
    let database = Database::fresh(Kind::Sqlite).await.unwrap();
    database.sql(REFUSE).await;
    assert_eq!(together(&database, 1, 1).await, (true, true, 1), "one commit for both");
    assert_eq!(together(&database, 99, 2).await, (false, true, 1), "the append by itself");
    assert_eq!(together(&database, 3, 99).await, (true, false, 1), "the commit by itself");
    assert_eq!(together(&database, 99, 99).await, (false, false, 0));
    assert_eq!(together(&database, 4, 4).await, (true, true, 1), "and goes on");
    let ports = database.column(
        "SELECT CAST(portNumber AS TEXT) FROM HUB_REGISTRY_SERVICE_INSTANCE ORDER BY portNumber",
    );
    assert_eq!(ports.await, ["1", "3", "4"]);
    let events = database
        .column("SELECT CAST(revision AS TEXT) FROM HUB_REGISTRY_SERVICE_EVENT ORDER BY revision");
    assert_eq!(events.await, ["1", "2", "4"]);
}
