//! Unmodified clients of other registries, as their libraries are published, at the hub.

mod client;
mod consul;
mod eureka;
mod nacos;
mod nacos_grpc;
mod spring;
