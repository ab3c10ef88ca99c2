//! `healthCheckUrl`: what an HTTP check asks.

use reqwest::Url;

use super::fields::Fields;
use crate::error::{Error, Result as Checked};

/// What it may be, in words.
pub const RULE: &str = "must be a path beginning with /, or an http or https URL without user and \
                        password, in which {host} and {port} stand for those of the instance";

/// What an HTTP check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthUrl<'a> {
    /// This path, at the address of each instance.
    Path(&'a str),
    /// This URL, in which `{host}` and `{port}` are to be replaced.
    Whole(&'a str),
}

/// Takes it from a request body.
pub(super) fn take(fields: &mut Fields, field: &str) -> Checked<Option<String>> {
    let text = fields.text(field, 500)?;
    match text.as_deref().map(parse) {
        Some(Err(rule)) => Err(Error::invalid(field, text, rule)),
        _ => Ok(text),
    }
}

/// Reads it; empty is `/`.
///
/// # Errors
/// The rule it breaks.
pub fn parse(text: &str) -> Result<HealthUrl<'_>, &'static str> {
    let strange = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() {
        return Ok(HealthUrl::Path("/"));
    }
    if text.chars().any(strange) {
        return Err(RULE);
    }
    if text.starts_with('/') {
        return Ok(HealthUrl::Path(text));
    }
    // Any address will do to see the form.
    let sample = text.replace("{host}", "h").replace("{port}", "1");
    let url = Url::parse(&sample).map_err(|_| RULE)?;
    let web = matches!(url.scheme(), "http" | "https");
    let anonymous = url.username().is_empty() && url.password().is_none();
    if web && anonymous && url.host_str().is_some() {
        Ok(HealthUrl::Whole(text))
    } else {
        Err(RULE)
    }
}
