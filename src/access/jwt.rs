//! Signed claims of an identity provider (JSON Web Tokens, RFC 7519).

use std::fmt;
use std::sync::Arc;

use chrono::DateTime;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::caller::Grant;
use super::credential::{Credential, Tenants};
use super::new_token::MAX_USER;
use super::role::Role;
use hub_registry_core::GroupName;

/// An HMAC key shorter than its hash can be guessed (RFC 7518 3.2), and a word from a manual is.
const MIN_HMAC_KEY: usize = 32;

/// What a JWT must be to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtRules {
    /// The algorithm; what the JWT itself says of it counts for nothing.
    pub algorithm: Algorithm,
    /// The key: the secret of an HMAC, the public key of a signature as PEM.
    pub key: Vec<u8>,
    /// Who must have issued it (`iss`).
    pub issuer: String,
    /// For whom it must be (`aud`).
    pub audience: String,
}

/// Checks JWTs.
#[derive(Clone)]
pub struct Jwt {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    exp: i64,
    role: Role,
    tenant: String,
    groups: Option<Vec<String>>,
}

impl Jwt {
    /// With these rules.
    ///
    /// # Errors
    /// What is wrong with the key, for the person who wrote the configuration.
    pub fn new(rules: &JwtRules) -> Result<Self, String> {
        let bad = |error: jsonwebtoken::errors::Error| format!("the key cannot be read: {error}");
        let key = match rules.algorithm {
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                if rules.key.len() < MIN_HMAC_KEY {
                    return Err(format!("an HMAC key has at least {MIN_HMAC_KEY} bytes"));
                }
                DecodingKey::from_secret(&rules.key)
            }
            Algorithm::ES256 | Algorithm::ES384 => {
                DecodingKey::from_ec_pem(&rules.key).map_err(bad)?
            }
            Algorithm::EdDSA => DecodingKey::from_ed_pem(&rules.key).map_err(bad)?,
            _ => DecodingKey::from_rsa_pem(&rules.key).map_err(bad)?,
        };
        let mut validation = Validation::new(rules.algorithm);
        validation.set_issuer(&[&rules.issuer]);
        validation.set_audience(&[&rules.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        Ok(Self { key, validation })
    }

    /// What a JWT says of its holder: claims `sub` (the user), `role`, `tenant` (or `*`) and, if
    /// it is not for all of them, `groups`. `None`: it is not to be believed.
    #[must_use]
    pub fn credential(&self, text: &str) -> Option<Credential> {
        let claims = decode::<Claims>(text, &self.key, &self.validation).ok()?.claims;
        let user_fits = (1..=MAX_USER).contains(&claims.sub.len());
        if !user_fits || claims.sub.chars().any(char::is_control) {
            return None;
        }
        let parse = |names: Vec<String>| names.iter().map(|name| GroupName::parse(name)).collect();
        let groups = claims.groups.map(parse).transpose().ok()?;
        let tenants = Tenants::parse(&claims.tenant).ok()?;
        Some(Credential {
            user: Arc::from(claims.sub),
            grant: Arc::new(Grant { role: claims.role, groups, tenants }),
            expires: DateTime::from_timestamp(claims.exp, 0),
        })
    }

    /// Whether the text has the form of a JWT, which no token of ours has.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.split('.').count() == 3
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt").field("algorithms", &self.validation.algorithms).finish()
    }
}
