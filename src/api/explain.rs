//! Why a service is answered as it is.

pub(super) mod describe;

use axum::Json;
use axum::extract::State;
use hub_registry_core::{HealthStatus, InstanceStatus, Pairs, ServiceKey};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::checks;
use super::error::ApiResult;
use super::extract::Segment;
use super::params::Params;
use super::services::find_one;
use super::state::Api;
use crate::access::Caller;
use crate::catalog::{Conflict, Entry, Row, ServiceView, SourceCell, Standing, Why};
use crate::clock::{at, rfc3339};
use crate::model::terms;
use crate::model::words::HealthCheckType;

/// `GET /api/v1/services/{serviceName}/explain`
pub(super) async fn explain(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let group = params.group()?;
    params.finish()?;
    let view = find_one(&api, &caller, &name, &group)?;
    let standings = api.catalog.standings(caller.tenant(), &view.key);
    let now = Instant::now();
    let instances: Vec<_> = view
        .rows
        .iter()
        .map(|row| instance_json(&api, &caller, &view, row, &standings, now))
        .collect();
    let missing: Vec<_> =
        api.view.unloaded(caller.tenant()).iter().map(|cell| source_json(cell)).collect();
    Ok(Json(json!({
        "serviceName": view.key.name,
        "groupName": view.key.group,
        "revision": view.revision,
        "native": api.native.get_service(caller.tenant(), &view.key).is_ok(),
        "loadBalanceStrategy": view.attributes.strategy,
        "protection": protection(&view),
        "orderOfOrigins": "the target of a migration from CUTOVER on, externals with \
            secondary_wins, native, other externals; inside each by priority, then by \
            configuration id",
        "sources": standings.iter().enumerate().map(standing_json).collect::<Vec<_>>(),
        "missingSources": missing,
        "partial": !missing.is_empty(),
        "instances": instances,
        "count": view.rows.len(),
    })))
}

/// The state of `protectThreshold`.
fn protection(view: &ServiceView) -> Value {
    let (healthy, all) = (view.healthy(), view.rows.len());
    let threshold = view.attributes.protect_threshold;
    let reason = if threshold <= 0.0 {
        "metadata protectThreshold is not set: the health filter is never lifted"
    } else if view.is_protected() {
        "the healthy share is under the threshold: the health filter is lifted"
    } else {
        "the healthy share is not under the threshold: the health filter holds"
    };
    json!({
        "protectThreshold": threshold,
        "healthy": healthy,
        "instances": all,
        "healthyShare": if all == 0 { Value::Null } else { json!(healthy as f64 / all as f64) },
        "protected": view.is_protected(),
        "reason": reason,
    })
}

fn source_json(cell: &SourceCell) -> Value {
    json!({
        "source": cell.info.name,
        "configId": cell.info.id.as_str(),
        "registryType": cell.info.kind,
        "state": cell.state(),
        "ageMs": cell.age_ms(),
    })
}

/// A source, its place in the order, and what it knows of the service.
fn standing_json((order, standing): (usize, &Standing)) -> Value {
    let cell = &standing.source;
    let mut answer = source_json(cell);
    answer["order"] = json!(order + 1);
    answer["leads"] = json!(standing.leads);
    answer["priority"] = json!(cell.info.priority);
    answer["conflictResolution"] = json!(conflict(cell));
    answer["current"] = json!(cell.state().is_current());
    answer["contributes"] = json!(standing.shelf.is_some());
    answer["listed"] = json!(standing.shelf.as_ref().is_some_and(|shelf| shelf.listed));
    let entries = standing.shelf.as_ref().map_or(&[][..], |shelf| &shelf.entries);
    answer["instances"] = json!(entries.len());
    answer["held"] = json!(entries.iter().filter(|entry| entry.hold.is_some()).count());
    answer
}

fn conflict(cell: &SourceCell) -> &'static str {
    match cell.info.conflict {
        Conflict::PrimaryWins => "primary_wins",
        Conflict::SecondaryWins => "secondary_wins",
        Conflict::Merge => "merge",
    }
}

fn instance_json(
    api: &Api,
    caller: &Caller,
    view: &ServiceView,
    row: &Row,
    standings: &[Standing],
    now: Instant,
) -> Value {
    // The sources are looked at after the view: one may have moved on in between.
    let origins: Vec<(&Standing, &Entry)> = standings
        .iter()
        .filter_map(|standing| Some((standing, standing.entry(row.key())?)))
        .collect();
    let instance = &row.instance;
    json!({
        "instanceId": row.id,
        "hostAddress": instance.key.host,
        "portNumber": instance.key.port,
        "instanceStatus": instance.status,
        "healthStatus": instance.health,
        "weightValue": instance.weight,
        "held": row.held,
        "shown": true,
        "selectable": hindrances(view, row).is_empty(),
        "hindrances": hindrances(view, row),
        "healthReason": health_reason(api, caller, &view.key, row),
        "fields": fields(row, &origins),
        "load": load(view, &row.id.text(), now),
        "origins": origins.iter().map(origin_json).collect::<Vec<_>>(),
    })
}

