//! From the rows of the view to Consul's entries.
//!
//! | Consul's | ours |
//! |---|---|
//! | `Service.Service` | the service; of another group than the default one, `GROUP--NAME` |
//! | `Service.ID` | as registered, there or in the Consul it comes from; else the instance's id |
//! | `Address`, `Port`, `Tags` | host, port, tags |
//! | `Meta` | metadata, without what hubs carry |
//! | `Weights` | a hundredth of the weight, at least 1 |
//! | `Node` | the Consul node it comes from; where a client registered it, that of the client's address; else the hub's own |
//! | `Checks` | see [`checks`] |

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use hub_registry_consul::wire::{NODE_MAINTENANCE, SERVICE_MAINTENANCE};
use hub_registry_core::{HealthStatus, Instance, InstanceStatus, RegistryKind, carry, conventions};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::catalog::{Row, ServiceView};
use crate::facades::names::qualified;
use crate::model::check::{Check, CheckStatus, Checks};
use crate::model::terms;

/// The node of instances that come from no Consul.
pub(super) const NODE: &str = "hub-registry";
const NODE_ADDRESS: &str = "127.0.0.1";

/// Terms of an instance that this face writes, besides those that the adapter reads.
pub(super) mod term {
    pub(in super::super) const ID: &str = "serviceId";
    /// Where it registered from: an id is unique with one agent.
    pub(in super::super) const AGENT: &str = "agent";
    pub(in super::super) const TAG_OVERRIDE: &str = "enableTagOverride";
    pub(in super::super) const WARNING: &str = "warningWeight";
    /// Before the name of an address for callers elsewhere.
    pub(in super::super) const ADDRESS: &str = "address.";
}

/// What the adapter writes into metadata for Consul's `warning`.
const STATUS_KEY: &str = "consul-status";

/// The id by which clients of Consul know it.
pub(super) fn id_of(row: &Row) -> String {
    let instance = &row.instance;
    if let Some(id) = instance.native.get(term::ID) {
        return id.clone();
    }
    let from_consul = row.origins.first().is_some_and(|first| first.kind == RegistryKind::Consul);
    match &instance.native_id {
        Some(id) if from_consul => id.to_string(),
        _ => row.id.to_string(),
    }
}

/// The name of its node. Two hosts may have one id of a service: what tells them apart is the node,
/// as it would be with an agent on each.
pub(super) fn node_of(instance: &Instance) -> Cow<'_, str> {
    if let Some(node) = instance.native.get("node") {
        return Cow::Borrowed(node);
    }
    match agent_of(instance) {
        Some(agent) => Cow::Owned(format!("{NODE}-{}", agent.to_string().replace(':', "-"))),
        None => Cow::Borrowed(NODE),
    }
}

/// Where it registered from, if that is not beside the hub.
fn agent_of(instance: &Instance) -> Option<IpAddr> {
    let agent = instance.native.get(term::AGENT)?.parse::<IpAddr>().ok()?;
    (agent != IpAddr::from([127, 0, 0, 1])).then_some(agent)
}

