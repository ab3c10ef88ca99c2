//! How requests fail.

use axum::http::StatusCode;
use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::content::Content;
use utoipa::openapi::header::Header;
use utoipa::openapi::response::Response;

use super::shape::{self, Named, Shape};

/// The body of an error.
pub(super) fn error() -> Shape {
    let example = json!({
        "error": "portNumber must be a whole number from 1 to 65535",
        "status": 400,
        "time": "2026-01-31T12:00:00.000Z",
        "details": {
            "field": "portNumber",
            "value": 0,
            "rule": "must be a whole number from 1 to 65535",
        },
    });
    let error = shape::object([
        ("error", shape::text().about("One sentence.")),
        ("status", shape::integer(400..=599).about("The status of the answer.")),
        ("time", shape::time()),
    ])
    .and_maybe([("details", details())]);
    shape::named("Error", error.about("What went wrong.").example(example))
}

/// The same as RFC 9457 writes it.
fn problem() -> Shape {
    let example = json!({
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such instance",
        "details": null,
    });
    let problem = shape::object([
        ("type", shape::text()),
        ("title", shape::text()),
        ("status", shape::integer(400..=599)),
        ("detail", shape::text()),
        ("details", details()),
    ]);
    let about = "An error as RFC 9457 has it: with `Accept: application/problem+json`.";
    shape::named("Problem", problem.about(about).example(example))
}

fn details() -> Shape {
    shape::anything().about(
        "More facts, by the kind of error: `field`, `value` and `rule` of what is invalid; \
         `groups` that hold a name; `sources` that were never heard; a `code`.",
    )
}

/// The failure of this status, and the shapes it has.
pub(super) fn response(status: StatusCode, when: &str) -> (Response, Named) {
    let mut named = Named::new();
    let mut response = Response::new(when);
    for (media, shape) in [("application/json", error()), ("application/problem+json", problem())] {
        let (schema, more) = shape.into_parts();
        named.extend(more);
        response.content.insert(media.to_owned(), RefOr::T(Content::new(Some(schema))));
    }
    for (name, about, shape) in headers(status) {
        let mut header = Header::new(shape.into_parts().0);
        header.description = Some(about.to_owned());
        response.headers.insert(name.to_owned(), RefOr::T(header));
    }
    (response, named)
}

fn headers(status: StatusCode) -> Vec<(&'static str, &'static str, Shape)> {
    match status {
        StatusCode::UNAUTHORIZED => {
            vec![("WWW-Authenticate", "What credential is taken.", shape::text())]
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            let about = "After how many seconds another try makes sense.";
            vec![("Retry-After", about, shape::integer(0..=3600))]
        }
        _ => Vec::new(),
    }
}

/// The failures that many routes share, by the name they have among the components.
pub(super) const SHARED: [(StatusCode, &str, &str); 7] = [
    (
        StatusCode::BAD_REQUEST,
        "Invalid",
        "Malformed, or it breaks a rule: `details` has the field, the value and the rule.",
    ),
    (
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "No credential, or one that does not count (with security on).",
    ),
    (
        StatusCode::FORBIDDEN,
        "Forbidden",
        "The credential does not allow it: its role, its tenant, or the lists of the group.",
    ),
    (StatusCode::NOT_FOUND, "NotFound", "There is no such thing."),
    (StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", "The body is larger than the server takes."),
    (
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedMediaType",
        "The body is not `application/json` in UTF-8, or it is compressed.",
    ),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "Unavailable",
        "Not now: the server is starting, its database is away, or there was no answer in time.",
    ),
];
