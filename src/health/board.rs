//! What the last check found, of each instance and of each check that one brought with it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use dashmap::DashMap;

use super::outcome::Outcome;
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

pub(super) type Board = DashMap<CheckKey, LastCheck>;
