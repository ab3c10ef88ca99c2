//! What others write to the tables takes effect (docs/decisions/0021).
//!
//! ```text
//! tide, prints ─ which places moved ─ their rows ─ compare with the state ─ keeper: adopt ─ commit of events
//! ```
//!
//! The watch reads beside the keeper and finds what differs. The keeper, which knows what it wrote
//! since the rows were read, takes that over or leaves it for the next look: a request that was
//! acknowledged is never undone by an older reading.
//!
//! | module | what |
//! |---|---|
//! | `seen` | what the last look saw, and what moved since |
//! | `watch` | the task that looks, page by page |
//! | `compare` | from rows and the state to findings; pure |
//! | `adopt` | the keeper takes findings over |

mod adopt;
mod compare;
mod seen;
mod watch;

pub(super) use adopt::{Found, Meanwhile};
pub(super) use seen::Seen;
pub(super) use watch::Watch;
