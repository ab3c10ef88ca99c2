//! Pools, transactions and rows: the same calls for each database.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{MySql, MySqlPool, PgPool, Postgres, SqlitePool};
use tokio::time::Instant;

use super::dialect::Dialect;
use super::error::During;
use super::held::{Held, LOAD, STATEMENT};
use super::row::Row;
use super::text::{Form, Sql, Texts};
use super::value::Value;
use super::waiting::Arrived;
use super::{mysql, postgres, sqlite};
use crate::storage::database::Connections;
use crate::storage::error::Result;
use crate::storage::native::Tide;
use crate::telemetry::metrics::DatabaseMetrics;

/// The connections to one database. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) pools: Pools,
    texts: Arc<Texts>,
    pub(super) metrics: DatabaseMetrics,
}

#[derive(Clone, Debug)]
pub(super) enum Pools {
    /// One connection that writes and several that read.
    Sqlite {
        reader: SqlitePool,
        writer: sqlite::Writer,
    },
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// A transaction. It is undone when it is dropped without [`commit`](Self::commit).
#[derive(Debug)]
pub(super) struct Transaction {
    open: Open,
    texts: Arc<Texts>,
    metrics: DatabaseMetrics,
    operation: &'static str,
}

#[derive(Debug)]
enum Open {
    Sqlite(sqlite::Writing),
    SqliteRead(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(Held<Postgres>),
    MySql(Held<MySql>),
}

impl Engine {
    pub(super) fn new(pools: Pools) -> Self {
        let dialect: &'static dyn Dialect = match &pools {
            Pools::Sqlite { .. } => &sqlite::DIALECT,
            Pools::Postgres(_) => &postgres::DIALECT,
            Pools::MySql(_) => &mysql::DIALECT,
        };
        let (texts, metrics) = (Arc::new(Texts::new(dialect)), DatabaseMetrics::default());
        Self { pools, texts, metrics }
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        self.texts.dialect()
    }

