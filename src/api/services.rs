//! Services: the unified list, and the native ones' settings.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_registry_core::{ServiceKey, TenantId};
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::discovery::service_name;
use super::error::{ApiError, ApiResult};
use super::extract::{JsonObject, Segment};
use super::params::Params;
use super::state::Api;
use crate::access::Caller;
use crate::catalog::{Found, GroupChoice, ServiceView};
use crate::error::{Error, ErrorCode};
use crate::model::service::{NewService, ServicePatch};

/// `GET /api/v1/services`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let group = params.group()?;
    let source = params.take("source")?;
    let name = params.take("name")?.map(|pattern| WildMatch::new(&pattern));
    let healthy_only = params.flag("healthyOnly")?;
    let page = params.page()?;
    params.finish()?;
    let visible = api.native.visible(&caller);
    let wanted = |view: &Arc<ServiceView>| {
        let in_group = match &group {
            GroupChoice::Named(group) => view.key.group == *group,
            GroupChoice::Unsaid | GroupChoice::All => true,
        };
        let known_to =
            |source: &String| view.sources.cells().iter().any(|c| c.info.name == *source);
        in_group
            && visible.sees(&view.key.group)
            && source.as_ref().is_none_or(known_to)
            && name.as_ref().is_none_or(|name| name.matches(view.key.name.as_str()))
            && (!healthy_only || view.healthy() > 0)
    };
    let snapshot = api.view.snapshot(caller.tenant());
    let views: Vec<_> = snapshot.sorted().into_iter().filter(wanted).collect();
    let count = views.len();
    let services: Vec<_> =
        page.of(views).iter().map(|view| service_json(&api, caller.tenant(), view)).collect();
    let partial = !api.view.unloaded(caller.tenant()).is_empty();
    let revision = snapshot.revision;
    Ok(Json(
        json!({ "services": services, "count": count, "revision": revision, "partial": partial }),
    ))
}

/// `POST /api/v1/services`
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
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
) -> ApiResult<Json<Value>> {
    let group = params.group()?;
    params.finish()?;
    let view = find_one(&api, &caller, &name, &group)?;
    let mut answer = service_json(&api, caller.tenant(), &view);
    if let Some(metadata) = answer.get("metadata").cloned() {
        answer["metadataJson"] = json!(metadata.to_string());
        answer["tagsJson"] = json!(answer["tags"].to_string());
    }
    Ok(Json(answer))
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
    let key = find_one(&api, &caller, &name, &group)?.key.clone();
    let patch = ServicePatch::from_value(Value::Object(body))?;
    let updated = api.native.update_service(&caller, &key, patch).await;
    updated.map_err(|error| native_error(&key, error))?;
    Ok(Json(
        json!({ "serviceName": key.name, "groupName": key.group, "message": "Service updated successfully" }),
    ))
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
    Ok(Json(
        json!({ "serviceName": key.name, "groupName": key.group, "message": "Service deleted successfully" }),
    ))
}

/// The group of a PUT: in the query, else in the body.
fn group_of(
    params: &mut Params,
    body: &serde_json::Map<String, Value>,
) -> crate::error::Result<GroupChoice> {
    let given = params.group()?;
    match body.get("groupName").and_then(Value::as_str) {
        Some(group) if given == GroupChoice::Unsaid => {
            Params::new(vec![("groupName".to_owned(), group.to_owned())]).group()
        }
        _ => Ok(given),
    }
}

fn find_one(
    api: &Api,
    caller: &Caller,
    name: &str,
    group: &GroupChoice,
) -> Result<Arc<ServiceView>, ApiError> {
    let name = service_name(name)?;
    let (tenant, visible) = (caller.tenant(), api.native.visible(caller));
    if let GroupChoice::Named(group) = group {
        visible.need(group)?;
    }
    match api.view.find(tenant, &name, group, &visible) {
        Found::One(view) => Ok(view),
        Found::Several(_) => {
            Err(Error::invalid("groupName", "*", "must name one group here").into())
        }
        Found::Ambiguous(groups) => {
            let message = format!("{name} is in several groups: name one");
            Err(Error::conflict(message).with_details(json!({ "groups": groups })).into())
        }
        Found::Unknown => Err(super::discovery::unknown(api, tenant, &name)),
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
