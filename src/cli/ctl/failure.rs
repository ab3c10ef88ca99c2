//! What goes wrong, said to people, and the exit code it ends with.

use std::fmt;

use reqwest::StatusCode;
use serde_json::Value;

/// Why there is no answer to show.
#[derive(Debug)]
pub(super) enum Failure {
    /// What was said on the command line cannot be done.
    Usage(String),
    /// The server cannot be reached, or breaks off.
    Unreachable(String),
    /// The server says no.
    Refused(StatusCode, Value),
    /// Something on this side.
    Local(String),
}

impl Failure {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 4,
            Self::Refused(StatusCode::NOT_FOUND, _) => 3,
            Self::Refused(StatusCode::SERVICE_UNAVAILABLE, _) => 4,
            Self::Refused(..) | Self::Local(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) | Self::Unreachable(message) | Self::Local(message) => {
                f.write_str(message)
            }
            Self::Refused(status, body) => {
                let reason = status.canonical_reason().unwrap_or_default();
                match body["error"].as_str() {
                    Some(error) => write!(f, "{error} ({} {reason})", status.as_u16())?,
                    None => write!(f, "the server answers {} {reason}", status.as_u16())?,
                }
                // Field and rule stand in the sentence already.
                let details = body["details"].as_object().into_iter().flatten();
                for (key, value) in details.filter(|(key, _)| *key != "field" && *key != "rule") {
                    write!(f, "\n  {key}: {}", super::output::cell(value))?;
                }
                if *status == StatusCode::UNAUTHORIZED {
                    f.write_str("\n  give a token: --token-file FILE, or REGISTRY_TOKEN")?;
                }
                Ok(())
            }
        }
    }
}
