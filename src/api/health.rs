//! Whether the process lives, and whether it is ready.

pub(super) mod describe;

use std::time::Duration;

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::state::Api;
use crate::access::{Action, Caller};
use crate::catalog::SourceId;

/// A database that says nothing for so long is down to who asks. Probes often wait for a second
/// only, and one without an answer counts as not ready.
pub(super) const DATABASE: Duration = Duration::from_millis(500);

/// "The process lives": no more is told to anybody who asks.
pub(super) fn live() -> Json<Value> {
    Json(json!({ "status": "UP" }))
}

/// `GET /health`
pub(super) async fn health() -> Json<Value> {
    live()
}

/// `GET /ready`: 200 when each enabled source is loaded or restored, or the start-up deadline is
/// over. Whether the database answers is told, and no more.
pub(super) async fn ready(State(api): State<Api>, known: Option<Extension<Caller>>) -> Response {
    let database = tokio::time::timeout(DATABASE, api.database.ping()).await;
    let database = if matches!(database, Ok(Ok(()))) { "UP" } else { "DOWN" };
    let waited = api.started.elapsed() >= api.settings.startup_deadline;
    let mut sources = Vec::new();
    let mut loaded = true;
    for (tenant, _) in api.view.all() {
        for cell in api.view.sources(&tenant).iter() {
            if cell.info.id == SourceId::Native {
                continue;
            }
            let state = cell.state();
            loaded &= cell.is_accounted_for();
            if known.as_ref().is_none_or(|Extension(caller)| !caller.tenants().contain(&tenant)) {
                continue;
            }
            sources.push(json!({
                "tenantId": tenant,
                "configId": cell.info.id.as_str(),
                "source": cell.info.name,
                "state": state,
                "ageMs": cell.age_ms(),
            }));
        }
    }
    // Reads go on without the database; whoever routes traffic by readiness must not stop them.
    let leaving = api.leaving.has_begun();
    let ready = (loaded || waited) && !leaving;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut body = json!({
        "status": if ready { "UP" } else { "DOWN" },
        "checks": {
            "database": { "status": database },
            "sources": {
                "status": if loaded { "UP" } else { "DOWN" },
                "deadlineOver": waited,
                "sources": sources,
            },
            "listeners": { "status": if leaving { "DOWN" } else { "UP" } },
        },
    });
    // Which registries there are is told to those who may read; a probe needs the word alone.
    if known.is_none_or(|Extension(caller)| caller.need(Action::Read).is_err()) {
        body = json!({ "status": body["status"] });
    }
    let mut response = (status, Json(body)).into_response();
    if !ready {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(1_u32));
    }
    response
}
