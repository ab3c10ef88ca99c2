//! What commands print.

pub mod token;
