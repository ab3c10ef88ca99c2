//! Stub registries with the real ones' nasty rules, and a proxy that makes faults in front of any
//! server.

pub mod canned;
pub mod consul;
pub mod eureka;
pub mod fault;
pub mod nacos;
mod nacos_catalog;
mod nacos_grpc;
mod nacos_http;
