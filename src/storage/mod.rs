//! What is kept on disk.
//!
//! A trait per table family, each with the rows as the database has them; the rest of the hub
//! knows only these. SQL text lives in [`sql`].
//!
//! | trait | tables |
//! |---|---|
//! | [`NativeStore`] | groups, services and instances of the hub's own registry, and what is told of them |
//! | [`EventStore`] | the log of events |
//! | [`ConfigStore`], [`StatusStore`] | the external registries and how they fare; [`SealedConfigs`] keeps their secrets sealed |
//! | [`SnapshotStore`] | the last known good state of each external registry |
//! | [`TokenStore`] | the tokens callers show |
//! | [`LedgerStore`] | what the hub wrote into registries |
//! | [`MigrationStore`] | services on their way from one registry to another |
//! | [`RetentionStore`] | what is too old, of any of them; [`clean`] asks it to remove that |
//! | [`RevisionStore`] | ceilings below which revisions are given out |

mod access;
mod cleaner;
mod database;
mod error;
mod event;
mod external;
mod ledger;
mod migration;
mod native;
mod retention;
mod revision;
mod sealed;
mod snapshot;
pub mod sql;

pub use access::{TokenRow, TokenStore};
pub use cleaner::clean;
pub use database::{Connections, Database};
pub use error::{Result, StorageError, StorageErrorKind};
pub use event::{
    Cursor, EventCount, EventFilter, EventMark, EventPage, EventQuery, EventRow, EventStore,
    LogBatch, LogPosition, Take,
};
pub use external::{ChangeRow, ConfigStore, StatusStore};
pub use ledger::{CopyKey, CopyRow, LedgerStore};
pub use migration::{MigrationRow, MigrationStore, ParityRow};
pub use native::{
    GroupRow, HeartbeatRow, InstanceRow, NativeReader, NativeRows, NativeStore, NativeWrite, Place,
    PlacePrint, ServiceRow, Tide,
};
pub use retention::{Dead, Events, RetentionStore};
pub use revision::RevisionStore;
pub use sealed::{KeyUse, SealedConfigs, key_use};
pub use snapshot::{SnapshotBatch, SnapshotStore, SourceSnapshot};
pub use sql::SqlStore;
