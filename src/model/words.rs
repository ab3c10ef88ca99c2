//! Enumerations of the tables that the port does not have.

use std::fmt;
use std::str::FromStr;

use hub_registry_core::instance::UnknownWord;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used on the wire and in tables.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(value: &str) -> Result<Self, UnknownWord> {
                match value {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord {
                        value: value.chars().take(80).collect(),
                        allowed: [$($word),+].join(", "),
                    }),
                }
            }
        }
    };
}

words!(
    /// Yes or no, as the tables write it.
    Flag {
        /// Yes.
        Yes = "Y",
        /// No.
        #[default]
        No = "N",
    }
);
words!(
    /// What a group is for.
    GroupType {
        /// Services of the business.
        #[default]
        Business = "BUSINESS",
        /// Services that others are built on.
        System = "SYSTEM",
        /// Services under test.
        Test = "TEST",
    }
);
words!(
    /// What registered an instance.
    ClientType {
        /// The service itself.
        #[default]
        Service = "SERVICE",
        /// A gateway.
        Gateway = "GATEWAY",
        /// An operator's tool.
        Admin = "ADMIN",
    }
);
words!(
    /// What decides on the health of a native instance.
    HealthCheckType {
        /// Heartbeats: the only type with a lease.
        #[default]
        Heartbeat = "HEARTBEAT",
        /// The hub asks its health URL.
        Http = "HTTP",
        /// The hub connects to its port.
        Tcp = "TCP",
        /// Nothing but what is stated.
        None = "NONE",
    }
);
words!(
    /// In which order instances are offered.
    LoadBalanceStrategy {
        /// One after the other.
        #[default]
        RoundRobin = "ROUND_ROBIN",
        /// One after the other, each as often as its weight says.
        WeightedRoundRobin = "WEIGHTED_ROUND_ROBIN",
        /// Any.
        Random = "RANDOM",
        /// Any, the heavier the likelier.
        WeightedRandom = "WEIGHTED_RANDOM",
        /// The one that reports the fewest connections.
        LeastConnections = "LEAST_CONNECTIONS",
        /// By the caller's address.
        IpHash = "IP_HASH",
        /// By a key.
        ConsistentHash = "CONSISTENT_HASH",
        /// Those of the caller's zone first.
        ZoneAffinity = "ZONE_AFFINITY",
    }
);

impl Flag {
    /// Whether it says yes.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl From<bool> for Flag {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}
