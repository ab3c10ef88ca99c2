//! The description of the API, served from the binary.

pub(super) mod describe;

use std::sync::{Arc, OnceLock};

use axum::Extension;
use axum::http::{HeaderMap, StatusCode};
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
