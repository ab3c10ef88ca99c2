//! The rules.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use super::builtin::{self, Forbidden};
use super::embedded::embedded;
use super::network::Network;

/// Which addresses may be connected to. Pure: the same address, the same answer.
///
/// An address must be in `allow` and must not be in `deny`. What is [`Forbidden`] is refused
/// besides, unless an entry of `allow` that lies wholly inside the forbidden range holds it:
/// `0.0.0.0/0` allows no link-local address, `169.254.7.0/24` allows those in it, and a metadata
/// address only counts as allowed when it is named itself.
///
/// IPv4 written as IPv6 is IPv4. An IPv6 address that leads to an IPv4 one (6to4, NAT64, ...) is
/// refused where that one is denied or forbidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressPolicy {
    allow: Vec<Network>,
    deny: Vec<Network>,
}

/// Why an address may not be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nobody allowed it in so many words.
    Forbidden(Forbidden),
    /// It is in `deny`.
    Listed,
    /// It is not in `allow`.
    Unlisted,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(what) => write!(f, "{what} is not connected to"),
            Self::Listed => f.write_str("its address is in egress.deny"),
            Self::Unlisted => f.write_str("its address is not in egress.allow"),
        }
    }
}

impl Default for EgressPolicy {
    /// Everything but what is [`Forbidden`]: registries and services live in private ranges and
    /// on this machine.
    fn default() -> Self {
        Self { allow: Self::everything(), deny: Vec::new() }
    }
}

impl EgressPolicy {
    /// The policy of these two lists.
    #[must_use]
    pub fn new(allow: Vec<Network>, deny: Vec<Network>) -> Self {
        Self { allow, deny }
    }

    /// The list that allows every address, as far as a list this wide can.
    #[must_use]
    pub fn everything() -> Vec<Network> {
        let all = |any: IpAddr| Network::new(ipnet::IpNet::new_assert(any, 0));
        vec![all([0; 4].into()), all([0; 16].into())]
    }

    /// Whether the address may be connected to.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let address = address.to_canonical();
        self.check_refused(address)?;
        if let IpAddr::V6(address) = address {
            embedded(address).try_for_each(|inner| self.check_refused(inner.into()))?;
        }
        let allowed = self.allow.iter().any(|network| network.contains(address));
        if allowed { Ok(()) } else { Err(Denied::Unlisted) }
    }

    /// Judges the host of a URL where it is an IP address, in whatever spelling: clients connect
    /// to such a host without asking a resolver.
    ///
    /// # Errors
    /// When it may not be connected to.
    pub fn check_literal(&self, url: &Url) -> Result<(), Denied> {
        // Reading the URL has brought `0x7f.1` and the like into the usual form.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        host.parse().map_or(Ok(()), |address| self.check(address))
    }

    fn check_refused(&self, address: IpAddr) -> Result<(), Denied> {
        if self.deny.iter().any(|network| network.contains(address)) {
            return Err(Denied::Listed);
        }
        let spared = |range: &Network| {
            let named = |entry: &&Network| range.covers(entry) && entry.contains(address);
            self.allow.iter().any(|entry| named(&entry))
        };
        match builtin::of(address).find(|(range, _)| !spared(range)) {
            Some((_, what)) => Err(Denied::Forbidden(what)),
            None => Ok(()),
        }
    }
}
