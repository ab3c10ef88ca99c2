//! Connecting.

use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::config::{DatabaseConfig, ServerDsn};
use crate::storage::error::Result;
use crate::storage::sql::engine::Pools;
use crate::storage::sql::error::During;
use crate::storage::sql::pool::{self, PREPARED, ignored};

/// What each connection is told at its begin. A lock that is not had in time is an error, and a
/// transaction whose client vanished lets go of its locks.
const SESSION: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '60s'; \
                       SET TIME ZONE 'UTC'";

/// The address as sqlx has it.
pub(in crate::storage::sql) fn options(dsn: &ServerDsn) -> Result<PgConnectOptions> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(dsn.port)
        .username(&dsn.user)
        .database(&dsn.database)
        .application_name("hub-registry")
        .statement_cache_capacity(PREPARED);
    options = match dsn.host.strip_prefix('/') {
        Some(_) => options.socket(&dsn.host),
        None => options.host(&dsn.host),
    };
    if !dsn.password.is_empty() {
        options = options.password(dsn.password.expose());
    }
    for (name, value) in &dsn.parameters {
        options = match name.as_str() {
            "sslmode" | "ssl-mode" => {
                options.ssl_mode(PgSslMode::from_str(value).during("read database.dsn")?)
            }
            "sslrootcert" | "ssl-root-cert" | "ssl-ca" => options.ssl_root_cert(value),
            "sslcert" | "ssl-cert" => options.ssl_client_cert(value),
            "sslkey" | "ssl-key" => options.ssl_client_key(value),
            "application_name" => options.application_name(value),
            "search_path" => options.options([("search_path", value)]),
            _ => {
                ignored(name);
                options
            }
        };
    }
    Ok(options)
}

/// The pool.
pub(in crate::storage::sql) fn open(options: PgConnectOptions, config: &DatabaseConfig) -> Pools {
    Pools::Postgres(pool::lazy(options, SESSION, config))
}
