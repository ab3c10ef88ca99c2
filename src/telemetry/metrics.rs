//! Metrics: closed label sets, never a service name, a path or a tenant.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};

pub use super::lease_metrics::LeaseMetrics;

/// The histogram bounds of calls to registries, in seconds: a cached read to a slow full fetch.
const CALL_SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];
/// The histogram bounds of our own requests, in seconds.
const REQUEST_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

/// The kinds of registry, as metric labels; a source's own name is a label only on the few gauges
/// that have one series per configuration.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    requests: HistogramVec,
    source_calls: HistogramVec,
    source_errors: IntCounterVec,
    source_state: IntGaugeVec,
    source_age: GaugeVec,
    source_instances: IntGaugeVec,
    source_held: IntGaugeVec,
    view_changes: IntCounterVec,
    view_services: IntGauge,
    view_instances: IntGauge,
    view_waiting: IntGauge,
    view_revision: IntGauge,
    native: IntCounterVec,
    database: IntGaugeVec,
    retired: IntCounterVec,
    leases: LeaseMetrics,
    uptime: Gauge,
    rendering: Mutex<()>,
}

/// What is told about the view when metrics are read.
#[derive(Clone, Copy, Debug)]
pub struct ViewSample {
    /// Its services.
    pub services: usize,
    /// Its instances.
    pub instances: usize,
    /// Names that blocking queries wait for.
    pub waiting: usize,
    /// The highest revision of any tenant.
    pub revision: i64,
}

/// What is told about one source when metrics are read.
#[derive(Clone, Debug)]
pub struct SourceSample {
    /// `native` or its configuration's id; names are unique in one environment of one tenant only.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// The word of its state, and all words there are.
    pub state: &'static str,
    /// Since when it was not read well, in milliseconds.
    pub age_ms: Option<i64>,
    /// Its instances.
    pub instances: usize,
    /// Those whose removal is held.
    pub held: usize,
}

