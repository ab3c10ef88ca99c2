//! From the difference of two views to events. Pure.
//!
//! What the native registry tells of a change is more than the difference shows (who did it, and
//! why), and it is on disk with the change already. So it stands where the view says the same: for
//! services and instances that no other registry knows. For the others the difference is told: an
//! instance that a Consul knows and that registers here too is not new to anybody.

use std::collections::{HashMap, HashSet};

use hub_registry_core::{GroupName, Host, InstanceKey, RegistryKind, ServiceKey, ServiceName};
use serde_json::{Value, json};

use super::change::ChangeSet;
use super::desk::StateChange;
use super::diff::{RowChange, ServiceDelta};
use super::holds::RemovalsHeld;
use super::lead::Migrated;
use super::merge::Row;
use super::snapshot::ServiceView;
use super::source::{SourceId, SourceState};
use super::standby::Handover;
use super::teller::Readers;
use crate::access::HUB;
use crate::events::data::{Cause, changed, registered};
use crate::events::{self, OnDisk};
use crate::model::words::{EventType, FailoverStatus};
use crate::storage::EventRow;

/// What readers see of an instance besides its states and its origins.
const OF_SERVICE: &[&str] = &["protocolType", "contextPath"];

/// The events of a change set.
pub(super) fn tell(mut set: ChangeSet, readers: &dyn Readers) -> events::ChangeSet {
    let rows = std::mem::take(&mut set.facts.rows);
    let facts = Facts::of(&set, rows);
    let cause =
        Cause { tenant: set.tenant.as_str(), source: &set.source, time: set.time, who: HUB };
    let mut shown = Vec::new();
    for delta in &set.services {
        service(delta, &facts, cause, &mut shown);
    }
    set.states.iter().for_each(|change| state(change, cause, &mut shown));
    shown.extend(set.held.as_ref().map(|held| removals_held(held, cause)));
    shown.extend(set.handover.as_ref().map(|step| handover(step, cause)));
    shown.extend(set.step.as_ref().map(|step| migrated(step, cause)));
    for row in &mut shown {
        let group = row.group_name.as_deref().and_then(|name| GroupName::parse(name).ok());
        row.readers = group.and_then(|group| readers.of(&set.tenant, &group));
    }
    let on_disk = match set.facts.mark {
        None => OnDisk::Nothing,
        Some(mark) if facts.kept => OnDisk::First(facts.told.len(), mark),
        Some(mark) => OnDisk::Others(mark),
    };
    let mut rows = facts.told;
    rows.extend(shown);
    for (place, row) in rows.iter_mut().enumerate() {
        (row.revision, row.place) = (set.revision, place as i64);
    }
    let (tenant, revision, prints) = (set.tenant, set.revision, set.prints);
    events::ChangeSet { tenant, revision, rows, on_disk, prints, gap: false }
}

/// What is told of the native registry's own account.
#[derive(Debug)]
struct Facts {
    told: Vec<EventRow>,
    /// Nothing of it was left out or changed.
    kept: bool,
    /// What is told by it, so that the difference need not be.
    services: HashSet<ServiceKey>,
    instances: HashSet<InstanceKey>,
}

/// What becomes of a fact.
enum Verdict {
    Stands,
    /// To others it is no more than this.
    Is(EventType),
    /// The difference tells it.
    Falls,
}

impl Facts {
    fn of(set: &ChangeSet, rows: Vec<EventRow>) -> Self {
        let mut facts = Self {
            told: Vec::with_capacity(rows.len()),
            kept: true,
            services: HashSet::new(),
            instances: HashSet::new(),
        };
        let deltas: HashMap<_, _> = set.services.iter().map(|delta| (&delta.key, delta)).collect();
        for mut row in rows {
            match facts.judge(set, &deltas, &row) {
                Verdict::Stands => facts.told.push(row),
                Verdict::Is(kind) => {
                    row.event_type = kind.to_string();
                    facts.told.push(row);
                    facts.kept = false;
                }
                Verdict::Falls => facts.kept = false,
            }
        }
        facts
    }

