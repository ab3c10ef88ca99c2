//! A whole answer.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use super::secrets::Secrets;
use crate::error::{Error, ErrorKind, Result};

/// How much of an unexpected body goes into an error message, in characters.
const EXCERPT: usize = 120;
/// How much of the description of a problem, which may quote the answer, and of a content type.
const PROBLEM: usize = 300;
const TYPE: usize = 80;

/// Status, headers and the whole body of an answer.
pub struct Answer {
    pub(super) operation: &'static str,
    pub(super) url: String,
    // The address as errors show it.
    pub(super) shown: String,
    pub(super) secrets: Arc<Secrets>,
    // The number of the address that gave it.
    pub(super) endpoint: usize,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

// Without headers and body, which nothing was masked in.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Answer");
        shown.field("url", &self.shown).field("status", &self.status);
        shown.field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Answer {
    /// The address it came from, without the query string.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The answer, if its status is 2xx.
    ///
    /// # Errors
    /// The kind that fits the status; the message names address, status and the beginning of a
    /// text body.
    pub fn success(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let kind = match self.status.as_u16() {
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 | 410 => ErrorKind::NotFound,
            408 => ErrorKind::Timeout,
            413 => ErrorKind::TooLarge,
            429 => ErrorKind::RateLimited,
            500..=599 => ErrorKind::Server,
            _ => ErrorKind::Protocol,
        };
        Err(self.error(kind, "was refused"))
    }

    /// The body as JSON, if the status is 2xx.
    ///
    /// # Errors
    /// As [`success`](Self::success); `Protocol` when the body is not the JSON expected.
    pub fn json<T: DeserializeOwned>(self) -> Result<T> {
        let answer = self.success()?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            let problem = format!("is not the expected JSON ({error})");
            answer.error(ErrorKind::Protocol, &problem)
        })
    }

    /// An error of this kind about this answer. What it quotes of it, by itself or in `problem`, is
    /// short and [masked](super::HttpClient::mask).
    #[must_use]
    pub fn error(&self, kind: ErrorKind, problem: &str) -> Error {
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let content_type = self.secrets.quote(content_type.unwrap_or("no type"), TYPE);
        let text = String::from_utf8_lossy(&self.body);
        let excerpt = self.secrets.quote(text.trim(), EXCERPT);
        let message = format!(
            "{} {}: status {}, {content_type}, {} bytes: {excerpt:?}",
            self.shown,
            self.secrets.mask(problem, PROBLEM),
            self.status.as_u16(),
            self.body.len()
        );
        Error::new(kind, self.operation, message)
    }
}
