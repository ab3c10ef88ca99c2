//! The stores over SQLite.

mod bind;
mod config;
mod native;
mod pool;
mod revision;
mod snapshot;
mod status;
#[cfg(test)]
mod tests;
mod token;

pub use pool::Sqlite;
