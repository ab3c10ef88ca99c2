//! All stores over one database.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::engine::{Engine, Pools};
use super::migrate::{self, Migrated};
use super::text::Form;
use super::waiting::Waiting;
use super::{mysql, postgres, sqlite};
use crate::config::{DatabaseConfig, DatabaseType, Dsn};
use crate::storage::database::{Connections, Database};
use crate::storage::error::{Result, StorageErrorKind};
use crate::telemetry::metrics::DatabaseMetrics;

/// How long a database server that does not answer is waited for at the start: both may have been
/// started together.
const START: Duration = Duration::from_secs(15);

/// A database with all its stores. Clones share the connections.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pub(super) engine: Engine,
    /// What may go with the next commit.
    pub(super) waiting: Waiting,
}

impl SqlStore {
    /// Opens the database of this configuration and brings its tables up to date. A server that
    /// cannot be reached is tried for a while.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, `Corrupt` when its tables are not ours.
    pub async fn open(config: &DatabaseConfig) -> Result<Self> {
        let end = Instant::now() + START;
        loop {
            match Self::migrate(config).await {
                Ok((store, _)) => return Ok(store),
                Err(error)
                    if error.kind() == StorageErrorKind::Unavailable
                        && config.kind != DatabaseType::Sqlite
                        && Instant::now() < end =>
                {
                    tracing::warn!(%error, "the database does not answer yet, trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Opens the database of this configuration, brings its tables up to date, and tells what was
    /// done for that.
    ///
    /// # Errors
    /// As for [`open`](Self::open), at once.
    pub async fn migrate(config: &DatabaseConfig) -> Result<(Self, Migrated)> {
        let (pools, migrated) = match &config.dsn {
            Dsn::Sqlite(dsn) => {
                let pools = sqlite::open(sqlite::Address::of(dsn)?, config.max_open_conns).await?;
                let migrated = migrate::sqlite(&pools).await?;
                (pools, migrated)
            }
            Dsn::Server(dsn) if dsn.kind == DatabaseType::Postgres => {
                let options = postgres::options(dsn)?;
                let migrated = migrate::postgres(&options).await?;
                (postgres::open(options, config), migrated)
            }
            Dsn::Server(dsn) => {
                let options = mysql::options(dsn)?;
                let migrated = migrate::mysql(&options).await?;
                (mysql::open(options, config), migrated)
            }
        };
        Ok((Self::over(pools), migrated))
    }

    /// Opens a SQLite file, making it and its folder if need be, and brings its tables up to date.
    ///
    /// `path` is a path, or a path after `sqlite:` or `sqlite://`, options after `?` allowed;
    /// `:memory:` is a database that goes with this value. Other processes may read and write the
    /// file meanwhile: it is never locked for longer than one transaction.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be opened, `Corrupt` when it is no such database.
    pub async fn sqlite(path: &str, readers: u32) -> Result<Self> {
        let pools = sqlite::open(sqlite::Address::parse(path)?, readers).await?;
        migrate::sqlite(&pools).await?;
        Ok(Self::over(pools))
    }

    fn over(pools: Pools) -> Self {
        Self { engine: Engine::new(pools), waiting: Waiting::default() }
    }

    /// The same, measured.
    #[must_use]
    pub fn measured(mut self, metrics: &DatabaseMetrics) -> Self {
        self.engine.metrics = metrics.clone();
        self
    }

    /// Which database it is.
    #[must_use]
    pub fn kind(&self) -> DatabaseType {
        self.engine.dialect().kind()
    }

    /// Closes every connection, after what runs on them.
    pub async fn close(&self) {
        self.engine.close().await;
    }
}

#[async_trait]
impl Database for SqlStore {
    async fn ping(&self) -> Result<()> {
        self.engine.fetch("ping database", Form::Plain("SELECT 1"), &[]).await?;
        Ok(())
    }

    fn connections(&self) -> Connections {
        self.engine.connections()
    }
}
