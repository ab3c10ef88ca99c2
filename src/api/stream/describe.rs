//! What the route of streams takes and answers.

use axum::http::StatusCode;

use super::INDEX;
use crate::api::events::describe::{filter, id};
use crate::api::openapi::params::Param;
use crate::api::openapi::shape::text;
use crate::api::openapi::{Describe, Tag, describe, shapes};

/// `GET /api/v1/events/subscribe`
pub(in crate::api) fn subscribe() -> Describe {
    describe(Tag::Events, "subscribe", "What happens, as it happens")
        .text(
            "Server-sent events with `Accept: text/event-stream`, a WebSocket with `Upgrade: \
             websocket`; each message is an `Event` of `GET /api/v1/events`, in the order of \
             revisions, once, and after it is in the log. Two words are about the stream itself: \
             `{\"eventType\":\"RESYNC\",\"revision\":N}` says that events are missing, so that \
             what is known must be read anew, and what happens after N follows; \
             `{\"eventType\":\"BOOKMARK\",\"revision\":N}`, when nothing was sent for 15 s, that \
             everything up to N was. Browsers may open a WebSocket from the origins in \
             `server.http.corsOrigins`. The stream ends within 5 s of its credential.",
        )
        .takes(filter())
        .takes([
            Param::query(
                "since",
                "Begins after this revision, or event, or with RESYNC when that cannot be told. \
                 Left out: with what happens from now on.",
                id(),
            ),
            Param::header(
                "Last-Event-ID",
                "The same; goes before `since`. Browsers send it when they come back.",
                id(),
            ),
        ])
        .answers_as("text/event-stream", StatusCode::OK, "The stream.", text())
        .header(
            &[StatusCode::OK],
            INDEX.as_str(),
            "The revision that the view has now.",
            shapes::revision(),
        )
        .may(StatusCode::NOT_FOUND, "Events are not told (`event.enabled`).")
        .may(
            StatusCode::TOO_MANY_REQUESTS,
            "The user has as many subscribers as it may (`event.maxSubscribersPerUser`).",
        )
        .may(
            StatusCode::SERVICE_UNAVAILABLE,
            "There is no room for one more subscriber (`event.maxSubscribers`); or not now.",
        )
}
