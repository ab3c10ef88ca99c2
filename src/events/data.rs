//! What an event says of a change, as JSON.

use chrono::{DateTime, Utc};
use hub_registry_core::{
    HealthStatus, Instance, InstanceKey, InstanceStatus, Pairs, Protocol, ServiceKey, Weight,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::words::EventType;
use crate::storage::EventRow;

/// Longer data is cut down, in bytes.
const MOST: usize = 4000;
/// Free JSON of the user's: that it changed is told, not what is in it.
const OPAQUE: &str = "extProperty";

/// Who tells, of whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The source whose word it is.
    pub source: &'a str,
    /// When.
    pub time: DateTime<Utc>,
    /// Who caused it.
    pub who: &'a str,
}

impl Cause<'_> {
    /// An event about the tenant as a whole.
    #[must_use]
    pub fn event(self, kind: EventType, data: Option<String>) -> EventRow {
        EventRow {
            tenant_id: self.tenant.to_owned(),
            event_type: kind.to_string(),
            event_source: self.source.to_owned(),
            event_data_json: data,
            event_time: self.time,
            who: self.who.to_owned(),
            ..EventRow::default()
        }
    }

    /// An event about a group.
    #[must_use]
    pub fn of_group(self, name: &str, kind: EventType, data: Option<String>) -> EventRow {
        EventRow { group_name: Some(name.to_owned()), ..self.event(kind, data) }
    }

    /// An event about a service.
    #[must_use]
    pub fn of_service(self, key: &ServiceKey, kind: EventType, data: Option<String>) -> EventRow {
        let service_name = Some(key.name.to_string());
        EventRow { service_name, ..self.of_group(key.group.as_str(), kind, data) }
    }

    /// An event about an instance.
    #[must_use]
    pub fn of_instance(self, key: &InstanceKey, kind: EventType, data: Option<String>) -> EventRow {
        EventRow {
            host_address: Some(key.host.to_string()),
            port_number: Some(i64::from(key.port)),
            ..self.of_service(&key.service, kind, data)
        }
    }

    /// The health of an instance moved.
    #[must_use]
    pub fn health(self, key: &InstanceKey, old: HealthStatus, new: HealthStatus) -> EventRow {
        let data = json!({ "healthStatus": { "old": old, "new": new } });
        self.of_instance(key, EventType::InstanceHealthChange, Some(data.to_string()))
    }

    /// What an instance says of itself moved.
    #[must_use]
    pub fn status(self, key: &InstanceKey, old: InstanceStatus, new: InstanceStatus) -> EventRow {
        let data = json!({ "instanceStatus": { "old": old, "new": new } });
        self.of_instance(key, EventType::InstanceStatusChange, Some(data.to_string()))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Registered<'a> {
    instance_status: InstanceStatus,
    health_status: HealthStatus,
    weight_value: Weight,
    protocol_type: Protocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Pairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [String]>,
    /// What was too long to be told.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    left_out: &'a [&'a str],
}

/// What readers see of a new instance, and its lease where it has one.
#[must_use]
pub fn registered(instance: &Instance, lease_seconds: Option<u32>) -> Option<String> {
    let all = Registered {
        instance_status: instance.status,
        health_status: instance.health,
        weight_value: instance.weight,
        protocol_type: instance.protocol,
        context_path: instance.context_path.as_deref(),
        lease_seconds,
        metadata: Some(&instance.metadata),
        tags: Some(&instance.tags),
        left_out: &[],
    };
    let text = serde_json::to_string(&all).ok()?;
    if text.len() <= MOST {
        return Some(text);
    }
    let left_out = &["metadata", "tags"];
    serde_json::to_string(&Registered { metadata: None, tags: None, left_out, ..all }).ok()
}

/// What differs between two answers, field by field, each with its old and its new value; `None`:
/// nothing but the fields in `silent`.
#[must_use]
pub fn changed(before: Value, after: Value, silent: &[&str]) -> Option<String> {
    let (Value::Object(mut before), Value::Object(after)) = (before, after) else {
        return None;
    };
    let mut fields = Map::new();
    for (name, new) in after {
        let old = before.remove(&name).unwrap_or(Value::Null);
        if old == new || silent.contains(&name.as_str()) {
            continue;
        }
        let change = match (old, new) {
            _ if name == OPAQUE => json!({}),
            (Value::Object(old), Value::Object(new)) => {
                let differ = |a: &Map<String, Value>, b: &Map<String, Value>| -> Value {
                    let some = a.iter().filter(|(key, value)| b.get(*key) != Some(value));
                    some.map(|(key, value)| (key.clone(), value.clone())).collect()
                };
                json!({ "old": differ(&old, &new), "new": differ(&new, &old) })
            }
            (old, new) => json!({ "old": old, "new": new }),
        };
        fields.insert(name, change);
    }
    if fields.is_empty() {
        return None;
    }
    let names: Vec<_> = fields.keys().cloned().collect();
    let text = Value::Object(fields).to_string();
    Some(if text.len() <= MOST { text } else { json!({ "changed": names }).to_string() })
}
