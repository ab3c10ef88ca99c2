//! Helpers that turn what a registry offers into a [`ChangeStream`](crate::ChangeStream).
//!
//! - [`poll`]: the registry only has "give me everything"
//!   ([`poll_if_changed`]: and can say that nothing changed).
//! - [`two_level`]: the registry has a list of names and, per service, a way to follow it.
//!
//! Both keep the contract of [`Registry::watch`](crate::Registry::watch): a `Reset` first, whole
//! services after, an error at the end.

mod diff;
mod poll;
mod two_level;

pub use diff::diff;
pub use poll::{poll, poll_if_changed};
pub use two_level::{Reading, ServiceStream, TwoLevel, two_level};
