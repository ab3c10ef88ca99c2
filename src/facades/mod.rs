//! The same view in the protocols of others: codec and routes over the view (reading) and the native
//! registry (writing).
//!
//! | module | what |
//! |---|---|
//! | `doors`, `names`, `turns` | what the faces have in common |
//! | [`consul`] | the HTTP API of Consul |
//! | [`dns`] | addresses and ports by DNS |
//! | [`eureka`] | the protocol of Eureka |
//! | [`nacos`] | the HTTP API of Nacos |

pub mod consul;
pub mod dns;
mod doors;
pub mod eureka;
pub mod nacos;
mod names;
mod turns;

pub use doors::Doors;
