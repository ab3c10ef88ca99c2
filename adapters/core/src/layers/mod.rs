//! Wrappers around any registry, so that no adapter repeats them.
//!
//! Order, from the outside: [`Metered`] (one measurement per call as the caller sees it), then
//! [`Retry`], then [`Timeout`] (one deadline per try), then [`Mapped`] (the hub's terms), then
//! [`Filtered`] (only what the configuration asks for), then the adapter. The first three let
//! watches pass untouched, since whoever watches reconnects by its own rules.

mod filtered;
mod mapped;
mod metered;
mod retry;
mod timeout;

pub use filtered::Filtered;
pub use mapped::{HOME_GROUP, Mapped};
pub use metered::{Metered, Observer};
pub use retry::Retry;
pub use timeout::Timeout;
