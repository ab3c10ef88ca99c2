//! Copies between registries: how a rule fares, what it would do, and having it done now.

pub(super) mod describe;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use hub_registry_core::InstanceKey;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::external::{config_id, stored};
use super::extract::Segment;
use super::params::Params;
use super::state::Api;
use crate::access::Caller;
use crate::clock::rfc3339;
use crate::sync::{Act, Planned, RouteStatus};

/// What is answered of an address that is left alone.
const SKIP: &str = "SKIP";

/// `GET /api/v1/external/configs/{configId}/sync`
pub(super) async fn status(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let row = stored(&api, caller.tenant(), &id).await?;
    let (routes, problems) = api.sync.status(caller.tenant(), &config_id(&id)?);
    let routes: Vec<_> = routes.iter().map(route_json).collect();
    Ok(Json(json!({
        "configId": id,
        "syncEnabled": row.sync_enabled.as_deref().unwrap_or("N"),
        "routes": routes,
        "problems": problems,
    })))
}

/// `POST /api/v1/external/configs/{configId}/sync`
pub(super) async fn run(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let dry_run = params.flag("dryRun")?;
    params.finish()?;
    let row = stored(&api, caller.tenant(), &id).await?;
    let (tenant, config) = (caller.tenant(), config_id(&id)?);
    let planned = match dry_run {
        true => api.sync.plan(tenant, &config).await?,
        false => {
            tracing::info!(
                source = row.config_name,
                user.id = caller.user(),
                "an operator has copies compared"
            );
            api.sync.compare_now(tenant, &config).await?
        }
    };
    Ok(Json(actions_json(&planned)))
}

/// What is, or would be, done.
pub(super) fn actions_json(planned: &[Planned]) -> Value {
    let actions: Vec<_> = planned.iter().map(planned_json).collect();
    json!({ "count": actions.len(), "actions": actions })
}

fn planned_json(planned: &Planned) -> Value {
    let Planned { act, target, key, reason, lost } = planned;
    json!({
        "action": act.map_or(SKIP, Act::as_str),
        "target": target,
        "groupName": key.service.group,
        "serviceName": key.service.name,
        "hostAddress": key.host,
        "portNumber": key.port,
        "reason": reason,
        "lost": lost,
    })
}

fn route_json(status: &RouteStatus) -> Value {
    let RouteStatus { route, report, lost } = status;
    let ms = |duration: std::time::Duration| duration.as_millis() as u64;
    let lag = report.lag();
    json!({
        "source": route.from.name,
        "target": route.to.name,
        "mode": route.mode().as_str(),
        "orphan": route.orphan().as_str(),
        "rate": route.rate,
        "copies": report.copies,
        "pending": report.pending,
        "removalsOverBudget": report.over_budget,
        "written": report.written,
        "failed": report.failed,
        "lagP50Ms": lag.map(|(median, _)| ms(median)),
        "lagP99Ms": lag.map(|(_, high)| ms(high)),
        "lastReconcileTime": report.compared_at.map(rfc3339),
        "lastWriteTime": report.wrote_at.map(rfc3339),
        "lastErrorMessage": report.error,
        "skipped": addresses(&report.skipped, |why| json!({ "reason": why })),
        "refused": addresses(&report.refused, |why| json!({ "reason": why })),
        "lost": addresses(lost, |fields| json!({ "fields": fields })),
    })
}

fn addresses<T>(all: &BTreeMap<InstanceKey, T>, more: impl Fn(&T) -> Value) -> Value {
    let one = |(key, value): (&InstanceKey, &T)| {
        let mut address = json!({
            "groupName": key.service.group,
            "serviceName": key.service.name,
            "hostAddress": key.host,
            "portNumber": key.port,
        });
        if let (Value::Object(address), Value::Object(more)) = (&mut address, more(value)) {
            address.extend(more);
        }
        address
    };
    all.iter().map(one).collect()
}
