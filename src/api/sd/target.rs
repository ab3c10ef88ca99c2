//! An instance as a target of Prometheus.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hub_registry_core::TenantId;
use serde::Serialize;

use crate::catalog::Row;

/// What the names of all labels begin with. Prometheus drops `__meta_` labels after relabelling.
const PREFIX: &str = "__meta_hub_registry_";

/// One target with its labels: instances differ in them, so each is a group of its own.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct TargetGroup {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

impl TargetGroup {
    /// The instance; where two keys of its metadata make the same label, the first counts.
    pub(super) fn of(tenant: &TenantId, row: &Row) -> Self {
        let (instance, key) = (&row.instance, row.key());
        let sources = row.origins.iter().map(|origin| &*origin.source);
        let registry = row.origins.first().map_or("", |origin| origin.kind.as_str());
        let mut labels: BTreeMap<_, _> = [
            ("tenant", tenant.to_string()),
            ("group", key.service.group.to_string()),
            ("service", key.service.name.to_string()),
            ("instance_id", row.id.to_string()),
            ("host", key.host.to_string()),
            ("port", key.port.to_string()),
            ("status", instance.status.as_str().to_owned()),
            ("health", instance.health.as_str().to_owned()),
            ("weight", instance.weight.get().to_string()),
            ("protocol", instance.protocol.as_str().to_owned()),
            ("context_path", instance.context_path.clone().unwrap_or_default()),
            ("registry_type", registry.to_owned()),
            ("sources", listed(sources)),
            ("tags", listed(instance.tags.iter().map(String::as_str))),
            ("held", row.held.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (format!("{PREFIX}{name}"), value))
        .collect();
        for (key, value) in instance.metadata.iter() {
            if let Entry::Vacant(place) = labels.entry(format!("{PREFIX}metadata_{}", label(key))) {
                place.insert(value.to_string());
            }
        }
        Self { targets: [key.address()], labels }
    }
}

/// With a comma at both ends, so that one expression finds a word wherever it stands: the way of
/// Prometheus' own discoveries (`discovery/consul/consul.go`).
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::from(",");
    for word in words {
        list.push_str(word);
        list.push(',');
    }
    list
}

/// What may be in the name of a label, and `_` for the rest.
fn label(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
