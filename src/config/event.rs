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
    /// How many of each tenant are in memory for those who follow.
    pub buffer_size: usize,
    /// How many subscribers read the log at once.
    pub worker_count: usize,
    /// Whether they are kept in the database.
    pub enable_persistence: bool,
    /// How many subscribers there may be.
    pub max_subscribers: usize,
    /// How many of them with one tenant and user.
    pub max_subscribers_per_user: usize,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            buffer_size: 1000,
            worker_count: 5,
            enable_persistence: true,
            max_subscribers: 8000,
            max_subscribers_per_user: 8000,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "event.enabled",
        Rule::Switch,
        "Tells what happens. Off, /api/v1/events and /api/v1/events/subscribe answer 404 and nothing \
         is written of it.",
    ),
    Key::new(
        "event.bufferSize",
        Rule::Integer { min: 1, max: 1_000_000 },
        "How many of the newest events of each tenant are kept in memory, once for all subscribers. \
         A subscriber who is further behind goes on from the database after a storm, or is told \
         RESYNC if it reads slowly.",
    ),
    Key::new(
        "event.workerCount",
        Rule::Integer { min: 1, max: 256 },
        "How many subscribers who resume, or whom a storm left behind, read the database at the same \
         time; the others wait for their turn.",
    ),
    Key::new(
        "event.enablePersistence",
        Rule::Switch,
        "Keeps events in the database: those of native changes in the commit of the change, all of \
         them before subscribers get them. Off, /api/v1/events answers 404, and a subscriber can \
         resume from what bufferSize holds, until a restart.",
    ),
    Key::new(
        "event.maxSubscribers",
        Rule::Integer { min: 1, max: 1_000_000 },
        "How many subscribers there may be; one more gets 503. Less than server.http.maxConnections, \
         or nobody else gets through.",
    ),
    Key::new(
        "event.maxSubscribersPerUser",
        Rule::Integer { min: 1, max: 1_000_000 },
        "How many of them may be of one user of one tenant; one more gets 429.",
    ),
];
