//! What the metrics are described as.

use axum::http::StatusCode;

use super::FORMAT;
use crate::api::openapi::shape::text;
use crate::api::openapi::{Describe, Tag, describe};

/// `GET /metrics`
pub(in crate::api) fn metrics() -> Describe {
    describe(Tag::Server, "metrics", "The metrics of the process, for Prometheus")
        .text("Also on a listener of its own, without a credential: `server.metrics`.")
        .answers_as(FORMAT, StatusCode::OK, "Prometheus' text format.", text())
}
