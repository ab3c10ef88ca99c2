//! The one view: what every source last said, merged, as an immutable snapshot.
//!
//! ```text
//! Change ─ shelf (+ guard) ─ merge ─ diff ─ Snapshot (arc-swap) ─ View ─ readers
//! ```
//!
//! Writers (the native registry, the external sources) go through [`Catalog`], one at a time per
//! tenant. Readers go through [`View`]: one atomic load and a map look-up; the bytes of the
//! common answers were made when the service last changed.

mod answer;
mod attributes;
mod change;
mod desk;
mod diff;
mod explain;
mod folded;
mod follow;
mod groups;
mod guard;
mod holds;
mod lead;
mod merge;
mod query;
mod revision;
mod shelf;
mod snapshot;
mod source;
mod standby;
mod tail;
mod teller;
mod tenant;
mod told;
mod view;
mod wait;
mod writer;

pub use answer::{Answer, Freshness, row_value};
pub use attributes::Attributes;
pub use change::{ChangeSet, OwnChange};
pub use desk::StateChange;
pub use diff::{RowChange, ServiceDelta};
pub use explain::Standing;
pub use follow::{Changed, Follower};
pub use groups::Groups;
pub use guard::{GuardPolicy, GuardRules, Why};
pub use holds::{NewerHolds, RemovalsHeld, Waiting};
pub use lead::{Lead, Migrated, Moved};
pub use merge::{OriginRow, Origins, Row};
pub use query::InstanceFilter;
pub use revision::Revisions;
pub use shelf::{Entry, ServiceShelf};
pub use snapshot::{ServiceView, Snapshot};
pub use source::{Conflict, Link, Rank, SourceCell, SourceId, SourceInfo, SourceState};
pub use standby::{Figures, Handover, StandIn};
pub use teller::Readers;
pub use view::{Found, GroupChoice, Looked, Selection, View, select};
pub use writer::{Catalog, SourceCounts};

#[cfg(test)]
mod tests;
