//! Running the external registries that the configuration table names.
//!
//! ```text
//! rows ─ Manager ─ one Source each ─ adapter.watch() ─ Catalog
//!                        └ Keeper (last known good)  └ StatusBoard (status rows)
//! ```
//!
//! The table is the management interface: a row changed by plain SQL takes effect within the
//! poll interval, as one changed through the API does at once.

mod backoff;
mod connect;
mod drivers;
mod keeper;
mod looks;
mod manager;
mod plan;
mod probe;
mod source;
mod status;

pub use connect::connect;
pub use drivers::Drivers;
pub use manager::{Manager, ManagerSettings, Stores};
pub use probe::{ProbeStep, probe};
pub use status::{Outcome, SourceReport, SourceStatus, StatusBoard};

use hub_registry_core::{ConfigId, TenantId};

/// A running or known source: its tenant and its configuration's id.
pub type SourceKey = (TenantId, ConfigId);
