//! Services: the unified list, and the native ones' settings.

pub(super) mod describe;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{ServiceKey, TenantId};
use serde_json::{Map, Value, json};
use wildmatch::WildMatch;

use super::error::{ApiError, ApiResult};
use super::extract::Segment;
use super::json_body::JsonObject;
use super::names;
use super::params::Params;
use super::sort::{Fields, Sort};
use super::state::Api;
use super::tagged::tagged;
use crate::access::Caller;
use crate::catalog::{Found, GroupChoice, ServiceView};
use crate::error::{Error, ErrorCode, Result};
use crate::model::service::{NewService, ServicePatch};

/// What `sort` takes; equals are sorted by name, then group.
const SORT: &Fields<ServiceView> = &[
    ("serviceName", |a, b| a.key.name.cmp(&b.key.name)),
    ("groupName", |a, b| a.key.group.cmp(&b.key.group)),
    ("instanceCount", |a, b| a.rows.len().cmp(&b.rows.len())),
    ("healthyCount", |a, b| a.healthy().cmp(&b.healthy())),
    ("revision", |a, b| a.revision.cmp(&b.revision)),
];

/// `GET /api/v1/services`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    Ok(tagged(&headers, &page(&api, &caller, params, None)?))
}

/// A page of the services, of one group where the path names it.
pub(super) fn page(
    api: &Api,
    caller: &Caller,
    mut params: Params,
    group: Option<GroupChoice>,
) -> Result<Value> {
    let group = group.map_or_else(|| params.group(), Ok)?;
    let source = params.take("source")?;
    let name = params.take("name")?.map(|pattern| WildMatch::new(&pattern));
    let healthy_only = params.flag("healthyOnly")?;
    let sort = Sort::take(&mut params, SORT)?;
    let page = params.page()?;
    params.finish()?;
    let visible = api.native.visible(caller);
    if let GroupChoice::Named(group) = &group {
        visible.need(group)?;
    }
    let wanted = |view: &Arc<ServiceView>| {
        let known_to =
            |source: &String| view.sources.cells().iter().any(|c| c.info.name == *source);
        group.takes(&view.key.group)
            && visible.sees(&view.key.group)
            && source.as_ref().is_none_or(known_to)
            && name.as_ref().is_none_or(|name| name.matches(view.key.name.as_str()))
            && (!healthy_only || view.healthy() > 0)
    };
    // Before the snapshot, which has what those said that count as heard.
    let partial = !api.view.unloaded(caller.tenant()).is_empty();
    let snapshot = api.view.snapshot(caller.tenant());
    let mut views: Vec<_> = snapshot.sorted().into_iter().filter(wanted).collect();
    sort.apply(&mut views);
    let count = views.len();
    let services: Vec<_> =
        page.of(views).iter().map(|view| service_json(api, caller.tenant(), view)).collect();
    let revision = snapshot.revision;
    Ok(json!({ "services": services, "count": count, "revision": revision, "partial": partial }))
}

/// `POST /api/v1/services`; the group in the body, else in the query.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
    JsonObject(mut body): JsonObject,
) -> ApiResult<Response> {
    names::group_of_new(&mut params, &mut body)?;
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    let new = NewService::from_value(Value::Object(body))?;
    let service = api.native.create_service(&caller, new).await?;
    let answer = json!({
        "serviceName": service.key.name,
        "groupName": service.key.group,
        "message": "Service created successfully",
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET /api/v1/services/{serviceName}`
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let group = params.group()?;
    params.finish()?;
    let view = find_one(&api, &caller, &name, &group)?;
    let mut answer = service_json(&api, caller.tenant(), &view);
    if let Some(metadata) = answer.get("metadata").cloned() {
        answer["metadataJson"] = json!(metadata.to_string());
        answer["tagsJson"] = json!(answer["tags"].to_string());
    }
    Ok(tagged(&headers, &answer))
}

/// `PUT /api/v1/services/{serviceName}`
pub(super) async fn update(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    mut params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    let group = group_of(&mut params, &body)?;
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    names::same(&body, "serviceName", &name)?;
    let key = find_one(&api, &caller, &name, &group)?.key.clone();
    names::same(&body, "groupName", key.group.as_str())?;
    let patch = ServicePatch::from_value(Value::Object(body))?;
    let updated = api.native.update_service(&caller, &key, patch).await;
    let updated = updated.map_err(|error| native_error(&key, error))?;
    Ok(Json(json!({
        "serviceName": key.name,
        "groupName": key.group,
        "currentVersion": updated.audit.version,
        "message": "Service updated successfully",
    })))
}

/// `DELETE /api/v1/services/{serviceName}`
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let group = params.group()?;
    let force = params.flag("force")?;
    params.finish()?;
    let key = find_one(&api, &caller, &name, &group)?.key.clone();
    let deleted = api.native.delete_service(&caller, &key, force).await;
    deleted.map_err(|error| native_error(&key, error))?;
    let message = "Service deleted successfully";
    Ok(Json(json!({ "serviceName": key.name, "groupName": key.group, "message": message })))
}

/// The group of a PUT: in the query, else in the body.
fn group_of(params: &mut Params, body: &Map<String, Value>) -> Result<GroupChoice> {
    let given = params.group()?;
    match body.get("groupName").and_then(Value::as_str) {
        Some(group) if given == GroupChoice::Unsaid => {
            Params::new(vec![("groupName".to_owned(), group.to_owned())]).group()
        }
        _ => Ok(given),
    }
}

/// The service of this name the caller means and may read; of several groups one must be named.
///
/// # Errors
/// `Forbidden`, `NotFound`, `Conflict` when several groups hold the name; `Unavailable` while a
/// source that might know it was never heard.
pub(super) fn find_one(
    api: &Api,
    caller: &Caller,
    name: &str,
    group: &GroupChoice,
) -> std::result::Result<Arc<ServiceView>, ApiError> {
    let name = names::service(name)?;
    let (tenant, visible) = (caller.tenant(), api.native.visible(caller));
    match group {
        GroupChoice::Named(group) => visible.need(group)?,
        GroupChoice::All => {
            return Err(Error::invalid("groupName", "*", "must name one group here").into());
        }
        GroupChoice::Unsaid => {}
    }
    let looked = api.view.look(tenant, &name, group, &visible);
    match looked.found {
        Found::One(view) => Ok(view),
        Found::Ambiguous(groups) => {
            let message = format!("{name} is in several groups: name one");
            Err(Error::conflict(message).with_details(json!({ "groups": groups })).into())
        }
        Found::Several(_) | Found::Unknown => {
            Err(super::discovery::unknown(&looked.unheard, &name))
        }
    }
}

fn native_error(key: &ServiceKey, error: Error) -> ApiError {
    if error.code != ErrorCode::NotFound {
        return error.into();
    }
    let message =
        format!("{key} is known, but not to the native registry; change it where it lives");
    Error::conflict(message).with_details(json!({ "code": "not_native" })).into()
}

fn service_json(api: &Api, tenant: &TenantId, view: &ServiceView) -> Value {
    let native = api.native.get_service(tenant, &view.key).ok();
    let mut answer = native.map_or_else(|| json!({}), |service| service.to_value());
    let sources: Vec<_> = view.sources.cells().iter().map(|cell| cell.info.name.as_str()).collect();
    answer["serviceName"] = json!(view.key.name);
    answer["groupName"] = json!(view.key.group);
    answer["sources"] = json!(sources);
    answer["instanceCount"] = json!(view.rows.len());
    answer["healthyCount"] = json!(view.healthy());
    answer["revision"] = json!(view.revision);
    answer
}
