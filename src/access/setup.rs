//! Security as the configuration wants it.

use std::sync::Arc;

use jsonwebtoken::Algorithm;

use super::authenticator::Authenticator;
use super::caller::HUB;
use super::jwt::{Jwt, JwtRules};
use super::new_token::NewToken;
use super::token::Token;
use super::tokens::Tokens;
use crate::config::{JwtAlgorithm, JwtConfig, SecurityConfig};
use crate::error::{Error, ErrorCode, Result};

/// Whether credentials are asked for: what the configuration says, else whether anybody but this
/// machine can reach the server.
#[must_use]
pub fn is_wanted(config: &SecurityConfig, reachable: bool) -> bool {
    config.enabled.unwrap_or(reachable)
}

/// Who finds out who asks, with security on, and the token to print when there was none yet.
///
/// # Errors
/// A key that cannot be read; a table that cannot be read or written.
pub async fn authenticator(
    config: &SecurityConfig,
    tokens: &Arc<Tokens>,
) -> Result<(Authenticator, Option<Token>)> {
    let jwt = jwt(&config.jwt).map_err(|message| Error::new(ErrorCode::Invalid, message))?;
    let first = match tokens.is_empty().await? {
        true => Some(tokens.create(&NewToken::bootstrap(), HUB).await?.0),
        false => None,
    };
    Ok((Authenticator::On { tokens: Arc::clone(tokens), jwt: jwt.map(Arc::new) }, first))
}

fn jwt(config: &JwtConfig) -> Result<Option<Jwt>, String> {
    let Some(file) = &config.key_file else { return Ok(None) };
    let issuer = config.issuer.clone();
    let issuer = issuer.ok_or("security.jwt.issuer is needed with security.jwt.keyFile")?;
    let key = std::fs::read(file)
        .map_err(|error| format!("security.jwt.keyFile {}: {error}", file.display()))?;
    let algorithm = match config.algorithm {
        JwtAlgorithm::Hs256 => Algorithm::HS256,
        JwtAlgorithm::Hs512 => Algorithm::HS512,
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::EdDsa => Algorithm::EdDSA,
    };
    // An editor's last line break is no part of a secret.
    let key = key.trim_ascii_end().to_vec();
    let rules = JwtRules { algorithm, key, issuer, audience: config.audience.clone() };
    Jwt::new(&rules)
        .map(Some)
        .map_err(|message| format!("security.jwt.keyFile {}: {message}", file.display()))
}
