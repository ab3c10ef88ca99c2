//! What the last check found, of each instance and of each check that one brought with it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use tokio::time::Instant;

use super::outcome::{Outcome, Tone};
use crate::model::names::CheckKey;

/// What the last check of an instance found, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastCheck {
    /// What was asked, in words.
    pub asked: Arc<str>,
    /// Whether it was the hub's own host that was asked: the way there is always there.
    pub near: bool,
    /// When it ended.
    pub time: DateTime<Utc>,
    /// What it found.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The same on the clock that durations are measured by.
    pub ended: Instant,
    /// When the first of the failures in a row ended, if the instance was found bad when it was last asked.
    pub failing_since: Option<Instant>,
    /// Failures in a row, this one included.
    pub failures: u32,
    /// Passes in a row.
    pub passes: u32,
    /// The time between two checks.
    pub interval: Duration,
    /// The bound of one.
    pub timeout: Duration,
    /// It fell too often of late: kept unhealthy for about so long still.
    pub flapping: Option<Duration>,
}

impl LastCheck {
    /// Whether the instance was found bad, and not only unfit to be asked.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.outcome.tone() == Tone::Failed && self.is_of_instance()
    }

    /// Whether it was asked: the hub could, and did not refuse to.
    #[must_use]
    pub fn is_of_instance(&self) -> bool {
        self.outcome.tone() != Tone::Hindered && !self.outcome.is_refused_by_hub()
    }

    /// Whether no answer of the instance's own came, so that it may be the way to it that is not there.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.outcome.is_silence() && !self.near
    }

    /// Whether it answered of its own over a way that may be lost.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        self.is_of_instance() && !self.outcome.is_silence() && !self.near
    }
}

pub(super) type Board = DashMap<CheckKey, LastCheck>;
