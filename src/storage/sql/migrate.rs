//! Bringing the tables up to date. Each database has its own scripts, embedded in the program.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::{AppliedMigration, Migrate, MigrateError, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::engine::Pools;
use super::error::{During, kind};
use super::held::within;
use super::sqlite::Sync;
use crate::config::DatabaseType;
use crate::storage::error::{Result, StorageError, StorageErrorKind};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
static MYSQL: Migrator = sqlx::migrate!("migrations/mysql");

const UPDATE: &str = "update tables";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// What was done to bring the tables up to date.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migrated {
    /// The scripts that ran now, by number and name; none when the tables were up to date.
    pub applied: Vec<String>,
    /// How many had run before.
    pub before: usize,
}

/// All scripts of a database in their order, exactly as they are run, and the records that they
/// were: a server that finds them has nothing left to do, and needs no right to make tables.
#[must_use]
pub fn script(database: DatabaseType) -> String {
    let (binary, time, [before, after]) = match database {
        DatabaseType::Sqlite | DatabaseType::Mysql => ("BLOB", "TIMESTAMP", ["X'", "'"]),
        DatabaseType::Postgres => ("BYTEA", "TIMESTAMPTZ", ["decode('", "', 'hex')"]),
    };
    let (mut script, mut records) = (String::new(), String::new());
    for migration in migrator(database).iter() {
        script.push_str(migration.sql.as_str());
        script.push('\n');
        let digits: String = migration.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        let (number, name) = (migration.version, &migration.description);
        records.push_str(&format!(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES ({number}, '{name}', TRUE, {before}{digits}{after}, 0);\n"
        ));
    }
    // As sqlx makes it.
    script.push_str(&format!(
        "-- What has been run.\nCREATE TABLE IF NOT EXISTS _sqlx_migrations (\n    version BIGINT PRIMARY KEY,\n    \
         description TEXT NOT NULL,\n    installed_on {time} NOT NULL DEFAULT CURRENT_TIMESTAMP,\n    \
         success BOOLEAN NOT NULL,\n    checksum {binary} NOT NULL,\n    execution_time BIGINT NOT NULL\n);\n{records}"
    ));
    script
}

fn migrator(database: DatabaseType) -> &'static Migrator {
    match database {
        DatabaseType::Sqlite => &SQLITE,
        DatabaseType::Postgres => &POSTGRES,
        DatabaseType::Mysql => &MYSQL,
    }
}

pub(super) async fn sqlite(pools: &Pools) -> Result<Migrated> {
    let Pools::Sqlite { writer, .. } = pools else {
        return Err(StorageError::new(StorageErrorKind::Internal, UPDATE));
    };
    // All in one transaction that begins as a writer: a second process waits for its end, and then
    // finds that nothing is left to do.
    let mut writing = writer.begin(Sync::Full).await.during(UPDATE)?;
    let migrated = run(&SQLITE, writing.transaction()).await?;
    writing.commit(Vec::new()).await.during(UPDATE)?;
    Ok(migrated)
}

pub(super) async fn postgres(options: &PgConnectOptions) -> Result<Migrated> {
    // A connection without the bounds on waiting that those of the pool have: it may have to wait
    // for another server that does the same.
    let connect = PgConnection::connect_with(options);
    let mut connection = within(CONNECT, connect).await.during("connect")?;
    let migrated = run(&POSTGRES, &mut connection).await;
    connection.close().await.ok();
    migrated
}

pub(super) async fn mysql(options: &MySqlConnectOptions) -> Result<Migrated> {
    let connect = MySqlConnection::connect_with(options);
    let mut connection = within(CONNECT, connect).await.during("connect")?;
    // sqlx asks for its lock with an endless wait, which MariaDB takes for none at all. This one
    // is ours, and ends with the connection.
    let lock = "SELECT GET_LOCK(CONCAT('hub_registry_', MD5(DATABASE())), 600)";
    let locked: Option<i64> =
        sqlx::query_scalar(lock).fetch_one(&mut connection).await.during(UPDATE)?;
    if locked != Some(1) {
        let error = StorageError::new(StorageErrorKind::Unavailable, UPDATE);
        return Err(error.with_source("another server has been at it for ten minutes"));
    }
    let migrated = run(&MYSQL, &mut connection).await;
    connection.close().await.ok();
    migrated
}

async fn run<C: Migrate>(migrator: &Migrator, connection: &mut C) -> Result<Migrated> {
    steps(migrator, connection).await.map_err(|error| {
        let kind = match &error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => kind(error),
            _ => StorageErrorKind::Corrupt,
        };
        StorageError::new(kind, UPDATE).with_source(error)
    })
}

/// The lock can be taken twice by one connection; so what is told is what this one did.
async fn steps<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
) -> Result<Migrated, MigrateError> {
    let table = &migrator.table_name;
    // Where all is done nothing is asked for that needs more rights than to read.
    if let Ok(done) = connection.list_applied_migrations(table).await
        && done.len() == migrator.iter().count()
        && migrator.iter().all(|migration| {
            let same = |m: &AppliedMigration| m.version == migration.version;
            done.iter().any(|m| same(m) && m.checksum == migration.checksum)
        })
        && connection.dirty_version(table).await?.is_none()
    {
        return Ok(Migrated { applied: Vec::new(), before: done.len() });
    }
    connection.lock().await?;
    connection.ensure_migrations_table(table).await?;
    let before = connection.list_applied_migrations(table).await?;
    migrator.run_direct(None, connection, false).await?;
    connection.unlock().await?;
    let new = |version: i64| before.iter().all(|applied| applied.version != version);
    let applied = migrator.iter().filter(|migration| new(migration.version));
    let applied = applied.map(|m| format!("{:04} {}", m.version, m.description)).collect();
    Ok(Migrated { applied, before: before.len() })
}
