//! The catalog's writing half.
//!
//! As on 1.8.7: a transaction that has anything wrong in it changes nothing and is a 409, and
//! removing what is not there is no error. Each operation of one is applied by itself here, so that
//! a reader can see a part of it for a moment.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Shared, agent};

pub(super) async fn transaction(State(data): State<Shared>, body: String) -> Response {
    let operations: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
    if operations.is_empty() {
        return (StatusCode::BAD_REQUEST, "Failed to parse body").into_response();
    }
    let checks: Vec<_> = operations.iter().filter(|one| one["Check"].is_object()).collect();
    let service = operations.iter().find(|one| one["Service"]["Verb"] == "set");
    if let Some(service) = service.map(|one| &one["Service"]["Service"]) {
        let id = service["ID"].as_str().unwrap_or_default();
        let maintenance = format!("_service_maintenance:{id}");
        let is_maintenance =
            |one: &&&Value| one["Check"]["Check"]["CheckID"] == maintenance.as_str();
        let own = checks.iter().filter(|one| !is_maintenance(one));
        let mut body = service.clone();
        body["Name"] = service["Service"].clone();
        body["Checks"] = own.map(|one| one["Check"]["Check"].clone()).collect();
        if let Err(problem) = agent::put(&data, &body) {
            let errors = json!({"Results": null, "Errors": [{"OpIndex": 0, "What": problem}]});
            return (StatusCode::CONFLICT, Json(errors)).into_response();
        }
        if let Some(check) = checks.iter().find(is_maintenance) {
            agent::maintain(&data, id, check["Check"]["Verb"] == "set");
        }
    }
    Json(json!({"Results": [], "Errors": null})).into_response()
}

pub(super) async fn deregister(State(data): State<Shared>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    if body["Node"].as_str().is_none_or(str::is_empty) {
        return (StatusCode::BAD_REQUEST, "Must provide node").into_response();
    }
    agent::remove(&data, body["ServiceID"].as_str().unwrap_or_default());
    Json(true).into_response()
}
