//! Which addresses the hub may connect to when somebody else names the target: external registries
//! and health checks.
//!
//! A name is only a promise: what it resolves to can change between a check and the connection
//! (DNS rebinding), and one address has many spellings. So nothing is judged by its text. An
//! [`Egress`] resolves, judges the *addresses* by the [`EgressPolicy`], and hands on those that
//! may be connected to; whoever connects uses them and nothing else.
//!
//! | module | what |
//! |---|---|
//! | `network` | a range of addresses |
//! | `builtin` | what is refused unless it is allowed in so many words |
//! | `embedded` | IPv4 addresses inside IPv6 ones |
//! | `policy` | the rules, pure |
//! | `lookup` | from names to addresses, bounded |
//! | `resolve` | both together, as [`reqwest`] takes it too |

mod builtin;
mod embedded;
mod lookup;
mod network;
mod policy;
mod resolve;
#[cfg(test)]
mod tests;

pub use builtin::Forbidden;
pub use lookup::{Lookup, SystemLookup};
pub use network::{InvalidNetwork, Network};
pub use policy::{Denied, EgressPolicy};
pub use resolve::{Egress, EgressError};
