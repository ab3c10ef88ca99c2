//! What is taken and answered about held removals.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::external::describe::standing_fields;
use crate::api::openapi::shape::{Shape, count, integer, list_of, named, object, time, word};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::catalog::Why;

/// `POST /api/v1/external/configs/{configId}/accept-removals`
pub(in crate::api) fn accept() -> Describe {
    let answer = standing_fields()
        .and([("accepted", count().about("How many left.")), ("message", shapes::message())]);
    describe(Tag::External, "acceptRemovals", "Accepts the removals that are held")
        .text("All instances that the registry no longer lists leave at once.")
        .body(object([("heldRevision", revision())]).closed(), json!({ "heldRevision": 4711 }))
        .answers(StatusCode::OK, "They left.", named("Accepted", answer))
        .may(StatusCode::CONFLICT, "More is held than was seen; `details.current` says until when.")
}

/// What stands for all that is held.
pub(in crate::api) fn revision() -> Shape {
    integer(0..=i64::MAX).about("Rises whenever more is held; `accept-removals` takes it.")
}

/// The held instances of a status.
pub(in crate::api) fn held() -> Shape {
    let held = object([
        ("groupName", shapes::known_name()),
        ("serviceName", shapes::known_name()),
        ("hostAddress", shapes::known_host()),
        ("portNumber", shapes::known_port()),
        ("why", why()),
        ("since", time()),
        ("reads", count().about("Good reads that lacked it, of those that count.")),
        ("readsNeeded", count()),
        (
            "leavesAt",
            time().or_null().about("At the earliest; null while the registry does not answer."),
        ),
    ]);
    list_of(named("HeldRemoval", held)).about("At most a hundred; `heldRemovals` counts all.")
}

/// Why an instance is held.
pub(in crate::api) fn why() -> Shape {
    let all =
        [Why::AfterOutage, Why::Loss, Why::ServiceEmptied, Why::SourceEmptied, Why::SilentClient];
    word(&all.map(Why::as_str))
}
