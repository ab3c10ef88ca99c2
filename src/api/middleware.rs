//! What happens to every request.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use super::error::{ApiError, problem};
use super::state::Api;
use crate::error::{Error, ErrorCode};

/// The outermost layer: request id, measurement, RFC 9457 on demand, safe headers.
pub(super) async fn outermost(State(api): State<Api>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let id = request.headers().get("x-request-id").cloned();
    let accept = request.headers().get(header::ACCEPT);
    let wants_problem = accept
        .is_some_and(|accept| accept.as_bytes().windows(12).any(|part| part == b"problem+json"));
    let mut response = next.run(request).await;
    if wants_problem && let Some(error) = response.extensions().get::<ApiError>().cloned() {
        response = as_problem(&error, response);
    }
    let headers = response.headers_mut();
    let id = id.filter(|id| id.len() <= 128);
    headers.insert("x-request-id", id.unwrap_or_else(new_request_id));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    let status = response.status();
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        tracing::error!(%method, route, status = status.as_u16(), "a request failed");
    }
    api.metrics.http.answered(known(&method), route, status.as_u16(), start.elapsed());
    response
}

/// Methods are free text: a label must not be.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn new_request_id() -> HeaderValue {
    HeaderValue::from_str(&format!("{:016x}", fastrand::u64(..)))
        .unwrap_or_else(|_| HeaderValue::from_static("0"))
}

fn as_problem(error: &ApiError, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let body = problem(&error.error, parts.status).to_string();
    parts.headers.remove(header::CONTENT_LENGTH);
    let kind = HeaderValue::from_static("application/problem+json");
    parts.headers.insert(header::CONTENT_TYPE, kind);
    Response::from_parts(parts, Body::from(body))
}

/// Ends a request that takes too long.
pub(super) async fn timeout(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} ms", limit.as_millis());
        ApiError::from(Error::new(ErrorCode::Unavailable, message)).into_response()
    })
}
