//! The registries. A source's own name is a label only here: some series per configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_core::ErrorKind;
use parking_lot::Mutex;
use prometheus::{Counter, CounterVec, GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::Maker;

/// From a cached read to a slow full fetch, in seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];
const SOURCE: &[&str] = &["source_id", "source", "kind"];
/// The states, as `SourceState` writes them, in which what a source says is current.
const CURRENT: [&str; 2] = ["LIVE", "PROTECTED"];

/// Their states, sizes, calls and errors.
#[derive(Debug)]
pub struct SourceMetrics {
    durations: HistogramVec,
    calls: IntCounterVec,
    call_seconds: CounterVec,
    errors: IntCounterVec,
    up: IntGaugeVec,
    state: IntGaugeVec,
    age: GaugeVec,
    instances: IntGaugeVec,
    held: IntGaugeVec,
    /// Whose counters there are.
    known: Mutex<BTreeMap<Name, Counters>>,
}

/// Id, name and kind.
type Name = (String, String, &'static str);

/// What is counted of one source.
#[derive(Clone, Debug)]
struct Counters {
    calls: prometheus::IntCounter,
    seconds: Counter,
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
            durations: maker.histograms(
                "hub_registry_source_call_duration_seconds",
                "Duration of calls to external registries.",
                &["kind", "operation", "outcome"],
                SECONDS,
            ),
            calls: maker.counters(
                "hub_registry_source_calls_total",
                "Calls to an external registry.",
                SOURCE,
            ),
            call_seconds: maker.fraction_counters(
                "hub_registry_source_call_seconds_total",
                "Time spent on calls to an external registry, added up.",
                SOURCE,
            ),
            errors: maker.counters(
                "hub_registry_source_errors_total",
                "Failed connections and reads of external registries, by class of error.",
                &["source_id", "source", "kind", "code"],
            ),
            up: maker.gauges(
                "hub_registry_source_up",
                "1 when the last read of a source was good.",
                SOURCE,
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
            known: Mutex::default(),
        }
    }

    /// One call to an external registry; with an error, its class.
    pub fn called(
        &self,
        (id, source, kind): (&str, &str, &'static str),
        operation: &'static str,
        took: Duration,
        error: Option<&'static str>,
    ) {
        let labels = [kind, operation, error.unwrap_or("ok")];
        self.durations.with_label_values(&labels).observe(took.as_secs_f64());
        let counters = self.counters((id, source, kind));
        counters.calls.inc();
        counters.seconds.inc_by(took.as_secs_f64());
    }

    /// A source failed.
    pub fn failed(&self, name: (&str, &str, &'static str), code: &'static str) {
        self.counters(name);
        let (id, source, kind) = name;
        self.errors.with_label_values(&[id, source, kind, code]).inc();
    }

    /// They are like this now; series of those that are gone end.
    pub fn set(&self, sources: &[SourceSample]) {
        for gauges in [&self.up, &self.state, &self.instances, &self.held] {
            gauges.reset();
        }
        self.age.reset();
        for sample in sources {
            let labels = [sample.id.as_str(), sample.name.as_str(), sample.kind];
            let [id, name, kind] = labels;
            self.up.with_label_values(&labels).set(CURRENT.contains(&sample.state).into());
            self.state.with_label_values(&[id, name, kind, sample.state]).set(1);
            if let Some(age_ms) = sample.age_ms {
                self.age.with_label_values(&labels).set(age_ms as f64 / 1000.0);
            }
            // Added up: the native registry of each tenant is one series.
            self.instances.with_label_values(&labels).add(sample.instances as i64);
            self.held.with_label_values(&labels).add(sample.held as i64);
            self.counters((id, name, sample.kind));
        }
        let is_there = |name: &Name| {
            sources.iter().any(|sample| {
                (sample.id.as_str(), sample.name.as_str(), sample.kind)
                    == (name.0.as_str(), name.1.as_str(), name.2)
            })
        };
        self.known.lock().retain(|name, _| {
            let stays = is_there(name);
            if !stays {
                self.forget(name);
            }
            stays
        });
    }

    /// The counters of a source, all classes of error among them from the beginning.
    fn counters(&self, (id, source, kind): (&str, &str, &'static str)) -> Counters {
        let mut known = self.known.lock();
        let name = (id.to_owned(), source.to_owned(), kind);
        let counters = known.entry(name).or_insert_with(|| {
            for code in ErrorKind::ALL {
                self.errors.with_label_values(&[id, source, kind, code.code()]);
            }
            Counters {
                calls: self.calls.with_label_values(&[id, source, kind]),
                seconds: self.call_seconds.with_label_values(&[id, source, kind]),
            }
        });
        counters.clone()
    }

    /// What was never there cannot be removed, which is as good.
    fn forget(&self, (id, source, kind): &Name) {
        let labels = [id.as_str(), source.as_str(), kind];
        self.calls.remove_label_values(&labels).ok();
        self.call_seconds.remove_label_values(&labels).ok();
        for code in ErrorKind::ALL {
            let [id, source, kind] = labels;
            self.errors.remove_label_values(&[id, source, kind, code.code()]).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, Registry, TextEncoder};

    use super::*;

    fn sample(id: &str, state: &'static str) -> SourceSample {
        let (id, name) = (id.to_owned(), format!("name-{id}"));
        SourceSample { id, name, kind: "CONSUL", state, age_ms: Some(1500), instances: 2, held: 1 }
    }

    #[test]
    fn sources_come_and_go_with_their_series() {
        let registry = Registry::new();
        let metrics = SourceMetrics::new(&Maker::new(&registry));
        let text = || {
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        metrics.set(&[sample("a", "LIVE"), sample("b", "STALE")]);
        let labels = r#"kind="CONSUL",source="name-a",source_id="a""#;
        let all = text();
        assert!(all.contains(&format!("hub_registry_source_up{{{labels}}} 1")), "{all}");
        assert!(all.contains(&format!("hub_registry_source_calls_total{{{labels}}} 0")), "{all}");
        assert!(all.contains("code=\"timeout\"") && all.contains("state=\"STALE\""), "{all}");

        metrics.called(("a", "name-a", "CONSUL"), "ping", Duration::from_millis(250), None);
        metrics.failed(("a", "name-a", "CONSUL"), "timeout");
        let all = text();
        let seconds = format!("hub_registry_source_call_seconds_total{{{labels}}} 0.25");
        assert!(all.contains(&seconds), "{all}");

        metrics.set(&[sample("b", "LIVE")]);
        assert!(!text().contains("name-a"), "{}", text());
        // A call that was under way when it was deleted.
        metrics.failed(("a", "name-a", "CONSUL"), "timeout");
        metrics.set(&[sample("b", "LIVE")]);
        assert!(!text().contains("name-a"), "{}", text());
    }
}
