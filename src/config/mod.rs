//! Configuration: defaults, then the file, then the environment.
//!
//! | file | what |
//! |---|---|
//! | [`args`] | the command line |
//! | [`load`] | puts the three layers together |
//! | `file` | the YAML file, each value with its line |
//! | [`mod@env`] | the environment, read here and nowhere else |
//! | [`keys`] | every key with its rule: the source of the checks and of `docs/configuration.md` |
//! | `rule` | what a value may be |
//! | [`problem`] | what a person is told when something is wrong |
//! | [`dsn`] | the database address |
//! | `egress` | which addresses may be connected to, in two sections |
//! | `server`, `security`, `database`, `registry`, `external`, `facades`, `health_check`, `event`, `retention`, `log` | one section each |
//! | `log_level` | levels of the log |

use serde::{Deserialize, Serialize};

pub mod args;
mod check;
mod database;
pub mod dsn;
mod egress;
pub mod env;
mod event;
mod external;
mod facades;
mod file;
mod health_check;
pub mod keys;
mod load;
mod log;
mod log_level;
mod ports;
pub mod problem;
mod registry;
mod retention;
mod rule;
mod secrets_key;
mod security;
mod server;
#[cfg(test)]
mod tests;

pub use args::{Args, Command, PrintArgs, SecretsCommand, TokenArgs, TokenCommand};
pub use database::{DatabaseConfig, DatabaseType};
pub use dsn::{Dsn, ServerDsn, SqliteDsn};
pub use egress::EgressConfig;
pub use env::Env;
pub use event::EventConfig;
pub use external::ExternalConfig;
pub use facades::{DnsConfig, FacadesConfig, HttpSdConfig, NacosConfig};
pub use health_check::HealthCheckConfig;
pub use load::load;
pub use log::{LogConfig, LogFileConfig, LogFormat, LogRotation};
pub use log_level::{LogLevel, LogLevels};
pub use ports::Ports;
pub use problem::{ConfigError, Origin, Origins, Problem};
pub use registry::RegistryConfig;
pub use retention::RetentionConfig;
pub use secrets_key::{KeyBytes, SecretsKeys};
pub use security::{JwtAlgorithm, JwtConfig, SecurityConfig};
pub use server::{HttpConfig, MetricsConfig, ServerConfig};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Config {
    /// The listeners.
    pub server: ServerConfig,
    /// Who may do what.
    pub security: SecurityConfig,
    /// The hub's own database.
    pub database: DatabaseConfig,
    /// The native registry.
    pub registry: RegistryConfig,
    /// The external registries.
    pub external: ExternalConfig,
    /// The same view in the words of others.
    pub facades: FacadesConfig,
    /// Checks of native instances.
    pub health_check: HealthCheckConfig,
    /// Events.
    pub event: EventConfig,
    /// How long the tables keep things.
    pub retention: RetentionConfig,
    /// The log.
    pub log: LogConfig,
    /// Where each value that is not a default comes from.
    #[serde(skip)]
    pub origins: Origins,
}

impl Config {
    /// The whole configuration as a file, secrets masked.
    ///
    /// # Errors
    /// When it cannot be written as YAML, which no value of it causes.
    pub fn to_yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        serde_saphyr::to_string(self)
    }
}
