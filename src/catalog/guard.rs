//! When an instance that a registry no longer lists may leave the view.
//!
//! The first rule of several: after an outage, or when a change would leave the source empty, the
//! instances missing from it wait `settle`, in which the registry's clients register
//! again. Whatever is seen in that time is no longer waited for, and leaves later like any other.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::Instance;
use tokio::time::Instant;

use super::shelf::Entry;

/// The constants of the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardPolicy {
    /// How long the missing are waited for after an outage; zero: not at all; `None`: as long as
    /// is usual for the registry.
    pub settle: Option<Duration>,
}

impl GuardPolicy {
    /// Nothing is waited for: the native registry knows itself what is gone.
    pub const NONE: Self = Self { settle: Some(Duration::ZERO) };
}

/// How an instance is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when it is missing from good reads.
    pub since: Instant,
    /// When it leaves; `None` while the registry does not answer, since no answer confirms
    /// nothing.
    pub until: Option<Instant>,
}

impl Hold {
    /// A hold that starts or is resumed now. However often a registry fails and returns, what is
    /// missing from all its good reads leaves within twice `settle`.
    #[must_use]
    pub fn resume(before: Option<Self>, now: Instant, settle: Duration) -> Self {
        let since = before.map_or(now, |hold| hold.since);
        let until = (now + settle).min(since + settle * 2).max(now);
        Self { since, until: Some(until) }
    }
}

/// What happens to the instances a read no longer lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// They leave, but for those already waited for.
    Leave,
    /// They leave, whatever was waited for.
    LeaveAll,
    /// Nothing was said about them.
    Stay,
    /// They are waited for.
    Hold(Instant, Duration),
}

/// The entries of one service after a read listed `listed`.
///
/// An instance that did not change keeps its entry, so an equal list gives equal entries.
#[must_use]
pub(super) fn replace(
    before: &[Entry],
    mut listed: Vec<Arc<Instance>>,
    missing: Missing,
    wall_ms: i64,
) -> Vec<Entry> {
    if !listed.is_sorted_by(|a, b| a.key <= b.key) {
        listed.sort_by(|a, b| a.key.cmp(&b.key));
    }
    let missed = |entry: &Entry| {
        let hold = match missing {
            Missing::Stay => return Some(entry.clone()),
            Missing::Leave => entry.hold,
            Missing::LeaveAll => None,
            Missing::Hold(now, settle) => Some(Hold::resume(entry.hold, now, settle)),
        };
        hold.map(|hold| Entry { hold: Some(hold), ..entry.clone() })
    };
    let mut old = before.iter().peekable();
    let mut after = Vec::with_capacity(listed.len());
    for instance in listed {
        while let Some(entry) = old.next_if(|entry| entry.instance.key < instance.key) {
            after.extend(missed(entry));
        }
        let same = old.next_if(|entry| entry.instance.key == instance.key);
        after.push(match same.filter(|entry| entry.instance == instance) {
            Some(entry) => Entry { hold: None, ..entry.clone() },
            None => Entry { instance, observed_at: wall_ms, hold: None },
        });
    }
    after.extend(old.filter_map(missed));
    after
}
