//! What the last check found, of each instance and of each check that one brought with it.

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
    pub asked: String,
    /// When it ended.
    pub time: DateTime<Utc>,
    /// What it found.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// The same on the clock that durations are measured by.
    pub ended: Instant,
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
        self.outcome.tone() == Tone::Failed && !self.outcome.is_refused_by_hub()
    }

    /// Whether nothing came back, so that it may be the way to it that is not there.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.outcome.is_silence()
    }
}

pub(super) type Board = DashMap<CheckKey, LastCheck>;
