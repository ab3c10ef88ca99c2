//! The configuration of an external registry: from a table row or a request body to a
//! [`ConnectSpec`](hub_registry_core::ConnectSpec), and back to an answer.

mod address;
mod body;
mod config;
mod failover;
mod json;
mod removal_guard;
mod row;
mod specific;
mod sync;

pub(crate) use body::READ_ONLY;
pub use body::{apply_body, brings_secrets, needs_secrets};
pub use config::{ConflictResolution, ExternalConfig};
pub use failover::{Failover, FailoverRules};
pub use json::row_json;
pub use removal_guard::RemovalGuard;
pub use row::{ExternalConfigRow, ExternalStatusRow};
pub use specific::{Common, Services};
pub use sync::{Direction, INTERVAL, Orphan, RATE, Sync, SyncRule};

#[cfg(test)]
mod tests;
