//! In which order to try the instances of a service. Pure: the same input gives the same order.

mod hash;
mod order;

use std::fmt;
use std::str::FromStr;

use hub_registry_core::instance::UnknownWord;
use serde::{Deserialize, Serialize};

pub use order::{Candidate, Request, order};

/// A load-balancing strategy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Strategy {
    /// One after the other.
    #[default]
    RoundRobin,
    /// One after the other, each as often as its weight says.
    WeightedRoundRobin,
    /// Any.
    Random,
    /// Any, the heavier the likelier.
    WeightedRandom,
    /// The one that reports the fewest connections.
    LeastConnections,
    /// By the caller's address: the same caller meets the same instance.
    IpHash,
    /// By a key: few keys move when an instance comes or goes.
    ConsistentHash,
    /// Those of the caller's zone first.
    ZoneAffinity,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Self; 8] = [
        Self::RoundRobin,
        Self::WeightedRoundRobin,
        Self::Random,
        Self::WeightedRandom,
        Self::LeastConnections,
        Self::IpHash,
        Self::ConsistentHash,
        Self::ZoneAffinity,
    ];

    /// The word in requests and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "ROUND_ROBIN",
            Self::WeightedRoundRobin => "WEIGHTED_ROUND_ROBIN",
            Self::Random => "RANDOM",
            Self::WeightedRandom => "WEIGHTED_RANDOM",
            Self::LeastConnections => "LEAST_CONNECTIONS",
            Self::IpHash => "IP_HASH",
            Self::ConsistentHash => "CONSISTENT_HASH",
            Self::ZoneAffinity => "ZONE_AFFINITY",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Strategy {
    type Err = UnknownWord;

    fn from_str(value: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == value).ok_or_else(|| {
            UnknownWord {
                value: value.chars().take(80).collect(),
                allowed: Self::ALL.map(Self::as_str).join(", "),
            }
        })
    }
}
