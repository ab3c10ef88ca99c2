//! Consul's values to the port's.

use hub_registry_core::{
    GroupName, HealthStatus, Host, Instance, InstanceKey, InstanceStatus, Protocol, ServiceKey,
    ServiceName, Weight,
};
use tracing::debug;

use crate::wire::{Check, NODE_MAINTENANCE, SERVICE_MAINTENANCE, ServiceEntry, Weights};

/// The metadata key that keeps Consul's `warning`, which the port has no word for. Consul reserves
/// the prefix `consul-`, so no registration can bring this key itself.
pub(crate) const STATUS_KEY: &str = "consul-status";

/// The keys of these names, all in one group: a Consul service has none, and its list of names
/// does not say what `fed-group` its instances carry. A name the port cannot hold is left out.
pub(crate) fn keys(
    group: &GroupName,
    names: Vec<String>,
) -> impl Iterator<Item = ServiceKey> + use<> {
    let group = group.clone();
    names.into_iter().filter_map(move |name| {
        let name = ServiceName::parse(&name)
            .inspect_err(|error| debug!(%error, "service left out"))
            .ok()?;
        Some(ServiceKey::new(group.clone(), name))
    })
}

/// All instances of a service, sorted by key, each key once: of two registrations with one address
/// the one with the smaller service id stays, so that the answer does not depend on the order of
/// Consul's list. An entry that has no usable address is left out, as none could call it.
pub(crate) fn instances(service: &ServiceKey, mut entries: Vec<ServiceEntry>) -> Vec<Instance> {
    entries.sort_by(|a, b| (&a.service.id, &a.node.node).cmp(&(&b.service.id, &b.node.node)));
    let mut all: Vec<_> =
        entries.into_iter().filter_map(|entry| instance(service, entry)).collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all.dedup_by(|a, b| a.key == b.key);
    all
}

fn instance(service: &ServiceKey, entry: ServiceEntry) -> Option<Instance> {
    let ServiceEntry { node, service: found, checks } = entry;
    let address = if found.address.is_empty() { &node.address } else { &found.address };
    let (Ok(host), Ok(port)) = (Host::parse(address), u16::try_from(found.port)) else {
        debug!(%service, service_id = found.id, "instance without a usable address left out");
        return None;
    };
    let key = InstanceKey { service: service.clone(), host, port };
    let mut instance = Instance::new(key);
    let (status, health, warning) = state(&checks);
    (instance.status, instance.health) = (status, health);
    instance.weight = weight(found.weights.unwrap_or_default());
    instance.metadata = found.meta;
    instance.protocol = protocol(&instance);
    instance.context_path = instance.metadata.get("contextPath").cloned();
    if warning {
        let status = "warning".to_owned();
        instance.metadata.insert(STATUS_KEY.to_owned(), status);
    }
    instance.tags = found.tags;
    instance.native_id = Some(found.id).filter(|id| !id.is_empty());
    Some(instance)
}

/// Status, health, and whether it is a warning: the worst check counts, maintenance before all,
/// as in Consul's own `AggregatedStatus` (`api/health.go`). A node's checks count for each of its
/// instances; without any check nobody knows.
fn state(checks: &[Check]) -> (InstanceStatus, HealthStatus, bool) {
    let maintenance = |check: &Check| {
        check.check_id == NODE_MAINTENANCE || check.check_id.starts_with(SERVICE_MAINTENANCE)
    };
    let any = |status: &str| checks.iter().any(|check| check.status == status);
    if checks.iter().any(maintenance) {
        (InstanceStatus::OutOfService, HealthStatus::Unknown, false)
    } else if any("critical") {
        (InstanceStatus::Up, HealthStatus::Unhealthy, false)
    } else if any("warning") {
        (InstanceStatus::Up, HealthStatus::Healthy, true)
    } else if any("passing") {
        (InstanceStatus::Up, HealthStatus::Healthy, false)
    } else {
        (InstanceStatus::Up, HealthStatus::Unknown, false)
    }
}

/// The weight while passing, in every state: it is what the owner gave the instance, and a check
/// that warns now and then must not look like a new weight.
fn weight(weights: Weights) -> Weight {
    let passing = u32::try_from(weights.passing.max(0)).unwrap_or(u32::MAX);
    Weight::new(passing.saturating_mul(100))
}

/// `secure=true` is Spring Cloud Consul's word for HTTPS; others write `protocol`.
fn protocol(instance: &Instance) -> Protocol {
    let pair = |key: &str| instance.metadata.get(key).map(String::as_str);
    if pair("secure").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Protocol::Https;
    }
    let named = pair("protocol").map(str::to_ascii_uppercase);
    named.and_then(|word| word.parse().ok()).unwrap_or(Protocol::Http)
}

#[cfg(test)]
mod tests;
