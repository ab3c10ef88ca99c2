//! What every handler takes from a request: caller, path, query.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use hub_registry_core::TenantId;
use serde_json::Value;

use super::error::ApiError;
use super::params::{self, Params};
use crate::access::Caller;
use crate::error::{Error, ErrorCode};
use crate::http::shown::named_tenant;

const MAX_USER: usize = 32;

/// What a request says of itself in a header, or in its query.
fn said(
    (headers, uri): (&HeaderMap, &Uri),
    header: &'static str,
    query: &str,
) -> Result<Option<String>, ApiError> {
    let mut given = headers.get_all(header).iter();
    if let Some(value) = given.next() {
        if given.next().is_some() {
            // Two proxies could mean two different ones.
            return Err(Error::invalid(header, Value::Null, "must be given once").into());
        }
        let bad = || Error::invalid(header, "?", "must be printable ASCII");
        return Ok(Some(value.to_str().map_err(|_| bad())?.to_owned()));
    }
    // Most requests have neither: no allocation for them.
    let text = uri.query().unwrap_or_default();
    if !text.contains(query) {
        return Ok(None);
    }
    let mut values = params::pairs(text)?.into_iter().filter(|(key, _)| key == query);
    let first = values.next().map(|(_, value)| value);
    if values.next().is_some() {
        return Err(Error::invalid(query, Value::Null, "must be given once").into());
    }
    Ok(first)
}

/// The tenant a request names: header `X-Tenant-Id`, else query `tenantId`.
///
/// # Errors
/// It is named twice, or is no tenant.
pub(super) fn said_tenant(headers: &HeaderMap, uri: &Uri) -> Result<Option<TenantId>, ApiError> {
    let Some(value) = said((headers, uri), "x-tenant-id", "tenantId")? else {
        return Ok(None);
    };
    Ok(Some(named_tenant("tenantId", &value)?))
}

/// The user a request names: header `X-User-Id`, else query `userId`.
///
/// # Errors
/// It is named twice, or is no user.
pub(super) fn said_user(headers: &HeaderMap, uri: &Uri) -> Result<Option<String>, ApiError> {
    let Some(user) = said((headers, uri), "x-user-id", "userId")? else {
        return Ok(None);
    };
    if user.is_empty() || user.len() > MAX_USER || user.chars().any(char::is_control) {
        return Err(Error::invalid("userId", user, "must be 1 to 32 characters").into());
    }
    Ok(Some(user))
}

/// Who asks: the layer `authenticate` found it out.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let found = parts.extensions.get::<Self>().cloned();
        // A route that nobody guards answers nobody.
        let missing = || ApiError::from(Error::new(ErrorCode::Unauthorized, "no credential"));
        found.ok_or_else(|| missing().into_response())
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::of(&parts.uri)?)
    }
}

/// The one variable segment of a path, decoded.
#[derive(Clone, Debug)]
pub(super) struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(segment) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|_| {
                let path = parts.uri.path().to_owned();
                Error::invalid("path", path, "must be UTF-8, in percent-encoding")
            })?;
        Ok(Self(segment))
    }
}
