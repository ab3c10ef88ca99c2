//! Opening the file.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{SqlitePool, Transaction};

use async_trait::async_trait;

use crate::storage::Database;
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::sql::error::During;

/// How long a statement waits for another process that writes, and a caller for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// A SQLite file, opened: one connection that writes and several that read. Clones share them.
///
/// Other processes may read and write the file meanwhile: it is never locked for longer than one
/// transaction.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pub(super) reader: SqlitePool,
    writer: SqlitePool,
}

impl Sqlite {
    /// Opens the file, making it and its folder if need be, and brings its tables up to date.
    ///
    /// `path` is a path, or a path after `sqlite:` or `sqlite://`, options after `?` allowed;
    /// `:memory:` is a database that goes with this value.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, `Corrupt` when it is no such database.
    pub async fn open(path: &str, max_connections: u32) -> Result<Self> {
        const OPEN: &str = "open database";
        let bare = path.strip_prefix("sqlite:").unwrap_or(path);
        let bare = bare.strip_prefix("//").unwrap_or(bare);
        let in_memory = bare.starts_with(":memory:");
        let options = SqliteConnectOptions::from_str(&format!("sqlite://{bare}")).during(OPEN)?;
        if !in_memory {
            make_folder(options.get_filename())?;
        }
        let options = options
            .create_if_missing(true)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = |max| {
            SqlitePoolOptions::new()
                .max_connections(max)
                .acquire_timeout(PATIENCE)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        // SQLite has one writer at a time: a queue of ours is fair, its busy handler is not.
        let writer = pool(1).connect_with(options.clone()).await.during(OPEN)?;
        sqlx::migrate!("migrations/sqlite").run(&writer).await.map_err(|error| {
            StorageError::new(StorageErrorKind::Corrupt, "update tables").with_source(error)
        })?;
        let reader = if in_memory {
            writer.clone()
        } else {
            pool(max_connections.max(1)).connect_with(options).await.during(OPEN)?
        };
        Ok(Self { reader, writer })
    }

    /// Closes every connection, after what runs on them.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    pub(super) async fn write(
        &self,
        operation: &'static str,
    ) -> Result<Transaction<'static, sqlx::Sqlite>> {
        // IMMEDIATE: a transaction that begins to read and then wants to write fails at once
        // when another process wrote meanwhile, whatever the busy time-out.
        self.writer.begin_with("BEGIN IMMEDIATE").await.during(operation)
    }
}

fn make_folder(file: &Path) -> Result<()> {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder),
        _ => Ok(()),
    }
    .map_err(|error| {
        StorageError::new(StorageErrorKind::Unavailable, "make database folder").with_source(error)
    })
}

#[async_trait]
impl Database for Sqlite {
    async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.reader).await.during("ping database")?;
        Ok(())
    }
}
