//! The JSON of Nacos' HTTP APIs, v1 to v3.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

/// What the calls of `v2/...` and `v3/...` wrap their answers in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// 0 for success; others are Nacos' error codes.
    pub code: i64,
    /// In words.
    #[serde(default)]
    pub message: Option<String>,
    /// The answer; `null` beside an error.
    #[serde(default = "none")]
    pub data: Option<T>,
}

// serde's own default for a generic field would ask for `T: Default`.
fn none<T>() -> Option<T> {
    None
}

/// One page of `v1/ns/catalog/services`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePage {
    /// How many services there are, on all pages.
    pub count: usize,
    /// Those of this page.
    pub service_list: Vec<ServiceView>,
}

/// One page of `v3/admin/ns/service/list` without instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceItems {
    /// How many services there are, on all pages.
    pub total_count: usize,
    /// Those of this page.
    pub page_items: Vec<ServiceView>,
}

/// One service of a list. The numbers count disabled instances too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceView {
    /// Its name, without the group.
    pub name: String,
    /// Its group.
    pub group_name: String,
    /// How many clusters it has.
    #[serde(default)]
    pub cluster_count: u64,
    /// How many instances it has.
    #[serde(default)]
    pub ip_count: u64,
    /// How many of them are healthy.
    #[serde(default)]
    pub healthy_instance_count: u64,
}

/// The data of `v2/ns/catalog/instances`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstancePage {
    /// How many instances the service has, on all pages.
    pub count: usize,
    /// Those of this page. Nacos 2.2 leaves the key out when the service is unknown.
    #[serde(default, deserialize_with = "null_is_default")]
    pub instances: Vec<Host>,
}

/// One page of `v1/ns/catalog/instances`: the instances of one cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterPage {
    /// How many instances the cluster has, on all pages.
    pub count: usize,
    /// Those of this page.
    pub list: Vec<Host>,
}

/// `v1/ns/catalog/service`, of which the names of the clusters are read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClusterList {
    /// The clusters: of 1.x all there ever were, of 2.x those with an instance.
    pub clusters: Vec<ClusterName>,
}

/// A cluster of a [`ClusterList`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ClusterName {
    /// Its name.
    pub name: String,
}

/// The data of `v3/admin/ns/service`, of which the names of the clusters are read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterMap {
    /// The clusters with an instance, by name.
    pub cluster_map: BTreeMap<String, IgnoredAny>,
}

/// One instance, as every Nacos answer writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// `ip#port#cluster#group@@service`; empty or absent for instances that came by gRPC.
    #[serde(default)]
    pub instance_id: Option<String>,
    /// An IP, or any text without spaces.
    pub ip: String,
    /// The port.
    pub port: u16,
    /// Its share of traffic, 1.0 by default.
    #[serde(default = "one")]
    pub weight: f64,
    /// What heartbeats or checks say.
    pub healthy: bool,
    /// Whether an operator lets it take traffic.
    pub enabled: bool,
    /// Whether it goes away with its client.
    #[serde(default = "yes")]
    pub ephemeral: bool,
    /// Its cluster, `DEFAULT` by default.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// `group@@service`.
    #[serde(default)]
    pub service_name: Option<String>,
    /// Free pairs.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

/// The answer to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// 10200 for one that counted, 20404 for an address that is not registered.
    pub code: i64,
    /// When the next one is expected, in milliseconds.
    #[serde(default)]
    pub client_beat_interval: i64,
}

/// The answer of a login.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginAnswer {
    /// To be sent with every call.
    pub access_token: String,
    /// How long it holds, in seconds.
    pub token_ttl: u64,
}

impl std::fmt::Debug for LoginAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginAnswer").field("token_ttl", &self.token_ttl).finish_non_exhaustive()
    }
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Null maps and null values appear where a client wrote them so; a null value says nothing.
fn metadata<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, String>, D::Error> {
    let pairs = Option::<BTreeMap<String, Option<String>>>::deserialize(d)?.unwrap_or_default();
    let kept = pairs.into_iter().filter_map(|(k, v)| Some((k, v?)));
    Ok(kept.collect())
}
