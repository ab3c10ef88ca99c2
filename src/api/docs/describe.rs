//! What the description of the API is described as.

use axum::http::StatusCode;

use crate::api::openapi::shape::{free_object, text};
use crate::api::openapi::{Describe, Tag, describe};

/// `GET /api-docs/openapi.json`
pub(in crate::api) fn openapi() -> Describe {
    describe(Tag::Server, "openapi", "This description (OpenAPI 3.1)")
        .answers(StatusCode::OK, "The description.", free_object())
        .tagged()
}

/// `GET /api-docs`
pub(in crate::api) fn page() -> Describe {
    part("docs", "This description, for people", "text/html")
}

/// `GET /api-docs/page.css`
pub(in crate::api) fn style() -> Describe {
    part("docsStyle", "The style of the page", "text/css")
}

/// `GET /api-docs/page.js`
pub(in crate::api) fn script() -> Describe {
    part("docsScript", "The script of the page", "text/javascript")
}

fn part(id: &str, summary: &str, media: &str) -> Describe {
    describe(Tag::Server, id, summary).answers_as(media, StatusCode::OK, "It.", text())
}
