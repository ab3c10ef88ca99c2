//! The configurations of external registries, and what operators do with them.

pub(super) mod describe;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{ConfigId, TenantId};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::error::ApiResult;
use super::extract::Segment;
use super::json_body::JsonObject;
use super::names;
use super::params::Params;
use super::removals;
use super::sort::{Fields, Sort};
use super::state::Api;
use super::tagged::tagged;
use crate::access::Caller;
use crate::catalog::{SourceId, SourceState};
use crate::clock::rfc3339;
use crate::error::{Error, Result};
use crate::federation::{FailoverReport, ProbeStep, SourceKey, SourceStatus, probe};
use crate::model::external::{
    ExternalConfigRow, apply_body, brings_secrets, needs_secrets, row_json,
};
use crate::storage::StorageErrorKind;

/// What `sort` takes.
const SORT: &Fields<ExternalConfigRow> = &[
    ("configName", |a, b| a.config_name.cmp(&b.config_name)),
    ("environmentName", |a, b| a.environment_name.cmp(&b.environment_name)),
    ("registryType", |a, b| a.registry_type.cmp(&b.registry_type)),
    ("addTime", |a, b| a.common.add_time.cmp(&b.common.add_time)),
    ("editTime", |a, b| a.common.edit_time.cmp(&b.common.edit_time)),
];

/// How often a change is applied anew when others change the row at the same time.
const WRITE_TRIES: usize = 10;

/// Acts on a committed change now. When that fails the change is written all the same, and the
/// next look at the table acts on it.
async fn refresh(api: &Api) {
    if let Err(error) = api.federation.refresh().await {
        tracing::warn!(%error, "a configuration was written, but cannot be acted on yet");
    }
}

/// `GET /api/v1/external/configs`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let environment = params.take("environmentName")?;
    let kind = params.take("registryType")?;
    let sort = Sort::take(&mut params, SORT)?;
    let page = params.page()?;
    params.finish()?;
    let mut rows =
        api.configs.list(caller.tenant(), environment.as_deref(), kind.as_deref()).await?;
    sort.apply_by(&mut rows, |row| row);
    let count = rows.len();
    let configs: Vec<_> = page.of(rows).iter().map(row_json).collect();
    Ok(tagged(&headers, &json!({ "configs": configs, "count": count })))
}

