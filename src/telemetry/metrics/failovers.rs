//! Registries with a standby: one series per configuration.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Maker;

/// Every state there is.
const STATES: [&str; 3] = ["NORMAL", "FAILOVER", "RECOVERING"];
/// Every step there is.
const STEPS: [&str; 4] = ["failover", "answers", "fails", "recover"];

/// Who serves, and how often that changed.
#[derive(Clone, Debug)]
pub struct FailoverMetrics {
    state: IntGaugeVec,
    steps: IntCounterVec,
}

impl FailoverMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            state: maker.gauges(
                "hub_registry_failover_state",
                "1 for the state of a source with a standby; in FAILOVER and RECOVERING the standby serves.",
                &["source_id", "source", "state"],
            ),
            steps: maker.counters(
                "hub_registry_failover_steps_total",
                "Steps of sources with a standby: the standby took the place, the source answers again, it \
                 failed again, it took its place back.",
                &["source_id", "source", "step"],
            ),
        }
    }

    /// A source with a standby is in this state.
    pub fn set(&self, id: &str, source: &str, state: &str) {
        for word in STATES {
            self.state.with_label_values(&[id, source, word]).set(i64::from(word == state));
        }
        for step in STEPS {
            self.steps.with_label_values(&[id, source, step]);
        }
    }

    /// A source has no standby any more.
    pub fn forget(&self, id: &str, source: &str) {
        for word in STATES {
            self.state.remove_label_values(&[id, source, word]).ok();
        }
    }

    /// A source took this step.
    pub fn stepped(&self, id: &str, source: &str, step: &str) {
        self.steps.with_label_values(&[id, source, step]).inc();
    }
}
