//! Requests.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge};

use super::Maker;
use crate::error::ErrorCode;

/// From an answer out of memory to a request that waits for a registry, in seconds.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Requests by method and route template, how they end, and what is open now.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    refused: IntCounterVec,
    under_way: IntGauge,
    connections: IntGauge,
    received: IntCounter,
    sent: IntCounter,
}

impl HttpMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let requests = maker.counters(
            "hub_registry_http_requests_total",
            "HTTP requests by route template and class of status; `other` is what is not there.",
            &["method", "route", "status"],
        );
        for class in CLASSES {
            requests.with_label_values(&["other", "other", class]);
        }
        let refused = maker.counters(
            "hub_registry_http_errors_total",
            "Errors that were answered, by their code.",
            &["code"],
        );
        for code in ErrorCode::ALL {
            refused.with_label_values(&[code.as_str()]);
        }
        Self {
            requests,
            duration: maker.histograms(
                "hub_registry_http_request_duration_seconds",
                "Duration of HTTP requests by route template, blocking queries too.",
                &["method", "route"],
                SECONDS,
            ),
            refused,
            under_way: maker.gauge(
                "hub_registry_http_requests_in_flight",
                "HTTP requests being answered, blocking queries too.",
            ),
            connections: maker.gauge("hub_registry_http_connections", "Open HTTP connections."),
            received: maker.counter(
                "hub_registry_http_received_bytes_total",
                "Bytes of request bodies of known length.",
            ),
            sent: maker.counter(
                "hub_registry_http_sent_bytes_total",
                "Bytes of response bodies of known length.",
            ),
        }
    }

    /// One request was answered. `method` and `route` are of closed sets.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, route, CLASSES[class(status)]]).inc();
        self.duration.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// One route's, looked up once. `method` and `route` are of closed sets.
    #[must_use]
    pub fn route(&self, method: &'static str, route: &str) -> RouteMetrics {
        RouteMetrics {
            requests: CLASSES.map(|class| self.requests.with_label_values(&[method, route, class])),
            duration: self.duration.with_label_values(&[method, route]),
            sent: self.sent.clone(),
        }
    }

    /// An error was answered, of this [`ErrorCode`].
    pub fn refused(&self, code: &'static str) {
        self.refused.with_label_values(&[code]).inc();
    }

    /// A body of this length came.
    pub fn received(&self, bytes: Option<u64>) {
        self.received.inc_by(bytes.unwrap_or_default());
    }

    /// A body of this length goes.
    pub fn sent(&self, bytes: Option<u64>) {
        self.sent.inc_by(bytes.unwrap_or_default());
    }

    /// A request is under way until what this returns is dropped.
    #[must_use]
    pub fn begin(&self) -> Open {
        Open::of(&self.under_way)
    }

    /// A connection is open until what this returns is dropped.
    #[must_use]
    pub fn connected(&self) -> Open {
        Open::of(&self.connections)
    }
}

/// The requests of one route.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    requests: [IntCounter; CLASSES.len()],
    duration: Histogram,
    sent: IntCounter,
}

impl RouteMetrics {
    /// One was answered, with a body of this length.
    pub fn answered(&self, status: u16, sent: Option<u64>, took: Duration) {
        self.requests[class(status)].inc();
        self.duration.observe(took.as_secs_f64());
        self.sent.inc_by(sent.unwrap_or_default());
    }
}

fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// Something counted as long as it lives.
#[derive(Debug)]
pub struct Open(IntGauge);

impl Open {
    fn of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
