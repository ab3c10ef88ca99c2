//! Opening the file.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::Connection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tokio::time::Instant;

use super::Writer;
use crate::config::SqliteDsn;
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::sql::engine::Pools;
use crate::storage::sql::error::During;
use crate::storage::sql::pool::{PATIENCE, PREPARED};

/// Rows that are read ahead of who asks for them.
const ROWS: usize = 1024;
/// What the writer keeps of the file in memory, in KiB: the system has the rest of it. Nearly each
/// commit goes through all of this, since SQLite uses the last possible page number for a moment when
/// it balances a tree, and forgets what is above the last real one afterwards.
const CACHE: u32 = 8 * 1024;
/// Pages in the log before they go to the file: the more, the more often a page that is written
/// again and again goes there only once. This is 32 MiB.
const CHECKPOINT: u32 = 8192;
/// `SQLITE_BUSY`.
const BUSY: &str = "5";
const OPEN: &str = "open database";

/// A file, with options; or a database in memory.
#[derive(Debug)]
pub(in crate::storage::sql) struct Address {
    options: SqliteConnectOptions,
    in_memory: bool,
}

impl Address {
    /// `path` is a path, or a path after `sqlite:` or `sqlite://`, options after `?` allowed;
    /// `:memory:` is a database that goes with its connections.
    pub(in crate::storage::sql) fn parse(path: &str) -> Result<Self> {
        let bare = path.strip_prefix("sqlite:").unwrap_or(path);
        let bare = bare.strip_prefix("//").unwrap_or(bare);
        let in_memory = bare.starts_with(":memory:");
        let options = SqliteConnectOptions::from_str(&format!("sqlite://{bare}")).during(OPEN)?;
        Ok(Self { options, in_memory })
    }

    pub(in crate::storage::sql) fn of(dsn: &SqliteDsn) -> Result<Self> {
        let path =
            dsn.path.as_ref().map_or_else(|| ":memory:".into(), |path| path.to_string_lossy());
        let options: Vec<_> = dsn.parameters.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let mark = if options.is_empty() { "" } else { "?" };
        Self::parse(&format!("{path}{mark}{}", options.join("&")))
    }
}

/// Opens the file, making it and its folder if need be.
pub(in crate::storage::sql) async fn open(address: Address, readers: u32) -> Result<Pools> {
    let Address { options, in_memory } = address;
    if !in_memory {
        make_folder(options.get_filename())?;
        make_file(options.get_filename())?;
    }
    let options = options
        .create_if_missing(true)
        .busy_timeout(PATIENCE)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(PREPARED)
        .row_buffer_size(ROWS);
    let pool = |max| {
        SqlitePoolOptions::new()
            .max_connections(max)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // SQLite itself undoes a transaction that finds the disk full or broken. sqlx then
            // fails to undo it once more, takes it to be open for ever, and begins no other on
            // this connection: another takes its place. One in memory has nothing to fail so.
            .before_acquire(move |connection, _| {
                let usable = in_memory || !connection.is_in_transaction();
                Box::pin(async move { Ok(usable) })
            })
    };
    // SQLite has one writer at a time: a queue of ours is fair, its busy handler is not.
    let writing = options
        .clone()
        // What is written over is not to be read out of the file any more.
        .pragma("secure_delete", "ON")
        .pragma("cache_size", format!("-{CACHE}"))
        // What a statement changed, to undo it if its last row fails: else that is a file.
        .pragma("temp_store", "MEMORY")
        .pragma("wal_autocheckpoint", CHECKPOINT.to_string());
    let opened = Arc::new(AtomicU64::new(0));
    let writer = patiently(|| {
        let opened = Arc::clone(&opened);
        let pool = pool(1).after_connect(move |_, _| {
            opened.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Ok(()) })
        });
        pool.connect_with(writing.clone())
    })
    .await?;
    let reader =
        if in_memory { writer.clone() } else { pool(readers.max(1)).connect_lazy_with(options) };
    Ok(Pools::Sqlite { reader, writer: Writer::new(writer, opened) })
}

/// Connects, and again while another process puts the same new file into WAL mode: there SQLite
/// says "busy" at once, since its busy handler is not asked where waiting could be for ever
/// (<https://sqlite.org/c3ref/busy_handler.html>).
async fn patiently<F>(mut connect: impl FnMut() -> F) -> Result<SqlitePool>
where
    F: Future<Output = sqlx::Result<SqlitePool>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        match connect().await {
            Err(sqlx::Error::Database(error))
                if error.code().as_deref() == Some(BUSY) && Instant::now() < end =>
            {
                tokio::time::sleep(Duration::from_millis(fastrand::u64(1..=20))).await;
            }
            done => return done.during(OPEN),
        }
    }
}

/// A new file is for nobody else: it holds hashes of tokens and secrets of registries. SQLite gives
/// its log and its index beside it the same mode.
fn make_file(file: &Path) -> Result<()> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StorageError::new(StorageErrorKind::Unavailable, "make database file")
            .with_source(error)),
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
