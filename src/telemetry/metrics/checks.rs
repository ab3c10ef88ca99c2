//! Checks of native instances by the hub.

use std::time::Duration;

use prometheus::{Gauge, HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::Maker;

/// The histogram bounds of checks, in seconds: a neighbour's answer to the longest usual time-out.
const CHECK_SECONDS: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// The histogram bounds of how late checks begin, in seconds.
const DELAY_SECONDS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What was checked, what came of it, and whether the checker keeps up.
#[derive(Clone, Debug)]
pub struct CheckMetrics {
    checks: IntCounterVec,
    took: HistogramVec,
    delays: HistogramVec,
    verdicts: IntCounterVec,
    instances: IntGauge,
    flapping: IntGauge,
    in_flight: IntGauge,
    overdue: IntGauge,
    lag: Gauge,
    places: IntGauge,
    needed: IntGauge,
    removals: IntCounter,
    removals_held: IntGauge,
}

impl CheckMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let verdicts = maker.counters(
            "hub_registry_health_check_verdicts_total",
            "Health that checks found to be another one.",
            &["health"],
        );
        for health in ["HEALTHY", "UNHEALTHY"] {
            verdicts.with_label_values(&[health]);
        }
        let checks = maker.counters(
            "hub_registry_health_checks_total",
            "Checks of native instances by kind and outcome.",
            &["kind", "outcome"],
        );
        for kind in ["http", "tcp"] {
            checks.with_label_values(&[kind, "passed"]);
        }
        Self {
            checks,
            took: maker.histograms(
                "hub_registry_health_check_duration_seconds",
                "Duration of checks by kind.",
                &["kind"],
                CHECK_SECONDS,
            ),
            delays: maker.histograms(
                "hub_registry_health_check_delay_seconds",
                "How long after its time a check began.",
                &[],
                DELAY_SECONDS,
            ),
            verdicts,
            instances: maker.gauge(
                "hub_registry_health_checked_instances",
                "Native instances that are checked.",
            ),
            flapping: maker.gauge(
                "hub_registry_health_flapping_instances",
                "Those of them that are kept unhealthy because they flap.",
            ),
            in_flight: maker.gauge("hub_registry_health_checks_in_flight", "Checks under way."),
            overdue: maker.gauge(
                "hub_registry_health_checks_overdue",
                "Checks whose time has come and that wait for a place.",
            ),
            lag: maker.fraction(
                "hub_registry_health_check_lag_seconds",
                "How long the first of them has waited.",
            ),
            places: maker.gauge(
                "hub_registry_health_check_places",
                "How many checks may be under way at once, as configured.",
            ),
            needed: maker.gauge(
                "hub_registry_health_check_places_needed",
                "How many that would have to be for checks to begin in time.",
            ),
            removals: maker.counter(
                "hub_registry_health_check_removals_total",
                "Native instances removed because a check was critical for as long as it asked for.",
            ),
            removals_held: maker.gauge(
                "hub_registry_health_check_removals_held",
                "Critical checks for which no instance is removed, since too many do not answer together.",
            ),
        }
    }

    /// A check began so long after its time.
    pub fn began(&self, delay: Duration) {
        self.delays.with_label_values::<&str>(&[]).observe(delay.as_secs_f64());
    }

    /// A check ended.
    pub fn ended(&self, kind: &'static str, outcome: &'static str, took: Duration) {
        self.checks.with_label_values(&[kind, outcome]).inc();
        self.took.with_label_values(&[kind]).observe(took.as_secs_f64());
    }

    /// Checks found another health.
    pub fn judged(&self, health: &'static str) {
        self.verdicts.with_label_values(&[health]).inc();
    }

    /// An instance was removed for a check.
    pub fn removed(&self) {
        self.removals.inc();
    }

    /// So many checks remove nobody, since too many do not answer together.
    pub fn set_removals_held(&self, count: usize) {
        self.removals_held.set(count as i64);
    }

    /// So many are under way now.
    pub fn set_in_flight(&self, count: usize) {
        self.in_flight.set(count as i64);
    }

    /// How the checker stands: checked, flapping; overdue and for how long; places there are and
    /// places needed.
    pub fn set(
        &self,
        instances: usize,
        flapping: usize,
        (overdue, lag): (usize, Duration),
        (places, needed): (usize, usize),
    ) {
        self.instances.set(instances as i64);
        self.flapping.set(flapping as i64);
        self.overdue.set(overdue as i64);
        self.lag.set(lag.as_secs_f64());
        self.places.set(places as i64);
        self.needed.set(needed as i64);
    }
}
