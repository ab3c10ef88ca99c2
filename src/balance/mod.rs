//! In which order to try the instances of a service.
//!
//! | module | what |
//! |---|---|
//! | `order` | the order of each strategy |
//! | `picks` | what a service remembers: whose turn it is, who has how many connections |
//! | `wheel` | turns by weight |
//! | `loads` | reported connections |
//! | `hash` | a hash that is the same on every node |

mod hash;
mod loads;
mod order;
mod picks;
mod wheel;

pub use crate::model::words::LoadBalanceStrategy as Strategy;
pub use loads::{LOAD_LIFETIME, Load};
pub use order::{Candidate, Request, order};
pub use picks::Picks;

#[cfg(test)]
mod tests;