    fn judge(
        &mut self,
        set: &ChangeSet,
        deltas: &HashMap<&ServiceKey, &ServiceDelta>,
        row: &EventRow,
    ) -> Verdict {
        let (Ok(kind), Some(service)) = (row.event_type.parse::<EventType>(), service_of(row))
        else {
            return Verdict::Stands;
        };
        let delta = deltas.get(&service);
        let same = || set.after.service(&service).map(AsRef::as_ref);
        let (before, after) = match delta {
            Some(delta) => (delta.before.as_deref(), delta.after.as_deref()),
            None => (same(), same()),
        };
        let Some(key) = instance_of(row, &service) else {
            self.services.insert(service);
            let shared = [before, after].into_iter().flatten().any(is_shared);
            return match kind {
                EventType::ServiceCreate if shared && before.is_some() => {
                    Verdict::Is(EventType::ServiceUpdate)
                }
                EventType::ServiceDelete if shared && after.is_some() => {
                    Verdict::Is(EventType::ServiceUpdate)
                }
                _ => Verdict::Stands,
            };
        };
        let (old, new) = (before.and_then(|v| find(v, &key)), after.and_then(|v| find(v, &key)));
        if [old, new].into_iter().flatten().any(is_shared_row) {
            let differs = match (old, new) {
                (Some(old), Some(new)) => !old.same_content(new),
                _ => true,
            };
            // What readers of the view do not see was changed.
            return match kind {
                EventType::InstanceUpdate if !differs => Verdict::Stands,
                _ => Verdict::Falls,
            };
        }
        self.instances.insert(key);
        Verdict::Stands
    }
}

fn service_of(row: &EventRow) -> Option<ServiceKey> {
    let group = GroupName::parse(row.group_name.as_deref()?).ok()?;
    Some(ServiceKey::new(group, ServiceName::parse(row.service_name.as_deref()?).ok()?))
}

fn instance_of(row: &EventRow, service: &ServiceKey) -> Option<InstanceKey> {
    let host = Host::parse(row.host_address.as_deref()?).ok()?;
    let port = u16::try_from(row.port_number?).ok()?;
    Some(InstanceKey { service: service.clone(), host, port })
}

fn find<'v>(view: &'v ServiceView, key: &InstanceKey) -> Option<&'v Row> {
    let at = view.rows.binary_search_by(|row| row.key().cmp(key)).ok()?;
    Some(&view.rows[at])
}

fn is_shared(view: &ServiceView) -> bool {
    view.sources.cells().iter().any(|cell| cell.info.id != SourceId::Native)
}

fn is_shared_row(row: &Row) -> bool {
    row.origins.iter().any(|origin| origin.kind != RegistryKind::System)
}

/// What differs in a service and is not among the facts.
fn service(delta: &ServiceDelta, facts: &Facts, cause: Cause<'_>, told: &mut Vec<EventRow>) {
    let known = facts.services.contains(&delta.key);
    let tell = |kind, data| cause.of_service(&delta.key, kind, data);
    if delta.existence == Some(true) && !known {
        told.push(tell(EventType::ServiceCreate, None));
    }
    for change in &delta.rows {
        row(change, facts, known, cause, told);
    }
    match delta.existence {
        Some(false) if !known => told.push(tell(EventType::ServiceDelete, None)),
        None if delta.rows.is_empty() && !known => {
            let (before, after) = (delta.before.as_deref(), delta.after.as_deref());
            let data = changed(
                json!({ "sources": before.map(sources).unwrap_or_default() }),
                json!({ "sources": after.map(sources).unwrap_or_default() }),
                &[],
            );
            told.push(tell(EventType::ServiceUpdate, data));
        }
        _ => {}
    }
}

fn sources(view: &ServiceView) -> Vec<&str> {
    view.sources.cells().iter().map(|cell| cell.info.name.as_str()).collect()
}

/// What differs in a row; `settings`: those of its service were changed too.
fn row(
    change: &RowChange,
    facts: &Facts,
    settings: bool,
    cause: Cause<'_>,
    told: &mut Vec<EventRow>,
) {
    let (RowChange::Added(row) | RowChange::Removed(row) | RowChange::Updated { after: row, .. }) =
        change;
    let key = row.key();
    let known = facts.instances.contains(key);
    match change {
        _ if known && !settings => {}
        RowChange::Updated { before, after } if known => {
            let only = |row: &Row| {
                let mut all = fields(row);
                if let Value::Object(all) = &mut all {
                    all.retain(|name, _| OF_SERVICE.contains(&name.as_str()));
                }
                all
            };
            let data = changed(only(before), only(after), &[]);
            told.extend(
                data.map(|data| cause.of_instance(key, EventType::InstanceUpdate, Some(data))),
            );
        }
        _ if known => {}
        RowChange::Added(row) => {
            let data = registered(&row.instance, None);
            told.push(cause.of_instance(key, EventType::InstanceRegister, data));
        }
        RowChange::Removed(_) => {
            told.push(cause.of_instance(key, EventType::InstanceDeregister, None));
        }
        RowChange::Updated { before, after } => updated(before, after, cause, told),
    }
}

