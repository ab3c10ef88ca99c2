//! A request's body: JSON, of bounded size, read strictly.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::error::{ApiError, ApiResult};
use super::state::Api;
use crate::error::{Error, ErrorCode};
use crate::model::json;

/// A JSON object of `application/json`.
#[derive(Clone, Debug)]
pub(super) struct JsonObject(pub Map<String, Value>);

/// The rest of a body that is too large is read so far, and so long, before the answer: a client
/// that is still sending when the connection closes may never see why.
const DRAINED: usize = 32 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

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

/// The body, within the limit that its route has.
async fn read(request: Request, api: &Api) -> ApiResult<Bytes> {
    let path = request.uri().path();
    let batch = ["/api/v1/instances/batch", "/api/v1/heartbeats"].contains(&path);
    let settings = &api.settings;
    let limit = if batch { settings.batch_body_limit } else { settings.body_limit };
    let (parts, body) = request.into_parts();
    let shared = SharedBody(Arc::new(Mutex::new(body)));
    let request = Request::from_parts(parts, Body::new(shared.clone()));
    let rejection = match Bytes::from_request(request, api).await {
        Ok(bytes) => return Ok(bytes),
        Err(rejection) => rejection,
    };
    if rejection.status() != StatusCode::PAYLOAD_TOO_LARGE {
        return Err(Error::new(ErrorCode::Invalid, "the body did not come whole").into());
    }
    // Whether the rest came makes no difference to the answer.
    tokio::time::timeout(DRAIN_TIME, drain(shared)).await.ok();
    let rule = format!("must be at most {limit} bytes");
    let details = json!({ "field": "body", "rule": rule, "limit": limit });
    Err(Error::new(ErrorCode::TooLarge, format!("body {rule}")).with_details(details).into())
}

async fn drain(mut body: SharedBody) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DRAINED {
            return;
        }
    }
}

/// A body that can be read on after whoever bounded it gave up.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Body>>);

impl http_body::Body for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.lock().size_hint()
    }
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
