//! Nacos adapter: gRPC push as the wake-up, the truth over HTTP.
//!
//! Speaks to Java Nacos 2.x. Names come from `v1/ns/catalog/services`, which lists every group of
//! a namespace at once with instance counts; instances from `v2/ns/catalog/instances`, the only
//! read that shows disabled instances and the true health of all clusters. nacos-sdk's
//! subscriptions say *when* to read. Why, and what was tried, is in
//! `docs/decisions/0004-nacos-push-and-truth.md`.
//!
//! | module | what |
//! |---|---|
//! | [`driver`] | settings, and from a configuration row to a registry |
//! | `registry` | the [`Registry`](hub_registry_core::Registry) itself |
//! | `client` | the HTTP calls, the login |
//! | [`wire`] | the JSON of Nacos |
//! | [`convert`] | from Nacos' terms to ours |
//! | `watch` | following names and services |

mod client;
pub mod convert;
pub mod driver;
mod registry;
mod watch;
pub mod wire;

pub use driver::{NacosDriver, Settings};
