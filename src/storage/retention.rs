//! What is too old to be kept.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::Result;

/// Which events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Those of the lowest ids that happened before this time.
    Before(DateTime<Utc>),
    /// Those whose id is this or a lower one.
    UpTo(i64),
}

/// Rows that nothing needs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// Instances whose `activeFlag` is `N`.
    Instances,
    /// Services whose `activeFlag` is `N` and that no instance is in: it hides them.
    Services,
    /// Groups whose `activeFlag` is `N` and that no service and no instance is in.
    Groups,
    /// Status rows of a configuration that is gone.
    Statuses,
    /// The last known good of a configuration that is gone.
    Snapshots,
}

impl Dead {
    /// All of them, those first that others wait for.
    pub const ALL: [Self; 5] =
        [Self::Instances, Self::Services, Self::Groups, Self::Statuses, Self::Snapshots];

    /// The word for logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Services => "services",
            Self::Groups => "groups",
            Self::Statuses => "statuses",
            Self::Snapshots => "snapshots",
        }
    }
}

/// Removes what is too old, a bounded number of rows at a time, so that nobody waits long for it.
#[async_trait]
pub trait RetentionStore: fmt::Debug + Send + Sync + 'static {
    /// The id of the newest event that is too many when the `keep` newest stay, counted over all
    /// tenants; `None` when there are no more than those.
    async fn surplus_events(&self, keep: u64) -> Result<Option<i64>>;

    /// Removes events of the `limit` lowest ids, and notes in the log up to which revision some
    /// are missing; how many there were. Ids follow time, so that none is left to remove when
    /// there was none.
    async fn delete_events(&self, which: Events, limit: u32) -> Result<u64>;

    /// Removes rows that are dead, at most `limit`; how many there were. Those with an
    /// `activeFlag` only if they were last edited before this time.
    async fn delete_dead(&self, what: Dead, before: DateTime<Utc>, limit: u32) -> Result<u64>;
}
