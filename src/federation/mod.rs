//! Running the external registries that the configuration table names.
//!
//! ```text
//! rows ─ Manager ─ one Source each ─ adapter.watch() ─ Catalog
//!                        └ Keeper (last known good)  └ StatusBoard (status rows)
//!        └ Pairs ─ a Machine for each source with a standby ─ Catalog: who is shown
//! ```
//!
//! The table is the management interface: a row changed by plain SQL takes effect within the
//! poll interval, as one changed through the API does at once.

mod attempts;
mod backoff;
mod connect;
mod drivers;
mod failover;
mod keeper;
mod links;
mod looks;
mod manager;
mod pairs;
mod plan;
mod probe;
mod source;
mod status;

pub use connect::{Purpose, connect};
pub use drivers::Drivers;
pub use failover::Waits;
pub use manager::{Manager, ManagerSettings, Stores};
pub use probe::{ProbeStep, probe};
pub use status::{FailoverReport, Outcome, SourceReport, SourceStatus, StatusBoard, SyncReport};

use hub_registry_core::{ConfigId, TenantId};

/// A running or known source: its tenant and its configuration's id.
pub type SourceKey = (TenantId, ConfigId);
