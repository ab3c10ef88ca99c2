//! What the report of a load takes and answers.

use axum::http::StatusCode;
use serde_json::json;

use super::MAX_CONNECTIONS;
use crate::api::openapi::shape::{count, integer, object};
use crate::api::openapi::{Describe, Tag, describe, shapes};

/// `PUT /api/v1/instances/{instanceId}/load`
pub(in crate::api) fn report() -> Describe {
    let connections = || integer(0..=MAX_CONNECTIONS);
    let answer = object([
        ("instanceId", shapes::instance_id()),
        ("connections", connections()),
        ("expiresInSeconds", count()),
        ("message", shapes::message()),
    ]);
    describe(Tag::Discovery, "reportLoad", "Reports how many connections an instance has")
        .text("For LEAST_CONNECTIONS. Kept in memory, for a minute; of any registry.")
        .body(object([("connections", connections())]).closed(), json!({ "connections": 17 }))
        .answers(StatusCode::OK, "Taken.", answer)
}
