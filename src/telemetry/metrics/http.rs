//! Requests.

use std::time::Duration;

use prometheus::HistogramVec;

use super::Maker;

/// From an answer out of memory to a request that waits for a registry, in seconds.
const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

/// Requests by method, route template and class of status.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: HistogramVec,
}

impl HttpMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            requests: maker.histograms(
                "hub_registry_http_request_duration_seconds",
                "Duration of HTTP requests by route template and status class.",
                &["method", "route", "status"],
                SECONDS,
            ),
        }
    }

    /// One request was answered. `method` and `route` are of closed sets.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let class = match status {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        let histogram = self.requests.with_label_values(&[method, route, class]);
        histogram.observe(took.as_secs_f64());
    }
}
