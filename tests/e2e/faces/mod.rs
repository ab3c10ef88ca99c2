//! The protocols of others, spoken by the hub.

mod consul;
mod eureka;
mod nacos;
mod rights;
mod scenario;
