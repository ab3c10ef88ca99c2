//! Nacos adapter: gRPC push as the wake-up, the truth over HTTP.
//!
//! Speaks to Java Nacos 1.x, 2.x and 3.x. Names come from a list of every group of a namespace at
//! once with instance counts; instances from the catalog, the only read that shows disabled
//! instances and true health. Each generation has its own calls for that: a dialect, found out by
//! asking (`docs/decisions/0025-nacos-dialects.md`). nacos-sdk's subscriptions say *when* to read.
//! Why, and what was tried, is in `docs/decisions/0004-nacos-push-and-truth.md`.
//!
//! | module | what |
//! |---|---|
//! | [`driver`] | settings, and from a configuration row to a registry |
//! | `registry` | the [`Registry`](hub_registry_core::Registry) itself |
//! | `client` | the HTTP calls, the dialects, the login |
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
