//! The registries. A source's own name is a label only here: one series per configuration.

use std::time::Duration;

use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::Maker;

/// From a cached read to a slow full fetch, in seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];
const SOURCE: &[&str] = &["source_id", "source", "kind"];

/// Their states, sizes and errors.
#[derive(Clone, Debug)]
pub struct SourceMetrics {
    calls: HistogramVec,
    errors: IntCounterVec,
    state: IntGaugeVec,
    age: GaugeVec,
    instances: IntGaugeVec,
    held: IntGaugeVec,
}

/// One source at one moment.
#[derive(Clone, Debug)]
pub struct SourceSample {
    /// `native` or its configuration's id; names are unique in one environment of one tenant only.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// The word of its state.
    pub state: &'static str,
    /// Since when it was not read well, in milliseconds.
    pub age_ms: Option<i64>,
    /// Its instances.
    pub instances: usize,
    /// Those whose removal is held.
    pub held: usize,
}

impl SourceMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            calls: maker.histograms(
                "hub_registry_source_call_duration_seconds",
                "Duration of calls to external registries.",
                &["kind", "operation", "outcome"],
                SECONDS,
            ),
            errors: maker.counters(
                "hub_registry_source_errors_total",
                "Failed connections and reads of external registries, by class of error.",
                &["source_id", "source", "kind", "code"],
            ),
            state: maker.gauges(
                "hub_registry_source_state",
                "1 for the state a source is in.",
                &["source_id", "source", "kind", "state"],
            ),
            age: maker.fractions(
                "hub_registry_source_age_seconds",
                "Time since a source was last read well.",
                SOURCE,
            ),
            instances: maker.gauges(
                "hub_registry_source_instances",
                "Instances a source contributes, held ones included.",
                SOURCE,
            ),
            held: maker.gauges(
                "hub_registry_source_held_removals",
                "Instances a source no longer lists whose removal is being confirmed.",
                SOURCE,
            ),
        }
    }

    /// One call to an external registry.
    pub fn called(&self, kind: &str, operation: &str, took: Duration, error: Option<&str>) {
        let labels = [kind, operation, error.unwrap_or("ok")];
        self.calls.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A source failed.
    pub fn failed(&self, id: &str, source: &str, kind: &str, code: &str) {
        self.errors.with_label_values(&[id, source, kind, code]).inc();
    }

    /// They are like this now; series of those that are gone end.
    pub fn set(&self, sources: &[SourceSample]) {
        self.state.reset();
        self.age.reset();
        self.instances.reset();
        self.held.reset();
        for sample in sources {
            let labels = [sample.id.as_str(), sample.name.as_str(), sample.kind];
            let [id, name, kind] = labels;
            self.state.with_label_values(&[id, name, kind, sample.state]).set(1);
            if let Some(age_ms) = sample.age_ms {
                self.age.with_label_values(&labels).set(age_ms as f64 / 1000.0);
            }
            // Added up: the native registry of each tenant is one series.
            self.instances.with_label_values(&labels).add(sample.instances as i64);
            self.held.with_label_values(&labels).add(sample.held as i64);
        }
    }
}
