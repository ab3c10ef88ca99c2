//! The protocols of others, spoken by the hub.

mod agents;
mod blocking;
mod consul;
mod consumers;
mod eureka;
pub(crate) mod grpc;
mod hubs;
mod itself;
mod large;
mod matrix;
mod nacos;
mod names;
mod prometheus;
mod replication;
mod rights;
mod scenario;
mod secure;
mod statuses;
mod successors;
mod watchers;
