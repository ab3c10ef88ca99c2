//! Moving services from one registry to another, step by step.

pub(super) mod describe;
mod page;
mod show;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{GroupName, ServiceName};
use serde_json::{Value, json};

use super::copies::actions_json;
use super::error::ApiResult;
use super::extract::Segment;
use super::json_body::JsonObject;
use super::names;
use super::params::Params;
use super::state::Api;
use crate::access::Caller;
use crate::catalog::GroupChoice;
use crate::error::{Error, Result};
use crate::model::external::Orphan;
use crate::model::migration::{MigrationId, MigrationPlan};
use crate::sync::migration::{Asked, Migration, Report, Step};

/// `GET /api/v1/migrations`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let page = params.page()?;
    params.finish()?;
    let all = api.migrations.of_tenant(caller.tenant());
    let count = all.len();
    let reports = api.migrations.reports(page.of(all)).await;
    let shown: Vec<_> = reports.iter().map(show::report).collect();
    Ok(Json(json!({ "migrations": shown, "count": count })))
}

/// `POST /api/v1/migrations`
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    JsonObject(mut body): JsonObject,
) -> ApiResult<Response> {
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    body.remove("tenantId");
    let plan = MigrationPlan::from_body(body)?;
    let made = api.migrations.create(caller.tenant(), plan, caller.user()).await?;
    let message = "Migration created successfully: nothing is copied before the first advance";
    let answer = json!({ "migrationId": made.id, "message": message });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET /api/v1/migrations/{migrationId}`
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    Ok(Json(show::report(&report(&api, &caller, &id).await?)))
}

/// `GET /api/v1/migrations/{migrationId}/plan`
pub(super) async fn plan(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let planned = api.migrations.plan(caller.tenant(), &migration_id(&id)?).await?;
    Ok(Json(actions_json(&planned)))
}

/// `POST /api/v1/migrations/{migrationId}/advance`
pub(super) async fn advance(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    step(&api, &caller, &id, params, Step::Advance).await
}

/// `POST /api/v1/migrations/{migrationId}/rollback`
pub(super) async fn rollback(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    step(&api, &caller, &id, params, Step::Rollback).await
}

async fn step(
    api: &Api,
    caller: &Caller,
    id: &str,
    mut params: Params,
    step: Step,
) -> ApiResult<Json<Value>> {
    let service = one_service(&mut params)?;
    let force = params.flag("force")?;
    params.finish()?;
    let asked = Asked { service, force, who: caller.user().to_owned() };
    let id = migration_id(id)?;
    let (moved, state) = api.migrations.step(caller.tenant(), &id, step, asked).await?;
    Ok(Json(json!({ "migrationId": moved.id, "state": state })))
}

/// The service that `serviceName` and `groupName` name, if they do.
fn one_service(params: &mut Params) -> Result<Option<(ServiceName, Option<GroupName>)>> {
    let (name, group) = (params.take("serviceName")?, params.group()?);
    let group = match (&name, group) {
        (_, GroupChoice::Unsaid) => None,
        (Some(_), GroupChoice::Named(group)) => Some(group),
        (Some(_), GroupChoice::All) => {
            return Err(Error::invalid("groupName", "*", "must name one group here"));
        }
        (None, GroupChoice::Named(_) | GroupChoice::All) => {
            return Err(Error::invalid("groupName", Value::Null, "goes with a serviceName"));
        }
    };
    name.map(|name| Ok((names::service(&name)?, group))).transpose()
}

/// `POST /api/v1/migrations/{migrationId}/pause`
pub(super) async fn pause(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    set_paused(&api, &caller, &id, params, true).await
}

/// `POST /api/v1/migrations/{migrationId}/resume`
pub(super) async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    set_paused(&api, &caller, &id, params, false).await
}

async fn set_paused(
    api: &Api,
    caller: &Caller,
    id: &str,
    params: Params,
    paused: bool,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let id = migration_id(id)?;
    let migration = api.migrations.pause(caller.tenant(), &id, paused, caller.user()).await?;
    let Migration { id, state, paused, .. } = &*migration;
    let message = match paused {
        true => "Paused: its copies are renewed, and stay as they are",
        false => "Its copies follow their originals",
    };
    Ok(Json(json!({ "migrationId": id, "state": state, "paused": paused, "message": message })))
}

/// `DELETE /api/v1/migrations/{migrationId}`
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let copies = match params.take("copies")?.as_deref() {
        None => None,
        Some("keep") => Some(Orphan::Keep),
        Some("remove") => Some(Orphan::Expire),
        Some(other) => return Err(Error::invalid("copies", other, "must be keep or remove").into()),
    };
    params.finish()?;
    let id = migration_id(&id)?;
    let count = api.migrations.delete(caller.tenant(), &id, copies, caller.user()).await?;
    let becomes = match copies {
        Some(Orphan::Keep) => "stay, and are the hub's no more",
        _ => "are removed",
    };
    let message = format!("Migration deleted successfully: its {count} copies {becomes}");
    Ok(Json(json!({ "migrationId": id, "copies": count, "message": message })))
}

/// `GET /api/v1/migrations/{migrationId}/parity`
pub(super) async fn parity(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.finish()?;
    let report = report(&api, &caller, &id).await?;
    let history = api.migrations.history(caller.tenant(), &report.migration.id).await?;
    if wants_page(&headers) {
        let policy = (header::CONTENT_SECURITY_POLICY, page::POLICY);
        let kind = (header::CONTENT_TYPE, "text/html; charset=utf-8");
        let text = page::of(&report, &history, api.clock.now());
        return Ok(([kind, policy], text).into_response());
    }
    Ok(Json(show::parity(&report, &history)).into_response())
}

/// A browser says text/html before all else, and JSON not at all.
fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|text| text.contains("text/html") && !text.contains("application/json"))
}

async fn report(api: &Api, caller: &Caller, id: &str) -> Result<Report> {
    api.migrations.report(caller.tenant(), &migration_id(id)?).await
}

fn migration_id(id: &str) -> Result<MigrationId> {
    let cut: String = id.chars().take(64).collect();
    MigrationId::parse(id).ok_or_else(|| Error::not_found(format!("no migration {cut}")))
}
