//! The error shape of the API.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::clock::{Clock, rfc3339};
use crate::error::{Error, ErrorCode};

/// The result of a handler.
pub(super) type ApiResult<T> = Result<T, ApiError>;

/// An error on its way out.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    /// The error.
    pub error: Error,
    /// Seconds after which another try makes sense, where that is known.
    pub retry_after: Option<u32>,
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let retry_after = match error.code {
            ErrorCode::Unavailable | ErrorCode::RateLimited => Some(1),
            _ => None,
        };
        Self { error, retry_after }
    }
}

impl From<crate::storage::StorageError> for ApiError {
    fn from(error: crate::storage::StorageError) -> Self {
        tracing::warn!(%error, "a database call failed");
        Error::from(error).into()
    }
}

/// The body of an error.
#[must_use]
pub(super) fn body(error: &Error, status: StatusCode) -> Value {
    let time = rfc3339(Clock::System.now());
    let mut body = json!({ "error": error.message, "status": status.as_u16(), "time": time });
    if !error.details.is_null() {
        body["details"] = error.details.clone();
    }
    body
}

/// The same as RFC 9457 writes it.
#[must_use]
pub(super) fn problem(error: &Error, status: StatusCode) -> Value {
    json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": error.message,
        "details": error.details,
    })
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.error.code.status();
        let mut response = (status, Json(body(&self.error, status))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // The outermost layer writes it once more when the caller prefers RFC 9457.
        response.extensions_mut().insert(self);
        response
    }
}

/// Any other status in the shape of an error.
#[must_use]
pub(super) fn plain(status: StatusCode, message: &str) -> Response {
    let error = Error::new(ErrorCode::Internal, message);
    (status, Json(body(&error, status))).into_response()
}
