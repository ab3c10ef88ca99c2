//! From parameters to a registration with the hub.
//!
//! | ours | Nacos' |
//! |---|---|
//! | group, service | `GROUP@@NAME`, or `serviceName` and `groupName` |
//! | host, port | `ip`, `port` |
//! | status | `enabled`: `UP` or `OUT_OF_SERVICE` |
//! | weight | `weight` x 100 |
//! | metadata | `metadata`, as JSON or as `key=value,key=value` |
//! | lease | `preserved.heart.beat.timeout`, 15 s where it is not said; none of what is not `ephemeral`; 60 s of what a connection keeps |
//! | health | the lease's; `healthy` of what has none, or came by a connection |
//! | client | the connection, or the address |

use hub_registry_core::{HealthStatus, InstanceKey, InstanceStatus, Pairs, ServiceKey, Weight};
use serde_json::{Map, Value};

use super::call::{Answered, Call};
use super::render::{DEFAULT_CLUSTER, term};
use crate::error::{Error, ErrorCode, Result};
use crate::model::instance::{InstancePatch, NativeInstance, Registration};
use crate::model::labels::check_metadata;
use crate::model::names::{native_group, native_service, reachable_host};
use crate::model::registration::MAX_LEASE_SECONDS;
use crate::model::terms::CONNECTION;
use crate::model::words::{Flag, HealthCheckType};

/// Nacos' own (`com.alibaba.nacos.api.common.Constants`), in seconds.
const LEASE: u32 = 15;
const HEARTBEAT_TIMEOUT: &str = "preserved.heart.beat.timeout";
/// The largest weight (`com.alibaba.nacos.naming.constants`).
const MAX_WEIGHT: f64 = 10_000.0;

/// The longest name of a client.
const MAX_CLIENT: usize = 100;

/// What a client says of an instance, whichever way it says it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) enabled: bool,
    pub(super) healthy: bool,
    pub(super) weight: Option<f64>,
    pub(super) cluster: Option<String>,
    pub(super) metadata: Pairs,
}

/// How an instance stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// As long as its heartbeats come.
    Beating,
    /// As long as the connection of this name, on which it was registered.
    Connected(String),
    /// Until it is removed.
    Persistent,
}

/// How long an instance that came by a connection stays healthy without one, as after a crash of the
/// hub, in seconds: clients that lost their server wait up to a minute between two attempts, and
/// the library in Python half a minute more until it registers again.
pub(super) const CONNECTED_LEASE: u32 = 60;

impl Told {
    /// The registration; what is left out is as a Nacos has it.
    pub(super) fn registration(self, key: InstanceKey, stay: Stay) -> Result<Registration> {
        let mut native = Pairs::new();
        let cluster = self.cluster.filter(|name| !name.is_empty() && name != DEFAULT_CLUSTER);
        // `InstanceUtil.checkInstanceIsLegal`: with a comma it could not be asked for.
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if let Some(name) = cluster.as_ref().filter(|name| !name.chars().all(legal)) {
            let shown: String = name.chars().take(100).collect();
            return Err(bad(format!(
                "Instance 'clusterName' should be characters with only 0-9a-zA-Z-. (current: {shown})"
            )));
        }
        native.extend(cluster.map(|cluster| (term::CLUSTER.to_owned(), cluster)));
        match &stay {
            Stay::Beating => {}
            // Whose it is: what a connection registered goes with it, unless somebody else did since.
            Stay::Connected(connection) => {
                native.insert(CONNECTION.to_owned(), connection.clone());
            }
            Stay::Persistent => {
                native.insert(term::EPHEMERAL.to_owned(), "false".to_owned());
            }
        }
        let said = if self.healthy { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
        let (check, health, lease) = match &stay {
            // Whatever it says of its health, its heartbeats say that it is well.
            Stay::Beating => (HealthCheckType::Heartbeat, None, Some(lease(&self.metadata))),
            Stay::Connected(_) => (HealthCheckType::Heartbeat, Some(said), Some(CONNECTED_LEASE)),
            Stay::Persistent => (HealthCheckType::None, Some(said), None),
        };
        let client = match &stay {
            Stay::Connected(connection) => connection.clone(),
            Stay::Beating | Stay::Persistent => {
                format!("{}:{}", key.host, key.port).chars().take(MAX_CLIENT).collect()
            }
        };
        let registration = Registration {
            status: Some(status(self.enabled)),
            health,
            weight: Some(self.weight.map(weight).transpose()?.unwrap_or_default()),
            client_id: Some(client),
            check: Some(check),
            lease_seconds: lease,
            ephemeral: Some(if stay == Stay::Persistent { Flag::No } else { Flag::Yes }),
            metadata: Some(self.metadata),
            native: Some(native),
            ..Registration::new(key)
        };
        registration.check()?;
        Ok(registration)
    }
}

/// The address that is spoken of.
pub(super) fn key(call: &Call, service: ServiceKey) -> Answered<InstanceKey> {
    let host = call.required("ip")?;
    let port = call.required("port")?.parse().ok();
    address(service, host, port).map_err(|error| call.failed(error))
}

/// The same, from its parts.
pub(super) fn address(service: ServiceKey, host: &str, port: Option<u64>) -> Result<InstanceKey> {
    let group = native_group("groupName", service.group.as_str())?;
    let name = native_service("serviceName", service.name.as_str())?;
    let host = reachable_host("ip", host)?;
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let port = port.ok_or_else(|| bad("Param 'port' must be from 1 to 65535"))?;
    Ok(InstanceKey { service: ServiceKey::new(group, name), host, port })
}

/// The registration by HTTP.
pub(super) fn registration(call: &Call, key: InstanceKey) -> Answered<Registration> {
    let told = Told {
        enabled: call.switch("enabled", call.switch("enable", true)),
        healthy: call.switch("healthy", true),
        weight: factor(call),
        cluster: call.said("clusterName").map(str::to_owned),
        metadata: metadata(call)?.unwrap_or_default(),
    };
    let stay = if call.switch("ephemeral", true) { Stay::Beating } else { Stay::Persistent };
    told.registration(key, stay).map_err(|error| call.failed(error))
}

/// How much of an instance a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// What is said.
    Said,
}

