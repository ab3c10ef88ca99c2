//! Asking an instance.

mod connect;
mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;

use async_trait::async_trait;
use hub_registry_core::egress::Egress;
use tokio::time::{Instant, timeout_at};

use super::outcome::Outcome;
use super::target::Ask;
use crate::config::Ports;
use connect::Reach;
use tls::{Over, Tls};

pub use tls::TlsSettings;

/// Asks instances how they are.
#[async_trait]
pub trait Probe: fmt::Debug + Send + Sync + 'static {
    /// Asks, and is done at the deadline whatever comes. May be dropped while it asks.
    async fn ask(&self, ask: &Ask, deadline: Instant) -> Outcome;
}

/// Asks over the network. Each check has a connection of its own, to an address that was judged,
/// and leaves nothing behind: no pool, no cookies, no proxy, no redirect followed.
#[derive(Debug)]
pub struct NetworkProbe {
    reach: Reach,
    tls: Tls,
}

impl NetworkProbe {
    /// Connects to these ports where `egress` lets it, and trusts whom `tls` says.
    ///
    /// # Errors
    /// When the certificates of the settings cannot be read.
    pub fn new(egress: Egress, ports: Vec<Ports>, tls: &TlsSettings) -> Result<Self, String> {
        Ok(Self { reach: Reach { egress, ports }, tls: Tls::new(tls)? })
    }
}

#[async_trait]
impl Probe for NetworkProbe {
    async fn ask(&self, ask: &Ask, deadline: Instant) -> Outcome {
        match ask {
            Ask::Nothing(rule) => Outcome::BadUrl(rule),
            Ask::Tcp { host, port } => match self.reach.connect(host, *port, deadline).await {
                Ok(_) => Outcome::Connected,
                Err(outcome) => outcome,
            },
            Ask::Grpc { host, port, tls, authority, service } => {
                let stream = match self.reach.connect(host, *port, deadline).await {
                    Ok(stream) => stream,
                    Err(outcome) => return outcome,
                };
                let scheme = if tls.is_some() { "https" } else { "http" };
                let origin = format!("{scheme}://{authority}");
                let service = grpc::Service { origin: &origin, name: service };
                let asked = async {
                    let Some(trust) = tls else { return grpc::check(stream, service).await };
                    match self.tls.over(stream, host, (Over::Http2, *trust)).await {
                        Ok(stream) => grpc::check(stream, service).await,
                        Err(outcome) => outcome,
                    }
                };
                timeout_at(deadline, asked).await.unwrap_or(Outcome::AnswerTimedOut)
            }
            Ask::Http { host, port, tls, authority, path, by } => {
                let stream = match self.reach.connect(host, *port, deadline).await {
                    Ok(stream) => stream,
                    Err(outcome) => return outcome,
                };
                let page = http::Page { authority, path, by };
                let asked = async {
                    let Some(trust) = tls else { return http::ask(stream, page, deadline).await };
                    match self.tls.over(stream, host, (Over::Http1, *trust)).await {
                        Ok(stream) => http::ask(stream, page, deadline).await,
                        Err(outcome) => outcome,
                    }
                };
                timeout_at(deadline, asked).await.unwrap_or(Outcome::AnswerTimedOut)
            }
        }
    }
}
