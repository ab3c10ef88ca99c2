//! Operations of the native registry.

use prometheus::IntCounterVec;

use super::Maker;

const OPERATIONS: &[&str] = &["register", "update", "health", "status", "heartbeat", "deregister"];

/// Operations by outcome.
#[derive(Clone, Debug)]
pub struct NativeMetrics {
    operations: IntCounterVec,
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
        Self { operations }
    }

    /// One operation ended.
    pub fn ended(&self, operation: &'static str, ok: bool) {
        self.ended_many(operation, u64::from(ok), u64::from(!ok));
    }

    /// So many ended well and so many did not.
    pub fn ended_many(&self, operation: &'static str, good: u64, bad: u64) {
        for (outcome, count) in [("ok", good), ("error", bad)] {
            self.operations.with_label_values(&[operation, outcome]).inc_by(count);
        }
    }
}
