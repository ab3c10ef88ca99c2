//! How the three versions of the API write an answer: the first bare, the later ones in an envelope.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Which version a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
    V3,
}

/// Nacos' codes of what went wrong (`com.alibaba.nacos.api.model.v2.ErrorCode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Parameter = 10_000,
    Denied = 403,
    NoResource = 20_004,
    NoInstance = 21_003,
    Server = 30_000,
}

impl Version {
    /// By the path below `/nacos`.
    pub(super) fn of(path: &str) -> Self {
        let path = path.strip_prefix("/nacos").unwrap_or(path);
        if path.starts_with("/v2/") {
            Self::V2
        } else if path.starts_with("/v3/") {
            Self::V3
        } else {
            Self::V1
        }
    }

    /// What was asked for.
    pub(super) fn answer(self, data: Value) -> Response {
        match (self, data) {
            // The first version says `ok` in plain text.
            (Self::V1, Value::String(text)) => {
                ([(header::CONTENT_TYPE, "text/html;charset=UTF-8")], text).into_response()
            }
            (Self::V1, data) => Json(data).into_response(),
            (Self::V2 | Self::V3, data) => {
                Json(json!({ "code": 0, "message": "success", "data": data })).into_response()
            }
        }
    }

    /// What went wrong.
    pub(super) fn refusal(self, status: StatusCode, code: Code, text: &str) -> Response {
        match self {
            Self::V1 => (status, text.to_owned()).into_response(),
            Self::V2 | Self::V3 => {
                let body = json!({ "code": code as i32, "message": text, "data": Value::Null });
                (status, Json(body)).into_response()
            }
        }
    }
}
