//! `retention`: how long the tables keep what nobody needs any more.

use std::time::Duration;

use hub_registry_core::duration;
use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::Rule;

const HOUR: Duration = Duration::from_secs(60 * 60);
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// How long the tables keep what nobody needs any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// How long events are kept.
    #[serde(with = "duration")]
    pub events: Duration,
    /// How many events are kept at most, over all tenants.
    pub max_events: u64,
    /// How long rows that were switched off are kept.
    #[serde(with = "duration")]
    pub dead_rows: Duration,
    /// How often it is looked for what is too old.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How many rows are removed at once.
    pub batch_size: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            events: 168 * HOUR,
            max_events: 1_000_000,
            dead_rows: 168 * HOUR,
            interval: Duration::from_secs(10 * 60),
            batch_size: 1000,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "retention.events",
        Rule::Span { min: Duration::from_secs(1), max: TEN_YEARS },
        "How long events are kept in the database.",
    ),
    Key::new(
        "retention.maxEvents",
        Rule::Integer { min: 0, max: 1_000_000_000_000 },
        "How many events are kept in the database at most, the newest over all tenants.",
    ),
    Key::new(
        "retention.deadRows",
        Rule::Span { min: Duration::from_secs(1), max: TEN_YEARS },
        "How long groups, services and instances are kept whose activeFlag was set to N.",
    ),
    Key::new(
        "retention.interval",
        Rule::Span { min: Duration::from_secs(1), max: Duration::from_secs(24 * 60 * 60) },
        "How often it is looked for what is too old.",
    ),
    Key::new(
        "retention.batchSize",
        Rule::Integer { min: 1, max: 100_000 },
        "How many rows are removed in one transaction at most.",
    ),
];
