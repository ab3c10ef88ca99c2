//! Times of late.

use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::time::Instant;

/// Times are of the last of these spans that is over and of the one that goes on.
const SPAN: Duration = Duration::from_secs(300);

/// The times of the last five to ten minutes, within a tenth.
#[derive(Debug)]
pub(super) struct Recent {
    began: Instant,
    /// Microseconds.
    now: Histogram<u32>,
    before: Histogram<u32>,
}

/// Some times.
#[derive(Debug)]
pub(super) struct Times(Histogram<u32>);

impl Recent {
    /// `None` never: the shape is a valid one.
    pub(super) fn new() -> Option<Self> {
        let now = Times::empty()?.0;
        Some(Self { began: Instant::now(), before: now.clone(), now })
    }

    pub(super) fn add(&mut self, time: Duration) {
        if self.began.elapsed() >= SPAN {
            self.began = Instant::now();
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.reset();
        }
        self.now.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Times {
    /// `None` never: the shape is a valid one.
    pub(super) fn empty() -> Option<Self> {
        // Up to an hour, the longest time-out, in steps of a tenth: two kilobytes.
        Histogram::new_with_bounds(1, 3_600_000_000, 1).ok().map(Self)
    }

    /// Adds those that are not too old.
    pub(super) fn add(&mut self, recent: &Recent) {
        if recent.began.elapsed() < SPAN * 2 {
            // Histograms of one shape can be added.
            self.0.add(&recent.now).ok();
            self.0.add(&recent.before).ok();
        }
    }

    /// The mean; `None` of none.
    pub(super) fn mean(&self) -> Option<Duration> {
        (!self.0.is_empty()).then(|| Duration::from_secs_f64(self.0.mean() / 1e6))
    }

    /// The time that this share did not exceed; 1: the longest.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let found = || Duration::from_micros(self.0.value_at_quantile(share));
        (!self.0.is_empty()).then(found)
    }
}
