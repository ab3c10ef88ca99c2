//! What the routes of events take and answer.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{LIMIT, MAX_LIMIT};
use crate::api::openapi::params::{Param, group_or_all};
use crate::api::openapi::shape::{
    Shape, anything, integer, list_of, named, object, pattern, text, time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::model::words::EventType;

/// `GET /api/v1/events`
pub(in crate::api) fn list() -> Describe {
    let answer = object([
        ("events", list_of(event())),
        ("count", shapes::total()),
        ("revision", shapes::revision().about("What happened up to it is in the log.")),
    ]);
    let example = json!({ "events": [event_example()], "count": 1, "revision": 1_073_741_830 });
    describe(Tag::Events, "listEvents", "What happened, from the log")
        .text(
            "In the order of revisions: the newest, or with `afterId` those that follow it. How \
             long events are kept: `retention.events`, `retention.maxEvents`.",
        )
        .takes(filter())
        .takes([
            Param::query("afterId", "Only what came after this event, or revision.", id()),
            Param::query("startTime", "Only what happened then or later.", time()),
            Param::query("endTime", "Only what happened before.", time()),
            Param::query(
                "limit",
                "How many at most.",
                integer(1..=MAX_LIMIT).default(json!(LIMIT)),
            ),
        ])
        .answers(StatusCode::OK, "The events.", answer)
        .for_example(StatusCode::OK, example)
        .may(StatusCode::NOT_FOUND, "Events are not told, or not kept (`event.*`).")
}

/// What filters events.
pub(in crate::api) fn filter() -> [Param; 4] {
    let types = list_of(word(EventType::ALL));
    let about = "Only these types, given several times or with commas in between. Left out: all \
                 but INSTANCE_HEARTBEAT, which is never kept.";
    [
        Param::query("eventType", about, types),
        group_or_all("Only this group; `*`, or left out: all that the caller may read."),
        Param::query("serviceName", "Only services of this name.", shapes::known_name()),
        Param::query(
            "source",
            "Only what this source told: `native`, or the name of a configuration.",
            text().min(1).max(512),
        ),
    ]
}

/// What names an event, or all up to a revision.
pub(in crate::api) fn id() -> Shape {
    pattern("^[0-9]{1,16}(-[0-9]{1,16})?$")
}

/// An event.
pub(in crate::api) fn event() -> Shape {
    let about = "One thing that happened. Those of one `revision` happened together.";
    let event = object([
        ("id", id().or_null().about("Its revision and its place in it; null: it is not kept.")),
        ("revision", shapes::revision()),
        ("eventType", word(EventType::ALL)),
        ("tenantId", text()),
        ("groupName", text().or_null()),
        ("serviceName", text().or_null()),
        ("hostAddress", text().or_null()),
        ("portNumber", shapes::known_port().or_null()),
        ("source", text().about("Whose word it was.")),
        ("eventTime", time()),
        ("user", text().about("Who caused it; `system`: the hub, or a registry.")),
        (
            "data",
            anything().about(
                "Of what is new: what it is. Of what changed: each field with `old` and `new`.",
            ),
        ),
    ]);
    named("Event", event.and_maybe([("message", text().about("Why, for people."))]).about(about))
}

fn event_example() -> Value {
    json!({
        "id": "1073741830-2",
        "revision": 1_073_741_830,
        "eventType": "INSTANCE_REGISTER",
        "tenantId": "default",
        "groupName": "DEFAULT_GROUP",
        "serviceName": "orders",
        "hostAddress": "10.0.0.1",
        "portNumber": 8080,
        "source": "native",
        "eventTime": "2026-01-31T12:00:00.000Z",
        "user": "system",
        "data": {
            "instanceStatus": "UP", "healthStatus": "HEALTHY", "weightValue": 100,
            "protocolType": "HTTP", "leaseSeconds": 30, "metadata": {}, "tags": [],
        },
    })
}
