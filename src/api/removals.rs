//! Removals that are held: which, why, and letting go of them.

pub(super) mod describe;

use axum::Json;
use axum::extract::State;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::external::{config_id, status_json, stored};
use super::extract::Segment;
use super::json_body::JsonObject;
use super::params::Params;
use super::state::Api;
use crate::access::Caller;
use crate::catalog::SourceId;
use crate::clock::rfc3339;
use crate::error::Error;
use crate::federation::SourceKey;

/// The most held instances a status names; `heldRemovals` counts all.
const NAMED: usize = 100;

/// The first held instances of a source, each with why and until when.
pub(super) fn held_json(api: &Api, key: &SourceKey) -> Value {
    let now = api.clock.now();
    let ms = |ms: u64| TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX / 1_000_000));
    let held = api.catalog.held(&key.0, &SourceId::External(key.1.clone()), NAMED);
    let one = |(key, waiting): &(hub_registry_core::InstanceKey, crate::catalog::Waiting)| {
        json!({
            "groupName": key.service.group,
            "serviceName": key.service.name,
            "hostAddress": key.host,
            "portNumber": key.port,
            "why": waiting.why.as_str(),
            "since": rfc3339(now - ms(waiting.missing_ms)),
            "reads": waiting.reads,
            "readsNeeded": waiting.reads_needed,
            "leavesAt": waiting.leaves_in_ms.map(|left| rfc3339(now + ms(left))),
        })
    };
    held.iter().map(one).collect()
}

/// `POST /api/v1/external/configs/{configId}/accept-removals`
pub(super) async fn accept(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    const FIELD: &str = "heldRevision";
    params.finish()?;
    if let Some((unknown, value)) = body.iter().find(|(key, _)| *key != FIELD) {
        return Err(Error::invalid(unknown, value.clone(), "is not known here").into());
    }
    let given = body.get(FIELD).cloned().unwrap_or_default();
    let Some(seen) = given.as_i64().filter(|seen| *seen >= 0) else {
        let rule = "must be the number the status shows: what was not seen is not accepted";
        return Err(Error::invalid(FIELD, given, rule).into());
    };
    let row = stored(&api, caller.tenant(), &id).await?;
    let key: SourceKey = (caller.tenant().clone(), config_id(&id)?);
    let accepted = api.federation.accept_removals(&key, seen).map_err(|newer| {
        let details = json!({ "field": FIELD, "value": seen, "current": newer.held_revision });
        Error::conflict("more is held than was seen: look again").with_details(details)
    })?;
    tracing::info!(source = row.config_name, tenant.id = %caller.tenant(), user.id = caller.user(),
        accepted, "held removals were accepted");
    let mut answer = status_json(&api, &key, &row);
    answer["accepted"] = json!(accepted);
    answer["message"] = json!("the held removals were accepted");
    Ok(Json(answer))
}
