//! What is told, and to how many.

use std::time::Duration;

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Maker;
use crate::model::words::EventType;

/// Why a subscriber was told to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resync {
    /// It read too slowly.
    Slow,
    /// It fell behind what is in memory, and nothing is kept.
    Buffer,
    /// It resumed from before what is kept.
    Retention,
    /// It resumed from before a start that found another view than the one that was last told.
    Restart,
    /// It named a revision that was never told, or not by what this log knows.
    Unknown,
    /// The log could not be read, or did not have what it needed.
    LogAway,
}

impl Resync {
    const ALL: [Self; 6] =
        [Self::Slow, Self::Buffer, Self::Retention, Self::Restart, Self::Unknown, Self::LogAway];

    const fn word(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Buffer => "buffer",
            Self::Retention => "retention",
            Self::Restart => "restart",
            Self::Unknown => "unknown",
            Self::LogAway => "log_away",
        }
    }
}

/// How a stream goes to its subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Server-sent events.
    Sse,
    /// A WebSocket.
    WebSocket,
}

impl Transport {
    const ALL: [Self; 2] = [Self::Sse, Self::WebSocket];

    const fn word(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        }
    }
}

/// Events, their log, and who follows them.
#[derive(Clone, Debug)]
pub struct EventMetrics {
    published: IntCounterVec,
    resyncs: IntCounterVec,
    subscribers: IntGaugeVec,
    refused: IntCounter,
    buffered: IntGauge,
    beats_missed: IntCounter,
    log_waiting: IntGauge,
    log_lag: Gauge,
    log_failures: IntCounter,
    unlogged: IntCounter,
}

impl EventMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let metrics = Self {
            published: maker.counters(
                "hub_registry_events_total",
                "Events given to subscribers, whether or not there were any, by type.",
                &["type"],
            ),
            resyncs: maker.counters(
                "hub_registry_event_resyncs_total",
                "Subscribers told to begin anew, by reason.",
                &["reason"],
            ),
            subscribers: maker.gauges(
                "hub_registry_event_subscribers",
                "Open streams of events, by transport.",
                &["transport"],
            ),
            refused: maker.counter(
                "hub_registry_event_subscribers_refused_total",
                "Subscribers for whom there was no room.",
            ),
            buffered: maker.gauge(
                "hub_registry_events_buffered",
                "Events in memory for those who follow, over all tenants.",
            ),
            beats_missed: maker.counter(
                "hub_registry_event_heartbeats_missed_total",
                "Heartbeats that subscribers who asked for them were too slow for.",
            ),
            log_waiting: maker.gauge(
                "hub_registry_event_log_waiting",
                "Change sets that are not in the log yet.",
            ),
            log_lag: maker.fraction(
                "hub_registry_event_log_lag_seconds",
                "Since when the oldest of them waits.",
            ),
            log_failures: maker.counter(
                "hub_registry_event_log_failures_total",
                "Transactions of the log that failed.",
            ),
            unlogged: maker.counter(
                "hub_registry_event_log_dropped_total",
                "Events left out of the log, since the database was away for too long.",
            ),
        };
        for kind in EventType::ALL {
            metrics.published.with_label_values(&[kind.as_str()]);
        }
        for why in Resync::ALL {
            metrics.resyncs.with_label_values(&[why.word()]);
        }
        for transport in Transport::ALL {
            metrics.subscribers.with_label_values(&[transport.word()]);
        }
        metrics
    }

    /// An event was given out.
    pub fn published(&self, kind: EventType) {
        self.published.with_label_values(&[kind.as_str()]).inc();
    }

    /// A subscriber was told to begin anew.
    pub fn resync(&self, why: Resync) {
        self.resyncs.with_label_values(&[why.word()]).inc();
    }

    /// A stream began; it ends when this is dropped.
    #[must_use]
    pub fn stream(&self, transport: Transport) -> Stream {
        let gauge = self.subscribers.with_label_values(&[transport.word()]);
        gauge.inc();
        Stream(gauge)
    }

    /// There was no room for a subscriber.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// So many events are in memory now.
    pub fn set_buffered(&self, events: usize) {
        self.buffered.set(events as i64);
    }

    /// A subscriber was too slow for so many heartbeats.
    pub fn beats_missed(&self, count: u64) {
        self.beats_missed.inc_by(count);
    }

    /// So many change sets wait for the log, the oldest for so long.
    pub fn log_lag(&self, waiting: usize, oldest: Duration) {
        self.log_waiting.set(waiting as i64);
        self.log_lag.set(oldest.as_secs_f64());
    }

    /// The log could not be written.
    pub fn log_failed(&self) {
        self.log_failures.inc();
    }

    /// So many events are left out of the log.
    pub fn dropped(&self, count: usize) {
        self.unlogged.inc_by(count as u64);
    }
}

/// An open stream.
#[derive(Debug)]
pub struct Stream(IntGauge);

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.dec();
    }
}
