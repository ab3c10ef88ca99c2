//! What the tests of every crate share: the contract suite, starters of the real registries, and
//! stub servers for the faults a real server cannot be made to show.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code: a failure is a panic with a message, and it owns no product tasks"
)]

pub mod contract;
pub mod mutate;
pub mod servers;
pub mod spellings;
pub mod stub;
