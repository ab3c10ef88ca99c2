//! What a request shows of itself in its headers, for every face that is asked by HTTP.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_registry_core::{Secret, TenantId};

use crate::error::{Error, Result};

/// What follows `Bearer`, if there is one such header (RFC 6750 2.1).
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    after(headers, "bearer")
}

/// The password of `Basic` (RFC 7617 2), for clients that know no other way to show a token: the
/// user's name counts for nothing.
#[must_use]
pub fn basic_password(headers: &HeaderMap) -> Option<Secret> {
    let decoded = STANDARD.decode(after(headers, "basic")?).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    let (_, password) = pair.split_once(':')?;
    (!password.is_empty()).then(|| Secret::new(password))
}

/// Whether a proxy that says so passed the request on.
#[must_use]
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    let tells = |name: &str| name.starts_with("x-forwarded-") || name == "forwarded";
    headers.keys().any(|name| tells(name.as_str()))
}

/// Whether it asks for what the protocol that it comes by has no word for: a header
/// `X-Registry-Carry: true`.
#[must_use]
pub fn asks_for_carried(headers: &HeaderMap) -> bool {
    headers.get("x-registry-carry").is_some_and(|value| value.as_bytes() == b"true")
}

/// The tenant a request names in `field`.
///
/// # Errors
/// It is no name of a tenant: the field, the value, the rule.
pub fn named_tenant(field: &str, value: &str) -> Result<TenantId> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    match TenantId::parse(value) {
        Ok(tenant) if value.chars().all(legal) => Ok(tenant),
        _ => Err(Error::invalid(field, value, "must match [A-Za-z0-9._:-]{1,32}")),
    }
}

fn after<'h>(headers: &'h HeaderMap, wanted: &str) -> Option<&'h str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, None) = (given.next()?, given.next()) else {
        return None;
    };
    let (scheme, rest) = first.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then_some(rest.trim()).filter(|rest| !rest.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn shown(values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (header::AUTHORIZATION, value)).collect()
    }

    #[test]
    fn a_password_is_what_follows_the_first_colon() {
        let password = |value| basic_password(&shown(&[value])).map(|it| it.expose().to_owned());
        // "hub:a:b", "hub:", "hub", ":x" and no Base64.
        assert_eq!(password("Basic aHViOmE6Yg=="), Some("a:b".to_owned()));
        assert_eq!(password("basic Ong="), Some("x".to_owned()));
        for none in ["Basic aHViOg==", "Basic aHVi", "Basic !", "Basic", "Bearer aHViOmE6Yg=="] {
            assert_eq!(password(none), None, "{none}");
        }
        assert_eq!(bearer(&shown(&["BEARER  x "])), Some("x"));
        assert_eq!(bearer(&shown(&["Bearer x", "Bearer y"])), None, "whose would count?");
    }
}
