//! `healthCheck`: checks of native instances by the hub.

use std::time::Duration;

use hub_registry_core::duration;
use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::Rule;

/// Checks of native instances by the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// How often each instance is checked.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How long a check may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How many run at once.
    pub concurrent_checks: u32,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            concurrent_checks: 10,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new("healthCheck.enabled", Rule::Switch, "Checks native instances from the hub.")
        .not_yet_effective(),
    Key::new(
        "healthCheck.interval",
        Rule::Span { min: Duration::from_millis(100), max: Duration::from_secs(24 * 60 * 60) },
        "How often each instance is checked.",
    )
    .not_yet_effective(),
    Key::new(
        "healthCheck.timeout",
        Rule::Span { min: Duration::from_millis(10), max: Duration::from_secs(60 * 60) },
        "How long a check may take.",
    )
    .not_yet_effective(),
    Key::new(
        "healthCheck.concurrentChecks",
        Rule::Integer { min: 1, max: 10_000 },
        "How many checks run at once.",
    )
    .not_yet_effective(),
];
