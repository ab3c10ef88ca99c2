//! From what a request shows to who it is.

use std::sync::Arc;

use hub_registry_core::TenantId;
use serde_json::json;

use super::caller::{Caller, HUB};
use super::jwt::Jwt;
use super::tokens::Tokens;
use crate::error::{Error, ErrorCode, Result};

/// What a request says of itself.
#[derive(Clone, Debug, Default)]
pub struct Said<'a> {
    /// The credential: what follows `Bearer` in the header `Authorization`.
    pub bearer: Option<&'a str>,
    /// The tenant it names.
    pub tenant: Option<TenantId>,
    /// The user it names.
    pub user: Option<&'a str>,
    /// It came through a proxy that says so.
    pub forwarded: bool,
}

/// Finds out who asks.
#[derive(Clone, Debug)]
pub enum Authenticator {
    /// Security is off: everybody is who they say they are.
    Off,
    /// Only a credential counts.
    On {
        /// Our own.
        tokens: Arc<Tokens>,
        /// Those of an identity provider.
        jwt: Option<Arc<Jwt>>,
    },
}

impl Authenticator {
    /// Whether credentials are asked for.
    #[must_use]
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On { .. })
    }

    /// Who it is, if that can be told at once: for answers that hold more for those who are known.
    #[must_use]
    pub fn known(&self, said: Said<'_>) -> Option<Caller> {
        let Self::On { tokens, jwt } = self else { return anybody(said).ok() };
        let shown = said.bearer?;
        let credential = match jwt {
            Some(jwt) if Jwt::looks_like(shown) => jwt.credential(shown).map(Arc::new),
            _ => tokens.known(shown),
        };
        credential?.caller(said.tenant, said.user).ok()
    }

    /// Who it is.
    ///
    /// # Errors
    /// `Unauthorized` without a credential that counts; `Forbidden` when the request says
    /// something else of itself than its credential, or comes from afar while security is off;
    /// `Unavailable` when that cannot be found out.
    pub async fn caller(&self, said: Said<'_>) -> Result<Caller> {
        let Self::On { tokens, jwt } = self else {
            return anybody(said);
        };
        let Some(shown) = said.bearer else {
            return Err(unauthorized("a credential is needed: Authorization: Bearer <token>"));
        };
        let credential = match jwt {
            Some(jwt) if Jwt::looks_like(shown) => jwt.credential(shown).map(Arc::new),
            _ => tokens.find(shown).await?,
        };
        let credential =
            credential.ok_or_else(|| unauthorized("the credential is unknown or has ended"))?;
        credential.caller(said.tenant, said.user)
    }
}

/// Where security is off, requests are taken to be from this machine or a network that is trusted
/// as a whole. One that a proxy passed on is from somewhere else.
fn anybody(said: Said<'_>) -> Result<Caller> {
    if said.forwarded {
        let message = "a proxy passes on requests to a server that asks nobody who they are";
        let hint = "set security.enabled: true, or let the proxy remove the X-Forwarded headers";
        let error = Error::new(ErrorCode::Forbidden, message);
        return Err(error.with_details(json!({ "hint": hint })));
    }
    let tenant = said.tenant.unwrap_or_else(TenantId::default_tenant);
    Ok(Caller::unlimited(tenant, said.user.unwrap_or(HUB)))
}

fn unauthorized(message: &str) -> Error {
    Error::new(ErrorCode::Unauthorized, message)
}
