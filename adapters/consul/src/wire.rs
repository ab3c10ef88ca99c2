//! Consul's JSON, as far as the hub reads or speaks it.
//!
//! Reading is generous: absent and `null` count as empty, unknown fields are skipped. Numbers that
//! Consul does not bound (it takes a port of 70000) stay wide here and are judged in conversion,
//! so that one odd registration does not make a whole answer unreadable.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// A check id of this value takes a whole node out of service.
pub const NODE_MAINTENANCE: &str = "_node_maintenance";
/// A check id that begins so takes one service instance out of service.
pub const SERVICE_MAINTENANCE: &str = "_service_maintenance:";

/// `GET v1/catalog/services`: names, each with the tags of all its instances.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Services(pub BTreeMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for Services {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = BTreeMap::<String, Option<Vec<String>>>::deserialize(deserializer)?;
        let all = all.into_iter();
        Ok(Self(all.map(|(k, v)| (k, v.unwrap_or_default())).collect()))
    }
}

/// One element of `GET v1/health/service/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServiceEntry {
    /// Where it is registered.
    pub node: Node,
    /// The instance.
    pub service: AgentService,
    /// Its checks and those of its node.
    #[serde(default, deserialize_with = "or_empty")]
    pub checks: Vec<Check>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// A UUID; empty for nodes written by `catalog/register`.
    #[serde(rename = "ID", deserialize_with = "or_empty")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "or_empty")]
    pub node: String,
    /// Its address: that of every instance without one of its own.
    #[serde(deserialize_with = "or_empty")]
    pub address: String,
    /// Its datacenter.
    #[serde(deserialize_with = "or_empty")]
    pub datacenter: String,
    /// Free pairs.
    #[serde(deserialize_with = "or_empty")]
    pub meta: BTreeMap<String, String>,
    /// Raft index of its creation.
    pub create_index: u64,
    /// Raft index of its last change.
    pub modify_index: u64,
}

/// A service instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct AgentService {
    /// Its id, unique on its node.
    #[serde(rename = "ID")]
    pub id: String,
    /// The name of its service.
    pub service: String,
    /// Labels.
    #[serde(default, deserialize_with = "or_empty")]
    pub tags: Vec<String>,
    /// Its address; empty: the node's.
    #[serde(default, deserialize_with = "or_empty")]
    pub address: String,
    /// Free pairs.
    #[serde(default, deserialize_with = "or_empty")]
    pub meta: BTreeMap<String, String>,
    /// Its port; 0: none.
    #[serde(default)]
    pub port: i64,
    /// Its addresses for callers elsewhere: `wan`, `lan_ipv6`, ...
    #[serde(default, deserialize_with = "or_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub tagged_addresses: BTreeMap<String, TaggedAddress>,
    /// Its share of traffic; servers before 1.2.3 do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// Whether a catalog write may change its tags without the agent putting them back.
    #[serde(default)]
    pub enable_tag_override: bool,
    /// Raft index of its creation.
    #[serde(default)]
    pub create_index: u64,
    /// Raft index of its last change.
    #[serde(default)]
    pub modify_index: u64,
}

/// One of several addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaggedAddress {
    /// The address.
    #[serde(deserialize_with = "or_empty")]
    pub address: String,
    /// The port.
    pub port: i64,
}

/// Shares of traffic by state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Weights {
    /// While every check passes.
    pub passing: i64,
    /// While one warns.
    pub warning: i64,
}

impl Default for Weights {
    fn default() -> Self {
        let (passing, warning) = (1, 1);
        Self { passing, warning }
    }
}

/// A check of an instance, or of a node when `service_id` is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Check {
    /// The node.
    #[serde(deserialize_with = "or_empty")]
    pub node: String,
    /// Its id, unique on its node.
    #[serde(rename = "CheckID", deserialize_with = "or_empty")]
    pub check_id: String,
    /// A label.
    #[serde(deserialize_with = "or_empty")]
    pub name: String,
    /// `passing`, `warning` or `critical`.
    #[serde(deserialize_with = "or_empty")]
    pub status: String,
    /// Free text.
    #[serde(deserialize_with = "or_empty")]
    pub notes: String,
    /// What the check said last. It changes without meaning: never compared, never kept.
    #[serde(deserialize_with = "or_empty")]
    pub output: String,
    /// The instance it belongs to.
    #[serde(rename = "ServiceID", deserialize_with = "or_empty")]
    pub service_id: String,
    /// The service it belongs to.
    #[serde(deserialize_with = "or_empty")]
    pub service_name: String,
    /// That service's tags.
    #[serde(deserialize_with = "or_empty")]
    pub service_tags: Vec<String>,
}

/// `GET v1/acl/token/self`, as far as it tells whether the token has any right at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Token {
    /// Policies linked to it.
    #[serde(deserialize_with = "or_empty")]
    pub policies: Vec<serde_json::Value>,
    /// Roles linked to it.
    #[serde(deserialize_with = "or_empty")]
    pub roles: Vec<serde_json::Value>,
    /// Services it stands for.
    #[serde(deserialize_with = "or_empty")]
    pub service_identities: Vec<serde_json::Value>,
    /// Nodes it stands for.
    #[serde(deserialize_with = "or_empty")]
    pub node_identities: Vec<serde_json::Value>,
    /// Rules of the old form, before 1.4.
    #[serde(deserialize_with = "or_empty")]
    pub rules: String,
}

impl Token {
    /// Whether nothing at all gives it a right.
    #[must_use]
    pub fn is_powerless(&self) -> bool {
        self.policies.is_empty()
            && self.roles.is_empty()
            && self.service_identities.is_empty()
            && self.node_identities.is_empty()
            && self.rules.is_empty()
    }
}

/// One line of what `POST v1/internal/acl/authorize` answers, in the order asked.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Permission {
    /// Whether the token may.
    pub allow: bool,
}

/// Go writes `null` for what is empty.
fn or_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
