//! Instances: registering, renewing, changing and removing native ones; listing all of them.

pub(super) mod describe;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{Host, Protocol, RegistryKind};
use serde_json::{Value, json};

use super::checks;
use super::error::{ApiError, ApiResult};
use super::extract::Segment;
use super::json_body::JsonObject;
use super::names;
use super::params::Params;
use super::places::find_row;
use super::sort::{Fields, Sort};
use super::state::Api;
use super::tagged::{tagged, tagged_but};
use crate::access::Caller;
use crate::catalog::{GroupChoice, Row, ServiceView, row_value};
use crate::error::{Error, ErrorCode, Result};
use crate::model::instance::{InstancePatch, Registration};
use crate::native::Registered;

/// The most instances of a batch, and the most ids of a batch of heartbeats.
const MAX_BATCH: usize = 1000;
/// The longest text taken for an id; unknown ones are answered as they came.
const MAX_ID: usize = 100;

/// What `sort` takes; equals are sorted by service, group, host and port.
const SORT: &Fields<Row> = &[
    ("serviceName", |a, b| a.key().service.name.cmp(&b.key().service.name)),
    ("groupName", |a, b| a.key().service.group.cmp(&b.key().service.group)),
    ("hostAddress", |a, b| a.key().host.cmp(&b.key().host)),
    ("portNumber", |a, b| a.key().port.cmp(&b.key().port)),
    ("instanceStatus", |a, b| a.instance.status.as_str().cmp(b.instance.status.as_str())),
    ("healthStatus", |a, b| a.instance.health.as_str().cmp(b.instance.health.as_str())),
    ("weightValue", |a, b| a.instance.weight.cmp(&b.instance.weight)),
    ("registerTime", |a, b| a.instance.registered_at.cmp(&b.instance.registered_at)),
];

/// `POST /api/v1/instances`: 201 for a new one, 200 for an update; either is on disk.
pub(super) async fn register(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
    JsonObject(mut body): JsonObject,
) -> ApiResult<Response> {
    names::group_of_new(&mut params, &mut body)?;
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    let outcome = match Registration::from_value(Value::Object(body)) {
        Ok(registration) => api.native.register(&caller, registration).await,
        Err(error) => Err(error),
    };
    api.metrics.native.ended("register", outcome.is_ok());
    let registered = outcome?;
    let code = if registered.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((code, Json(registered_json(registered))).into_response())
}

