//! The protocols of others, spoken by the hub.

mod consul;
mod eureka;
mod eureka_clients;
mod scenario;
