//! A request's body: JSON, of bounded size, read strictly.

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::{ApiError, ApiResult};
use super::state::Api;
use crate::error::{Error, ErrorCode};
use crate::http::body;
use crate::model::json;

/// A JSON object of `application/json`.
#[derive(Clone, Debug)]
pub(super) struct JsonObject(pub Map<String, Value>);

impl FromRequest<Api> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> ApiResult<Self> {
        check_type(request.headers())?;
        let bytes = read(request, api).await?;
        match json::parse("body", &bytes)? {
            Value::Object(object) => Ok(Self(object)),
            other => Err(Error::invalid("body", other, "must be a JSON object").into()),
        }
    }
}

/// The largest body a route takes, in bytes: an extension of its requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyLimit(pub usize);

/// The body, within the limit of its route.
async fn read(request: Request, api: &Api) -> ApiResult<Bytes> {
    let limit = request.extensions().get::<BodyLimit>().map(|BodyLimit(limit)| *limit);
    let limit = limit.unwrap_or(api.settings.body_limit);
    Ok(body::read(request.into_body(), limit).await?)
}

/// `application/json`, in UTF-8 and not compressed.
fn check_type(headers: &HeaderMap) -> ApiResult<()> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = |message: &str, details: Value| {
        Err(Error::new(ErrorCode::UnsupportedMediaType, message).with_details(details).into())
    };
    let given = text(header::CONTENT_TYPE);
    let mut parts = given.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let in_utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches('"');
        !name.eq_ignore_ascii_case("charset") || value.eq_ignore_ascii_case("utf-8")
    });
    if !is_json || !in_utf8 {
        let shown: Option<String> = given.map(|given| given.chars().take(120).collect());
        let rule = "must be application/json, in UTF-8";
        let message = format!("Content-Type {rule}");
        let details = json!({ "field": "Content-Type", "value": shown, "rule": rule });
        return refused(&message, details);
    }
    let encoding = text(header::CONTENT_ENCODING);
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let shown: String = encoding.chars().take(120).collect();
        let rule = "must be left out: compressed bodies are not taken";
        let message = format!("Content-Encoding {rule}");
        let details = json!({ "field": "Content-Encoding", "value": shown, "rule": rule });
        return refused(&message, details);
    }
    Ok(())
}
