//! The hub's own registry: groups, services, instances and their leases.
//!
//! [`Native`] is its door: every write goes through it, from REST, the facades and the sync alike.
//!
//! ```text
//! register, update, ... ── jobs ──┐
//! beats ── leases ── deadlines ───┤ keeper: draft ─ one commit ─ state ─ publish ─ acknowledge
//! ```
//!
//! - One task, the keeper, owns every change. It takes what is waiting, plans it on a draft of the
//!   state (persistent maps: a draft is a cheap clone), commits all in one transaction, and only
//!   then makes the draft the state, publishes it and acknowledges. The next draft is planned and
//!   committed meanwhile.
//! - Heartbeats touch memory only. Health moved by leases is seen at once and written later.
//! - Reads take the state as it is: no lock, no SQL.
//!
//! | module | what |
//! |---|---|
//! | `state`, `by_id`, `sorted` | everything the registry holds, as persistent maps |
//! | `draft`, `plan`, `events` | a state being changed, what each request does to it, what is told |
//! | `job`, `pipeline` | a request, and what is on its way to disk |
//! | `keeper`, `commit`, `show` | the task that takes requests, brings them to disk, and shows them |
//! | `turn`, `flush` | the same task minding leases |
//! | `publish` | what others are told of it |
//! | `repair` | what the disk holds after a commit that failed |
//! | `leases`, `lease`, `deadlines` | who was heard when, and what is due |
//! | `checks` | what the hub's checks look at and find |
//! | `preservation`, `decide`, `stats` | whether to believe that many are silent at once |
//! | `load`, `rows` | from the tables and back |
//! | `outside` | what others wrote to the tables |
//! | `intake`, `reads` | the methods of [`Native`] |
//! | `registry` | the same as a [`Registry`](hub_registry_core::Registry) |

mod by_id;
mod checks;
mod commit;
mod deadlines;
mod decide;
mod draft;
mod events;
mod flush;
mod intake;
mod job;
mod keeper;
mod lease;
mod leases;
mod load;
mod outside;
mod pipeline;
mod plan;
mod preservation;
mod publish;
mod reads;
mod registry;
mod repair;
mod rows;
mod show;
mod sorted;
mod start;
mod state;
mod stats;
mod turn;

pub use checks::{CheckFeed, Judged, ToCheck, Verdict};
pub use intake::{Known, Registered};
pub use preservation::Preservation;
pub use publish::{Publication, Publish};
pub use reads::ServiceSummary;
pub use registry::NativeRegistry;
pub use start::{EventsWanted, Native, Settings};
pub use stats::LeaseStats;
