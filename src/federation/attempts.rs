//! How a source's attempts to read its registry go. Pure: the time is given.

use std::time::Duration;

use tokio::time::Instant;

/// Good reads that come closer than this count as one: what comes together proves no more than that
/// the registry answered once.
const APART: Duration = Duration::from_secs(1);

/// The attempts since the last one that went otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    // The attempt under way began then and nothing came of it yet.
    waiting: Option<Instant>,
    failing: Option<Instant>,
    failed: u32,
    good: u32,
    counted: Option<Instant>,
}

/// An outage as it is known at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    /// When its first attempt failed, or began to hang.
    pub(super) since: Instant,
    /// How many attempts failed or hang.
    pub(super) attempts: u32,
}

impl Attempts {
    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.waiting = Some(now);
    }

    /// It failed.
    pub(super) fn fail(&mut self, now: Instant) {
        self.waiting = None;
        self.failing.get_or_insert(now);
        self.failed = self.failed.saturating_add(1);
        (self.good, self.counted) = (0, None);
    }

    /// Something good was read.
    pub(super) fn read(&mut self, now: Instant) {
        (self.waiting, self.failing, self.failed) = (None, None, 0);
        if self.counted.is_none_or(|last| now >= last + APART) {
            self.good = self.good.saturating_add(1);
            self.counted = Some(now);
        }
    }

    /// Good reads since the last failure.
    pub(super) fn good(&self) -> u32 {
        self.good
    }

    /// The outage, if there is one. An attempt without an answer for `patience` hangs.
    pub(super) fn outage(&self, now: Instant, patience: Duration) -> Option<Outage> {
        let hanging = self.waiting.filter(|began| now >= *began + patience);
        let since = self.failing.or_else(|| hanging.map(|began| began + patience))?;
        Some(Outage { since, attempts: self.failed + u32::from(hanging.is_some()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(5);

    #[test]
    fn failed_and_hanging_attempts_count_and_a_good_read_ends_it() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        assert_eq!(attempts.outage(start, PATIENCE), None);
        attempts.begin(start);
        assert_eq!(attempts.outage(start + SECOND * 4, PATIENCE), None);
        let hanging = Outage { since: start + PATIENCE, attempts: 1 };
        assert_eq!(attempts.outage(start + SECOND * 6, PATIENCE), Some(hanging));
        attempts.fail(start + SECOND * 10);
        let failed = Outage { since: start + SECOND * 10, attempts: 1 };
        assert_eq!(attempts.outage(start + SECOND * 10, PATIENCE), Some(failed));
        attempts.begin(start + SECOND * 11);
        assert_eq!(attempts.outage(start + SECOND * 12, PATIENCE).unwrap().attempts, 1);
        assert_eq!(attempts.outage(start + SECOND * 16, PATIENCE).unwrap().attempts, 2);
        attempts.read(start + SECOND * 17);
        assert_eq!(attempts.outage(start + SECOND * 99, PATIENCE), None);
    }

    #[test]
    fn good_reads_count_once_a_second_and_from_the_last_failure() {
        let start = Instant::now();
        let mut attempts = Attempts::default();
        for tenth in 0..25 {
            attempts.read(start + SECOND * tenth / 10);
        }
        assert_eq!(attempts.good(), 3);
        attempts.fail(start + SECOND * 3);
        assert_eq!(attempts.good(), 0);
        attempts.read(start + SECOND * 3);
        assert_eq!(attempts.good(), 1);
    }
}
