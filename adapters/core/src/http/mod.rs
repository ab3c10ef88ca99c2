//! The HTTP client the adapters share: bounded in time and size, no redirects, no proxies from
//! the environment, and every answer that is not the expected one an [`Error`](crate::Error) of
//! the right kind.

mod answer;
mod client;
mod endpoints;
mod secrets;

pub use answer::Answer;
pub use client::{Call, HttpClient};
pub use endpoints::Endpoints;
