//! Clients of Nacos that speak gRPC.

use prometheus::{IntCounterVec, IntGauge};

use super::Maker;

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The client has it.
    Acknowledged,
    /// It did not say so in time, and was told again.
    Repeated,
    /// It never said so.
    Unanswered,
}

impl Pushed {
    const ALL: [Self; 3] = [Self::Acknowledged, Self::Repeated, Self::Unanswered];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Repeated => "repeated",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Clients of Nacos that speak gRPC.
#[derive(Clone, Debug)]
pub struct NacosMetrics {
    connections: IntGauge,
    requests: IntCounterVec,
    pushes: IntCounterVec,
}

/// An open connection; it is counted until this is dropped.
#[derive(Debug)]
pub struct Connected(IntGauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl NacosMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let pushes = maker.counters(
            "hub_registry_facade_nacos_pushes_total",
            "Pushes to clients of Nacos, by how they ended.",
            &["outcome"],
        );
        for outcome in Pushed::ALL {
            pushes.with_label_values(&[outcome.as_str()]);
        }
        Self {
            connections: maker.gauge(
                "hub_registry_facade_nacos_connections",
                "Open connections of clients of Nacos that speak gRPC.",
            ),
            requests: maker.counters(
                "hub_registry_facade_nacos_requests_total",
                "Requests of clients of Nacos by gRPC, by the type of the answer; `other` is what is not there.",
                &["type", "outcome"],
            ),
            pushes,
        }
    }

    /// One is open.
    #[must_use]
    pub fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }

    /// A request was answered; the type is of a closed set.
    pub fn asked(&self, kind: &str, is_ok: bool) {
        let outcome = if is_ok { "ok" } else { "error" };
        self.requests.with_label_values(&[kind, outcome]).inc();
    }

    /// A push ended.
    pub fn pushed(&self, outcome: Pushed) {
        self.pushes.with_label_values(&[outcome.as_str()]).inc();
    }
}
