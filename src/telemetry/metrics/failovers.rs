//! Registries with a standby: one series per configuration.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::Maker;
use crate::model::words::FailoverStatus;

/// Every step there is.
const STEPS: [&str; 4] = ["failover", "answers", "fails", "recover"];

/// Who serves, and how often that changed.
#[derive(Clone, Debug)]
pub struct FailoverMetrics {
    state: IntGaugeVec,
    helpless: IntGaugeVec,
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
            helpless: maker.gauges(
                "hub_registry_failover_helpless",
                "1 while a source fails and its standby cannot take its place: not LIVE, or too few \
                 instances.",
                &["source_id", "source"],
            ),
            steps: maker.counters(
                "hub_registry_failover_steps_total",
                "Steps of sources with a standby: the standby took the place, the source answers again, it \
                 failed again, it took its place back.",
                &["source_id", "source", "step"],
            ),
        }
    }

    /// A source with a standby is in this state; `helpless`: it fails, and its standby cannot serve.
    pub fn set(&self, id: &str, source: &str, state: FailoverStatus, helpless: bool) {
        for one in FailoverStatus::ALL {
            let gauge = self.state.with_label_values(&[id, source, one.as_str()]);
            gauge.set(i64::from(*one == state));
        }
        self.helpless.with_label_values(&[id, source]).set(i64::from(helpless));
        for step in STEPS {
            self.steps.with_label_values(&[id, source, step]);
        }
    }

    /// A source has no standby any more.
    pub fn forget(&self, id: &str, source: &str) {
        // What was never there cannot be removed, which is as good.
        for one in FailoverStatus::ALL {
            self.state.remove_label_values(&[id, source, one.as_str()]).ok();
        }
        self.helpless.remove_label_values(&[id, source]).ok();
        for step in STEPS {
            self.steps.remove_label_values(&[id, source, step]).ok();
        }
    }

    /// A source took this step.
    pub fn stepped(&self, id: &str, source: &str, step: &str) {
        self.steps.with_label_values(&[id, source, step]).inc();
    }
}