/// `POST /api/v1/instances/batch`: one result per item, in their order.
pub(super) async fn register_batch(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    JsonObject(mut body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let items = list(&mut body, "instances")?;
    let parse = |item: Value| {
        item.as_object().map_or(Ok(()), |item| names::same_tenant(&caller, item))?;
        Registration::from_value(item)
    };
    let parsed: Vec<Result<Registration>> = items.into_iter().map(parse).collect();
    let good: Vec<Registration> =
        parsed.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
    let mut outcomes = api.native.register_batch(&caller, good).await.into_iter();
    let results: Vec<Value> = parsed
        .into_iter()
        .map(|one| {
            let outcome = one.and_then(|_| {
                outcomes.next().unwrap_or_else(|| Err(Error::unavailable("not registered")))
            });
            api.metrics.native.ended("register", outcome.is_ok());
            match outcome {
                Ok(registered) => {
                    let mut answer = registered_json(registered);
                    answer["status"] = json!(if registered.created { 201 } else { 200 });
                    answer
                }
                Err(error) => json!({
                    "status": error.code.status().as_u16(),
                    "error": error.message,
                    "details": error.details,
                }),
            }
        })
        .collect();
    Ok(Json(json!({ "results": results })))
}

fn registered_json(registered: Registered) -> Value {
    let message = if registered.created {
        "Instance registered successfully"
    } else {
        "Instance updated successfully"
    };
    json!({
        "instanceId": registered.instance_id,
        "leaseSeconds": registered.lease_seconds,
        "heartbeatSeconds": (registered.lease_seconds / 3).max(1),
        "message": message,
    })
}

fn list(body: &mut serde_json::Map<String, Value>, field: &str) -> Result<Vec<Value>> {
    let Some(Value::Array(items)) = body.remove(field) else {
        return Err(Error::invalid(field, Value::Null, "must be a list"));
    };
    if let Some((key, value)) = body.iter().next() {
        return Err(Error::invalid(key, value.clone(), "is not a field of this request"));
    }
    if items.len() > MAX_BATCH {
        return Err(Error::invalid(field, items.len(), "must have at most 1000 entries"));
    }
    Ok(items)
}

/// `GET /api/v1/instances`: the rows of the view, over all services.
pub(super) async fn list_all(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let group = params.group()?;
    let service = params.take("serviceName")?;
    let mut filter = params.filter()?;
    let host = params.take("host")?.map(|host| {
        Host::parse(&host).map_err(|error| Error::invalid("host", error.value, &error.rule))
    });
    filter.host = host.transpose()?;
    let sort = Sort::take(&mut params, SORT)?;
    let page = params.page()?;
    params.finish()?;
    let visible = api.native.visible(&caller);
    if let GroupChoice::Named(group) = &group {
        visible.need(group)?;
    }
    let wanted = |view: &Arc<ServiceView>| {
        service.as_ref().is_none_or(|name| view.key.name.as_str() == name)
            && group.takes(&view.key.group)
            && visible.sees(&view.key.group)
    };
    let snapshot = api.view.snapshot(caller.tenant());
    let views: Vec<_> = snapshot.sorted().into_iter().filter(wanted).collect();
    let mut rows: Vec<&Row> = {
        let all = views.iter().flat_map(|view| &view.rows).map(AsRef::as_ref);
        all.filter(|row| filter.matches(row, false)).collect()
    };
    sort.apply_by(&mut rows, |row| row);
    let count = rows.len();
    let instances: Vec<Value> = page.of(rows).into_iter().map(row_value).collect();
    let revision = snapshot.revision;
    Ok(tagged(&headers, &json!({ "instances": instances, "count": count, "revision": revision })))
}

/// `GET /api/v1/instances/{instanceId}`
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.finish()?;
    let row = find_row(&api, &caller, &id);
    let native = api.native.get(caller.tenant(), &id);
    let Some((view, place)) = row else {
        return Err(native.err().unwrap_or_else(no_instance).into());
    };
    let row = &view.rows[place];
    let mut answer = row_value(row);
    answer["metadataJson"] = json!(json!(row.instance.metadata).to_string());
    answer["tagsJson"] = json!(json!(row.instance.tags).to_string());
    // What only the native registry has (client, lease, heartbeat) comes on top.
    if let (Ok(native), Some(fields)) = (native, answer.as_object_mut())
        && let Value::Object(more) = native.to_value(row.instance.protocol)
    {
        for (key, value) in more {
            fields.entry(key).or_insert(value);
        }
        fields.insert("healthCheck".to_owned(), checks::last_check(&api, &native));
        fields.insert("checks".to_owned(), checks::brought(&api, &native));
    }
    Ok(tagged_but(
        &headers,
        &answer,
        &["lastHeartbeatTime", "lastHealthCheckTime", "healthCheck", "checks"],
    ))
}

/// `PUT /api/v1/instances/{instanceId}`
pub(super) async fn update(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    if let Ok(now) = api.native.get(caller.tenant(), &id)
        && api.native.visible(&caller).sees(&now.key.service.group)
    {
        same_place(&now.to_value(Protocol::Http), &body)?;
    }
    let patch = InstancePatch::from_value(Value::Object(body))?;
    let outcome = api.native.update(&caller, &id, patch).await;
    done(&api, &caller, &id, "update", outcome.map(drop), "Instance updated successfully")
}

/// What makes an instance *this* instance is taken back as it was answered, but not changed.
fn same_place(now: &Value, body: &serde_json::Map<String, Value>) -> Result<()> {
    let fields =
        ["instanceId", "tenantId", "groupName", "serviceName", "hostAddress", "portNumber"];
    for field in fields {
        let given = body.get(field).filter(|value| !value.is_null());
        if let Some(value) = given.filter(|value| **value != now[field]) {
            let rule = "cannot be changed: register the other instance and deregister this one";
            return Err(Error::invalid(field, value.clone(), rule));
        }
    }
    // Set by registering: one that is given must not look as if it had been taken.
    let registered = ["leaseSeconds", "healthCheckType", "ephemeral", "clientId", "clientVersion"];
    for field in registered.into_iter().chain(["clientType", "activeFlag"]) {
        let given = body.get(field).filter(|value| !value.is_null());
        if let Some(value) = given.filter(|value| **value != now[field]) {
            let rule = "cannot be changed by PUT: register the instance again with it";
            return Err(Error::invalid(field, value.clone(), rule));
        }
    }
    Ok(())
}

