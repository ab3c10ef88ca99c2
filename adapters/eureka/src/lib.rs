//! Eureka as a [`Registry`](hub_registry_core::Registry): full and delta fetches over its REST
//! API, in JSON.
//!
//! | module | what |
//! |---|---|
//! | `driver` | settings of a configuration row, and the connection |
//! | `registry` | the trait, on top of the others |
//! | `client` | the calls |
//! | [`wire`] | Eureka's JSON, read tolerantly and written strictly |
//! | `convert` | from Eureka's instances to the hub's |
//! | `watch` | following by delta, with a full fetch whenever in doubt |
//! | `look` | a second look, past the server's caches |
//! | `write` | writing copies, each with a lease |

mod client;
mod convert;
mod driver;
mod look;
mod registry;
mod watch;
pub mod wire;
mod write;

pub use driver::EurekaDriver;
