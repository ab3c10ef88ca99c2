//! `log`: what is logged, and where it is written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::log_level::LogLevels;
use super::rule::Rule;

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

/// When a new file is begun, whatever its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogRotation {
    /// At each full hour, UTC.
    Hourly,
    /// At midnight, UTC.
    #[default]
    Daily,
    /// By size only.
    Never,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LogConfig {
    /// How much is logged.
    pub level: LogLevels,
    /// How an event is written.
    pub format: LogFormat,
    /// Whether it is written to standard output.
    pub stdout: bool,
    /// Whether each request is a line, at any level but `off`.
    pub access: bool,
    /// A file it is written to.
    pub file: LogFileConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: LogLevels::default(),
            format: LogFormat::Auto,
            stdout: true,
            access: false,
            file: LogFileConfig::default(),
        }
    }
}

/// The log file, and those it was before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LogFileConfig {
    /// The file; `None`: there is none.
    pub path: Option<PathBuf>,
    /// A new one is begun before it grows larger, in bytes.
    pub max_size: u64,
    /// And at these times.
    pub rotate: LogRotation,
    /// How many old ones are kept.
    pub max_files: usize,
    /// How large all of them together may be, in bytes; the oldest go first.
    pub max_total_size: u64,
    /// Whether old ones are compressed.
    pub compress: bool,
}

const MIB: u64 = 1024 * 1024;

impl Default for LogFileConfig {
    fn default() -> Self {
        Self {
            path: None,
            max_size: 100 * MIB,
            rotate: LogRotation::Daily,
            max_files: 30,
            max_total_size: 1024 * MIB,
            compress: true,
        }
    }
}

const SIZE: Rule = Rule::Size { min: 4096, max: 1024 * 1024 * MIB };

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "log.level",
        Rule::LogLevels,
        "How much is logged; `PUT /api/v1/ops/log-level` changes it while the server runs.",
    ),
    Key::new(
        "log.format",
        Rule::OneOf(&["auto", "text", "json"]),
        "How an event is written; auto is text on a terminal and json elsewhere.",
    ),
    Key::new("log.stdout", Rule::Switch, "Writes to standard output."),
    Key::new(
        "log.access",
        Rule::Switch,
        "Writes a line for each request, whatever the level; else they are there from debug on.",
    ),
    Key::new(
        "log.file.path",
        Rule::File,
        "A file to write to, and its folder made if need be; where it cannot be written, standard \
         output is used.",
    )
    .optional(),
    Key::new("log.file.maxSize", SIZE, "A new file is begun before it grows larger."),
    Key::new(
        "log.file.rotate",
        Rule::OneOf(&["hourly", "daily", "never"]),
        "A new file is begun at each full hour or midnight, UTC, as well.",
    ),
    Key::new(
        "log.file.maxFiles",
        Rule::Integer { min: 1, max: 10_000 },
        "How many old files are kept.",
    ),
    Key::new(
        "log.file.maxTotalSize",
        SIZE,
        "How large the file and the old ones may be together; the oldest go first.",
    ),
    Key::new("log.file.compress", Rule::Switch, "Compresses old files (gzip)."),
];
