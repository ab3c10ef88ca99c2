//! Who may do what.
//!
//! A request comes with a credential, or with nothing where security is off. What it may do is
//! its [`Caller`]: a tenant, a user and rights. Whatever changes or reads a group asks the caller,
//! in the one place that does the thing, so that every surface (REST, facades) is held to the same
//! rules.
//!
//! | module | what |
//! |---|---|
//! | `role` | roles, and which actions each allows |
//! | `caller` | one caller's rights, and the lists of a group |
//! | `visible` | the groups a caller may read |

mod caller;
mod role;
#[cfg(test)]
mod tests;
mod visible;

pub use caller::{Caller, Grant};
pub use role::{Action, Role};
pub use visible::Visible;
