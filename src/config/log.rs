//! `log`: what is logged, and how it is written.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::Rule;

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "off"];

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find a fault in the hub.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What an operator should look at.
    Warn,
    /// What failed.
    Error,
    /// Nothing.
    Off,
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::Trace),
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            "off" => Ok(Self::Off),
            _ => Err(format!("{text:?} is not a log level: use one of {}", LEVELS.join(", "))),
        }
    }
}

/// How an event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LogConfig {
    /// How much is logged.
    pub level: LogLevel,
    /// How an event is written.
    pub format: LogFormat,
}

pub(super) const KEYS: &[Key] = &[
    Key::new("log.level", Rule::OneOf(LEVELS), "How much is logged."),
    Key::new(
        "log.format",
        Rule::OneOf(&["auto", "text", "json"]),
        "How an event is written to standard output; auto is text on a terminal and json elsewhere.",
    ),
];
