//! Pools, transactions and rows: the same calls for each database.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{MySql, MySqlPool, PgPool, Postgres, SqlitePool};

use super::dialect::Dialect;
use super::error::During;
use super::held::{Held, LOAD, STATEMENT};
use super::row::Row;
use super::text::{Form, Sql, Texts};
use super::value::Value;
use super::{mysql, postgres, sqlite};
use crate::storage::database::Connections;
use crate::storage::error::Result;

/// The connections to one database. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    pub(super) pools: Pools,
    texts: Arc<Texts>,
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
        Self { pools, texts: Arc::new(Texts::new(dialect)) }
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
        self.pools.fetch(&sql, values).await.during(operation)
    }

    /// Several reads of one moment.
    pub(super) async fn read(&self, operation: &'static str) -> Result<Transaction> {
        let open = match &self.pools {
            Pools::Sqlite { reader, .. } => reader.begin().await.map(Open::SqliteRead),
            Pools::Postgres(pool) => Held::begin(pool, postgres::READ).await.map(Open::Postgres),
            Pools::MySql(pool) => Held::begin(pool, mysql::READ).await.map(Open::MySql),
        };
        let texts = Arc::clone(&self.texts);
        Ok(Transaction { open: open.during(operation)?, texts, operation })
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
        let open = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.begin(sync).await.map(Open::Sqlite),
            // The server could lose it while this process goes on and takes it to be there.
            Pools::Postgres(pool) => Held::begin(pool, "BEGIN").await.map(Open::Postgres),
            Pools::MySql(pool) => Held::begin(pool, "BEGIN").await.map(Open::MySql),
        };
        let texts = Arc::clone(&self.texts);
        Ok(Transaction { open: open.during(operation)?, texts, operation })
    }

    pub(super) fn connections(&self) -> Connections {
        let of = |size: u32, idle: usize| Connections { open: size as usize, idle };
        match &self.pools {
            Pools::Sqlite { reader, writer } => {
                let (reader, writer) =
                    (of(reader.size(), reader.num_idle()), of(writer.size(), writer.idle()));
                Connections { open: reader.open + writer.open, idle: reader.idle + writer.idle }
            }
            Pools::Postgres(pool) => of(pool.size(), pool.num_idle()),
            Pools::MySql(pool) => of(pool.size(), pool.num_idle()),
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
    async fn fetch(&self, sql: &Sql, values: &[Value<'_>]) -> sqlx::Result<Vec<Row>> {
        match self {
            Self::Sqlite { reader, .. } => {
                let query = sqlx::query_with(sql.safe(), sqlite::arguments(values)?);
                query.fetch(reader).map_ok(Row::Sqlite).try_collect().await
            }
            Self::Postgres(pool) => {
                fetch_postgres(&mut Held::acquire(pool).await?, STATEMENT, sql, values).await
            }
            Self::MySql(pool) => {
                fetch_mysql(&mut Held::acquire(pool).await?, STATEMENT, sql, values).await
            }
        }
    }
}

impl Transaction {
    /// How many rows it changed.
    pub(super) async fn execute(&mut self, form: Form, values: &[Value<'_>]) -> Result<u64> {
        let sql = self.texts.get(form);
        self.open.execute(&sql, values).await.during(self.operation)
    }

    pub(super) async fn fetch(&mut self, form: Form, values: &[Value<'_>]) -> Result<Vec<Row>> {
        let sql = self.texts.get(form);
        self.open.fetch(&sql, values).await.during(self.operation)
    }

    pub(super) async fn commit(self) -> Result<()> {
        match self.open {
            Open::Sqlite(writing) => writing.commit().await,
            Open::SqliteRead(tx) => tx.commit().await,
            Open::Postgres(held) => held.commit().await,
            Open::MySql(held) => held.commit().await,
        }
        .during(self.operation)
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

    async fn fetch(&mut self, sql: &Sql, values: &[Value<'_>]) -> sqlx::Result<Vec<Row>> {
        match self {
            Self::Sqlite(writing) => fetch_sqlite(writing.transaction(), sql, values).await,
            Self::SqliteRead(tx) => fetch_sqlite(tx, sql, values).await,
            Self::Postgres(held) => fetch_postgres(held, LOAD, sql, values).await,
            Self::MySql(held) => fetch_mysql(held, LOAD, sql, values).await,
        }
    }
}

async fn execute_sqlite(
    connection: &mut sqlx::SqliteConnection,
    sql: &Sql,
    values: &[Value<'_>],
) -> sqlx::Result<u64> {
    let query = sqlx::query_with(sql.safe(), sqlite::arguments(values)?);
    query.execute(connection).await.map(|done| done.rows_affected())
}

async fn fetch_sqlite(
    connection: &mut sqlx::SqliteConnection,
    sql: &Sql,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<Row>> {
    let query = sqlx::query_with(sql.safe(), sqlite::arguments(values)?);
    query.fetch(connection).map_ok(Row::Sqlite).try_collect().await
}

async fn fetch_postgres(
    held: &mut Held<Postgres>,
    bound: Duration,
    sql: &Sql,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<Row>> {
    let query = sqlx::query_with(sql.safe(), postgres::arguments(values)?);
    held.run(bound, async |c| query.fetch(c).map_ok(Row::Postgres).try_collect().await).await
}

async fn fetch_mysql(
    held: &mut Held<MySql>,
    bound: Duration,
    sql: &Sql,
    values: &[Value<'_>],
) -> sqlx::Result<Vec<Row>> {
    let query = sqlx::query_with(sql.safe(), mysql::arguments(values)?);
    held.run(bound, async |c| query.fetch(c).map_ok(Row::MySql).try_collect().await).await
}
