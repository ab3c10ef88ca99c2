//! Heartbeats.

use std::sync::Arc;

use axum::extract::State;
use hub_registry_core::InstanceKey;
use hub_registry_nacos::wire::Beat;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Face;
use super::call::{Answered, Call};
use super::register::{key, registration};
use super::version::Version;
use crate::error::ErrorCode;
use crate::model::instance::NativeInstance;

/// Codes of an answer (`com.alibaba.nacos.api.naming.NamingResponseCode`).
const OK: i64 = 10_200;
const NOT_FOUND: i64 = 20_404;
/// When the next heartbeat is expected, in milliseconds, where metadata do not say it.
const INTERVAL: i64 = 5000;
const HEARTBEAT_INTERVAL: &str = "preserved.heart.beat.interval";
const MAX_INTERVAL: i64 = 3_600_000;

/// What a client may say of itself with a heartbeat (`RsInfo`). Clients write null for what they do
/// not know, and numbers as texts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    ip: Option<String>,
    port: Value,
    cluster: Option<String>,
    weight: Value,
    ephemeral: Option<bool>,
    metadata: Option<Map<String, Value>>,
}

/// `PUT instance/beat`: renews a lease. One that is not there is registered if the heartbeat says
/// all of it, else told to register.
pub(super) async fn beat(State(face): State<Arc<Face>>, mut call: Call) -> Answered {
    let whole = match call.said("beat") {
        None => None,
        Some(text) => Some(serde_json::from_str::<Said>(text).map_err(|error| {
            let shown: String = error.to_string().chars().take(200).collect();
            call.bad(format!("Param 'beat' is no heartbeat: {shown}"))
        })?),
    };
    let is_whole = whole.is_some();
    if let Some(said) = whole {
        call.say(said.parameters());
    }
    let at = key(&call, call.service()?)?;
    let mut known = renewed(&face, &call, &at)?;
    if known.is_none() && is_whole {
        let _turn = face.turns.of((call.caller.tenant(), &at)).await;
        // Somebody may have registered it meanwhile, and may have said more.
        known = renewed(&face, &call, &at)?;
        if known.is_none() {
            let new = registration(&call, at.clone())?;
            let outcome = face.native.register(&call.caller, new).await;
            face.metrics.native.ended("register", outcome.is_ok());
            outcome.map_err(|error| call.failed(error))?;
            known = face.own(&call, &at);
        }
    }
    let code = if known.is_some() { OK } else { NOT_FOUND };
    // Clients beat as often as they are told to.
    let said = known.as_ref().and_then(|known| known.metadata.get(HEARTBEAT_INTERVAL));
    let said = said.and_then(|text| text.parse().ok());
    let interval = said.filter(|millis| (1..=MAX_INTERVAL).contains(millis)).unwrap_or(INTERVAL);
    let mut answer = json!(Beat { code, client_beat_interval: interval });
    answer["lightBeatEnabled"] = json!(true);
    // Of all versions this one answer has no envelope.
    Ok(Version::V1.answer(answer))
}

#[cfg(any(fuzzing, test))]
pub(super) fn fuzzing(bytes: &[u8]) {
    if let Ok(said) = serde_json::from_slice::<Said>(bytes) {
        said.parameters();
    }
}

impl Said {
    fn parameters(self) -> Vec<(&'static str, String)> {
        let text = |value: Value| match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let metadata = self.metadata.filter(|metadata| !metadata.is_empty());
        let mut all = vec![
            ("ip", self.ip.unwrap_or_default()),
            ("port", text(self.port)),
            ("clusterName", self.cluster.unwrap_or_default()),
            ("weight", text(self.weight)),
            ("ephemeral", self.ephemeral.map(|is| is.to_string()).unwrap_or_default()),
            (
                "metadata",
                metadata.map(|pairs| Value::Object(pairs).to_string()).unwrap_or_default(),
            ),
        ];
        all.retain(|(_, value)| !value.is_empty());
        all
    }
}

/// Renews the lease of what is there.
pub(super) fn renewed(
    face: &Face,
    call: &Call,
    at: &InstanceKey,
) -> Answered<Option<NativeInstance>> {
    let Some(now) = face.own(call, at) else { return Ok(None) };
    let outcome = face.native.heartbeat(&call.caller, &now.id.to_string());
    face.metrics.native.ended("heartbeat", outcome.is_ok());
    match outcome {
        Ok(_) => Ok(Some(now)),
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(call.failed(error)),
    }
}
