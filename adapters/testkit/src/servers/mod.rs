//! Finder and starter of the real registries and databases: a process of its own for each, on free ports of the
//! loopback address, with its own folder. `tests/servers/install` installs them.
//!
//! ```no_run
//! # async fn example() -> Result<(), hub_registry_testkit::servers::StartError> {
//! use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
//!
//! if !servers::require(ServerKind::Consul) {
//!     return Ok(());
//! }
//! let mut consul = servers::start(ServerKind::Consul, ServerOptions::default()).await?;
//! println!("{}", consul.base_url());
//! consul.kill().await;
//! # Ok(())
//! # }
//! ```

mod consul;
mod database;
mod environment;
mod eureka;
mod java;
mod mariadb;
mod nacos;
pub mod network;
mod options;
mod plan;
mod ports;
mod postgres;
mod process;
mod server;

pub use options::{Data, EurekaOptions, Login, ServerKind, ServerOptions};
pub use server::{Server, StartError};

use std::io::Write;
use std::path::PathBuf;

/// Starts a server and waits until it serves.
///
/// # Errors
/// When it is missing here, when it ends during its start, or when it does not serve in time; the
/// error holds the end of its log.
pub async fn start(kind: ServerKind, options: ServerOptions) -> Result<Server, StartError> {
    Server::start(kind, options).await
}

/// Starts several that know one another, and waits until each serves: Consul as one data centre
/// with a leader, Eureka (two) as peers that copy from each other. The others take no notice.
///
/// # Errors
/// As for a single one.
pub async fn start_cluster(
    kind: ServerKind,
    count: usize,
    options: ServerOptions,
) -> Result<Vec<Server>, StartError> {
    Server::start_cluster(kind, count, options).await
}

/// The reason why a server cannot be started here, if there is one.
#[must_use]
pub fn missing(kind: ServerKind) -> Option<String> {
    match kind {
        ServerKind::Consul => consul::missing(),
        ServerKind::Eureka => java::missing("eureka"),
        ServerKind::Nacos => java::missing("nacos"),
        ServerKind::Postgres => postgres::missing(),
        ServerKind::MariaDb => mariadb::missing(),
    }
}

/// Whether a test that needs this server can run. When it cannot, that is said where the reader of
/// the test run sees it.
///
/// # Panics
/// When the server is missing in CI, where a skipped test would go unnoticed.
#[must_use]
pub fn require(kind: ServerKind) -> bool {
    let reason = missing(kind);
    if let Some(reason) = &reason {
        tell_missing(&kind.to_string(), reason);
    }
    reason.is_none()
}

/// The program of a client that a test needs, as `tests/servers/install` unpacked its package.
///
/// # Panics
/// As [`require`].
#[must_use]
pub fn require_client(name: &str) -> Option<PathBuf> {
    let unpacked = environment::built_servers()?.join(name).join("usr/bin").join(name);
    let found = environment::program(name).or_else(|| unpacked.is_file().then_some(unpacked));
    if found.is_none() {
        tell_missing(name, &format!("there is no `{name}`"));
    }
    found
}

/// The folder in which a library is that clients of a registry are written with, once it is
/// installed; as [`require_client`].
///
/// # Panics
/// As [`require`].
#[must_use]
pub fn require_library(name: &str) -> Option<PathBuf> {
    let folder = environment::built_servers()?;
    let stamps = [folder.join(name).join("stamp"), folder.join(format!("{name}.stamp"))];
    let found = stamps.iter().any(|stamp| stamp.is_file()).then_some(folder);
    if found.is_none() {
        tell_missing(name, &format!("`{name}` was not installed"));
    }
    found
}

fn tell_missing(name: &str, reason: &str) {
    let cure = format!("tests/servers/install {name}");
    assert!(!environment::is_ci(), "{name} is missing: {reason}; it is installed by: {cure}");
    // Not `eprintln!`: the test runner keeps what that prints of a test that passes.
    let line = format!("SKIPPED {name}: {reason}; it is installed by: {cure}\n");
    std::io::stderr().write_all(line.as_bytes()).ok();
}
