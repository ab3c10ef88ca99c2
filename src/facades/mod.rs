//! The same view in the protocols of others: codec and routes over the view (reading) and the native
//! registry (writing).
//!
//! | module | what |
//! |---|---|
//! | [`consul`] | the HTTP API of Consul |
//! | [`dns`] | addresses and ports by DNS |
//! | [`eureka`] | the protocol of Eureka |
//! | [`nacos`] | the HTTP API of Nacos |

pub mod consul;
pub mod dns;
pub mod eureka;
pub mod nacos;
mod names;
mod turns;
