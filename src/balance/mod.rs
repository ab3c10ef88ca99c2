//! In which order to try the instances of a service. Pure: the same input gives the same order.

mod hash;
mod order;

pub use crate::model::words::LoadBalanceStrategy as Strategy;
pub use order::{Candidate, Request, order};
