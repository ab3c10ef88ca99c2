//! What instances report of their connections, for `LEAST_CONNECTIONS`.

pub(super) mod describe;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::extract::Segment;
use super::instances::no_instance;
use super::json_body::JsonObject;
use super::params::Params;
use super::places::find_row;
use super::state::Api;
use crate::access::{Action, Caller};
use crate::balance::LOAD_LIFETIME;
use crate::error::Error;
use crate::model::fields::Fields;

/// The most connections that can be reported.
const MAX_CONNECTIONS: i64 = 1_000_000_000;

/// `PUT /api/v1/instances/{instanceId}/load`: kept in memory, for a minute; native instances and
/// those of other registries alike.
pub(super) async fn report(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let mut fields = Fields::new("a load report", Value::Object(body), &[&["connections"]])?;
    let connections = fields.integer("connections", 0..=MAX_CONNECTIONS)?;
    let connections =
        connections.ok_or_else(|| Error::invalid("connections", Value::Null, "is required"))?;
    let (view, _) = find_row(&api, &caller, &id).ok_or_else(no_instance)?;
    api.native.need(&caller, Action::Write, &view.key.group)?;
    view.picks.report(&id, connections.unsigned_abs());
    Ok(Json(json!({
        "instanceId": id,
        "connections": connections,
        "expiresInSeconds": LOAD_LIFETIME.as_secs(),
        "message": "Load reported",
    })))
}
