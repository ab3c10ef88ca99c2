//! Removals that are not believed at once.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use prometheus::IntCounterVec;

use super::{Maker, SourceSample};

/// How a held removal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The instance is listed again.
    Returned,
    /// Good reads went on lacking it: it left.
    Confirmed,
    /// An operator accepted it: it left.
    Accepted,
}

impl RemovalOutcome {
    const ALL: [Self; 3] = [Self::Returned, Self::Confirmed, Self::Accepted];

    /// The word of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Confirmed => "confirmed",
            Self::Accepted => "accepted",
        }
    }
}

/// Counts of held removals.
#[derive(Debug)]
pub struct RemovalMetrics {
    began: IntCounterVec,
    ended: IntCounterVec,
    /// Id and name of those that are counted.
    known: Mutex<BTreeSet<(String, String)>>,
}

impl RemovalMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            began: maker.counters(
                "hub_registry_source_removals_held_total",
                "Instances whose removal began to be held.",
                &["source_id", "source"],
            ),
            ended: maker.counters(
                "hub_registry_source_removals_ended_total",
                "Held removals that ended: the instance returned, its removal was confirmed, or \
                 an operator accepted it.",
                &["source_id", "source", "outcome"],
            ),
            known: Mutex::default(),
        }
    }

    /// A source is there: its counts begin at zero.
    pub fn known(&self, id: &str, source: &str) {
        self.began.with_label_values(&[id, source]);
        for outcome in RemovalOutcome::ALL {
            self.ended.with_label_values(&[id, source, outcome.as_str()]);
        }
        self.known.lock().insert((id.to_owned(), source.to_owned()));
    }

    /// Series of sources that are not among these end.
    pub fn keep(&self, sources: &[SourceSample]) {
        self.known.lock().retain(|(id, source)| {
            let stays = sources.iter().any(|sample| sample.id == *id && sample.name == *source);
            if !stays {
                // What was never there cannot be removed, which is as good.
                self.began.remove_label_values(&[id, source]).ok();
                for outcome in RemovalOutcome::ALL {
                    self.ended.remove_label_values(&[id, source, outcome.as_str()]).ok();
                }
            }
            stays
        });
    }

    /// So many began to be held.
    pub fn began(&self, id: &str, source: &str, count: u64) {
        self.began.with_label_values(&[id, source]).inc_by(count);
    }

    /// So many ended like this.
    pub fn ended(&self, id: &str, source: &str, outcome: RemovalOutcome, count: u64) {
        self.ended.with_label_values(&[id, source, outcome.as_str()]).inc_by(count);
    }
}
