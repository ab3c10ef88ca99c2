//! Makes metrics and registers them.

use prometheus::core::Collector;
use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Makes metrics that the registry of this process knows. Names, helps and labels are constants: a
/// wrong one, or one given twice, ends any start and any test.
#[derive(Debug)]
pub struct Maker<'a>(&'a Registry);

#[expect(clippy::expect_used, reason = "all names are constants; any start shows a mistake")]
impl<'a> Maker<'a> {
    pub(super) fn new(registry: &'a Registry) -> Self {
        Self(registry)
    }

    fn known<C: Collector + Clone + 'static>(&self, metric: C) -> C {
        self.0.register(Box::new(metric.clone())).expect("a name of its own");
        metric
    }

    pub(super) fn counter(&self, name: &'static str, help: &'static str) -> IntCounter {
        self.known(IntCounter::new(name, help).expect("a valid counter"))
    }

    pub(super) fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&str],
    ) -> IntCounterVec {
        self.known(IntCounterVec::new(Opts::new(name, help), labels).expect("valid counters"))
    }

    /// Of a whole number.
    pub(super) fn gauge(&self, name: &'static str, help: &'static str) -> IntGauge {
        self.known(IntGauge::new(name, help).expect("a valid gauge"))
    }

    pub(super) fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&str],
    ) -> IntGaugeVec {
        self.known(IntGaugeVec::new(Opts::new(name, help), labels).expect("valid gauges"))
    }

    /// Of a fraction, as seconds are.
    pub(super) fn fraction(&self, name: &'static str, help: &'static str) -> Gauge {
        self.known(Gauge::new(name, help).expect("a valid gauge"))
    }

    pub(super) fn fractions(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&str],
    ) -> GaugeVec {
        self.known(GaugeVec::new(Opts::new(name, help), labels).expect("valid gauges"))
    }

    pub(super) fn fraction_counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.known(Counter::new(name, help).expect("a valid counter"))
    }

    pub(super) fn fraction_counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&str],
    ) -> CounterVec {
        self.known(CounterVec::new(Opts::new(name, help), labels).expect("valid counters"))
    }

    pub(super) fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        bounds: &[f64],
    ) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.known(Histogram::with_opts(options).expect("a valid histogram"))
    }

    pub(super) fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[&str],
        bounds: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.known(HistogramVec::new(options, labels).expect("valid histograms"))
    }
}