    /// One read by itself.
    pub(super) async fn fetch(
        &self,
        operation: &'static str,
        form: Form,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>> {
        let sql = self.texts.get(form);
        counted(
            &self.metrics,
            self.pools.fetch(&sql, values, &self.metrics).await.during(operation),
        )
    }

    /// Several reads of one moment.
    pub(super) async fn read(&self, operation: &'static str) -> Result<Transaction> {
        let opening = async {
            match &self.pools {
                Pools::Sqlite { reader, .. } => reader.begin().await.map(Open::SqliteRead),
                Pools::Postgres(pool) => {
                    Held::begin(pool, postgres::READ).await.map(Open::Postgres)
                }
                Pools::MySql(pool) => Held::begin(pool, mysql::READ).await.map(Open::MySql),
            }
        };
        self.open(operation, opening).await
    }

    pub(super) async fn write(&self, operation: &'static str) -> Result<Transaction> {
        self.begin(operation, sqlite::Sync::Full).await
    }

    /// Writes what may be lost with the machine's power, though not with this process, as long as
    /// nothing that was written later is there: where that is cheaper.
    pub(super) async fn write_soon(&self, operation: &'static str) -> Result<Transaction> {
        self.begin(operation, sqlite::Sync::Normal).await
    }

    async fn begin(&self, operation: &'static str, sync: sqlite::Sync) -> Result<Transaction> {
        let opening = async {
            match &self.pools {
                Pools::Sqlite { writer, .. } => writer.begin(sync).await.map(Open::Sqlite),
                // The server could lose it while this process goes on and takes it to be there.
                Pools::Postgres(pool) => Held::begin(pool, "BEGIN").await.map(Open::Postgres),
                Pools::MySql(pool) => Held::begin(pool, "BEGIN").await.map(Open::MySql),
            }
        };
        self.open(operation, opening).await
    }

    async fn open(
        &self,
        operation: &'static str,
        opening: impl Future<Output = sqlx::Result<Open>>,
    ) -> Result<Transaction> {
        let (texts, metrics) = (Arc::clone(&self.texts), self.metrics.clone());
        let open = counted(&metrics, waited(&metrics, opening).await.during(operation))?;
        Ok(Transaction { open, texts, metrics, operation })
    }

    /// Brings the log of a SQLite file into the file and empties it, if nobody reads older pages;
    /// whether that is done.
    pub(super) async fn wipe_traces(&self, operation: &'static str) -> Result<bool> {
        let Pools::Sqlite { writer, .. } = &self.pools else { return Ok(true) };
        let sql = self.texts.get(Form::Plain("PRAGMA wal_checkpoint(TRUNCATE)"));
        let query = sqlx::query_with(sql.safe(), sqlite::arguments(&[]).during(operation)?);
        let row = query.fetch_one(writer.pool()).await.during(operation)?;
        Ok(Row::Sqlite(row).int(0).during(operation)? == Some(0))
    }

    /// Moves when another connection wrote than the one that writes; `None`: it cannot be told.
    pub(super) async fn tide(&self, operation: &'static str) -> Result<Option<Tide>> {
        let Pools::Sqlite { writer, .. } = &self.pools else { return Ok(None) };
        counted(&self.metrics, writer.tide().await.during(operation)).map(Some)
    }

    pub(super) fn connections(&self) -> Connections {
        fn of<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Connections {
            let most = pool.options().get_max_connections() as usize;
            Connections { open: pool.size() as usize, idle: pool.num_idle(), most }
        }
        match &self.pools {
            Pools::Sqlite { reader, writer } => {
                let (reader, writer) = (of(reader), of(writer.pool()));
                Connections {
                    open: reader.open + writer.open,
                    idle: reader.idle + writer.idle,
                    most: reader.most + writer.most,
                }
            }
            Pools::Postgres(pool) => of(pool),
            Pools::MySql(pool) => of(pool),
        }
    }

    pub(super) async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { reader, writer } => {
                reader.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
            Pools::MySql(pool) => pool.close().await,
        }
    }
}

impl Pools {
    async fn fetch(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        metrics: &DatabaseMetrics,
    ) -> sqlx::Result<Vec<Row>> {
        match self {
            Self::Sqlite { reader, .. } => {
                let query = sqlx::query_with(sql.safe(), sqlite::arguments(values)?);
                let mut connection = waited(metrics, reader.acquire()).await?;
                query.fetch(&mut *connection).map_ok(Row::Sqlite).try_collect().await
            }
            Self::Postgres(pool) => {
                let mut held = waited(metrics, Held::acquire(pool)).await?;
                fetch_postgres(&mut held, STATEMENT, sql, values, |row| row).await
            }
            Self::MySql(pool) => {
                let mut held = waited(metrics, Held::acquire(pool)).await?;
                fetch_mysql(&mut held, STATEMENT, sql, values, |row| row).await
            }
        }
    }
}

impl Transaction {
    /// How many rows it changed.
    pub(super) async fn execute(&mut self, form: Form, values: &[Value<'_>]) -> Result<u64> {
        let sql = self.texts.get(form);
        counted(&self.metrics, self.open.execute(&sql, values).await.during(self.operation))
    }

    pub(super) async fn fetch(&mut self, form: Form, values: &[Value<'_>]) -> Result<Vec<Row>> {
        self.fetch_as(form, values, |row| row).await
    }

    /// Hands out each row as it comes.
    pub(super) async fn each(&mut self, form: Form, read: impl FnMut(Row) + Send) -> Result<()> {
        // Nothings take no memory, however many.
        self.fetch_as(form, &[], read).await.map(drop)
    }

    /// Each row as it comes: a row takes several times the memory of what is read from it.
    pub(super) async fn fetch_as<T: Send>(
        &mut self,
        form: Form,
        values: &[Value<'_>],
        read: impl FnMut(Row) -> T + Send,
    ) -> Result<Vec<T>> {
        let sql = self.texts.get(form);
        counted(&self.metrics, self.open.fetch(&sql, values, read).await.during(self.operation))
    }

    pub(super) async fn commit(self) -> Result<()> {
        self.commit_with(Vec::new()).await
    }

    /// Tells these that what is theirs is on disk too.
    pub(super) async fn commit_with(self, arrived: Vec<Arrived>) -> Result<()> {
        let committed = match self.open {
            Open::Sqlite(writing) => writing.commit(arrived).await,
            Open::SqliteRead(tx) => tx.commit().await,
            Open::Postgres(held) => held.commit().await,
            Open::MySql(held) => held.commit().await,
        };
        counted(&self.metrics, committed.during(self.operation))
    }

    pub(super) fn rows_at_most(&self) -> usize {
        self.texts.dialect().rows_at_most()
    }
}

impl Open {
    async fn execute(&mut self, sql: &Sql, values: &[Value<'_>]) -> sqlx::Result<u64> {
        match self {
            Self::Sqlite(writing) => execute_sqlite(writing.transaction(), sql, values).await,
            Self::SqliteRead(tx) => execute_sqlite(tx, sql, values).await,
            Self::Postgres(held) => {
                let query = sqlx::query_with(sql.safe(), postgres::arguments(values)?);
                let done = held.run(STATEMENT, async |c| query.execute(c).await).await;
                done.map(|done| done.rows_affected())
            }
            Self::MySql(held) => {
                let query = sqlx::query_with(sql.safe(), mysql::arguments(values)?);
                let done = held.run(STATEMENT, async |c| query.execute(c).await).await;
                done.map(|done| done.rows_affected())
            }
        }
    }

    async fn fetch<T: Send>(
        &mut self,
        sql: &Sql,
        values: &[Value<'_>],
        read: impl FnMut(Row) -> T + Send,
    ) -> sqlx::Result<Vec<T>> {
        match self {
            Self::Sqlite(writing) => fetch_sqlite(writing.transaction(), sql, values, read).await,
            Self::SqliteRead(tx) => fetch_sqlite(tx, sql, values, read).await,
            Self::Postgres(held) => fetch_postgres(held, LOAD, sql, values, read).await,
            Self::MySql(held) => fetch_mysql(held, LOAD, sql, values, read).await,
        }
    }
}

/// Measures how long it takes to get a connection.
async fn waited<T>(metrics: &DatabaseMetrics, getting: impl Future<Output = T>) -> T {
    let asked = Instant::now();
    let got = getting.await;
    metrics.waited(asked.elapsed());
    got
}

/// Counts what failed.
fn counted<T>(metrics: &DatabaseMetrics, outcome: Result<T>) -> Result<T> {
    outcome.inspect_err(|error| metrics.failed(error.kind().code()))
}

async fn execute_sqlite(
    connection: &mut sqlx::SqliteConnection,
    sql: &Sql,
    values: &[Value<'_>],
) -> sqlx::Result<u64> {
    let query = sqlx::query_with(sql.safe(), sqlite::arguments(values)?);
    query.execute(connection).await.map(|done| done.rows_affected())
}

async fn fetch_sqlite<T: Send>(
    connection: &mut sqlx::SqliteConnection,
    sql: &Sql,
    values: &[Value<'_>],
    mut read: impl FnMut(Row) -> T + Send,
) -> sqlx::Result<Vec<T>> {
    let query = sqlx::query_with(sql.safe(), sqlite::arguments(values)?);
    query.fetch(connection).map_ok(|row| read(Row::Sqlite(row))).try_collect().await
}

async fn fetch_postgres<T: Send>(
    held: &mut Held<Postgres>,
    bound: Duration,
    sql: &Sql,
    values: &[Value<'_>],
    mut read: impl FnMut(Row) -> T + Send,
) -> sqlx::Result<Vec<T>> {
    let query = sqlx::query_with(sql.safe(), postgres::arguments(values)?);
    let read = |row| read(Row::Postgres(row));
    held.run(bound, async |c| query.fetch(c).map_ok(read).try_collect().await).await
}

async fn fetch_mysql<T: Send>(
    held: &mut Held<MySql>,
    bound: Duration,
    sql: &Sql,
    values: &[Value<'_>],
    mut read: impl FnMut(Row) -> T + Send,
) -> sqlx::Result<Vec<T>> {
    let query = sqlx::query_with(sql.safe(), mysql::arguments(values)?);
    let read = |row| read(Row::MySql(row));
    held.run(bound, async |c| query.fetch(c).map_ok(read).try_collect().await).await
}
