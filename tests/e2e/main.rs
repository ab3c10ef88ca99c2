//! The server as its users meet it: the real binary, real registries, plain HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code: a failure is a panic, and the switch for tests does not reach helpers"
)]

mod away;
mod bad_input;
mod checks;
mod choice;
mod databases;
mod described;
mod discovery;
mod durability;
mod egress;
mod federation;
mod foreign;
mod full_disk;
mod fuzz;
mod groups;
mod hub;
mod input;
mod kill;
mod leases;
mod odd_requests;
mod outages;
mod plain_sql;
mod proofs;
mod registries;
mod security;
mod sick_registries;
