//! The same view in the protocols of others: codec and routes over the view (reading) and the native
//! registry (writing).
//!
//! | module | what |
//! |---|---|
//! | `doors`, `names`, `turns` | what the faces have in common |
//! | [`consul`] | the HTTP API of Consul |
//! | [`dns`] | addresses and ports by DNS |
//! | [`eureka`] | the protocol of Eureka |
//! | [`nacos`] | HTTP and gRPC of Nacos |
//! | `fuzzing` | what reads bytes, for tests |

pub mod consul;
pub mod dns;
mod doors;
pub mod eureka;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
pub mod nacos;
mod names;
mod turns;

pub use doors::Doors;