/// What a request changes of an instance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    enabled: Option<bool>,
    healthy: Option<bool>,
    weight: Option<Weight>,
    metadata: Option<Pairs>,
}

impl Change {
    /// What is said, and of the whole what is usual where nothing is.
    pub(super) fn of(call: &Call, extent: Extent) -> Answered<Self> {
        let is_whole = extent == Extent::Whole;
        let enabled = call.switched("enabled").or_else(|| call.switched("enable"));
        let factor = factor(call).or_else(|| is_whole.then_some(1.0));
        Ok(Self {
            enabled: enabled.or_else(|| is_whole.then_some(true)),
            healthy: call.switched("healthy"),
            weight: factor.map(weight).transpose().map_err(|error| call.failed(error))?,
            metadata: metadata(call)?,
        })
    }

    /// The change of an instance that is so by now. What it registered with stays under the
    /// metadata that are said (`InstanceUtil.updateInstanceMetadata`).
    pub(super) fn patch(self, now: &NativeInstance) -> Result<InstancePatch> {
        let metadata = self.metadata.map(|said| {
            let mut all = now.metadata.clone();
            all.extend(said);
            all
        });
        if let Some(metadata) = &metadata {
            check_metadata("metadata", metadata)?;
        }
        let healthy = self.healthy.filter(|_| now.check == HealthCheckType::None);
        let health = |is| if is { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
        Ok(InstancePatch {
            status: self.enabled.map(status),
            health: healthy.map(health),
            weight: self.weight,
            metadata,
            ..InstancePatch::default()
        })
    }
}

fn status(enabled: bool) -> InstanceStatus {
    if enabled { InstanceStatus::Up } else { InstanceStatus::OutOfService }
}

fn factor(call: &Call) -> Option<f64> {
    // What is no number is not in the range either.
    call.said("weight").map(|text| text.parse().unwrap_or(f64::NAN))
}

fn weight(factor: f64) -> Result<Weight> {
    if (0.0..=MAX_WEIGHT).contains(&factor) {
        return Ok(Weight::from_factor(factor));
    }
    Err(bad(format!("Param 'weight' must be a number from 0 to {MAX_WEIGHT}")))
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorCode::Invalid, text)
}

fn metadata(call: &Call) -> Answered<Option<Pairs>> {
    // Clients that have none say null.
    let said = call.said("metadata").filter(|text| text.trim() != "null");
    let Some(text) = said else { return Ok(None) };
    let wrong = || call.bad("Param 'metadata' must be a JSON object, or key=value,key=value");
    pairs(text).map(Some).ok_or_else(wrong)
}

/// Pairs as JSON, or as `key=value,key=value`; `None`: it is neither.
pub(super) fn pairs(text: &str) -> Option<Pairs> {
    if let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) {
        let pairs = object.into_iter().map(|(key, value)| match value {
            Value::String(text) => Some((key, text)),
            Value::Null => Some((key, String::new())),
            Value::Bool(_) | Value::Number(_) => Some((key, value.to_string())),
            Value::Array(_) | Value::Object(_) => None,
        });
        return pairs.collect();
    }
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        // Java drops what is empty at the end.
        let value = value.trim_end_matches('=');
        (!value.contains('=')).then(|| (key.to_owned(), value.to_owned()))
    };
    text.split(',').map(pair).collect()
}

fn lease(metadata: &Pairs) -> u32 {
    let millis = metadata.get(HEARTBEAT_TIMEOUT).and_then(|text| text.parse::<u64>().ok());
    let seconds = millis.map(|millis| millis.div_ceil(1000).max(1));
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    seconds.unwrap_or(LEASE).min(MAX_LEASE_SECONDS)
}
