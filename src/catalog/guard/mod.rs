//! When an instance that a registry no longer lists may leave the view. Pure: values and instants
//! in, decisions out.
//!
//! ```text
//! a change ─ Window (net loss of the last 60 s) ─ Guard::judge ─ what is missing leaves, or is held
//! a look   ─ Guard::confirm ─ each held instance by itself: leaves, or waits on
//! ```
//!
//! | file | what |
//! |---|---|
//! | `policy` | the constants, from `specificConfig.removalGuard` |
//! | `window` | how many instances each service lost within the last minute |
//! | `hold` | one instance whose removal is being confirmed |
//! | `judge` | the rules |
//!
//! The rules and their reasons: `docs/decisions/0020-removals-are-confirmed.md`.

mod hold;
mod judge;
mod policy;
mod window;

pub(super) use hold::Hold;
pub use hold::Why;
pub(super) use judge::{Batch, Fate, Guard, Loss, Needs};
pub use policy::{GuardPolicy, GuardRules};
