//! Enumerations of the tables that the port does not have.

use hub_registry_core::words;

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