/// The id of the node of this name: clients take nodes of one id for one.
pub(super) fn node_id(name: &str) -> String {
    let digest = Sha256::digest(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // RFC 9562 5.8: a UUID of one's own making.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Consul's word for its state.
pub(super) fn status(instance: &Instance) -> &'static str {
    let warns = || {
        Checks::of(&instance.native).worst() == Some(CheckStatus::Warning)
            || instance.metadata.get(STATUS_KEY).is_some_and(|status| status == "warning")
    };
    match (instance.status, instance.health) {
        (InstanceStatus::Down | InstanceStatus::Starting, _) | (_, HealthStatus::Unhealthy) => {
            "critical"
        }
        _ if warns() => "warning",
        _ => "passing",
    }
}

/// Whether it passes: nothing of it is critical or warns.
pub(super) fn is_passing(instance: &Instance) -> bool {
    instance.status == InstanceStatus::Up && status(instance) == "passing"
}

/// Its node.
pub(super) fn node(instance: &Instance, datacenter: &str, index: i64) -> Value {
    let name = node_of(instance);
    let address = match agent_of(instance) {
        Some(agent) => agent.to_string(),
        None if name == NODE => NODE_ADDRESS.to_owned(),
        None => {
            let own = instance.native.get("nodeAddress");
            own.cloned().unwrap_or_else(|| instance.key.host.to_string())
        }
    };
    json!({
        "ID": node_id(&name), "Node": name, "Address": address, "Datacenter": datacenter,
        "TaggedAddresses": {}, "Meta": {}, "CreateIndex": index, "ModifyIndex": index,
    })
}

/// The instance.
pub(super) fn service(row: &Row, index: i64) -> Value {
    let instance = &row.instance;
    let native = &instance.native;
    let passing = ((instance.weight.get() + 50) / 100).max(1);
    let warning = native.get(term::WARNING).and_then(|text| text.parse::<u32>().ok());
    let tagged: Map<String, Value> = native
        .beginning_with(term::ADDRESS)
        .filter_map(|(key, value)| tagged(key, value))
        .collect();
    json!({
        "ID": id_of(row),
        "Service": qualified(&instance.key.service),
        "Tags": instance.tags,
        "Address": instance.key.host,
        "TaggedAddresses": tagged,
        "Meta": meta(instance),
        "Port": instance.key.port,
        "Weights": { "Passing": passing, "Warning": warning.unwrap_or(1) },
        "EnableTagOverride": native.get(term::TAG_OVERRIDE).is_some_and(|on| on == "true"),
        "CreateIndex": index,
        "ModifyIndex": index,
    })
}

fn tagged(key: &str, value: &str) -> Option<(String, Value)> {
    let tag = key.strip_prefix(term::ADDRESS)?;
    let (host, port) = value.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    Some((tag.to_owned(), json!({ "Address": host, "Port": port.parse::<u16>().ok()? })))
}

fn meta(instance: &Instance) -> Map<String, Value> {
    let carried = |key: &str| carry::is_carried(key) || key == STATUS_KEY;
    let pairs = instance.metadata.iter().filter(|(key, _)| !carried(key));
    let said = pairs.map(|(key, value)| (key.clone(), json!(value)));
    let secure = conventions::secure(instance).into_iter();
    said.chain(secure.map(|(key, value)| (key.to_owned(), json!(value)))).collect()
}

/// Adds to its metadata, if it is `wanted`, what Consul has no word for.
pub(super) fn besides(row: &Row, meta: &mut Value, wanted: bool) {
    if let (Value::Object(meta), true) = (meta, wanted) {
        let all = carry::besides(&row.instance).into_iter();
        meta.extend(all.map(|(key, value)| (key.to_owned(), Value::from(value))));
    }
}

/// Its checks: those it brought with it, else one that says its health, or none where nobody checks
/// it; and Consul's own of what is in maintenance.
pub(super) fn checks(row: &Row, index: i64) -> Vec<Value> {
    let instance = &row.instance;
    let id = id_of(row);
    let name = qualified(&instance.key.service);
    let check = |check_id: &str, label: &str, status: &str, kind: &str, notes: &str| {
        json!({
            "Node": node_of(instance), "CheckID": check_id, "Name": label, "Status": status,
            "Notes": notes, "Output": "", "ServiceID": id, "ServiceName": name,
            "ServiceTags": instance.tags, "Type": kind, "Definition": {},
            "CreateIndex": index, "ModifyIndex": index,
        })
    };
    let own = Checks::of(&instance.native);
    let shown =
        |one: &Check| check(&one.id, &one.name, one.status.as_str(), one.kind(), &one.notes);
    let mut checks: Vec<_> = own.iter().map(shown).collect();
    let status = status(instance);
    // One that says of itself that it is down is not well, whatever its checks find.
    let unsaid = status == "critical" && own.worst() != Some(CheckStatus::Critical);
    // Consul has one word for both.
    let notes = if instance.status == InstanceStatus::Starting { "starting" } else { "" };
    if own.is_empty() && (instance.health != HealthStatus::Unknown || unsaid) {
        let label = format!("Service '{name}' check");
        checks.push(check(&format!("service:{id}"), &label, status, "", notes));
    } else if unsaid {
        let label = format!("Service '{name}' status");
        checks.push(check(&format!("service:{id}:status"), &label, status, "", notes));
    }
    if instance.status == InstanceStatus::OutOfService {
        let reason = |mark| instance.native.get(mark).map(String::as_str);
        let of_node = reason(terms::NODE_MAINTENANCE);
        if let Some(notes) = of_node {
            let label = "Node Maintenance Mode";
            let mut one = check(NODE_MAINTENANCE, label, "critical", "maintenance", notes);
            (one["ServiceID"], one["ServiceName"], one["ServiceTags"]) =
                (json!(""), json!(""), json!([]));
            checks.push(one);
        }
        if let Some(notes) = reason(terms::MAINTENANCE).or_else(|| of_node.is_none().then_some(""))
        {
            let (check_id, label) =
                (format!("{SERVICE_MAINTENANCE}{id}"), "Service Maintenance Mode");
            checks.push(check(&check_id, label, "critical", "maintenance", notes));
        }
    }
    checks
}

/// Those of many instances: what is a node's is there once.
pub(super) fn distinct(checks: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut nodes = HashSet::new();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    checks
        .filter(|check| {
            !is_of_node(check) || nodes.insert((text(check, "Node"), text(check, "CheckID")))
        })
        .collect()
}

/// Whether it is of a node, and of no service.
pub(super) fn is_of_node(check: &Value) -> bool {
    check["ServiceID"] == ""
}

/// An element of `health/service`.
pub(super) fn entry(row: &Row, datacenter: &str, index: i64) -> Value {
    json!({
        "Node": node(&row.instance, datacenter, index),
        "Service": service(row, index),
        "Checks": checks(row, index),
    })
}

/// An element of `catalog/service`, where all is on one level.
pub(super) fn flat(row: &Row, datacenter: &str, index: i64) -> Value {
    let (node, service) = (node(&row.instance, datacenter, index), service(row, index));
    let mut flat = Map::new();
    for (to, from) in [
        ("ID", "ID"),
        ("Node", "Node"),
        ("Address", "Address"),
        ("Datacenter", "Datacenter"),
        ("TaggedAddresses", "TaggedAddresses"),
        ("NodeMeta", "Meta"),
    ] {
        flat.insert(to.to_owned(), node[from].clone());
    }
    for (to, from) in [
        ("ServiceID", "ID"),
        ("ServiceName", "Service"),
        ("ServiceTags", "Tags"),
        ("ServiceAddress", "Address"),
        ("ServiceTaggedAddresses", "TaggedAddresses"),
        ("ServiceMeta", "Meta"),
        ("ServicePort", "Port"),
        ("ServiceWeights", "Weights"),
        ("ServiceEnableTagOverride", "EnableTagOverride"),
        ("CreateIndex", "CreateIndex"),
        ("ModifyIndex", "ModifyIndex"),
    ] {
        flat.insert(to.to_owned(), service[from].clone());
    }
    Value::Object(flat)
}

/// The rows of a service with this tag and all others that are asked for; tags ignore case
/// (`agent/consul/state/catalog.go`, `serviceTagFilter`).
pub(super) fn with_tags<'v>(
    view: &'v ServiceView,
    tags: &'v [&'v str],
) -> impl Iterator<Item = &'v Row> {
    let has =
        |row: &Row, tag: &str| row.instance.tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
    let rows = view.rows.iter().map(AsRef::as_ref);
    rows.filter(move |row| tags.iter().all(|tag| has(row, tag)))
}
