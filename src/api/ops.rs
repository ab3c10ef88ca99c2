//! What is done to the server itself while it runs.

pub(super) mod describe;

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use hub_registry_core::duration;
use serde_json::{Map, Value, json};

use super::error::ApiResult;
use super::json_body::JsonObject;
use super::params::Params;
use super::state::Api;
use crate::access::Caller;
use crate::clock::rfc3339;
use crate::config::LogLevels;
use crate::error::{Error, Result};
use crate::telemetry::logging::{AUDIT, LevelState};

/// A length of time that a level may be set for, in words.
const LENGTH: &str = "must be a duration from 1s to 168h, as 10m";
const LENGTHS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 3600);

/// `GET /api/v1/ops/log-level`
pub(super) async fn log_level(State(api): State<Api>, params: Params) -> ApiResult<Json<Value>> {
    params.finish()?;
    Ok(Json(state_json(&api.levels.state())))
}

/// `PUT /api/v1/ops/log-level`: `{"level":"debug","for":"10m"}`.
pub(super) async fn set_log_level(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let (levels, length) = read(&body)?;
    let before = api.levels.state().current;
    api.levels.set(levels, length);
    let state = api.levels.state();
    tracing::info!(target: AUDIT, by = caller.user(), %before, level = %state.current,
        until = state.until.map(rfc3339), "the log level was changed");
    Ok(Json(state_json(&state)))
}

fn read(body: &Map<String, Value>) -> Result<(LogLevels, Option<Duration>)> {
    // What a GET answers may be put back.
    let known = ["level", "for", "configured", "until"];
    if let Some((key, value)) = body.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        return Err(Error::invalid(key, value.clone(), "is not a field of this request"));
    }
    let rule = format!("must be {}", LogLevels::RULE);
    let level = body.get("level").cloned().unwrap_or_default();
    let Some(text) = level.as_str() else {
        return Err(Error::invalid("level", level, &rule));
    };
    let levels = text
        .parse()
        .map_err(|error: String| Error::invalid("level", text, &format!("{rule}: {error}")))?;
    let length = match body.get("for") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let length = value.as_str().and_then(|text| duration::parse(text).ok());
            let length = length
                .filter(|length| LENGTHS.contains(length))
                .ok_or_else(|| Error::invalid("for", value.clone(), LENGTH))?;
            Some(length)
        }
    };
    Ok((levels, length))
}

fn state_json(state: &LevelState) -> Value {
    json!({
        "level": state.current.to_string(),
        "configured": state.configured.to_string(),
        "until": state.until.map(rfc3339),
    })
}
