//! `agent/check`: what checks say that clients run themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use hub_registry_core::HealthStatus;
use serde::Deserialize;

use super::Face;
use super::call::{Answered, Call, Refused, read, text};
use super::render::{self, term};
use crate::access::Action;
use crate::model::instance::InstancePatch;
use crate::model::words::HealthCheckType;

/// What a check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Passing,
    Warning,
    Critical,
}

#[derive(Debug, Deserialize)]
struct Update {
    #[serde(alias = "Status")]
    status: String,
}

/// `PUT agent/check/pass/{id}`
pub(super) async fn pass(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.said(&call, Said::Passing).await
}

/// `PUT agent/check/warn/{id}`
pub(super) async fn warn(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.said(&call, Said::Warning).await
}

/// `PUT agent/check/fail/{id}`
pub(super) async fn fail(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.said(&call, Said::Critical).await
}

/// `PUT agent/check/update/{id}` with `{"Status": ...}`
pub(super) async fn update(
    State(face): State<Arc<Face>>,
    call: Call,
    body: Body,
) -> Answered<StatusCode> {
    let body = face.body(body).await?;
    let update: Update = serde_json::from_slice(&body)
        .map_err(|_| Refused::bad("Request decode failed: must be {\"Status\": ...}"))?;
    let said = match update.status.as_str() {
        "passing" => Said::Passing,
        "warning" => Said::Warning,
        "critical" => Said::Critical,
        other => {
            let shown: String = other.chars().take(60).collect();
            return Err(Refused::bad(format!("Invalid check status: '{shown}'")));
        }
    };
    face.said(&call, said).await
}

/// `GET agent/checks`: those of the services that registered here, by id.
pub(super) async fn list(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let filter = call.filter()?;
    let visible = face.native.visible(&call.caller);
    let mut checks = BTreeMap::new();
    for one in face.registered(call.caller.tenant()) {
        if !visible.sees(&one.key.service.group) {
            continue;
        }
        let Some((row, revision)) = face.row(&call, &one.key) else {
            continue;
        };
        for check in face.filtered(render::checks(&row, revision), filter.as_ref())? {
            let id = check["CheckID"].as_str().unwrap_or_default().to_owned();
            checks.insert(id, check);
        }
    }
    Ok(read(1, true, text(&checks)))
}

impl Face {
    async fn said(&self, call: &Call, said: Said) -> Answered<StatusCode> {
        let id = call.segment("id");
        let caller = &call.caller;
        let known = self.by_check(caller, call.peer, id);
        let known = known.filter(|known| known.check == HealthCheckType::Heartbeat);
        let Some(known) = known else {
            // As Consul 1.8 has it: it is the client's fault, and it is to register again.
            let text = format!("CheckID {id:?} does not have associated TTL");
            return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text));
        };
        self.native.need(caller, Action::Write, &known.key.service.group)?;
        let own = known.id.to_string();
        let outcome = match said {
            Said::Critical => Ok(0),
            Said::Passing | Said::Warning => self.native.heartbeat(caller, &own),
        };
        self.metrics.native.ended("heartbeat", outcome.is_ok());
        outcome?;
        let health = match said {
            Said::Critical => HealthStatus::Unhealthy,
            Said::Passing | Said::Warning => HealthStatus::Healthy,
        };
        let warns = known.native.contains_key(term::CHECK_STATUS);
        if known.health == health && warns == (said == Said::Warning) {
            return Ok(StatusCode::OK);
        }
        // What it says now is written over what it said when it registered, and over nothing newer.
        let id = known.native.get(term::ID).cloned().unwrap_or_default();
        let _turn = self.turns.of((caller.tenant(), &id)).await;
        let known = self.native.get(caller.tenant(), &own)?;
        let mut native = known.native.clone();
        native.remove(term::CHECK_STATUS);
        if said == Said::Warning {
            native.insert(term::CHECK_STATUS.to_owned(), "warning".to_owned());
        }
        let patch = InstancePatch {
            health: Some(health),
            native: Some(native),
            ..InstancePatch::default()
        };
        let outcome = self.native.update(caller, &own, patch).await;
        self.metrics.native.ended("health", outcome.is_ok());
        outcome?;
        Ok(StatusCode::OK)
    }
}
