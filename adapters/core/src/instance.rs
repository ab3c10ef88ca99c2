//! One instance of a service, in the hub's own terms.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::carry::Mark;
use crate::id::{GroupName, Host, ServiceName};
use crate::pairs::Pairs;
use crate::words;
pub use crate::words::UnknownWord;

/// A service: its group and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceKey {
    /// The group.
    pub group: GroupName,
    /// The name in it.
    pub name: ServiceName,
}

impl ServiceKey {
    /// A key of both parts.
    #[must_use]
    pub fn new(group: GroupName, name: ServiceName) -> Self {
        Self { group, name }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.name)
    }
}

/// An instance: its service and its address. Two registrations with equal keys are one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    /// The service.
    pub service: ServiceKey,
    /// The address.
    pub host: Host,
    /// The port; 0 where a registry (Consul) allows a service without one.
    pub port: u16,
}

impl Ord for InstanceKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // Lists of instances are walked side by side all day, and most of what is in them is shared.
        if std::ptr::eq(self, other) {
            return Ordering::Equal;
        }
        let service = self.service.cmp(&other.service);
        service.then_with(|| self.host.cmp(&other.host)).then_with(|| self.port.cmp(&other.port))
    }
}

impl PartialOrd for InstanceKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl InstanceKey {
    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.as_str().contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.address())
    }
}

words!(
    /// What the instance says of itself.
    InstanceStatus {
        /// It takes traffic.
        #[default]
        Up = "UP",
        /// It does not work.
        Down = "DOWN",
        /// It is not ready yet.
        Starting = "STARTING",
        /// Taken out of traffic by an operator.
        OutOfService = "OUT_OF_SERVICE",
    }
);
words!(
    /// What checks or heartbeats say of the instance.
    HealthStatus {
        /// Its checks pass.
        Healthy = "HEALTHY",
        /// A check fails, or its heartbeats stay away.
        Unhealthy = "UNHEALTHY",
        /// Nobody checks it.
        #[default]
        Unknown = "UNKNOWN",
    }
);
words!(
    /// How to speak to the instance.
    Protocol {
        /// Plain HTTP.
        #[default]
        Http = "HTTP",
        /// HTTP over TLS.
        Https = "HTTPS",
        /// Any protocol over TCP.
        Tcp = "TCP",
        /// Any protocol over UDP.
        Udp = "UDP",
        /// gRPC.
        Grpc = "GRPC",
    }
);

/// A share of traffic: 0 to 1,000,000, where 100 is the weight 1.0 of Nacos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(u32);

impl Weight {
    /// The largest weight.
    pub const MAX: u32 = 1_000_000;
    /// The weight of an instance that names none: 100.
    pub const DEFAULT: Self = Self(100);

    /// The weight, cut to the largest.
    #[must_use]
    pub fn new(value: u32) -> Self {
        Self(value.min(Self::MAX))
    }

    /// From a factor where 1.0 is the default, to two decimals; one that is small is not none. What is
    /// negative or not a number counts as 0.
    #[must_use]
    pub fn from_factor(factor: f64) -> Self {
        // `as` saturates and turns NaN into 0, which is the rule wanted here.
        let rounded = (factor * 100.0).round() as u32;
        Self::new(if factor > 0.0 { rounded.max(1) } else { rounded })
    }

    /// 0 to 1,000,000.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One instance with everything a registry says of it, heartbeat times excepted: two equal
/// instances give the same answer to a reader, so an unchanged one causes no work.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Service and address.
    pub key: InstanceKey,
    /// What it says of itself.
    pub status: InstanceStatus,
    /// What checks say of it.
    pub health: HealthStatus,
    /// Its share of traffic.
    pub weight: Weight,
    /// How to speak to it.
    pub protocol: Protocol,
    /// Path prefix of its API, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_path: Option<String>,
    /// Free pairs.
    #[serde(default)]
    pub metadata: Pairs,
    /// Free labels, in the registry's order; shared, since many instances have the same.
    #[serde(default)]
    pub tags: Arc<[String]>,
    /// Its id in its own registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native_id: Option<Box<str>>,
    /// When it registered, in milliseconds since 1970, where the registry tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<i64>,
    /// What else its registry says of it, in that registry's words, as far as it is not the usual:
    /// a Nacos cluster, a Consul node and its checks, Eureka's pages. Readers are not shown it;
    /// docs/adapters.md lists the keys.
    #[serde(default, skip_serializing_if = "Pairs::is_empty")]
    pub native: Pairs,
    /// Set on a copy that a hub wrote: whose, and from where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Box<Mark>>,
}

impl Instance {
    /// An instance that is up, of unknown health, with the default weight and nothing else.
    #[must_use]
    pub fn new(key: InstanceKey) -> Self {
        Self {
            key,
            status: InstanceStatus::Up,
            health: HealthStatus::Unknown,
            weight: Weight::DEFAULT,
            protocol: Protocol::Http,
            context_path: None,
            metadata: Pairs::new(),
            tags: Arc::default(),
            native_id: None,
            registered_at: None,
            native: Pairs::new(),
            mark: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_bounded() {
        assert_eq!(Weight::from_factor(1.0), Weight::DEFAULT);
        assert_eq!(Weight::from_factor(0.125).get(), 13);
        assert_eq!(Weight::from_factor(-1.0).get(), 0);
        assert_eq!(Weight::from_factor(f64::NAN).get(), 0);
        assert_eq!(Weight::from_factor(1e12).get(), Weight::MAX);
    }

    #[test]
    fn unknown_words_name_the_allowed_ones() {
        let error = "up".parse::<InstanceStatus>().unwrap_err();
        assert_eq!(error.to_string(), "\"up\" is not one of UP, DOWN, STARTING, OUT_OF_SERVICE");
    }
}
