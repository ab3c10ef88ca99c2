//! Whether so many checks at once are enough.

use std::time::Duration;

/// Checks come at random times: with no more than this share of the places taken on average, few
/// of them wait.
const SHARE: f64 = 0.8;

/// How many checks are under way on average: each takes so long, once per interval.
pub(super) fn under_way(checks: impl Iterator<Item = (Duration, Duration)>) -> f64 {
    checks.map(|(took, interval)| took.as_secs_f64() / interval.as_secs_f64()).sum()
}

/// How many places that needs.
pub(super) fn needed(under_way: f64) -> usize {
    (under_way / SHARE).ceil() as usize
}

/// Tells once when the places become too few, and once when they are enough again.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// What was said to be needed.
    told: Option<usize>,
}

/// What to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// They are too few.
    TooFew,
    /// They are enough.
    Enough,
}

impl Watch {
    /// What is to be said now, if anything: that they are too few, when it begins and each time
    /// half as many again are needed.
    pub(super) fn look(&mut self, needed: usize, places: usize) -> Option<Word> {
        match self.told {
            None if needed > places => {}
            Some(before) if needed > before + before / 2 => {}
            Some(_) if needed <= places - places / 5 => {
                self.told = None;
                return Some(Word::Enough);
            }
            _ => return None,
        }
        self.told = Some(needed);
        Some(Word::TooFew)
    }
}
