//! Questions by DNS.

use prometheus::IntCounterVec;

use super::Maker;

/// Questions by DNS.
#[derive(Clone, Debug)]
pub struct DnsMetrics {
    questions: IntCounterVec,
}

impl DnsMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            questions: maker.counters(
                "hub_registry_dns_questions_total",
                "Questions by DNS, by type and response code; `other` is any other type.",
                &["type", "code"],
            ),
        }
    }

    /// One was answered; both words are of closed sets.
    pub fn answered(&self, kind: &str, code: &str) {
        self.questions.with_label_values(&[kind, code]).inc();
    }
}
