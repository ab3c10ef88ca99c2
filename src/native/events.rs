//! What is told of each change, in the same commit.
//!
//! The rows get no revision here: that is given by whoever numbers the changes of the view.

use chrono::{DateTime, Utc};
use hub_registry_core::{HealthStatus, InstanceKey, Protocol, ServiceKey, TenantId};
use serde_json::{Map, Value, json};

use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::service::NativeService;
use crate::model::words::EventType;
use crate::storage::EventRow;

/// `eventSource` of what the native registry tells.
const SOURCE: &str = "native";
/// Longer data is cut down to the names of what changed.
const DATA: usize = 4000;
/// What differs after every change, or is said twice.
const NOISE: [&str; 8] = [
    "metadataJson",
    "tagsJson",
    "editTime",
    "editWho",
    "currentVersion",
    "lastHeartbeatTime",
    "lastHealthCheckTime",
    "oprSeqFlag",
];
/// Free JSON of the user's: that it changed is told, not what is in it.
const OPAQUE: &str = "extProperty";

/// When, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause<'a> {
    pub(super) time: DateTime<Utc>,
    pub(super) who: &'a str,
}

impl Cause<'_> {
    /// A group was made, changed or (`None`) removed.
    pub(super) fn group(
        self,
        before: Option<&NativeGroup>,
        after: Option<&NativeGroup>,
    ) -> Vec<EventRow> {
        let Some(group) = after.or(before) else { return Vec::new() };
        let (kind, data) = match (before, after) {
            (None, _) => (EventType::GroupCreate, None),
            (_, None) => (EventType::GroupDelete, None),
            (Some(before), Some(after)) => {
                (EventType::GroupUpdate, changed(before.to_value(), after.to_value(), &[]))
            }
        };
        let mut row = self.row(&group.tenant, kind, data);
        row.group_name = Some(group.name.to_string());
        vec![row]
    }

    /// A service was made, changed or (`None`) removed.
    pub(super) fn service(
        self,
        before: Option<&NativeService>,
        after: Option<&NativeService>,
    ) -> Vec<EventRow> {
        let Some(service) = after.or(before) else { return Vec::new() };
        let (kind, data) = match (before, after) {
            (None, _) => (EventType::ServiceCreate, None),
            (_, None) => (EventType::ServiceDelete, None),
            (Some(before), Some(after)) => {
                (EventType::ServiceUpdate, changed(before.to_value(), after.to_value(), &[]))
            }
        };
        let mut row = self.row(&service.tenant, kind, data);
        of_service(&mut row, &service.key);
        vec![row]
    }

    /// An instance is new.
    pub(super) fn registered(self, instance: &NativeInstance) -> Vec<EventRow> {
        let data = json!({
            "instanceStatus": instance.status,
            "healthStatus": instance.health,
            "weightValue": instance.weight,
            "leaseSeconds": instance.lease_seconds,
        });
        vec![self.of(instance, EventType::InstanceRegister, Some(data.to_string()))]
    }

    /// An instance is removed; `why`: by itself nobody would know.
    pub(super) fn deregistered(self, instance: &NativeInstance, why: Option<String>) -> EventRow {
        let row = self.of(instance, EventType::InstanceDeregister, None);
        EventRow { event_message: why, ..row }
    }

    /// An instance was changed: one event for its status, one for its health, one for the rest.
    pub(super) fn updated(self, before: &NativeInstance, after: &NativeInstance) -> Vec<EventRow> {
        let mut rows = Vec::new();
        if before.status != after.status {
            let data = json!({ "instanceStatus": { "old": before.status, "new": after.status } });
            rows.push(self.of(after, EventType::InstanceStatusChange, Some(data.to_string())));
        }
        if before.health != after.health {
            rows.push(self.health(after, before.health, None));
        }
        let value = |instance: &NativeInstance| instance.to_value(Protocol::Http);
        let told = ["instanceStatus", "healthStatus"];
        if let Some(data) = changed(value(before), value(after), &told) {
            rows.push(self.of(after, EventType::InstanceUpdate, Some(data)));
        }
        rows
    }

    /// An instance's health moved.
    pub(super) fn health(
        self,
        after: &NativeInstance,
        before: HealthStatus,
        why: Option<String>,
    ) -> EventRow {
        let data = json!({ "healthStatus": { "old": before, "new": after.health } });
        let row = self.of(after, EventType::InstanceHealthChange, Some(data.to_string()));
        EventRow { event_message: why, ..row }
    }

    fn of(self, instance: &NativeInstance, kind: EventType, data: Option<String>) -> EventRow {
        let mut row = self.row(&instance.tenant, kind, data);
        of_instance(&mut row, &instance.key);
        row
    }

    fn row(self, tenant: &TenantId, kind: EventType, data: Option<String>) -> EventRow {
        EventRow {
            tenant_id: tenant.to_string(),
            event_type: kind.to_string(),
            event_source: SOURCE.to_owned(),
            event_data_json: data,
            event_time: self.time,
            who: self.who.to_owned(),
            ..EventRow::default()
        }
    }
}

fn of_service(row: &mut EventRow, key: &ServiceKey) {
    row.group_name = Some(key.group.to_string());
    row.service_name = Some(key.name.to_string());
}

fn of_instance(row: &mut EventRow, key: &InstanceKey) {
    of_service(row, &key.service);
    row.host_address = Some(key.host.to_string());
    row.port_number = Some(i64::from(key.port));
}

/// What differs between two answers, field by field, each with its old and its new value.
fn changed(before: Value, after: Value, told: &[&str]) -> Option<String> {
    let (Value::Object(mut before), Value::Object(after)) = (before, after) else {
        return None;
    };
    let mut fields = Map::new();
    for (name, new) in after {
        let old = before.remove(&name).unwrap_or(Value::Null);
        let silent = NOISE.contains(&name.as_str()) || told.contains(&name.as_str());
        if old == new || silent {
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
    Some(if text.len() <= DATA { text } else { json!({ "changed": names }).to_string() })
}
