//! A database of its own for each test; one server of each kind for all of them.

use hub_registry::config::{DatabaseConfig, DatabaseType, Dsn, ServerDsn};
use hub_registry::storage::SqlStore;
use hub_registry_testkit::servers::{self, Server, ServerKind, ServerOptions};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};
use tempfile::TempDir;
use tokio::sync::OnceCell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Kind {
    pub(crate) fn server(self) -> Option<ServerKind> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(ServerKind::Postgres),
            Self::MariaDb => Some(ServerKind::MariaDb),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) kind: Kind,
    pub(crate) config: DatabaseConfig,
    pub(crate) store: SqlStore,
    _folder: TempDir,
}

static POSTGRES: OnceCell<Server> = OnceCell::const_new();
static MARIADB: OnceCell<Server> = OnceCell::const_new();

/// The server all tests share; it ends with this process.
async fn shared(kind: ServerKind) -> Option<&'static Server> {
    let cell = if kind == ServerKind::Postgres { &POSTGRES } else { &MARIADB };
    if !servers::require(kind) {
        return None;
    }
    let options = ServerOptions::default();
    let start = async || servers::start(kind, options).await.unwrap_or_else(|e| panic!("{e}"));
    Some(cell.get_or_init(start).await)
}

impl Database {
    /// An empty database with its tables; `None` when there is no such server here.
    pub(crate) async fn fresh(kind: Kind) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = Self::empty(kind, &folder).await?;
        let store = SqlStore::open(&config).await.unwrap();
        Some(Self { kind, config, store, _folder: folder })
    }

    /// The address of an empty database without tables.
    pub(crate) async fn empty(kind: Kind, folder: &TempDir) -> Option<DatabaseConfig> {
        let Some(server) = kind.server() else {
            let path = folder.path().join(format!("{:x}.db", fastrand::u64(..)));
            return Some(config(&path.to_string_lossy()));
        };
        let server = shared(server).await?;
        let name = format!("test_{:016x}", fastrand::u64(..));
        let all = config(&server.dsn());
        run(&all, format!("CREATE DATABASE {name}")).await;
        Some(config(&server.dsn().replace("/registry", &format!("/{name}"))))
    }

    /// Runs plain SQL, as a person would.
    pub(crate) async fn sql(&self, sql: &str) {
        run(&self.config, sql.to_owned()).await;
    }

    /// The first column of each row, as text.
    pub(crate) async fn column(&self, sql: &str) -> Vec<String> {
        column(&self.config, sql).await
    }

    pub(crate) async fn count(&self, table: &str) -> usize {
        let counts = self.column(&format!("SELECT 'x' FROM {table}")).await;
        counts.len()
    }
}

pub(crate) fn config(dsn: &str) -> DatabaseConfig {
    let dsn = Dsn::parse(dsn).unwrap();
    DatabaseConfig { kind: dsn.database(), dsn, ..DatabaseConfig::default() }
}

fn postgres(dsn: &ServerDsn) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&dsn.host)
        .port(dsn.port)
        .username(&dsn.user)
        .password(dsn.password.expose())
        .database(&dsn.database)
}

fn mysql(dsn: &ServerDsn) -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host(&dsn.host)
        .port(dsn.port)
        .username(&dsn.user)
        .password(dsn.password.expose())
        .database(&dsn.database)
}

/// Runs any number of statements.
pub(crate) async fn run(config: &DatabaseConfig, sql: String) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    let done = match &config.dsn {
        Dsn::Sqlite(dsn) => {
            let file = dsn.path.clone().unwrap();
            let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
            options.connect().await.unwrap().execute(sql).await.map(drop)
        }
        Dsn::Server(dsn) if dsn.kind == DatabaseType::Postgres => {
            postgres(dsn).connect().await.unwrap().execute(sql).await.map(drop)
        }
        Dsn::Server(dsn) => mysql(dsn).connect().await.unwrap().execute(sql).await.map(drop),
    };
    done.unwrap();
}

pub(crate) async fn column(config: &DatabaseConfig, sql: &str) -> Vec<String> {
    let sql = AssertSqlSafe(sql.to_owned());
    match &config.dsn {
        Dsn::Sqlite(dsn) => {
            let options = SqliteConnectOptions::new().filename(dsn.path.clone().unwrap());
            let mut connection = options.connect().await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
        Dsn::Server(dsn) if dsn.kind == DatabaseType::Postgres => {
            let mut connection = postgres(dsn).connect().await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
        Dsn::Server(dsn) => {
            let mut connection = mysql(dsn).connect().await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            rows.iter().map(|row| row.get_unchecked::<String, _>(0)).collect()
        }
    }
}
