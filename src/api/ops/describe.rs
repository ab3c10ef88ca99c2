//! What the routes of the server itself take and answer.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::openapi::shape::{Shape, anything, duration, line, named, object, text, time};
use crate::api::openapi::{Describe, Tag, describe};
use crate::config::LogLevels;

/// `GET /api/v1/ops/log-level`
pub(in crate::api) fn log_level() -> Describe {
    describe(Tag::Server, "logLevel", "How much is logged").answers(
        StatusCode::OK,
        "The levels that count now, and those of the configuration.",
        state(),
    )
}

/// `PUT /api/v1/ops/log-level`
pub(in crate::api) fn set_log_level() -> Describe {
    let about = format!("How much is logged: {}.", LogLevels::RULE);
    let body = object([("level", line(4000).min(1).about(&about))])
        .and_settable([
            (
                "for",
                duration()
                    .about("The configured levels count again after it, 1s to 168h.")
                    .or_null(),
            ),
            ("configured", anything().about("Taken, and without effect.")),
            ("until", anything().about("Taken, and without effect.")),
        ])
        .closed();
    let example = json!({ "level": "info,hub_registry::federation=debug", "for": "10m" });
    describe(Tag::Server, "setLogLevel", "Changes how much is logged")
        .text("It holds until the next change, the end of `for`, or the end of the process.")
        .body(named("LogLevel", body), example)
        .answers(StatusCode::OK, "Changed.", state())
}

fn state() -> Shape {
    object([("level", text()), ("configured", text()), ("until", time().or_null())])
}
