//! The protocols of others, spoken by the hub.

mod eureka;
mod eureka_clients;
mod scenario;
