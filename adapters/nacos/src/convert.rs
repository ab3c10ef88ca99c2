//! From Nacos' terms to ours.
//!
//! | ours | Nacos |
//! |---|---|
//! | `UP`/`HEALTHY`, `UP`/`UNHEALTHY` | enabled, by `healthy` |
//! | `OUT_OF_SERVICE`/`UNKNOWN` | not enabled: heartbeats go on, but nobody acts on them |
//! | weight 100 | weight 1.0 |
//! | metadata | metadata, whole; a cluster that is not `DEFAULT` is added as `cluster`, unless the instance has a key of that name |
//! | protocol, context path | metadata, see [`conventions`] |
//! | native id | `instanceId`, or the same text built from its parts |
//! | native | `cluster`, if it is not `DEFAULT`; `ephemeral=false` of what stays without its client |

use hub_registry_core::{
    GroupName, HealthStatus, Host, Instance, InstanceKey, InstanceStatus, InvalidName, Pairs,
    ServiceKey, ServiceName, Weight, carry, conventions,
};

use crate::client::LEASE;
use crate::wire;

/// The metadata key that shows the cluster.
pub const CLUSTER_KEY: &str = "cluster";

const DEFAULT_CLUSTER: &str = "DEFAULT";

/// The key of a listed service.
///
/// # Errors
/// A name we do not take.
pub fn service_key(view: &wire::ServiceView) -> Result<ServiceKey, InvalidName> {
    let group = GroupName::parse(&view.group_name)?;
    Ok(ServiceKey::new(group, ServiceName::parse(&view.name)?))
}

/// All instances of a service, sorted by key, and those that have no address we can write.
///
/// An address in two clusters is one key of ours: the cluster whose name sorts first stays.
#[must_use]
pub fn instances(
    service: &ServiceKey,
    mut hosts: Vec<wire::Host>,
) -> (Vec<Instance>, Vec<InvalidName>) {
    hosts.sort_by(|a, b| a.cluster_name.cmp(&b.cluster_name));
    let (mut instances, mut refused) = (Vec::with_capacity(hosts.len()), Vec::new());
    for host in hosts {
        match instance(service, host) {
            Ok(instance) => instances.push(instance),
            Err(error) => refused.push(error),
        }
    }
    instances.sort_by(|a, b| a.key.cmp(&b.key));
    instances.dedup_by(|a, b| a.key == b.key);
    (instances, refused)
}

/// One instance.
///
/// # Errors
/// An address we do not take.
pub fn instance(service: &ServiceKey, host: wire::Host) -> Result<Instance, InvalidName> {
    let key =
        InstanceKey { service: service.clone(), host: Host::parse(&host.ip)?, port: host.port };
    let cluster = match host.cluster_name.as_deref() {
        None | Some("") => DEFAULT_CLUSTER,
        Some(name) => name,
    };
    let native_id = host.instance_id.filter(|id| !id.is_empty());
    let native_id = native_id.unwrap_or_else(|| {
        let (group, name) = (&service.group, &service.name);
        format!("{}#{}#{cluster}#{group}@@{name}", host.ip, host.port)
    });
    let mut metadata = Pairs::from(host.metadata);
    if metadata.contains_key(carry::OWNER) {
        for (key, _) in LEASE {
            metadata.remove(key);
        }
    }
    let mut native = Pairs::new();
    if !host.ephemeral {
        native.insert("ephemeral".to_owned(), "false".to_owned());
    }
    if cluster != DEFAULT_CLUSTER {
        metadata.add(CLUSTER_KEY, || cluster.to_owned());
        native.insert(CLUSTER_KEY.to_owned(), cluster.to_owned());
    }
    let (status, health) = match (host.enabled, host.healthy) {
        (true, true) => (InstanceStatus::Up, HealthStatus::Healthy),
        (true, false) => (InstanceStatus::Up, HealthStatus::Unhealthy),
        (false, _) => (InstanceStatus::OutOfService, HealthStatus::Unknown),
    };
    Ok(Instance {
        status,
        health,
        weight: Weight::from_factor(host.weight),
        protocol: conventions::protocol(&metadata),
        context_path: conventions::context_path(&metadata),
        metadata,
        native,
        native_id: Some(native_id.into()),
        ..Instance::new(key)
    })
}