/// `POST /api/v1/external/configs`
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    let mut row = fresh_row(&api, caller.tenant(), caller.user());
    apply_body(&mut row, &body)?;
    required(&body)?;
    api.federation.check_new(&row).await?;
    api.configs.insert(&row).await.map_err(|error| taken(error, &row))?;
    tracing::info!(source = row.config_name, tenant.id = %caller.tenant(),
        user.id = caller.user(), "a configuration was added");
    refresh(&api).await;
    let answer = json!({
        "configId": row.external_config_id,
        "message": "External registry config created successfully",
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET /api/v1/external/configs/{configId}`
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.finish()?;
    Ok(tagged(&headers, &row_json(&stored(&api, caller.tenant(), &id).await?)))
}

/// `PUT /api/v1/external/configs/{configId}`
pub(super) async fn update(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    names::same(&body, "configId", &id)?;
    names::same(&body, "externalConfigId", &id)?;
    let expected = expected_version(&body)?;
    for _ in 0..WRITE_TRIES {
        let before = stored(&api, caller.tenant(), &id).await?;
        let mut row = before.clone();
        apply_body(&mut row, &body)?;
        check_secrets(&before, &row, &body)?;
        row.unreadable.clear();
        api.federation.check_new(&row).await?;
        let stale = expected.is_some_and(|version| Some(version) != before.common.current_version);
        if same(&before, &row) && !stale {
            let message = "External registry config is as it was";
            return Ok(Json(json!({ "configId": id, "message": message })));
        }
        (row.common.edit_time, row.common.edit_who) =
            (Some(api.clock.now()), Some(caller.user().to_owned()));
        // Without a version of the caller's, this one keeps what others changed in between.
        let version = expected.or(before.common.current_version);
        match api.configs.update(&row, version).await {
            Ok(true) => {
                refresh(&api).await;
                let message = "External registry config updated successfully";
                return Ok(Json(json!({ "configId": id, "message": message })));
            }
            Ok(false) => return Err(no_config(&id).into()),
            Err(error) if error.kind() == StorageErrorKind::Conflict => {
                let now = stored(&api, caller.tenant(), &id).await?.common.current_version;
                if expected.is_some() && expected != now {
                    let details =
                        json!({ "field": "currentVersion", "value": expected, "current": now });
                    let message = "somebody changed it in between";
                    return Err(Error::conflict(message).with_details(details).into());
                }
                if now == before.common.current_version {
                    return Err(taken(error, &row));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::unavailable("too many changes at once").into())
}

/// `DELETE /api/v1/external/configs/{configId}`
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> ApiResult<Json<Value>> {
    if !api.configs.delete(caller.tenant(), &config_id(&id)?).await? {
        return Err(no_config(&id).into());
    }
    refresh(&api).await;
    Ok(Json(json!({ "configId": id, "message": "External registry config deleted successfully" })))
}

/// `GET /api/v1/external/configs/{configId}/status`
pub(super) async fn status(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> ApiResult<Json<Value>> {
    let row = stored(&api, caller.tenant(), &id).await?;
    let key: SourceKey = (caller.tenant().clone(), config_id(&id)?);
    Ok(Json(status_json(&api, &key, &row)))
}

/// `POST /api/v1/external/configs/{configId}/connect`
pub(super) async fn connect(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> ApiResult<Response> {
    let row = stored(&api, caller.tenant(), &id).await?;
    let config = api.federation.check(&row).await?;
    let key: SourceKey = (caller.tenant().clone(), config_id(&id)?);
    let seen =
        api.federation.status(&key).map(|status| status.report().outcome).unwrap_or_default();
    api.configs.set_active(&key.0, &key.1, true, caller.user(), api.clock.now()).await?;
    refresh(&api).await;
    api.federation.retry_now(&key).await;
    let Some(status) = api.federation.status(&key) else {
        return Err(
            Error::unavailable("external.enabled is false: no registry is connected").into()
        );
    };
    let bound = config.spec.connect_timeout + config.spec.read_timeout;
    let outcome = first_outcome(&api, &key, &status, seen.failures, bound).await;
    let (code, message) = match outcome {
        Some(Ok(())) => (StatusCode::OK, "connected"),
        Some(Err((code, message))) => {
            return Err(Error::unavailable(message).with_details(json!({ "code": code })).into());
        }
        None => (StatusCode::ACCEPTED, "still connecting"),
    };
    let row = stored(&api, &key.0, &id).await?;
    let mut answer = status_json(&api, &key, &row);
    answer["message"] = json!(message);
    Ok((code, Json(answer)).into_response())
}

/// `POST /api/v1/external/configs/{configId}/disconnect`
pub(super) async fn disconnect(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> ApiResult<Json<Value>> {
    stored(&api, caller.tenant(), &id).await?;
    let key: SourceKey = (caller.tenant().clone(), config_id(&id)?);
    api.configs.set_active(&key.0, &key.1, false, caller.user(), api.clock.now()).await?;
    refresh(&api).await;
    let row = stored(&api, &key.0, &id).await?;
    let mut answer = status_json(&api, &key, &row);
    answer["message"] = json!("disconnected");
    Ok(Json(answer))
}

/// `POST /api/v1/external/configs/{configId}/failover`
pub(super) async fn fail_over(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Response> {
    let (key, row, force) = to_switch(&api, &caller, &id, params).await?;
    let on_disk = api.federation.fail_over(&key, force).await?;
    let (source, user) = (&row.config_name, caller.user());
    tracing::warn!(source, user.id = user, force, "an operator failed over");
    Ok(switched(&api, &key, &row, on_disk, "the standby serves"))
}

/// `POST /api/v1/external/configs/{configId}/failback`
pub(super) async fn fail_back(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Response> {
    let (key, row, force) = to_switch(&api, &caller, &id, params).await?;
    let on_disk = api.federation.fail_back(&key, force).await?;
    let (source, user) = (&row.config_name, caller.user());
    tracing::warn!(source, user.id = user, force, "an operator failed back");
    Ok(switched(&api, &key, &row, on_disk, "the primary serves"))
}

/// The configuration whose server is to change, and whether it is to in any case.
async fn to_switch(
    api: &Api,
    caller: &Caller,
    id: &str,
    mut params: Params,
) -> ApiResult<(SourceKey, ExternalConfigRow, bool)> {
    let force = params.flag("force")?;
    params.finish()?;
    let row = stored(api, caller.tenant(), id).await?;
    Ok(((caller.tenant().clone(), config_id(id)?), row, force))
}

/// Who serves now. What a database that is away keeps from being written is done all the same, and
/// is no 200: a restart would undo it.
fn switched(
    api: &Api,
    key: &SourceKey,
    row: &ExternalConfigRow,
    on_disk: bool,
    message: &str,
) -> Response {
    let mut answer = status_json(api, key, row);
    let later = format!("{message}; it is not on disk yet, so that a restart would undo it");
    answer["message"] = json!(if on_disk { message } else { later.as_str() });
    let status = if on_disk { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(answer)).into_response()
}

/// `POST /api/v1/external/configs/{configId}/test`, with or without changed fields in the body.
pub(super) async fn test_stored(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    request: axum::extract::Request,
) -> ApiResult<Json<Value>> {
    use axum::extract::FromRequest;
    let before = stored(&api, caller.tenant(), &id).await?;
    let mut row = before.clone();
    let has_body = request.headers().contains_key(axum::http::header::CONTENT_TYPE);
    if has_body {
        let body = JsonObject::from_request(request, &api);
        let in_time = tokio::time::timeout(api.settings.request_timeout, body).await;
        let JsonObject(body) =
            in_time.map_err(|_| Error::unavailable("the body took too long"))??;
        apply_body(&mut row, &body)?;
        check_secrets(&before, &row, &body)?;
    }
    run_test(&api, &row).await
}

/// `POST /api/v1/external/configs/test`
pub(super) async fn test_body(
    State(api): State<Api>,
    caller: Caller,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    let mut row = fresh_row(&api, caller.tenant(), caller.user());
    if !body.contains_key("configName") {
        row.config_name = "test".to_owned();
    }
    apply_body(&mut row, &body)?;
    run_test(&api, &row).await
}

async fn run_test(api: &Api, row: &ExternalConfigRow) -> ApiResult<Json<Value>> {
    let config = api.federation.check(row).await?;
    let (clock, metrics) = (api.clock.clone(), api.metrics.clone());
    let kind = config.spec.kind.as_str();
    let observer = SourceStatus::new(config.id.as_str(), &config.name, kind, clock, metrics);
    let steps = probe(api.federation.drivers(), &config, std::sync::Arc::new(observer)).await;
    let failed: Option<&ProbeStep> = steps.iter().find(|step| !step.ok);
    Ok(Json(json!({
        "success": failed.is_none(),
        "failedStep": failed.map(|step| step.step),
        "message": failed.map_or("login, ping and read work", |step| step.message.as_str()),
        "steps": steps,
    })))
}

/// Waits for the next full read or the next failure; `None` when neither comes in time.
async fn first_outcome(
    api: &Api,
    key: &SourceKey,
    status: &SourceStatus,
    failures: u64,
    bound: Duration,
) -> Option<Result<(), (String, String)>> {
    let deadline = Instant::now() + bound;
    let mut outcomes = status.outcomes();
    loop {
        let state = api.catalog.state(&key.0, &SourceId::External(key.1.clone()));
        if state.is_some_and(|(state, _)| state.is_current()) {
            return Some(Ok(()));
        }
        let outcome = outcomes.borrow_and_update().clone();
        if outcome.failures > failures
            && let Some(error) = outcome.last_error
        {
            return Some(Err(error));
        }
        tokio::time::timeout_at(deadline, outcomes.changed()).await.ok()?.ok()?;
    }
}

pub(super) fn status_json(api: &Api, key: &SourceKey, config: &ExternalConfigRow) -> Value {
    let id = SourceId::External(key.1.clone());
    let live = api.catalog.state(&key.0, &id);
    let state = live.map_or(SourceState::Disconnected, |(state, _)| state);
    let counts = api.catalog.counts(&key.0, &id);
    let row = api.federation.board().row(key);
    let report = api.federation.status(key).map(|status| status.report()).unwrap_or_default();
    let served_by = report.failover.as_ref().map_or(&key.1, |failover| &failover.served_by);
    let details =
        row.error_details.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let time = |time: Option<chrono::DateTime<chrono::Utc>>| time.map(rfc3339);
    json!({
        "configId": key.1,
        "configName": config.config_name,
        "registryType": config.registry_type,
        "activeFlag": if config.common.is_active() { "Y" } else { "N" },
        "state": state,
        "ageMs": live.and_then(|(_, age)| age),
        "services": counts.services,
        "instances": counts.instances,
        "heldRemovals": counts.held,
        "heldRevision": counts.held_revision,
        "held": removals::held_json(api, key),
        "capability": report.capability,
        "servedBy": live.is_some().then_some(served_by),
        "failover": report.failover.as_ref().map(failover_json),
        "insecureSkipVerify": skips_verification(config),
        "connectionStatus": row.connection_status.as_deref().unwrap_or("DISCONNECTED"),
        "healthStatus": row.health_status.as_deref().unwrap_or("UNKNOWN"),
        "lastConnectTime": time(row.last_connect_time),
        "lastDisconnectTime": time(row.last_disconnect_time),
        "lastHealthCheckTime": time(row.last_health_check_time),
        "responseTime": row.response_time,
        "successCount": row.success_count.unwrap_or(0),
        "errorCount": row.error_count.unwrap_or(0),
        "timeoutCount": row.timeout_count.unwrap_or(0),
        "failoverStatus": row.failover_status.as_deref().unwrap_or("NORMAL"),
        "failoverTime": time(row.failover_time),
        "failoverCount": row.failover_count.unwrap_or(0),
        "recoverTime": time(row.recover_time),
        "syncStatus": row.sync_status.as_deref().unwrap_or("IDLE"),
        "lastSyncTime": time(row.last_sync_time),
        "syncSuccessCount": row.sync_success_count.unwrap_or(0),
        "syncErrorCount": row.sync_error_count.unwrap_or(0),
        "lastErrorMessage": row.last_error_message,
        "lastErrorTime": time(row.last_error_time),
        "errorDetails": details,
    })
}

/// How a source and its standby fare.
fn failover_json(failover: &FailoverReport) -> Value {
    json!({
        "failoverConfigId": failover.standby,
        "failoverStrategy": if failover.auto { "AUTO" } else { "MANUAL" },
        "waitsFor": failover.waits_for,
        "byOperator": failover.by_operator,
        "holdDownMs": failover.hold_down.as_millis() as u64,
    })
}

/// Whether a reader would see no difference, and no secret is another one.
fn same(before: &ExternalConfigRow, after: &ExternalConfigRow) -> bool {
    before.unreadable.is_empty()
        && row_json(before) == row_json(after)
        && before.password == after.password
        && before.access_token == after.access_token
        && before.secret_key == after.secret_key
}

fn skips_verification(config: &ExternalConfigRow) -> bool {
    let text = config.specific_config.as_deref().unwrap_or_default();
    serde_json::from_str::<Value>(text).is_ok_and(|value| value["insecureSkipVerify"] == true)
}

fn fresh_row(api: &Api, tenant: &TenantId, user: &str) -> ExternalConfigRow {
    let mut row = ExternalConfigRow {
        external_config_id: format!("{:032x}", fastrand::u128(..)),
        tenant_id: tenant.as_str().to_owned(),
        environment_name: "default".to_owned(),
        ..ExternalConfigRow::default()
    };
    row.common.active_flag = Some("Y".to_owned());
    let now = Some(api.clock.now());
    (row.common.add_time, row.common.edit_time) = (now, now);
    (row.common.add_who, row.common.edit_who) = (Some(user.to_owned()), Some(user.to_owned()));
    row
}

fn required(body: &Map<String, Value>) -> Result<()> {
    for field in ["configName", "registryType", "serverAddress"] {
        if body.get(field).is_none_or(Value::is_null) {
            return Err(Error::invalid(field, Value::Null, "is required"));
        }
    }
    Ok(())
}

fn check_secrets(
    before: &ExternalConfigRow,
    after: &ExternalConfigRow,
    body: &Map<String, Value>,
) -> Result<()> {
    if !needs_secrets(before, after) || brings_secrets(before, body) {
        return Ok(());
    }
    let rule = "the server or how it is trusted changes, so the stored secrets must be sent again";
    Err(Error::new(crate::error::ErrorCode::Invalid, rule)
        .with_details(json!({ "code": "secret_required" })))
}

fn expected_version(body: &Map<String, Value>) -> Result<Option<i64>> {
    match body.get("currentVersion") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| {
            Error::invalid("currentVersion", value.clone(), "must be a whole number")
        }),
    }
}

pub(super) async fn stored(api: &Api, tenant: &TenantId, id: &str) -> ApiResult<ExternalConfigRow> {
    let row = api.configs.get(tenant, &config_id(id)?).await?;
    row.ok_or_else(|| no_config(id).into())
}

pub(super) fn config_id(id: &str) -> Result<ConfigId> {
    ConfigId::parse(id).map_err(|_| no_config(id))
}

fn no_config(id: &str) -> Error {
    let id: String = id.chars().take(40).collect();
    Error::not_found(format!("no configuration {id:?}"))
}

fn taken(error: crate::storage::StorageError, row: &ExternalConfigRow) -> super::error::ApiError {
    if error.kind() != StorageErrorKind::Conflict {
        return error.into();
    }
    let message = "its name is taken in that environment";
    let details = json!({ "configName": row.config_name, "environmentName": row.environment_name });
    Error::conflict(message).with_details(details).into()
}