fn updated(before: &Row, after: &Row, cause: Cause<'_>, told: &mut Vec<EventRow>) {
    let (key, old, new) = (after.key(), &before.instance, &after.instance);
    let first = told.len();
    if old.status != new.status {
        told.push(cause.status(key, old.status, new.status));
    }
    if old.health != new.health {
        told.push(cause.health(key, old.health, new.health));
    }
    let data = changed(fields(before), fields(after), &[]);
    // Something differs: if not what is shown, then what one of several origins says itself.
    let data = data.or_else(|| (told.len() == first).then(|| origins(before, after)));
    told.extend(data.map(|data| cause.of_instance(key, EventType::InstanceUpdate, Some(data))));
}

/// What readers see of a row besides its states.
fn fields(row: &Row) -> Value {
    let instance = &row.instance;
    let sources: Vec<_> = row.origins.iter().map(|origin| &*origin.source).collect();
    json!({
        "weightValue": instance.weight,
        "protocolType": instance.protocol,
        "contextPath": instance.context_path,
        "metadata": instance.metadata,
        "tags": instance.tags,
        "nativeId": instance.native_id,
        "registerTime": instance.registered_at,
        "held": row.held,
        "sources": sources,
    })
}

/// Which origins say something else of an instance that is shown as before.
fn origins(before: &Row, after: &Row) -> String {
    let same = |name: &str, instance| {
        before.origins.iter().any(|old| *old.source == *name && old.instance == instance)
    };
    let others = after.origins.iter().filter(|new| !same(&new.source, new.instance.clone()));
    let names: Vec<_> = others.map(|origin| &*origin.source).collect();
    json!({ "sources": { "changed": names } }).to_string()
}

/// What is told of a source's state.
fn state(change: &StateChange, cause: Cause<'_>, told: &mut Vec<EventRow>) {
    let StateChange { info, before, after, held } = change;
    let external = matches!(info.id, SourceId::External(_));
    let connected = match (before.is_current(), after.is_current()) {
        (false, true) => Some(EventType::ExternalConnect),
        (true, false) => Some(EventType::ExternalDisconnect),
        // One that never answered fails, or is given up.
        (false, false) if matches!(after, SourceState::Down | SourceState::Disconnected) => {
            Some(EventType::ExternalDisconnect)
        }
        _ => None,
    };
    // What a registry no longer lists is told as it begins to be held. The native one does not
    // lack those that it waits for.
    let holds = *after == SourceState::Protected && !external;
    let holds = holds.then_some(EventType::RemovalsHeld);
    for kind in connected.filter(|_| external).into_iter().chain(holds) {
        let data = json!({
            "configId": info.id.as_str(),
            "registryType": info.kind,
            "state": { "old": before, "new": after },
            "held": held,
        });
        told.push(Cause { source: &info.name, ..cause }.event(kind, Some(data.to_string())));
    }
}

/// What is told of removals that began to be held.
fn removals_held(held: &RemovalsHeld, cause: Cause<'_>) -> EventRow {
    let instances: Vec<_> = held.instances.iter().map(ToString::to_string).collect();
    let data = json!({
        "configId": held.source.as_str(),
        "registryType": held.kind,
        "why": held.why.as_str(),
        "held": held.count,
        "heldRevision": held.held_revision,
        "lost": held.lost,
        "of": held.of,
        "instances": instances,
    });
    let data = Some(data.to_string());
    Cause { source: &held.name, ..cause }.event(EventType::RemovalsHeld, data)
}

/// What is told of a source and its standby: whatever leads away from the source is a failover,
/// whatever leads back to it a recovery.
fn handover(step: &Handover, cause: Cause<'_>) -> EventRow {
    let kind = match step.after {
        FailoverStatus::Failover => EventType::ExternalFailover,
        FailoverStatus::Recovering | FailoverStatus::Normal => EventType::ExternalRecover,
    };
    let data = json!({
        "configId": step.id,
        "registryType": step.kind,
        "failoverConfigId": step.standby,
        "failoverStatus": { "old": step.before, "new": step.after },
        "byOperator": step.by_operator,
        "instances": step.instances,
        "standbyInstances": step.standby_instances,
    });
    Cause { source: &step.source, ..cause }.event(kind, Some(data.to_string()))
}

/// What is told of a migration.
fn migrated(step: &Migrated, cause: Cause<'_>) -> EventRow {
    let kind = match (step.before, step.after) {
        (None, _) => EventType::MigrationCreate,
        (_, None) => EventType::MigrationDelete,
        _ => EventType::MigrationUpdate,
    };
    let data = json!({
        "migrationId": step.id,
        "name": step.name,
        "from": step.from,
        "to": step.to,
        "state": { "old": step.before, "new": step.after },
        "paused": step.paused,
        "forced": step.forced,
    });
    let (data, cause) = (Some(data.to_string()), Cause { who: &step.who, ..cause });
    match &step.service {
        Some(service) => cause.of_service(service, kind, data),
        None => cause.event(kind, data),
    }
}