/// What keeps `select`, and readers who ask for `status=UP&health=HEALTHY`, from it.
fn hindrances(view: &ServiceView, row: &Row) -> Vec<String> {
    let mut all = Vec::new();
    let instance = &row.instance;
    if instance.status != InstanceStatus::Up {
        all.push(format!(
            "instanceStatus is {}: filters status=UP, and select, leave it out",
            instance.status
        ));
    }
    let lifted = view.is_protected();
    match instance.health {
        HealthStatus::Healthy => {}
        _ if lifted => {}
        HealthStatus::Unhealthy => {
            all.push(
                "healthStatus is UNHEALTHY: filters health=HEALTHY, and select, leave it out"
                    .to_owned(),
            );
        }
        HealthStatus::Unknown => {
            all.push(
                "healthStatus is UNKNOWN: the filter health=HEALTHY leaves it out, select does not"
                    .to_owned(),
            );
        }
    }
    if instance.weight.get() == 0 {
        all.push("weightValue is 0: no traffic while another instance has weight".to_owned());
    }
    all
}

/// Who decided on the health, where it is the hub that did.
fn health_reason(api: &Api, caller: &Caller, key: &ServiceKey, row: &Row) -> Value {
    let native = api.native.get(caller.tenant(), &row.id.text()).ok();
    let native = native.filter(|native| native.key.service == *key);
    let Some(native) = native else {
        return json!({ "decidedBy": "registry", "reason": "as its registry reports it" });
    };
    let reason = match (native.check, native.last_health_check, native.health) {
        (HealthCheckType::Http | HealthCheckType::Tcp | HealthCheckType::Grpc, _, _) => {
            checks::reason(api, &native)
        }
        (HealthCheckType::Checks, _, _) => checks::reason_of_brought(api, &native),
        (_, Some(_), _) => "stated by a request".to_owned(),
        (HealthCheckType::None, None, _) => "healthCheckType NONE: nobody stated it yet".to_owned(),
        (HealthCheckType::Heartbeat, None, HealthStatus::Unhealthy) => {
            "no heartbeat for a lease".to_owned()
        }
        (HealthCheckType::Heartbeat, None, _) => "heartbeats".to_owned(),
    };
    json!({
        "healthCheck": checks::last_check(api, &native),
        "checks": checks::brought(api, &native),
        "decidedBy": "native",
        "reason": reason,
        "healthCheckType": native.check,
        "leaseSeconds": native.lease_seconds,
        "ephemeral": native.ephemeral,
        "lastHeartbeatTime": native.last_heartbeat.map(rfc3339),
        "lastHealthCheckTime": native.last_health_check.map(rfc3339),
    })
}

/// Which source each part of the row came from, and by which rule.
fn fields(row: &Row, origins: &[(&Standing, &Entry)]) -> Value {
    let Some((first, first_entry)) = origins.first() else { return Value::Null };
    let name = |standing: &Standing| standing.source.info.name.clone();
    let speaks = |(standing, entry): &&(&Standing, &Entry)| {
        standing.source.state().is_current() && entry.hold.is_none()
    };
    let (states, rule) = match origins.iter().find(speaks) {
        Some((standing, _)) => (name(standing), "the first origin that is current and not held"),
        None => (name(first), "the first origin, since none is current and not held"),
    };
    let mut metadata = Map::new();
    for key in row.instance.metadata.keys() {
        let gives = |standing: &Standing, entry: &Entry| {
            let merges = standing.source.info.conflict == Conflict::Merge;
            (merges || std::ptr::eq(entry, *first_entry))
                && entry.instance.metadata.contains_key(key)
        };
        let giver = origins.iter().find(|(standing, entry)| gives(standing, entry));
        metadata.insert(key.clone(), json!(giver.map(|(standing, _)| name(standing))));
    }
    json!({
        "fields": { "source": name(first), "rule": "the first origin gives all fields" },
        "states": { "source": states, "rule": rule },
        "metadata": metadata,
    })
}

fn origin_json((standing, entry): &(&Standing, &Entry)) -> Value {
    let cell = &standing.source;
    let waiting = standing.waiting.get(&entry.instance.key).map(|waiting| {
        let silent = waiting.leaves_in_ms.is_none() && waiting.why != Why::SilentClient;
        json!({
            "why": waiting.why.as_str(),
            "missingMs": waiting.missing_ms,
            "reads": waiting.reads,
            "readsNeeded": waiting.reads_needed,
            "leavesInMs": waiting.leaves_in_ms,
            "reason": match silent {
                true => "its registry no longer lists it, and does not answer: nothing leaves",
                false => waiting.why.explanation(),
            },
        })
    });
    json!({
        "source": cell.info.name,
        "configId": cell.info.id.as_str(),
        "registryType": cell.info.kind,
        "state": cell.state(),
        "ageMs": cell.age_ms(),
        "priority": cell.info.priority,
        "conflictResolution": conflict(cell),
        "nativeId": entry.instance.native_id,
        "observedAt": rfc3339(at(entry.observed_at)),
        "instanceStatus": entry.instance.status,
        "healthStatus": entry.instance.health,
        "weightValue": entry.instance.weight,
        "native": native_terms(&entry.instance.native),
        "copy": entry.instance.mark,
        "hold": waiting,
    })
}

/// What its protocol says of it besides. The headers of a check may be secret: what is shown of checks
/// is shown as `checks`.
fn native_terms(native: &Pairs) -> Value {
    let mut shown = native.clone();
    shown.remove(terms::CHECKS);
    json!(shown)
}

/// What is known of its connections.
fn load(view: &ServiceView, id: &str, now: Instant) -> Value {
    view.picks.load(id).map_or(Value::Null, |load| {
        json!({
            "reported": load.reported,
            "picksSince": load.picks,
            "sinceMs": now.saturating_duration_since(load.since).as_millis() as u64,
        })
    })
}
