//! Connecting.

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::config::{DatabaseConfig, ServerDsn};
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::sql::engine::Pools;
use crate::storage::sql::pool::{self, PREPARED, ignored};

/// What each connection is told at its begin. Strict: a value that does not fit is an error, not
/// another value. A lock that is not had in time is an error.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
                       innodb_lock_wait_timeout = 5, time_zone = '+00:00'";

/// The address as sqlx has it.
pub(in crate::storage::sql) fn options(dsn: &ServerDsn) -> Result<MySqlConnectOptions> {
    let mut options = MySqlConnectOptions::new()
        .port(dsn.port)
        .username(&dsn.user)
        .database(&dsn.database)
        // Named, since in a comparison a column's collation must win over that of what is bound.
        .charset("utf8mb4")
        .collation("utf8mb4_general_ci")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .statement_cache_capacity(PREPARED);
    options = match dsn.host.strip_prefix('/') {
        Some(_) => options.socket(&dsn.host),
        None => options.host(&dsn.host),
    };
    if !dsn.password.is_empty() {
        options = options.password(dsn.password.expose());
    }
    for (name, value) in &dsn.parameters {
        options = match name.to_ascii_lowercase().as_str() {
            "tls" | "ssl-mode" | "sslmode" | "ssl_mode" => options.ssl_mode(ssl_mode(value)?),
            "ssl-ca" | "sslca" | "ssl_ca" => options.ssl_ca(value),
            "ssl-cert" | "ssl_cert" => options.ssl_client_cert(value),
            "ssl-key" | "ssl_key" => options.ssl_client_key(value),
            // What a Go driver is told and what is always so here.
            "charset" | "collation" | "parsetime" | "loc" | "multistatements" => options,
            _ => {
                ignored(name);
                options
            }
        };
    }
    Ok(options)
}

/// The words of Go's driver and those of MySQL's own clients.
fn ssl_mode(word: &str) -> Result<MySqlSslMode> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "false" | "disable" | "disabled" => MySqlSslMode::Disabled,
        "preferred" => MySqlSslMode::Preferred,
        "skip-verify" | "require" | "required" => MySqlSslMode::Required,
        "verify_ca" | "verify-ca" => MySqlSslMode::VerifyCa,
        "true" | "verify_identity" | "verify-identity" | "verify-full" => {
            MySqlSslMode::VerifyIdentity
        }
        _ => {
            let error = StorageError::new(StorageErrorKind::Internal, "read database.dsn");
            return Err(error.with_source("tls must be true, false, preferred or skip-verify"));
        }
    })
}

/// The pool.
pub(in crate::storage::sql) fn open(
    options: MySqlConnectOptions,
    config: &DatabaseConfig,
) -> Pools {
    Pools::MySql(pool::lazy(options, SESSION, config))
}
