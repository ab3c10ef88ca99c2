//! Who asks, before anything is answered.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hub_registry_core::TenantId;

use super::error::ApiError;
use super::extract::{said_tenant, said_user};
use crate::access::Caller;

/// Finds out who asks; handlers take the [`Caller`].
pub(super) async fn authenticate(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match caller(&parts) {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(error) => error.into_response(),
    }
}

fn caller(parts: &axum::http::request::Parts) -> Result<Caller, ApiError> {
    let tenant = said_tenant(parts)?.unwrap_or_else(TenantId::default_tenant);
    let user = said_user(parts)?;
    Ok(Caller::unlimited(tenant, user.as_deref().unwrap_or("system")))
}
