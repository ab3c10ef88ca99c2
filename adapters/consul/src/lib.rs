//! Consul adapter: blocking queries over its HTTP API.
//!
//! | module | what |
//! |---|---|
//! | [`driver`] | settings, and from them a registry |
//! | [`registry`] | the port's calls |
//! | `client` | the HTTP calls and the rules of a blocking read |
//! | [`wire`] | Consul's JSON |
//! | `convert` | Consul's JSON to the port's values |
//! | `unreadable` | services that are listed and cannot be asked for |
//! | `watch` | following everything, with few connections |
//! | `write` | writing copies |
//!
//! Why not `rs-consul`: `docs/decisions/0003-consul-by-reqwest.md`.

mod client;
mod convert;
pub mod driver;
pub mod registry;
mod unreadable;
mod watch;
pub mod wire;
mod write;

pub use driver::ConsulDriver;
pub use registry::Consul;
