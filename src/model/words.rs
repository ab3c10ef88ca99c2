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
        /// The hub asks it by gRPC whether it serves.
        Grpc = "GRPC",
        /// Nothing but what is stated.
        None = "NONE",
        /// The worst of the checks that it brought with it, as clients of Consul do.
        Checks = "CHECKS",
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
words!(
    /// Who serves: a registry or its standby.
    FailoverStatus {
        /// The registry.
        #[default]
        Normal = "NORMAL",
        /// The standby.
        Failover = "FAILOVER",
        /// The standby still, and the registry is read well again.
        Recovering = "RECOVERING",
    }
);
words!(
    /// What an event tells.
    EventType {
        /// A group was made.
        #[default]
        GroupCreate = "GROUP_CREATE",
        /// A group was changed.
        GroupUpdate = "GROUP_UPDATE",
        /// A group was removed.
        GroupDelete = "GROUP_DELETE",
        /// A service was made, or is known for the first time.
        ServiceCreate = "SERVICE_CREATE",
        /// A service was changed.
        ServiceUpdate = "SERVICE_UPDATE",
        /// A service is no more.
        ServiceDelete = "SERVICE_DELETE",
        /// An instance is new.
        InstanceRegister = "INSTANCE_REGISTER",
        /// An instance is no more.
        InstanceDeregister = "INSTANCE_DEREGISTER",
        /// An instance was heard.
        InstanceHeartbeat = "INSTANCE_HEARTBEAT",
        /// An instance's health moved.
        InstanceHealthChange = "INSTANCE_HEALTH_CHANGE",
        /// An instance says something else of itself.
        InstanceStatusChange = "INSTANCE_STATUS_CHANGE",
        /// Something else of an instance was changed.
        InstanceUpdate = "INSTANCE_UPDATE",
        /// An external registry is connected.
        ExternalConnect = "EXTERNAL_CONNECT",
        /// An external registry is disconnected.
        ExternalDisconnect = "EXTERNAL_DISCONNECT",
        /// A standby serves in an external registry's place.
        ExternalFailover = "EXTERNAL_FAILOVER",
        /// An external registry serves itself again.
        ExternalRecover = "EXTERNAL_RECOVER",
        /// An external registry's removals are held.
        RemovalsHeld = "REMOVALS_HELD",
        /// A migration was made.
        MigrationCreate = "MIGRATION_CREATE",
        /// A migration, or a service of it, took a step, was paused or resumed.
        MigrationUpdate = "MIGRATION_UPDATE",
        /// A migration is no more.
        MigrationDelete = "MIGRATION_DELETE",
    }
);

impl HealthCheckType {
    /// Those that clients of the hub's own API choose from.
    pub const CHOSEN: &'static [Self] =
        &[Self::Heartbeat, Self::Http, Self::Tcp, Self::Grpc, Self::None];
}

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
