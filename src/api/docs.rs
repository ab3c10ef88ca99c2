//! The description of the API, served from the binary.

pub(super) mod describe;

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use utoipa::openapi::OpenApi;

use super::tagged::tagged_text;

/// The description, made once the routes are known that it is of.
#[derive(Clone, Debug, Default)]
pub(super) struct Document(Arc<OnceLock<String>>);

impl Document {
    /// Sets it; a second call changes nothing.
    pub(super) fn set(&self, description: &OpenApi) {
        self.0.get_or_init(|| json!(description).to_string());
    }
}

/// What the page may do: nothing but what this server gives it.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// `GET /api-docs`: the description, for people. It brings its own style and script, so that it
/// can be read where there is no internet.
pub(super) async fn page() -> Response {
    let policy = (header::CONTENT_SECURITY_POLICY, POLICY);
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), policy];
    (headers, include_str!("docs/page.html")).into_response()
}

/// `GET /api-docs/page.css`
pub(super) async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8")];
    (headers, include_str!("docs/page.css")).into_response()
}

/// `GET /api-docs/page.js`
pub(super) async fn script() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    (headers, include_str!("docs/page.js")).into_response()
}

/// `GET /api-docs/openapi.json`
pub(super) async fn openapi(
    Extension(document): Extension<Document>,
    headers: HeaderMap,
) -> Response {
    match document.0.get() {
        Some(text) => tagged_text(&headers, text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
