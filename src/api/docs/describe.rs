//! What the description of the API is described as.

use axum::http::StatusCode;

use crate::api::openapi::shape::free_object;
use crate::api::openapi::{Describe, Tag, describe};

/// `GET /api-docs/openapi.json`
pub(in crate::api) fn openapi() -> Describe {
    describe(Tag::Server, "openapi", "This description (OpenAPI 3.1)")
        .answers(StatusCode::OK, "The description.", free_object())
        .tagged()
}
