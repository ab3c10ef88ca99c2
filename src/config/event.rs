//! `event`: events about what changes.

use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::Rule;

/// Events about what changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EventConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// How many may wait to be delivered.
    pub buffer_size: usize,
    /// How many tasks deliver them.
    pub worker_count: usize,
    /// Whether they are kept in the database.
    pub enable_persistence: bool,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self { enabled: true, buffer_size: 1000, worker_count: 5, enable_persistence: true }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "event.enabled",
        Rule::Switch,
        "Events are told; of the native registry: written with what they tell.",
    ),
    Key::new(
        "event.bufferSize",
        Rule::Integer { min: 1, max: 1_000_000 },
        "How many events may wait to be delivered.",
    )
    .not_yet_effective(),
    Key::new(
        "event.workerCount",
        Rule::Integer { min: 1, max: 256 },
        "How many tasks deliver events.",
    )
    .not_yet_effective(),
    Key::new("event.enablePersistence", Rule::Switch, "Keeps events in the database."),
];
