//! Hub Registry: one view over Nacos, Consul, Eureka and a native registry.
//!
//! `docs/architecture.md` has the picture; the modules, from the rim to the middle:
//!
//! | module | what |
//! |---|---|
//! | [`app`] | composition root: the one place that names concrete adapters and stores |
//! | [`api`] | the HTTP server and its handlers |
//! | [`facades`] | the same view in the protocols of others |
//! | [`cli`] | what commands print |
//! | [`federation`] | running the external registries the configuration table names |
//! | [`sync`] | copies from one registry to another |
//! | [`health`] | the hub's checks of native instances |
//! | [`native`] | the hub's own registry: instances, services, leases |
//! | [`catalog`] | the one view: shelves, merge, snapshot |
//! | [`events`] | what happens, told: log, feed, subscribers |
//! | [`access`] | who may do what |
//! | [`balance`] | load-balancing orders, pure |
//! | [`storage`] | what is kept on disk |
//! | [`model`] | the nouns and their rules, no I/O |
//! | [`vault`] | secrets at rest: keys, and what is sealed with them |
//! | [`config`] | file, environment, defaults |
//! | [`telemetry`] | logs and metrics |
//! | [`process`] | signals and the service manager |
//! | [`http`] | what every face that is asked by HTTP has in common |
//! | [`task`], [`clock`], [`error`] | owned tasks, wall time, error codes |

pub mod access;
pub mod api;
pub mod app;
pub mod balance;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod error;
pub mod events;
pub mod facades;
pub mod federation;
pub mod health;
pub mod http;
pub mod model;
pub mod native;
pub mod process;
pub mod storage;
pub mod sync;
pub mod task;
pub mod telemetry;
pub mod vault;
