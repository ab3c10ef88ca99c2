//! Names and policy together.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::lookup::{Lookup, SystemLookup};
use super::policy::{Denied, EgressPolicy};

/// Addresses of one name that are tried at most.
const MOST: usize = 16;

/// Why a host gives no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The name has no address, or the system could not find out.
    #[error("the name cannot be resolved: {0}")]
    Unknown(#[from] io::Error),
    /// It has none that may be connected to.
    #[error("{0}")]
    Denied(Denied),
}

/// Resolves names to addresses that may be connected to. A clone shares everything.
#[derive(Clone, Debug)]
pub struct Egress {
    policy: Arc<EgressPolicy>,
    lookup: Arc<dyn Lookup>,
}

impl Egress {
    /// With the system's resolver.
    #[must_use]
    pub fn new(policy: Arc<EgressPolicy>) -> Self {
        Self::with_lookup(policy, Arc::new(SystemLookup))
    }

    /// With another resolver.
    #[must_use]
    pub fn with_lookup(policy: Arc<EgressPolicy>, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }

    /// The addresses of a host, an IP address or a name, that may be connected to: at least one.
    ///
    /// To be asked for each connection, and only what it answers is to be connected to: the next
    /// answer may be another one.
    ///
    /// # Errors
    /// When there is no such address.
    pub async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, EgressError> {
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            // The system also takes `2130706433` or `0x7f.1` for an address: judged like a name's.
            Err(_) => self.lookup.lookup(host).await?,
        };
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in found {
            match self.policy.check(address) {
                Ok(()) => allowed.push(address.to_canonical()),
                Err(denied) => refused = refused.or(Some(denied)),
            }
        }
        allowed.truncate(MOST);
        match refused {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(denied) => Err(EgressError::Denied(denied)),
            None => Err(EgressError::Unknown(io::ErrorKind::NotFound.into())),
        }
    }
}

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.clone();
        Box::pin(async move {
            let allowed = Self::resolve(&egress, name.as_str()).await?;
            // The port is the URL's: 0 stands for it.
            let allowed = allowed.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(allowed) as Addrs)
        })
    }
}
