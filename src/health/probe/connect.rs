//! A connection to an address that was judged.

use hub_registry_core::egress::{Egress, EgressError};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::config::Ports;
use crate::health::outcome::Outcome;

/// What may be connected to.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) egress: Egress,
    pub(super) ports: Vec<Ports>,
}

impl Reach {
    /// Connects to the first address of the host that takes it.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, Outcome> {
        if !self.ports.iter().any(|ports| ports.contains(port)) {
            return Err(Outcome::PortNotAllowed);
        }
        let Ok(found) = timeout_at(deadline, self.egress.resolve(host)).await else {
            return Err(Outcome::UnknownName);
        };
        let addresses = found.map_err(|error| match error {
            EgressError::Denied(denied) => Outcome::NotAllowed(denied),
            EgressError::Unknown(_) => Outcome::UnknownName,
        })?;
        let mut outcome = Outcome::UnknownName;
        let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        for address in addresses {
            // One that takes no notice must leave time for the others.
            let now = Instant::now();
            let patience = now + deadline.saturating_duration_since(now) / left;
            outcome = match timeout_at(patience, TcpStream::connect((address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => Outcome::of_connecting(&error),
                Err(_) => Outcome::ConnectTimedOut,
            };
            left = left.saturating_sub(1).max(1);
        }
        Err(outcome)
    }
}
