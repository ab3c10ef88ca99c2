//! Answers with a weak entity tag: a digest of what they say.

use std::hash::{DefaultHasher, Hasher};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// The answer, or 304 when the caller has it already. The tag is that of the content, so that it
/// changes with whatever the answer shows and with nothing else.
pub(super) fn tagged(asked: &HeaderMap, answer: &Value) -> Response {
    let body = answer.to_string();
    let tag = tag_of(&body);
    respond(asked, &tag, body)
}

/// The same for JSON that was written before.
pub(super) fn tagged_text(asked: &HeaderMap, body: &str) -> Response {
    respond(asked, &tag_of(body), body.to_owned())
}

/// The same for an answer with fields that move without anything having changed, as the time of
/// the last heartbeat does: they are no part of the tag.
pub(super) fn tagged_but(asked: &HeaderMap, answer: &Value, moving: &[&str]) -> Response {
    let mut still = answer.clone();
    if let Some(fields) = still.as_object_mut() {
        fields.retain(|name, _| !moving.contains(&name.as_str()));
    }
    respond(asked, &tag_of(&still.to_string()), answer.to_string())
}

fn tag_of(text: &str) -> String {
    let mut digest = DefaultHasher::new();
    digest.write(text.as_bytes());
    format!("W/\"{:016x}\"", digest.finish())
}

fn respond(asked: &HeaderMap, tag: &str, body: String) -> Response {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, x-tenant-id"));
    let matches = knows(asked, tag.as_bytes());
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    if matches {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (headers, body).into_response()
}

/// Whether an `If-None-Match` of the request names this tag, or any.
pub(super) fn knows(asked: &HeaderMap, tag: &[u8]) -> bool {
    fn weak(part: &[u8]) -> &[u8] {
        let part = part.trim_ascii();
        part.strip_prefix(b"W/").unwrap_or(part)
    }
    let known = asked.get_all(header::IF_NONE_MATCH).iter();
    known.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).any(|part| {
        let part = weak(part);
        part == b"*" || part == weak(tag)
    })
}