/// `PUT /api/v1/instances/{instanceId}/heartbeat`
pub(super) async fn heartbeat(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> ApiResult<Json<Value>> {
    let outcome = api.native.heartbeat(&caller, &id);
    api.metrics.native.ended("heartbeat", outcome.is_ok());
    // Not looked up elsewhere: after a lost lease thousands may ask at once.
    Ok(renewed(outcome?))
}

/// The answer to a heartbeat that renewed a lease.
pub(super) fn renewed(lease_seconds: u32) -> Json<Value> {
    Json(json!({
        "message": "Heartbeat received",
        "leaseSeconds": lease_seconds,
        "heartbeatSeconds": (lease_seconds / 3).max(1),
    }))
}

/// `PUT /api/v1/heartbeats`
pub(super) async fn heartbeats(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    JsonObject(mut body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let mut ids = Vec::new();
    for id in list(&mut body, "instanceIds")? {
        match id {
            Value::String(id) if id.chars().count() <= MAX_ID => ids.push(id),
            other => {
                let rule = "must hold strings of at most 100 characters";
                return Err(Error::invalid("instanceIds", other, rule).into());
            }
        }
    }
    let (renewed, unknown) = api.native.heartbeats(&caller, &ids)?;
    api.metrics.native.ended_many("heartbeat", renewed as u64, unknown.len() as u64);
    Ok(Json(json!({ "renewed": renewed, "unknown": unknown })))
}

/// `PUT /api/v1/instances/{instanceId}/health`
pub(super) async fn set_health(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let health = only_word(&body, "healthStatus")?;
    let outcome = api.native.set_health(&caller, &id, health).await;
    done(&api, &caller, &id, "health", outcome.map(drop), "Health status updated successfully")
}

/// `PUT /api/v1/instances/{instanceId}/status`
pub(super) async fn set_status(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let status = only_word(&body, "instanceStatus")?;
    let outcome = api.native.set_status(&caller, &id, status).await;
    done(&api, &caller, &id, "status", outcome.map(drop), "Instance status updated successfully")
}

/// `DELETE /api/v1/instances/{instanceId}`
pub(super) async fn deregister(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let outcome = api.native.deregister(&caller, &id).await;
    done(&api, &caller, &id, "deregister", outcome, "Instance deregistered successfully")
}

fn only_word<T>(body: &serde_json::Map<String, Value>, field: &str) -> Result<T>
where
    T: std::str::FromStr<Err = hub_registry_core::instance::UnknownWord>,
{
    if let Some((key, value)) = body.iter().find(|(key, _)| *key != field) {
        return Err(Error::invalid(key, value.clone(), "is not a field of this request"));
    }
    let value = body.get(field).cloned().unwrap_or_default();
    let Some(text) = value.as_str() else {
        return Err(Error::invalid(field, value, "is required"));
    };
    text.parse().map_err(|error: hub_registry_core::instance::UnknownWord| {
        Error::invalid(field, text, &format!("must be one of {}", error.allowed))
    })
}

fn done(
    api: &Api,
    caller: &Caller,
    id: &str,
    operation: &'static str,
    outcome: Result<()>,
    message: &str,
) -> ApiResult<Json<Value>> {
    api.metrics.native.ended(operation, outcome.is_ok());
    outcome.map_err(|error| native_error(api, caller, id, error))?;
    Ok(Json(json!({ "instanceId": id, "message": message })))
}

/// "Not found" by the native registry is "not ours" when another source knows it.
fn native_error(api: &Api, caller: &Caller, id: &str, error: Error) -> ApiError {
    if error.code != ErrorCode::NotFound {
        return error.into();
    }
    match find_row(api, caller, id) {
        None => error.into(),
        // Registered again in between: what was asked for is done, and gone.
        Some((view, place))
            if view.rows[place].origins.iter().any(|o| o.kind == RegistryKind::System) =>
        {
            error.into()
        }
        Some((view, place)) => {
            let sources: Vec<_> =
                view.rows[place].origins.iter().map(|origin| &*origin.source).collect();
            let message = "this instance is registered elsewhere; change it there";
            let details = json!({ "code": "not_native", "sources": sources });
            Error::conflict(message).with_details(details).into()
        }
    }
}

pub(super) fn no_instance() -> Error {
    Error::not_found("no such instance")
}
