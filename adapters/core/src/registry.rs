//! The trait every registry implements.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::capability::Capability;
use crate::change::ChangeStream;
use crate::error::{Error, Result};
use crate::id::GroupName;
use crate::instance::{Instance, InstanceKey, ServiceKey, UnknownWord};
use crate::look::{self, Presence};

/// The kinds of registry the configuration table can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RegistryKind {
    /// Consul.
    Consul,
    /// Alibaba Nacos and servers of its protocol.
    Nacos,
    /// etcd (no adapter is built in).
    Etcd,
    /// Netflix Eureka and servers of its protocol.
    Eureka,
    /// `ZooKeeper` (no adapter is built in).
    Zookeeper,
    /// The hub's own registry.
    System,
}

impl RegistryKind {
    /// Every kind.
    pub const ALL: &'static [Self] =
        &[Self::Consul, Self::Nacos, Self::Etcd, Self::Eureka, Self::Zookeeper, Self::System];

    /// The word used on the wire and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consul => "CONSUL",
            Self::Nacos => "NACOS",
            Self::Etcd => "ETCD",
            Self::Eureka => "EUREKA",
            Self::Zookeeper => "ZOOKEEPER",
            Self::System => "SYSTEM",
        }
    }

    /// Whether its services are in groups; elsewhere all are in the configured default group.
    #[must_use]
    pub const fn has_groups(self) -> bool {
        matches!(self, Self::Nacos | Self::System)
    }
}

impl fmt::Display for RegistryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RegistryKind {
    type Err = UnknownWord;

    fn from_str(value: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == value).ok_or_else(|| UnknownWord {
            value: value.chars().take(80).collect(),
            allowed: "CONSUL, NACOS, ETCD, EUREKA, ZOOKEEPER".to_owned(),
        })
    }
}

/// What a registry is and where, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegistryInfo {
    /// Its kind.
    pub kind: RegistryKind,
    /// The name of its configuration.
    pub name: String,
    /// Its addresses, `scheme://host:port/path`.
    pub endpoints: Vec<String>,
}

/// Which services are asked for: glob patterns (`*`, `?`) over service names, and groups.
///
/// The default asks for everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    include: Vec<WildMatch>,
    exclude: Vec<WildMatch>,
    groups: Vec<GroupName>,
}

impl Scope {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Services whose name matches one of `include` (none given: any) and none of `exclude`, in
    /// one of `groups` (none given: any).
    #[must_use]
    pub fn new(include: &[String], exclude: &[String], groups: Vec<GroupName>) -> Self {
        let compile = |patterns: &[String]| patterns.iter().map(|p| WildMatch::new(p)).collect();
        Self { include: compile(include), exclude: compile(exclude), groups }
    }

    /// Whether everything is asked for.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty() && self.groups.is_empty()
    }

    /// The same services by name, in any group.
    #[must_use]
    pub fn in_any_group(&self) -> Self {
        Self { groups: Vec::new(), ..self.clone() }
    }

    /// Whether the service is asked for.
    #[must_use]
    pub fn contains(&self, service: &ServiceKey) -> bool {
        let name = service.name.as_str();
        (self.groups.is_empty() || self.groups.contains(&service.group))
            && (self.include.is_empty() || self.include.iter().any(|p| p.matches(name)))
            && !self.exclude.iter().any(|p| p.matches(name))
    }

    /// The groups asked for; empty: all.
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }
}

/// A service registry.
///
/// # What every implementation owes
/// - **An error is never an empty list.** What could not be read whole is an `Err`: 401, 403, a
///   404 on the root, 5xx, a time-out, half a body, HTML. `Ok` with an empty list means that the
///   registry *said* there is nothing.
/// - No call blocks for ever: each has a deadline from the [`ConnectSpec`](crate::ConnectSpec).
/// - No business logic: an adapter translates. Retry, time-outs and metrics are
///   [`layers`](crate::layers); holding removals, merging and ageing are the hub's.
/// - No secret in errors, names, metadata or logs.
#[async_trait]
pub trait Registry: fmt::Debug + Send + Sync + 'static {
    /// What and where it is.
    fn info(&self) -> &RegistryInfo;

    /// What it can do.
    fn capability(&self) -> Capability;

    /// One cheap read that proves address, credentials and protocol.
    ///
    /// # Errors
    /// Whatever stands between us and the registry.
    async fn ping(&self) -> Result<()>;

    /// The services in the scope, each once, in any order.
    ///
    /// # Errors
    /// Whenever the list could not be read whole.
    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>>;

    /// All instances of one service, sorted by key, whatever their state: unhealthy, disabled and
    /// starting ones too. A service the registry does not know has none.
    ///
    /// # Errors
    /// Whenever the list could not be read whole.
    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>>;

    /// Looks again, past caches, for instances that the watch no longer lists: one answer for
    /// each, in their order.
    ///
    /// Removals are confirmed by such looks, so `Absent` needs an answer the registry made after
    /// it was asked. A registry that serves lists from a cache asks in another way here. Each call
    /// inside is bounded; how long all of them take depends on how many are asked for.
    ///
    /// # Errors
    /// When nothing could be read; what could not be read in part is `Unknown`.
    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        look::by_lists(self, missing).await
    }

    /// Follows the registry.
    ///
    /// - The first item is [`Reset`](crate::Change::Reset) (or an `Err`): everything in the scope.
    /// - [`Put`](crate::Change::Put) replaces one service whole, [`Gone`](crate::Change::Gone)
    ///   says that a service is no more, [`Unchanged`](crate::Change::Unchanged) that a look found
    ///   nothing new. While the registry answers, some item comes at least every 30 s.
    /// - An `Err` ends the stream, at most 5 s after the registry began to refuse or 30 s after it
    ///   began to keep silent. The caller watches again and gets a new `Reset`.
    /// - Nothing is read before the stream is polled; dropping it stops the watch and frees its
    ///   connections.
    fn watch(&self, scope: Scope) -> ChangeStream;

    /// Writes one instance, or updates it in place when its key is there already.
    ///
    /// # Errors
    /// `Unsupported` where [`Capability::register`] is false.
    async fn register(&self, _instance: &Instance) -> Result<()> {
        Err(Error::unsupported("register"))
    }

    /// Removes one instance; one that is not there is no error.
    ///
    /// # Errors
    /// `Unsupported` where [`Capability::register`] is false.
    async fn deregister(&self, _instance: &InstanceKey) -> Result<()> {
        Err(Error::unsupported("deregister"))
    }

    /// Renews one registration.
    ///
    /// # Errors
    /// `NotFound` when it is not there (register again); `Unsupported` where
    /// [`Capability::heartbeat`] is false.
    async fn heartbeat(&self, _instance: &InstanceKey) -> Result<()> {
        Err(Error::unsupported("heartbeat"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ServiceName;

    #[test]
    fn a_scope_includes_then_excludes() {
        let key = |name: &str| {
            ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
        };
        let scope = Scope::new(&["order-*".to_owned()], &["*-canary".to_owned()], Vec::new());
        assert!(scope.contains(&key("order-api")));
        assert!(!scope.contains(&key("order-canary")));
        assert!(!scope.contains(&key("stock")));
        assert!(Scope::all().contains(&key("stock")));
        let elsewhere = Scope::new(&[], &[], vec![GroupName::parse("g2").unwrap()]);
        assert!(!elsewhere.contains(&key("stock")));
    }
}
