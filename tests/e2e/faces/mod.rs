//! The protocols of others, spoken by the hub.

mod client;
mod consul;
mod consul_clients;
mod eureka;
mod eureka_clients;
mod rights;
mod scenario;