impl Metrics {
    /// All metrics, at zero.
    ///
    /// # Panics
    /// When two metrics have one name: a mistake any start would show.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the names are constants; any start shows a mistake")]
    pub fn new() -> Self {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, labels: &[&str], bounds: &[f64]| {
            let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
            HistogramVec::new(options, labels).expect("a valid histogram")
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("a valid counter")
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels).expect("a valid gauge")
        };
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).expect("a valid gauge");
        let source = &["source_id", "source", "kind"];
        let inner = Inner {
            requests: histogram(
                "hub_registry_http_request_duration_seconds",
                "Duration of HTTP requests by route template and status class.",
                &["method", "route", "status"],
                REQUEST_SECONDS,
            ),
            source_calls: histogram(
                "hub_registry_source_call_duration_seconds",
                "Duration of calls to external registries.",
                &["kind", "operation", "outcome"],
                CALL_SECONDS,
            ),
            source_errors: counters(
                "hub_registry_source_errors_total",
                "Failed connections and reads of external registries, by class of error.",
                &["source_id", "source", "kind", "code"],
            ),
            source_state: gauges(
                "hub_registry_source_state",
                "1 for the state a source is in.",
                &["source_id", "source", "kind", "state"],
            ),
            source_age: GaugeVec::new(
                Opts::new(
                    "hub_registry_source_age_seconds",
                    "Time since a source was last read well.",
                ),
                source,
            )
            .expect("a valid gauge"),
            source_instances: gauges(
                "hub_registry_source_instances",
                "Instances a source contributes, held ones included.",
                source,
            ),
            source_held: gauges(
                "hub_registry_source_held_removals",
                "Instances a source no longer lists whose removal is being confirmed.",
                source,
            ),
            view_changes: counters(
                "hub_registry_view_instance_changes_total",
                "Rows of the view that were added, updated or removed.",
                &["change"],
            ),
            view_services: gauge("hub_registry_view_services", "Services in the view."),
            view_instances: gauge("hub_registry_view_instances", "Instances in the view."),
            view_waiting: gauge(
                "hub_registry_view_waited_services",
                "Services blocking queries wait for.",
            ),
            view_revision: gauge(
                "hub_registry_view_revision",
                "The highest revision of any tenant's view.",
            ),
            native: counters(
                "hub_registry_native_operations_total",
                "Operations of the native registry by outcome.",
                &["operation", "outcome"],
            ),
            database: gauges(
                "hub_registry_database_connections",
                "Open connections to the database, by whether they are in use.",
                &["state"],
            ),
            retired: counters(
                "hub_registry_retention_removed_rows_total",
                "Rows removed from the database for their age or because nothing needs them.",
                &["what"],
            ),
            leases: LeaseMetrics::new(),
            uptime: Gauge::new("hub_registry_uptime_seconds", "Time since the start.")
                .expect("a valid gauge"),
            rendering: Mutex::default(),
        };
        let build = gauges("hub_registry_build_info", "1, with the version.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let all: Vec<Box<dyn prometheus::core::Collector>> = vec![
            Box::new(inner.requests.clone()),
            Box::new(inner.source_calls.clone()),
            Box::new(inner.source_errors.clone()),
            Box::new(inner.source_state.clone()),
            Box::new(inner.source_age.clone()),
            Box::new(inner.source_instances.clone()),
            Box::new(inner.source_held.clone()),
            Box::new(inner.view_changes.clone()),
            Box::new(inner.view_services.clone()),
            Box::new(inner.view_instances.clone()),
            Box::new(inner.view_waiting.clone()),
            Box::new(inner.view_revision.clone()),
            Box::new(inner.native.clone()),
            Box::new(inner.database.clone()),
            Box::new(inner.retired.clone()),
            Box::new(inner.uptime.clone()),
            Box::new(build),
        ];
        for collector in all.into_iter().chain(inner.leases.collectors()) {
            registry.register(collector).expect("each name once");
        }
        for change in ["added", "updated", "removed"] {
            inner.view_changes.with_label_values(&[change]);
        }
        Self { registry, inner: Arc::new(inner) }
    }

    /// One HTTP request: its method, route template and status.
    pub fn request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        let histogram = self.inner.requests.with_label_values(&[method, route, class]);
        histogram.observe(took.as_secs_f64());
    }

    /// One call to an external registry.
    pub fn source_call(&self, kind: &str, operation: &str, took: Duration, error: Option<&str>) {
        let labels = [kind, operation, error.unwrap_or("ok")];
        self.inner.source_calls.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A source failed.
    pub fn source_error(&self, id: &str, source: &str, kind: &str, code: &str) {
        self.inner.source_errors.with_label_values(&[id, source, kind, code]).inc();
    }

    /// Rows changed.
    pub fn view_changed(&self, added: u64, updated: u64, removed: u64) {
        for (change, count) in [("added", added), ("updated", updated), ("removed", removed)] {
            self.inner.view_changes.with_label_values(&[change]).inc_by(count);
        }
    }

    /// An operation of the native registry ended.
    pub fn native(&self, operation: &str, ok: bool) {
        let outcome = if ok { "ok" } else { "error" };
        self.inner.native.with_label_values(&[operation, outcome]).inc();
    }

    /// Many operations of the native registry ended together.
    pub fn native_many(&self, operation: &str, good: u64, bad: u64) {
        for (outcome, count) in [("ok", good), ("error", bad)] {
            self.inner.native.with_label_values(&[operation, outcome]).inc_by(count);
        }
    }

    /// How many connections to the database are idle and in use now.
    pub fn database_connections(&self, idle: usize, used: usize) {
        for (state, count) in [("idle", idle), ("used", used)] {
            self.inner.database.with_label_values(&[state]).set(count as i64);
        }
    }

    /// Rows were removed for their age or because nothing needs them.
    pub fn retired(&self, what: &str, rows: u64) {
        self.inner.retired.with_label_values(&[what]).inc_by(rows);
    }

    /// Those of the native registry's leases.
    #[must_use]
    pub fn leases(&self) -> &LeaseMetrics {
        &self.inner.leases
    }

    /// The text format of Prometheus.
    #[must_use]
    pub fn render(&self, view: ViewSample, sources: &[SourceSample], uptime: Duration) -> Vec<u8> {
        let inner = &self.inner;
        // One scrape at a time: each sets the gauges anew.
        let _rendering = inner.rendering.lock();
        inner.uptime.set(uptime.as_secs_f64());
        inner.view_services.set(view.services as i64);
        inner.view_instances.set(view.instances as i64);
        inner.view_waiting.set(view.waiting as i64);
        inner.view_revision.set(view.revision);
        inner.source_state.reset();
        inner.source_age.reset();
        inner.source_instances.reset();
        inner.source_held.reset();
        for sample in sources {
            let labels = [sample.id.as_str(), sample.name.as_str(), sample.kind];
            let [id, name, kind] = labels;
            inner.source_state.with_label_values(&[id, name, kind, sample.state]).set(1);
            if let Some(age_ms) = sample.age_ms {
                inner.source_age.with_label_values(&labels).set(age_ms as f64 / 1000.0);
            }
            // Added up: the native registry of each tenant is one series.
            inner.source_instances.with_label_values(&labels).add(sample.instances as i64);
            inner.source_held.with_label_values(&labels).add(sample.held as i64);
        }
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "cannot render the metrics");
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
