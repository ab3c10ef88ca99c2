//! A request: who asks, what for, and in which form the answer is wanted.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Face;
use super::form::{Form, takes_gzip};
use crate::access::{Action, Caller, Said};
use crate::error::{Error, ErrorCode};
use crate::http::shown::{asks_for_carried, basic_password, bearer, is_forwarded, named_tenant};

/// The result of a handler.
pub(super) type Answered<T = Response> = Result<T, Refused>;

/// A refusal: a status and a sentence, as a Eureka has it.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    status: StatusCode,
    text: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// Nobody knows it: without a body, as the real server has it.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "")
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let status = error.code.status();
        let text = match error.code {
            ErrorCode::NotFound => String::new(),
            _ => error.sentence(),
        };
        Self { status, text }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text).into_response();
        let more = match self.status {
            StatusCode::UNAUTHORIZED => {
                Some((header::WWW_AUTHENTICATE, "Basic realm=\"hub-registry\""))
            }
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = more {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Who asks for what.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) form: Form,
    pub(super) gzip: bool,
    /// Whether it asks for what Eureka has no word for.
    pub(super) carried: bool,
    path: HashMap<String, String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Call {
    /// A variable of the path; empty where its route has none of the name.
    pub(super) fn segment(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The first value of this name in the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let mut values = self.query.iter().filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.as_str())
    }

    /// The whole query.
    pub(super) fn pairs(self) -> Vec<(String, String)> {
        self.query
    }

    /// The form of the body.
    pub(super) fn form_given(&self) -> Answered<Form> {
        Ok(Form::given(&self.headers)?)
    }
}

impl FromRequestParts<Arc<Face>> for Call {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Arc<Face>) -> Answered<Self> {
        let bad = |part: &str| {
            Refused::new(
                StatusCode::BAD_REQUEST,
                format!("{part} must be UTF-8, in percent-encoding"),
            )
        };
        let Path(path) = Path::<HashMap<String, String>>::from_request_parts(parts, face)
            .await
            .map_err(|_| bad("path"))?;
        let tenant = path.get("tenant").map(|text| named_tenant("tenant", text)).transpose()?;
        let headers = &parts.headers;
        let password = basic_password(headers);
        let shown = password.as_ref().map(|password| password.expose()).or_else(|| bearer(headers));
        let said = Said { bearer: shown, tenant, user: None, forwarded: is_forwarded(headers) };
        let caller = face.authenticator.caller(said).await?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        caller.need(if reads { Action::Read } else { Action::Write })?;
        let Query(query) =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| bad("query"))?;
        let (form, gzip) = (Form::wanted(headers), takes_gzip(headers));
        let carried = asks_for_carried(headers);
        Ok(Self { caller, form, gzip, carried, path, query, headers: parts.headers.clone() })
    }
}
