//! The pure parts.

mod judge;
mod load;
mod schedule;
mod target;
