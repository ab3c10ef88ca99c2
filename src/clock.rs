//! Wall time, and the only place that reads it.
//!
//! Durations (leases, holds, ages) are measured with [`tokio::time::Instant`], which tests pause;
//! wall time is only for what people read and for ages that must outlive a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Tells the wall time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's time.
    #[default]
    System,
    /// A time set by a test, in milliseconds since 1970.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at this time until it is set again.
    #[must_use]
    pub fn fixed(millis: i64) -> (Self, Arc<AtomicI64>) {
        let time = Arc::new(AtomicI64::new(millis));
        (Self::Fixed(Arc::clone(&time)), time)
    }

    /// Now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place the lint points to")]
    pub fn now(&self) -> DateTime<Utc> {
        match self {
            Self::System => Utc::now(),
            Self::Fixed(time) => at(time.load(Ordering::Relaxed)),
        }
    }

    /// Now, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now().timestamp_millis()
    }
}

/// The time this many milliseconds after 1970; one out of chrono's range becomes 1970.
#[must_use]
pub fn at(millis: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis).unwrap_or_default()
}

/// RFC 3339 with milliseconds, as every answer writes times.
#[must_use]
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
