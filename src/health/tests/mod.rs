//! The pure parts.

mod cut;
mod judge;
mod load;
mod schedule;
mod target;
