//! The server as its users meet it: the real binary, real registries, plain HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code: a failure is a panic, and the switch for tests does not reach helpers"
)]

mod away;
mod bad_input;
mod bad_network;
mod canaries;
mod checks;
mod choice;
mod clocks;
mod cost;
mod crowd;
mod ctl;
mod ctl_events;
mod databases;
mod deploy;
mod described;
mod discovery;
mod dns;
mod docs;
mod durability;
mod egress;
mod events;
mod faces;
mod federation;
mod flapping;
mod flips;
mod foreign;
mod foreign_events;
mod full_disk;
mod fuzz;
mod groups;
mod herds;
mod hot;
mod hub;
mod input;
mod kill;
mod leases;
mod limit;
mod listener;
mod logs;
mod metrics;
mod odd_requests;
mod outages;
mod patient;
mod peer_failures;
mod plain_sql;
mod proofs;
mod registries;
mod relay;
mod scale;
mod scenes;
mod sd;
mod secrets;
mod security;
mod shutdown;
mod sick_registries;
mod slow;
mod stream_ends;
mod streams;
mod subscriber;
mod usage;
mod wire;
