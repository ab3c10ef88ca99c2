//! From Consul's terms to ours.
//!
//! | ours | Consul |
//! |---|---|
//! | service, group | `Service`; the configured default group |
//! | host, port | `Service.Address`, else `Node.Address`; `Port` |
//! | status, health | the worst check, maintenance before all, see [`state`] |
//! | weight | `Weights.Passing` x 100, in every state |
//! | protocol, context path | metadata, see [`conventions`] |
//! | metadata | `Meta`, whole; `consul-status` is added for a warning |
//! | tags | `Tags`, in their order |
//! | native id | `Service.ID` |
//! | native | see [`native`] |

use hub_registry_core::{
    GroupName, HealthStatus, Host, Instance, InstanceKey, InstanceStatus, Pairs, ServiceKey,
    ServiceName, Weight, carry, conventions,
};
use tracing::debug;

use crate::wire::{
    AgentService, Check, NODE_MAINTENANCE, Node, SERVICE_MAINTENANCE, ServiceEntry, Weights,
};

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
/// a client's own goes before a copy, and then the one with the smaller service id, so that the answer does not depend on the order of
/// Consul's list. An entry that has no usable address is left out, as none could call it.
pub(crate) fn instances(service: &ServiceKey, mut entries: Vec<ServiceEntry>) -> Vec<Instance> {
    let is_copy = |entry: &ServiceEntry| entry.service.meta.contains_key(carry::OWNER);
    entries.sort_by(|a, b| {
        let [a, b] = [a, b].map(|entry| (is_copy(entry), &entry.service.id, &entry.node.node));
        a.cmp(&b)
    });
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
    instance.native = native(&node, &found, &checks);
    let (status, health, warning) = state(&checks);
    (instance.status, instance.health) = (status, health);
    instance.weight = weight(found.weights.unwrap_or_default());
    instance.metadata = found.meta.into();
    instance.protocol = conventions::protocol(&instance.metadata);
    instance.context_path = conventions::context_path(&instance.metadata);
    if warning {
        let status = "warning".to_owned();
        instance.metadata.insert(STATUS_KEY.to_owned(), status);
    }
    instance.tags = found.tags.into();
    instance.native_id = Some(found.id).filter(|id| !id.is_empty()).map(Into::into);
    Some(instance)
}

/// What else Consul says of it: `node`, `datacenter`, `checks` (`id=status`, in the order of the
/// ids), `warningWeight` if it is not 1, `nodeAddress` if that is not the instance's own, and
/// `address.TAG` for addresses that are not.
fn native(node: &Node, found: &AgentService, checks: &[Check]) -> Pairs {
    let mut native = Pairs::new();
    let mut keep = |key: &str, value: &str| {
        if !value.is_empty() {
            native.insert(key.to_owned(), value.to_owned());
        }
    };
    keep("node", &node.node);
    if !found.address.is_empty() && found.address != node.address {
        keep("nodeAddress", &node.address);
    }
    keep("datacenter", &node.datacenter);
    let mut all: Vec<_> =
        checks.iter().map(|check| format!("{}={}", check.check_id, check.status)).collect();
    all.sort();
    keep("checks", &all.join(","));
    if let Some(weights) = found.weights.filter(|weights| weights.warning != 1) {
        keep("warningWeight", &weights.warning.to_string());
    }
    let own = if found.address.is_empty() { &node.address } else { &found.address };
    for (tag, other) in &found.tagged_addresses {
        if (&other.address, other.port) != (own, found.port) {
            let bracketed = other.address.contains(':');
            let host =
                if bracketed { format!("[{}]", other.address) } else { other.address.clone() };
            keep(&format!("address.{tag}"), &format!("{host}:{}", other.port));
        }
    }
    native
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

#[cfg(test)]
mod tests;
