//! The protocols of others, spoken by the hub.

mod consul;
mod eureka;
mod grpc;
mod matrix;
mod nacos;
mod prometheus;
mod rights;
mod scenario;
mod watchers;
