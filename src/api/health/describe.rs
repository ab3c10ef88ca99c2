//! What probes take and answer.

use axum::http::StatusCode;

use crate::api::openapi::shape::{Shape, boolean, integer, list_of, object, text, word};
use crate::api::openapi::{Describe, Tag, describe, shapes};

/// `GET /health`
pub(in crate::api) fn health() -> Describe {
    alive("health")
}

fn alive(id: &str) -> Describe {
    describe(Tag::Server, id, "Whether the process lives")
        .text("Answers at once, also while everything else is still being loaded.")
        .answers(StatusCode::OK, "It lives.", object([("status", word(&["UP"]))]))
}

/// `GET /livez`
pub(in crate::api) fn livez() -> Describe {
    alive("livez")
}

/// `GET /ready`
pub(in crate::api) fn ready() -> Describe {
    traffic("ready")
}

/// `GET /readyz`
pub(in crate::api) fn readyz() -> Describe {
    traffic("readyz")
}

fn traffic(id: &str) -> Describe {
    let after = "After how many seconds another try makes sense.";
    describe(Tag::Server, id, "Whether the server is ready for traffic")
        .text(
            "Ready: every enabled source was loaded or restored, or `external.startupDeadline` is \
             over; and it was not asked to stop. The checks are told only to those who may read.",
        )
        .answers(StatusCode::OK, "Ready.", readiness())
        .answers(StatusCode::SERVICE_UNAVAILABLE, "Not yet.", readiness())
        .header(&[StatusCode::SERVICE_UNAVAILABLE], "Retry-After", after, integer(0..=3600))
}

fn readiness() -> Shape {
    let state = || word(&["UP", "DOWN"]);
    let source = object([
        ("tenantId", text()),
        ("configId", text()),
        ("source", text()),
        ("state", shapes::source_state()),
        ("ageMs", shapes::age()),
    ]);
    let sources =
        object([("status", state()), ("deadlineOver", boolean()), ("sources", list_of(source))]);
    let checks = object([
        ("database", object([("status", state())])),
        ("sources", sources),
        ("listeners", object([("status", state())])),
    ]);
    object([("status", state())]).and_maybe([("checks", checks)])
}
