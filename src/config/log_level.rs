//! How much is logged: a level, with exceptions for parts of the hub.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The words of the levels.
const LEVELS: &str = "trace, debug, info, warn, error, off";
/// What every target begins with. Libraries cannot be named: at `debug` some of them write
/// passwords and headers.
const OURS: &str = "hub_registry";
/// The most exceptions.
const MAX_TARGETS: usize = 32;

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What an operator should look at.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What helps to find a fault in the hub.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().as_str() {
            "off" => Ok(Self::Off),
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(format!("{text:?} is not a log level: use one of {LEVELS}")),
        }
    }
}

/// A level, and others for parts of the hub: `info,hub_registry::federation=debug`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogLevels {
    /// Of everything else.
    pub default: LogLevel,
    /// Of modules and all below them; of two that fit, the longer name counts.
    pub targets: Vec<(String, LogLevel)>,
}

impl LogLevels {
    /// What [`FromStr`] takes, in words.
    pub const RULE: &str = "one of trace, debug, info, warn, error, off, followed if need be by levels for \
         parts of the hub, as info,hub_registry::federation=debug";

    /// One level for everything.
    #[must_use]
    pub const fn all(default: LogLevel) -> Self {
        Self { default, targets: Vec::new() }
    }
}

impl FromStr for LogLevels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut default = None;
        let mut targets: Vec<(String, LogLevel)> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((target, level)) = part.split_once('=') else {
                if default.replace(part.parse()?).is_some() {
                    return Err(format!("{text:?} has two levels for everything"));
                }
                continue;
            };
            let target = target.trim();
            check_target(target)?;
            if targets.iter().any(|(known, _)| known == target) {
                return Err(format!("{target} is there twice"));
            }
            targets.push((target.to_owned(), level.parse()?));
        }
        if targets.len() > MAX_TARGETS {
            return Err(format!("more than {MAX_TARGETS} parts have a level of their own"));
        }
        Ok(Self { default: default.unwrap_or_default(), targets })
    }
}

fn check_target(target: &str) -> Result<(), String> {
    let is_ours = target.starts_with(OURS)
        && target.len() <= 100
        && target.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c));
    if is_ours {
        return Ok(());
    }
    Err(format!("{target:?} is no part of the hub: they begin with {OURS}, as {OURS}::federation"))
}

impl fmt::Display for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.default.as_str())?;
        self.targets
            .iter()
            .try_for_each(|(target, level)| write!(f, ",{target}={}", level.as_str()))
    }
}

impl TryFrom<String> for LogLevels {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<LogLevels> for String {
    fn from(levels: LogLevels) -> Self {
        levels.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<LogLevels>().unwrap_err()
    }

    #[test]
    fn a_level_may_have_exceptions() {
        let levels: LogLevels =
            "WARN, hub_registry::federation=debug,hub_registry_core=trace".parse().unwrap();
        assert_eq!(levels.default, LogLevel::Warn);
        let text = "warn,hub_registry::federation=debug,hub_registry_core=trace";
        assert_eq!(levels.to_string(), text);
        let only: LogLevels = "hub_registry::api=trace".parse().unwrap();
        assert_eq!(only.to_string(), "info,hub_registry::api=trace");
        assert_eq!("off".parse(), Ok(LogLevels::all(LogLevel::Off)));
    }

    #[test]
    fn what_is_no_level_is_said() {
        assert!(error("loud").contains("\"loud\" is not a log level: use one of trace"));
        assert!(error("").contains("is not a log level"));
        assert!(error("info,debug").contains("two levels for everything"));
        assert!(error("info,hub_registry=").contains("is not a log level"));
        assert!(error("hub_registry=info,hub_registry=warn").contains("twice"));
        // They write secrets at `debug`.
        for library in
            ["hyper=trace", "nacos_sdk=debug", "sqlx=debug", "=debug", "HUB_registry=debug"]
        {
            assert!(error(library).contains("is no part of the hub"), "{library}");
        }
    }
}
