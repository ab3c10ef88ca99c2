//! What commands print.

pub mod secrets;
pub mod token;
