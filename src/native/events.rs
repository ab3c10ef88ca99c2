//! What is told of each change, in the same commit.
//!
//! The rows get no revision here: that is given by the view, which tells more or less of a change
//! when other registries know the instance too.

use chrono::{DateTime, Utc};
use hub_registry_core::{Instance, Protocol, TenantId};

use super::state::SOURCE;
use crate::events::data::{self, changed};
use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::service::NativeService;
use crate::model::words::EventType;
use crate::storage::EventRow;

/// What differs after every change, or is said twice.
const NOISE: &[&str] = &[
    "metadataJson",
    "tagsJson",
    "editTime",
    "editWho",
    "currentVersion",
    "lastHeartbeatTime",
    "lastHealthCheckTime",
    "oprSeqFlag",
];
/// The same of an instance, whose states have events of their own.
const NOISE_OF_INSTANCES: &[&str] = &[
    "metadataJson",
    "tagsJson",
    "editTime",
    "editWho",
    "currentVersion",
    "lastHeartbeatTime",
    "lastHealthCheckTime",
    "oprSeqFlag",
    "instanceStatus",
    "healthStatus",
];

/// When, and by whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause<'a> {
    pub(super) time: DateTime<Utc>,
    pub(super) who: &'a str,
}

impl<'a> Cause<'a> {
    fn of(self, tenant: &'a TenantId) -> data::Cause<'a> {
        let (tenant, Self { time, who }) = (tenant.as_str(), self);
        data::Cause { tenant, source: SOURCE, time, who }
    }

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
                (EventType::GroupUpdate, changed(before.to_value(), after.to_value(), NOISE))
            }
        };
        vec![self.of(&group.tenant).of_group(group.name.as_str(), kind, data)]
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
                (EventType::ServiceUpdate, changed(before.to_value(), after.to_value(), NOISE))
            }
        };
        vec![self.of(&service.tenant).of_service(&service.key, kind, data)]
    }

    /// An instance is new; `shown`: as readers see it.
    pub(super) fn registered(self, new: &NativeInstance, shown: &Instance) -> Vec<EventRow> {
        let data = data::registered(shown, Some(new.lease_seconds));
        vec![self.of(&new.tenant).of_instance(&new.key, EventType::InstanceRegister, data)]
    }

    /// An instance is removed; `why`: by itself nobody would know.
    pub(super) fn deregistered(self, old: &NativeInstance, why: Option<String>) -> EventRow {
        let cause = self.of(&old.tenant);
        let row = cause.of_instance(&old.key, EventType::InstanceDeregister, None);
        EventRow { event_message: why, ..row }
    }

    /// An instance was changed: one event for its status, one for its health, one for the rest.
    pub(super) fn updated(self, before: &NativeInstance, after: &NativeInstance) -> Vec<EventRow> {
        let (cause, mut rows) = (self.of(&after.tenant), Vec::new());
        if before.status != after.status {
            rows.push(cause.status(&after.key, before.status, after.status));
        }
        if before.health != after.health {
            rows.push(cause.health(&after.key, before.health, after.health));
        }
        let value = |instance: &NativeInstance| instance.to_value(Protocol::Http);
        if let Some(data) = changed(value(before), value(after), NOISE_OF_INSTANCES) {
            rows.push(cause.of_instance(&after.key, EventType::InstanceUpdate, Some(data)));
        }
        rows
    }

    /// Leases or checks moved an instance's health.
    pub(super) fn judged(
        self,
        before: &NativeInstance,
        after: &NativeInstance,
        why: String,
    ) -> EventRow {
        let row = self.of(&after.tenant).health(&after.key, before.health, after.health);
        EventRow { event_message: Some(why), ..row }
    }

    /// An instance was heard.
    pub(super) fn heard(self, instance: &NativeInstance) -> EventRow {
        let cause = self.of(&instance.tenant);
        cause.of_instance(&instance.key, EventType::InstanceHeartbeat, None)
    }
}
