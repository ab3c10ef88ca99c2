//! The stores over SQL. The only place with SQL text; values are always bound, never written in.

mod columns;
mod error;
pub mod sqlite;
