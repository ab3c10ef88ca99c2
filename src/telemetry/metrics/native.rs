//! Operations of the native registry.

use std::time::Duration;

use prometheus::{Counter, IntCounterVec, IntGauge};

use super::Maker;

const OPERATIONS: &[&str] = &["register", "update", "health", "status", "heartbeat", "deregister"];

/// Operations by outcome.
#[derive(Clone, Debug)]
pub struct NativeMetrics {
    operations: IntCounterVec,
    outside: IntCounterVec,
    looks: IntCounterVec,
    look_seconds: Counter,
    skipped: IntGauge,
}

/// What a look at the tables came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nobody else had written.
    Quiet,
    /// Rows were read.
    Read,
    /// It failed.
    Error,
}

impl Look {
    const ALL: [Self; 3] = [Self::Quiet, Self::Read, Self::Error];

    const fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Read => "read",
            Self::Error => "error",
        }
    }
}

impl NativeMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let operations = maker.counters(
            "hub_registry_native_operations_total",
            "Operations of the native registry by outcome.",
            &["operation", "outcome"],
        );
        for operation in OPERATIONS {
            for outcome in ["ok", "error"] {
                operations.with_label_values(&[operation, outcome]);
            }
        }
        let outside = maker.counters(
            "hub_registry_native_outside_rows_total",
            "Rows of the native registry that others changed in its tables and that took effect.",
            &["row", "change"],
        );
        for row in ["group", "service", "instance"] {
            for change in ["put", "removed"] {
                outside.with_label_values(&[row, change]);
            }
        }
        let looks = maker.counters(
            "hub_registry_native_looks_total",
            "Looks at the tables of the native registry for what others wrote, by outcome.",
            &["outcome"],
        );
        for look in Look::ALL {
            looks.with_label_values(&[look.word()]);
        }
        let look_seconds = maker.fraction_counter(
            "hub_registry_native_look_seconds_total",
            "How long these looks took.",
        );
        let skipped = maker.gauge(
            "hub_registry_native_rows_skipped",
            "Rows of the native registry's tables that are invalid and left out.",
        );
        Self { operations, outside, looks, look_seconds, skipped }
    }

    /// A row that others changed took effect: `row` is `group`, `service` or `instance`.
    pub fn outside(&self, row: &'static str, put: bool) {
        let change = if put { "put" } else { "removed" };
        self.outside.with_label_values(&[row, change]).inc();
    }

    /// A look at the tables ended.
    pub fn looked(&self, look: Look, took: Duration) {
        self.looks.with_label_values(&[look.word()]).inc();
        self.look_seconds.inc_by(took.as_secs_f64());
    }

    /// So many rows are invalid.
    pub fn skipped(&self, rows: usize) {
        self.skipped.set(rows as i64);
    }

    /// One operation ended.
    pub fn ended(&self, operation: &'static str, ok: bool) {
        self.ended_many(operation, u64::from(ok), u64::from(!ok));
    }

    /// So many ended well and so many did not.
    pub fn ended_many(&self, operation: &'static str, good: u64, bad: u64) {
        let counts = [("ok", good), ("error", bad)];
        for (outcome, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.operations.with_label_values(&[operation, outcome]).inc_by(count);
        }
    }
}
