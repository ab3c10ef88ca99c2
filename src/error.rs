//! Errors callers of the hub may see.

use std::fmt;

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A result with the hub's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of trouble it is; each surface (REST, facades) maps it to its own codes once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request breaks a rule.
    Invalid,
    /// The credentials are missing or wrong.
    Unauthorized,
    /// The credentials do not allow it.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// It contradicts what is there.
    Conflict,
    /// It is too large.
    TooLarge,
    /// The body is of a type that is not taken.
    UnsupportedMediaType,
    /// Well-formed, but this build cannot do it.
    Unprocessable,
    /// Too many requests.
    RateLimited,
    /// Not now: try again.
    Unavailable,
    /// The hub failed; the log says why.
    Internal,
}

impl ErrorCode {
    /// Every class.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unprocessable,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unprocessable => "unprocessable",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that says the same.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Invalid => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// An error a caller may see: no stack, no SQL, no secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The class.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
    /// Further facts: the field, the value, the rule; `Null` when there are none.
    pub details: Value,
}

impl Error {
    /// An error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Value::Null }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// A field whose value breaks a rule.
    #[must_use]
    pub fn invalid(field: &str, value: impl Into<Value>, rule: &str) -> Self {
        let value = if is_secret(field) { Value::from("***") } else { shorten(value.into()) };
        let (field, rule) = (cut(field), cut_to(rule, 400));
        Self::new(ErrorCode::Invalid, format!("{field} {rule}"))
            .with_details(json!({ "field": field, "value": value, "rule": rule }))
    }

    /// All of it in one sentence, for protocols whose errors have no room for more: with the value, if
    /// it is one that breaks a rule.
    #[must_use]
    pub fn sentence(&self) -> String {
        let value = self.details.get("value").filter(|value| !value.is_null() && **value != "");
        match value {
            Some(value) => format!("{}, not {value}", self.message),
            None => self.message.clone(),
        }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// It contradicts what is there.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// Not now.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }
}

/// Whether a field of this name may hold what even its sender's log should not.
fn is_secret(field: &str) -> bool {
    const NAMES: [&str; 8] = [
        "password",
        "passwd",
        "token",
        "accesstoken",
        "secret",
        "secretkey",
        "apikey",
        "authorization",
    ];
    let plain: String = field.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    NAMES.iter().any(|name| plain.eq_ignore_ascii_case(name))
}

fn cut(text: &str) -> String {
    cut_to(text, 120)
}

fn cut_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An offending value goes back to the sender, but not a megabyte of it.
fn shorten(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(&text)),
        Value::Array(_) | Value::Object(_) if value.to_string().len() > 240 => Value::Null,
        other => other,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_repeated() {
        for field in ["token", "access_token", "accessToken", "Secret-Key", "PASSWORD"] {
            let error = Error::invalid(field, "hunter2", "is not a parameter of this path");
            assert_eq!(
                (&error.details["field"], &error.details["value"]),
                (&field.into(), &"***".into())
            );
        }
        for field in ["tokenId", "key", "serviceName"] {
            assert_eq!(Error::invalid(field, "web", "is wrong").details["value"], "web", "{field}");
        }
    }
}
