//! The one connection that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::storage::native::Tide;
use crate::storage::sql::pool::PATIENCE;
use crate::storage::sql::waiting::Arrived;

/// When a commit is on disk: SQLite's `synchronous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage::sql) enum Sync {
    /// When it returns.
    Full,
    /// With a later one that is `Full`. The system has it when it returns: the end of this process
    /// takes nothing away, that of the machine the last ones in their order.
    Normal,
}

/// Writers take turns: SQLite has one at a time, and a queue of ours is fair, its busy handler is
/// not.
#[derive(Clone, Debug)]
pub(in crate::storage::sql) struct Writer {
    pool: SqlitePool,
    /// How the connection commits now; `None`: it is not known.
    turn: Arc<Mutex<Option<Sync>>>,
    /// How many connections were opened, one after the other.
    opened: Arc<AtomicU64>,
}

/// A turn, with a transaction.
#[derive(Debug)]
pub(in crate::storage::sql) struct Writing {
    // Ends before the turn does.
    transaction: sqlx::Transaction<'static, sqlx::Sqlite>,
    turn: OwnedMutexGuard<Option<Sync>>,
}

impl Writer {
    /// Over a pool of one connection, which opens it as [`Sync::Full`] and counts how often it did.
    pub(in crate::storage::sql) fn new(pool: SqlitePool, opened: Arc<AtomicU64>) -> Self {
        Self { pool, turn: Arc::new(Mutex::new(Some(Sync::Full))), opened }
    }

    /// Moves when another connection than this one wrote
    /// (<https://sqlite.org/pragma.html#pragma_data_version>), or when this is another one.
    pub(in crate::storage::sql) async fn tide(&self) -> sqlx::Result<Tide> {
        let mut connection = self.pool.acquire().await?;
        let counter = self.opened.load(Ordering::SeqCst);
        let count = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *connection).await?;
        Ok(Tide { counter, count })
    }

    pub(in crate::storage::sql) async fn begin(&self, sync: Sync) -> sqlx::Result<Writing> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.turn).lock_owned()).await;
        let mut turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        if *turn != Some(sync) {
            *turn = None;
            let pragma = match sync {
                Sync::Full => "PRAGMA synchronous = FULL",
                Sync::Normal => "PRAGMA synchronous = NORMAL",
            };
            // It acts when it is prepared, so it must not be kept prepared.
            sqlx::raw_sql(pragma).execute(&self.pool).await?;
            *turn = Some(sync);
        }
        // IMMEDIATE: a transaction that begins to read and then wants to write fails at once
        // when another process wrote meanwhile, whatever the busy time-out.
        let transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Writing { transaction, turn })
    }

    /// For what is no transaction.
    pub(in crate::storage::sql) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    pub(in crate::storage::sql) async fn close(&self) {
        self.pool.close().await;
    }
}

impl Writing {
    pub(in crate::storage::sql) fn transaction(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Tells these before the turn ends: who has the next one knows whether it is on disk.
    pub(in crate::storage::sql) async fn commit(self, arrived: Vec<Arrived>) -> sqlx::Result<()> {
        let Self { transaction, turn } = self;
        let done = transaction.commit().await;
        for arrived in arrived.into_iter().filter(|_| done.is_ok()) {
            // Fails when nobody waits for it any more.
            arrived.send(()).ok();
        }
        drop(turn);
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};

    async fn level(writer: &Writer, sync: Sync) -> i64 {
        let mut writing = writer.begin(sync).await.unwrap();
        let level = sqlx::query_scalar("PRAGMA synchronous");
        let level = level.persistent(false).fetch_one(writing.transaction()).await.unwrap();
        writing.commit(Vec::new()).await.unwrap();
        level
    }

    #[tokio::test]
    async fn each_commits_as_it_wants_whatever_came_before() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("db"))
            .create_if_missing(true)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let writer = Writer::new(pool.unwrap(), Arc::default());
        let (normal, full) = (1, 2);
        assert_eq!(level(&writer, Sync::Full).await, full);
        for _ in 0..3 {
            assert_eq!(level(&writer, Sync::Normal).await, normal);
            // One that is given up in the middle changes nothing for the next.
            drop(writer.begin(Sync::Normal).await.unwrap());
            assert_eq!(level(&writer, Sync::Full).await, full);
            drop(writer.begin(Sync::Full).await.unwrap());
        }
    }
}
