//! From parameters to a registration with the hub.
//!
//! | ours | Nacos' |
//! |---|---|
//! | group, service | `GROUP@@NAME`, or `serviceName` and `groupName` |
//! | host, port | `ip`, `port` |
//! | status | `enabled`: `UP` or `OUT_OF_SERVICE` |
//! | weight | `weight` x 100 |
//! | metadata | `metadata`, as JSON or as `key=value,key=value` |
//! | lease | `preserved.heart.beat.timeout`, 15 s where it is not said; none of what is not `ephemeral` |
//! | health | the lease's; `healthy` of what has none |

use hub_registry_core::{HealthStatus, InstanceKey, InstanceStatus, Pairs, ServiceKey, Weight};
use serde_json::{Map, Value};

use super::call::{Answered, Call};
use super::render::{DEFAULT_CLUSTER, term};
use crate::error::Error;
use crate::model::instance::{InstancePatch, NativeInstance, Registration};
use crate::model::labels::check_metadata;
use crate::model::names::{native_group, native_host, native_service};
use crate::model::registration::MAX_LEASE_SECONDS;
use crate::model::words::{Flag, HealthCheckType};

/// Nacos' own (`com.alibaba.nacos.api.common.Constants`), in seconds.
const LEASE: u32 = 15;
const HEARTBEAT_TIMEOUT: &str = "preserved.heart.beat.timeout";
/// The largest weight (`com.alibaba.nacos.naming.constants`).
const MAX_WEIGHT: f64 = 10_000.0;

/// The address that is spoken of.
pub(super) fn key(call: &Call, service: ServiceKey) -> Answered<InstanceKey> {
    let failed = |error: Error| call.failed(error);
    let group = native_group("groupName", service.group.as_str()).map_err(failed)?;
    let name = native_service("serviceName", service.name.as_str()).map_err(failed)?;
    let host = native_host("ip", call.required("ip")?).map_err(failed)?;
    let port = call.required("port")?.parse::<u16>().ok().filter(|port| *port > 0);
    let port = port.ok_or_else(|| call.bad("Param 'port' must be from 1 to 65535"))?;
    Ok(InstanceKey { service: ServiceKey::new(group, name), host, port })
}

/// The registration; what is left out is as a Nacos has it.
pub(super) fn registration(call: &Call, key: InstanceKey) -> Answered<Registration> {
    let metadata = metadata(call)?.unwrap_or_default();
    let ephemeral = call.switch("ephemeral", true);
    let enabled = call.switch("enabled", call.switch("enable", true));
    let healthy = call.switch("healthy", true);
    let mut native = Pairs::new();
    if let Some(cluster) = call.said("clusterName").filter(|name| *name != DEFAULT_CLUSTER) {
        native.insert(term::CLUSTER.to_owned(), cluster.to_owned());
    }
    if !ephemeral {
        native.insert(term::EPHEMERAL.to_owned(), "false".to_owned());
    }
    let (check, health) = match (ephemeral, healthy) {
        (true, _) => (HealthCheckType::Heartbeat, None),
        (false, true) => (HealthCheckType::None, Some(HealthStatus::Healthy)),
        (false, false) => (HealthCheckType::None, Some(HealthStatus::Unhealthy)),
    };
    Ok(Registration {
        status: Some(status(enabled)),
        health,
        weight: Some(weight(call)?.unwrap_or_default()),
        check: Some(check),
        lease_seconds: ephemeral.then(|| lease(&metadata)),
        ephemeral: Some(if ephemeral { Flag::Yes } else { Flag::No }),
        metadata: Some(metadata),
        native: Some(native),
        ..Registration::new(key)
    })
}

/// What an update changes; the rest stays as it is.
pub(super) fn update(call: &Call, now: &NativeInstance) -> Answered<InstancePatch> {
    let enabled = call.said("enabled").or_else(|| call.said("enable"));
    let health = call.said("healthy").filter(|_| now.check == HealthCheckType::None);
    let is_true = |word: &str| word.eq_ignore_ascii_case("true");
    let health = health.map(|word| match is_true(word) {
        true => HealthStatus::Healthy,
        false => HealthStatus::Unhealthy,
    });
    let metadata = metadata(call)?;
    if let Some(metadata) = &metadata {
        check_metadata("metadata", metadata).map_err(|error| call.failed(error))?;
    }
    Ok(InstancePatch {
        status: enabled.map(|word| status(is_true(word))),
        health,
        weight: weight(call)?,
        metadata,
        ..InstancePatch::default()
    })
}

fn status(enabled: bool) -> InstanceStatus {
    if enabled { InstanceStatus::Up } else { InstanceStatus::OutOfService }
}

fn weight(call: &Call) -> Answered<Option<Weight>> {
    let Some(text) = call.said("weight") else { return Ok(None) };
    let weight = text.parse::<f64>().ok().filter(|weight| (0.0..=MAX_WEIGHT).contains(weight));
    let weight = weight.ok_or_else(|| {
        call.bad(format!("Param 'weight' must be a number from 0 to {MAX_WEIGHT}"))
    })?;
    Ok(Some(Weight::from_factor(weight)))
}

fn metadata(call: &Call) -> Answered<Option<Pairs>> {
    // Clients that have none say null.
    let said = call.said("metadata").filter(|text| text.trim() != "null");
    let Some(text) = said else { return Ok(None) };
    if let Ok(object) = serde_json::from_str::<Map<String, Value>>(text) {
        let pairs = object.into_iter().map(|(key, value)| match value {
            Value::String(text) => (key, text),
            Value::Null => (key, String::new()),
            other => (key, other.to_string()),
        });
        return Ok(Some(pairs.collect()));
    }
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    let pairs: Option<Pairs> = text.split(',').map(pair).collect();
    let wrong = || call.bad("Param 'metadata' must be a JSON object, or key=value,key=value");
    pairs.map(Some).ok_or_else(wrong)
}

fn lease(metadata: &Pairs) -> u32 {
    let millis = metadata.get(HEARTBEAT_TIMEOUT).and_then(|text| text.parse::<u64>().ok());
    let seconds = millis.map(|millis| millis.div_ceil(1000).max(1));
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok());
    seconds.unwrap_or(LEASE).min(MAX_LEASE_SECONDS)
}
