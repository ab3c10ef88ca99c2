//! Wrappers around any registry, so that no adapter repeats them.
//!
//! Order, from the outside: [`Metered`] (one measurement per call as the caller sees it), then
//! [`Retry`], then [`Timeout`] (one deadline per try), then the adapter. Watches pass through
//! untouched, since whoever watches reconnects by its own rules.

mod metered;
mod retry;
mod timeout;

pub use metered::{Metered, Observer};
pub use retry::Retry;
pub use timeout::Timeout;
