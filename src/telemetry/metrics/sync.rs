//! What is copied from one registry to another: one series per way.

use std::time::Duration;

use hub_registry_core::ErrorKind;
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::Maker;

/// The histogram bounds of lags, in seconds.
const LAGS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const ACTS: [&str; 3] = ["REGISTER", "UPDATE", "DEREGISTER"];
const BEATS: [&str; 3] = ["renewed", "unknown", "failed"];

/// Copies and what happens to them.
#[derive(Clone, Debug)]
pub struct SyncMetrics {
    copies: IntGaugeVec,
    pending: IntGaugeVec,
    writes: IntCounterVec,
    failures: IntCounterVec,
    beats: IntCounterVec,
    lag: HistogramVec,
}

impl SyncMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let ends = ["source", "target"];
        Self {
            copies: maker.gauges("hub_registry_sync_copies", "Copies that the hub owns.", &ends),
            pending: maker.gauges(
                "hub_registry_sync_pending",
                "Writes of copies that wait.",
                &ends,
            ),
            writes: maker.counters(
                "hub_registry_sync_writes_total",
                "Copies written, updated and removed.",
                &["source", "target", "action"],
            ),
            failures: maker.counters(
                "hub_registry_sync_failures_total",
                "Writes of copies that failed, by class of error.",
                &["source", "target", "code"],
            ),
            beats: maker.counters(
                "hub_registry_sync_heartbeats_total",
                "Heartbeats for copies: renewed, of one the target does not know any more, failed.",
                &["source", "target", "outcome"],
            ),
            lag: maker.histograms(
                "hub_registry_sync_lag_seconds",
                "From a change at the source to its copy.",
                &ends,
                &LAGS,
            ),
        }
    }

    /// A way is there: its counts begin at zero.
    pub fn known(&self, source: &str, target: &str) {
        for act in ACTS {
            self.writes.with_label_values(&[source, target, act]);
        }
        for outcome in BEATS {
            self.beats.with_label_values(&[source, target, outcome]);
        }
        for code in ErrorKind::ALL {
            self.failures.with_label_values(&[source, target, code.code()]);
        }
        self.lag.with_label_values(&[source, target]);
        self.copies.with_label_values(&[source, target]);
        self.pending.with_label_values(&[source, target]);
    }

    /// A way is no more.
    pub fn forget(&self, source: &str, target: &str) {
        // What was never there cannot be removed, which is as good.
        for act in ACTS {
            self.writes.remove_label_values(&[source, target, act]).ok();
        }
        for outcome in BEATS {
            self.beats.remove_label_values(&[source, target, outcome]).ok();
        }
        for code in ErrorKind::ALL {
            self.failures.remove_label_values(&[source, target, code.code()]).ok();
        }
        self.lag.remove_label_values(&[source, target]).ok();
        self.copies.remove_label_values(&[source, target]).ok();
        self.pending.remove_label_values(&[source, target]).ok();
    }

    /// So many copies there are, and so many writes wait.
    pub fn set(&self, (source, target): (&str, &str), copies: usize, pending: usize) {
        self.copies.with_label_values(&[source, target]).set(copies as i64);
        self.pending.with_label_values(&[source, target]).set(pending as i64);
    }

    /// A copy was written.
    pub fn wrote(&self, (source, target): (&str, &str), action: &str, lag: Duration) {
        self.writes.with_label_values(&[source, target, action]).inc();
        self.lag.with_label_values(&[source, target]).observe(lag.as_secs_f64());
    }

    /// A write failed.
    pub fn failed(&self, (source, target): (&str, &str), code: &str) {
        self.failures.with_label_values(&[source, target, code]).inc();
    }

    /// A copy was renewed, or not.
    pub fn beat(&self, (source, target): (&str, &str), outcome: &str) {
        self.beats.with_label_values(&[source, target, outcome]).inc();
    }
}
