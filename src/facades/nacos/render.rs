//! From the rows of the view to Nacos' hosts.
//!
//! | Nacos' | ours |
//! |---|---|
//! | `serviceName` | `GROUP@@NAME` |
//! | `ip`, `port` | host, port |
//! | `healthy` | unless a check or a silence says otherwise |
//! | `enabled` | `UP` |
//! | `weight` | a hundredth of the weight |
//! | `clusterName` | as registered, there or in the Nacos it comes from; else `DEFAULT` |
//! | `ephemeral` | as registered |
//! | `metadata` | metadata, without what hubs carry |

use std::collections::BTreeMap;

use hub_registry_core::{HealthStatus, Instance, InstanceStatus, RegistryKind, carry, conventions};
use hub_registry_nacos::wire::Host;

use super::call::GROUP_END;
use crate::catalog::Row;

/// Nacos' name of the only cluster most services have.
pub(super) const DEFAULT_CLUSTER: &str = "DEFAULT";

/// Terms of an instance, the adapter's.
pub(super) mod term {
    pub(in super::super) const CLUSTER: &str = "cluster";
    pub(in super::super) const EPHEMERAL: &str = "ephemeral";
}

pub(super) fn cluster(instance: &Instance) -> &str {
    instance.native.get(term::CLUSTER).map_or(DEFAULT_CLUSTER, String::as_str)
}

/// Whether it may have traffic, were it healthy.
pub(super) fn is_enabled(instance: &Instance) -> bool {
    instance.status == InstanceStatus::Up
}

/// Whether it is there as long as it is heard.
pub(super) fn is_ephemeral(instance: &Instance) -> bool {
    instance.native.get(term::EPHEMERAL).is_none_or(|word| word != "false")
}

pub(super) fn is_healthy(instance: &Instance) -> bool {
    instance.health != HealthStatus::Unhealthy
}

/// The instance. `protected`: so few are healthy that all are said to be.
pub(super) fn host(row: &Row, protected: bool) -> Host {
    let instance = &row.instance;
    let key = &instance.key;
    let service = format!("{}{GROUP_END}{}", key.service.group, key.service.name);
    let cluster = cluster(instance);
    Host {
        instance_id: Some(format!("{}#{}#{cluster}#{service}", key.host, key.port)),
        ip: key.host.to_string(),
        port: key.port,
        weight: f64::from(instance.weight.get()) / 100.0,
        healthy: protected || is_healthy(instance),
        enabled: is_enabled(instance),
        ephemeral: is_ephemeral(instance),
        cluster_name: Some(cluster.to_owned()),
        service_name: Some(service),
        metadata: metadata(row),
    }
}

fn metadata(row: &Row) -> BTreeMap<String, String> {
    let instance = &row.instance;
    // That of a real Nacos is said there for others; here it has a field.
    let from_nacos = row.origins.first().is_some_and(|first| first.kind == RegistryKind::Nacos);
    let cluster = instance.native.get(term::CLUSTER).filter(|_| from_nacos);
    let is_shown = |(key, value): &(&String, &String)| {
        let is_cluster = key.as_str() == term::CLUSTER && Some(*value) == cluster;
        !is_cluster && !carry::is_carried(key)
    };
    let pairs = instance.metadata.iter().filter(is_shown);
    let said = pairs.map(|(key, value)| (key.clone(), value.clone()));
    let secure = conventions::secure(instance).into_iter();
    said.chain(secure.map(|(key, value)| (key.to_owned(), value.to_owned()))).collect()
}
