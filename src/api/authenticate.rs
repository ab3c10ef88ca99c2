//! Who asks, and whether such a one may ask that at all, before anything is answered.

use axum::extract::{MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hub_registry_core::{Secret, TenantId};

use super::error::ApiError;
use super::extract::{said_tenant, said_user};
use super::routes::{Asked, Need, Needs};
use super::state::Api;
use crate::access::{Authenticator, Caller, Said};
use crate::error::{Error, ErrorCode};
use crate::http::shown::{bearer, is_forwarded};

/// What the layer stands on.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub api: Api,
    pub needs: Needs,
}

/// Finds out who asks; handlers take the [`Caller`]. What is not known to be allowed is refused:
/// also a path nobody knows is told only to those who show a credential.
pub(super) async fn authenticate(
    State(door): State<Door>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match enter(&door, &parts).await {
        Ok(Some(caller)) => {
            parts.extensions.insert(caller);
        }
        Ok(None) => {}
        Err(error) => return refused(error),
    }
    next.run(Request::from_parts(parts, body)).await
}

async fn enter(door: &Door, parts: &Parts) -> Result<Option<Caller>, ApiError> {
    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
    let authenticator = &door.api.authenticator;
    match door.needs.of(route, &parts.method) {
        Asked::Route(Need::Nothing) => Ok(known(authenticator, &parts.headers, &parts.uri)),
        Asked::Route(Need::Right(action)) => {
            let caller = caller(authenticator, parts).await?;
            caller.need(action)?;
            Ok(Some(caller))
        }
        // The answer is 404 or 405, for those who may know.
        Asked::NoSuchPath | Asked::NoSuchMethod => {
            let caller = caller(authenticator, parts).await?;
            Ok(authenticator.is_on().then_some(caller))
        }
        Asked::NoRule => {
            let message = "this path has no rule who may use it";
            Err(Error::new(ErrorCode::Forbidden, message).into())
        }
    }
}

async fn caller(authenticator: &Authenticator, parts: &Parts) -> Result<Caller, ApiError> {
    let user = said_user(&parts.headers, &parts.uri)?;
    Ok(authenticator.caller(said(&parts.headers, &parts.uri, user.as_deref())?).await?)
}

/// Who asks, if that can be told at once.
pub(super) fn known(
    authenticator: &Authenticator,
    headers: &HeaderMap,
    uri: &Uri,
) -> Option<Caller> {
    let user = said_user(headers, uri).ok()?;
    authenticator.known(said(headers, uri, user.as_deref()).ok()?)
}

fn said<'a>(
    headers: &'a HeaderMap,
    uri: &Uri,
    user: Option<&'a str>,
) -> Result<Said<'a>, ApiError> {
    let (bearer, forwarded) = (bearer(headers), is_forwarded(headers));
    Ok(Said { bearer, tenant: said_tenant(headers, uri)?, user, forwarded })
}

/// What a request says of itself, for those who ask again later.
#[derive(Debug)]
pub(super) struct Shown {
    bearer: Option<Secret>,
    tenant: Option<TenantId>,
    user: Option<String>,
    forwarded: bool,
}

impl Shown {
    /// # Errors
    /// Tenant or user are named twice, or are none.
    pub(super) fn of(parts: &Parts) -> Result<Self, ApiError> {
        Ok(Self {
            bearer: bearer(&parts.headers).map(Secret::new),
            tenant: said_tenant(&parts.headers, &parts.uri)?,
            user: said_user(&parts.headers, &parts.uri)?,
            forwarded: is_forwarded(&parts.headers),
        })
    }

    pub(super) fn said(&self) -> Said<'_> {
        Said {
            bearer: self.bearer.as_ref().map(Secret::expose),
            tenant: self.tenant.clone(),
            user: self.user.as_deref(),
            forwarded: self.forwarded,
        }
    }
}

fn refused(error: ApiError) -> Response {
    let unknown = error.error.code == ErrorCode::Unauthorized;
    let mut response = error.into_response();
    if unknown {
        let scheme = HeaderValue::from_static("Bearer realm=\"hub-registry\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}
