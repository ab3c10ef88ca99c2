//! What happens to every request.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use tokio::time::Instant;
use tracing::Level;

use super::error::{ApiError, problem};
use super::state::Api;
use crate::error::{Error, ErrorCode};
use crate::http::Meant;
use crate::telemetry::logging::{ACCESS, within_request};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer: request id, measurement, RFC 9457 on demand, safe headers.
pub(super) async fn outermost(State(api): State<Api>, request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    within_request(id.clone(), answer(api, id, request, next)).await
}

async fn answer(api: Api, id: Bytes, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let metrics = &api.metrics.http;
    let _under_way = metrics.begin();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let accept = request.headers().get(header::ACCEPT);
    let wants_problem = accept
        .is_some_and(|accept| accept.as_bytes().windows(12).any(|part| part == b"problem+json"));
    let seen = tracing::enabled!(target: ACCESS, Level::DEBUG).then(|| Seen::of(&request));
    metrics.received(request.body().size_hint().exact());
    let mut response = next.run(request).await;
    if let Some(ApiError { error, .. }) = response.extensions().get::<ApiError>() {
        metrics.refused(error.code.as_str());
        if wants_problem {
            let error = error.clone();
            response = as_problem(&error, response);
        }
    }
    mark(response.headers_mut(), id);
    let (status, took) = (response.status(), start.elapsed());
    let sent = response.body().size_hint().exact();
    let route = route.as_ref().map_or("other", |route| of_closed_set(&method, status, route));
    let is_meant = response.extensions().get::<Meant>().is_some();
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE && !is_meant {
        tracing::error!(%method, route, status = status.as_u16(), "a request failed");
    }
    metrics.sent(sent);
    metrics.answered(known(&method), route, status.as_u16(), took);
    if let Some(seen) = seen {
        seen.log(&method, route, status, sent, took);
    }
    response
}

/// What every answer says.
pub(super) fn mark(headers: &mut HeaderMap, id: Bytes) {
    if let Ok(id) = HeaderValue::from_maybe_shared(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// What the line of a request tells of it. The query is not: it may hold what is nobody's business.
struct Seen {
    path: String,
    peer: Option<SocketAddr>,
}

impl Seen {
    fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self { path: request.uri().path().to_owned(), peer: peer.map(|ConnectInfo(peer)| *peer) }
    }

    fn log(
        self,
        method: &Method,
        route: &str,
        status: StatusCode,
        bytes: Option<u64>,
        took: Duration,
    ) {
        let (path, peer) = (self.path, self.peer.map(tracing::field::display));
        let (status, took_us) = (status.as_u16(), took.as_micros() as u64);
        tracing::debug!(target: ACCESS, %method, path, route, status, bytes, took_us, peer,
            "request");
    }
}

/// The sender's own where it is nothing but a word, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Bytes {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@".contains(byte);
    let said = headers.get(REQUEST_ID).map(HeaderValue::as_bytes);
    let said = said.filter(|id| (1..=128).contains(&id.len()) && id.iter().all(is_plain));
    match said {
        Some(id) => Bytes::copy_from_slice(id),
        None => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let random = fastrand::u64(..).to_be_bytes();
            let hex = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            hex.map(|digit| DIGITS[usize::from(digit)]).collect()
        }
    }
}

/// A route template; those who ask for what is not there are one.
fn of_closed_set<'a>(method: &Method, status: StatusCode, route: &'a MatchedPath) -> &'a str {
    if status == StatusCode::METHOD_NOT_ALLOWED || method == Method::OPTIONS {
        return "other";
    }
    route.as_str()
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

fn as_problem(error: &Error, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let body = problem(error, parts.status).to_string();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_word_or_made() {
        let id = |text: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(text).unwrap());
            request_id(&headers)
        };
        let trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(id(trace), &trace[..]);
        let long = [b'a'; 129];
        for odd in [&b""[..], b"a b", b"a\"b", b"a,b", b"\xc3\xa9", b"a\tb", &long] {
            let made = id(odd);
            assert_eq!(made.len(), 16, "{odd:?}");
            assert_ne!(made, request_id(&HeaderMap::new()));
        }
    }
}
