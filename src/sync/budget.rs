//! How many copies may be removed.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Within this time
const SPAN: Duration = Duration::from_secs(60);
/// at most this part of the copies of a route are removed, in percent,
const PERCENT: usize = 20;
/// and always so many. The guard of the source has held back what it did not believe; this bounds
/// the damage if it was fooled.
const ALWAYS: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Budget(VecDeque<Instant>);

impl Budget {
    /// One was removed.
    pub(super) fn spend(&mut self, now: Instant) {
        self.0.push_back(now);
    }

    /// How many more of these may be removed now.
    pub(super) fn left(&mut self, copies: usize, now: Instant) -> usize {
        while self.0.front().is_some_and(|at| now >= *at + SPAN) {
            self.0.pop_front();
        }
        let spent = self.0.len();
        let all = ((copies + spent) * PERCENT / 100).max(ALWAYS);
        all.saturating_sub(spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_a_minute_and_ten_in_any_case() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::default();
        assert_eq!((budget.left(3, at(0)), budget.left(100, at(0))), (10, 20));
        (0..15).for_each(|_| budget.spend(at(1)));
        assert_eq!(budget.left(85, at(2)), 5, "of the hundred there were");
        assert_eq!(budget.left(85, at(61)), 17);
    }
}
