//! The log itself.

use prometheus::IntCounterVec;
use tracing::Level;

use super::Maker;

/// Why a line was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// More came than could be written.
    QueueFull,
    /// Its place took nothing: a full disk, a closed pipe.
    WriteFailed,
}

impl Lost {
    const ALL: [Self; 2] = [Self::QueueFull, Self::WriteFailed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::WriteFailed => "write_failed",
        }
    }
}

/// Lines by level, and those that were lost.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    lines: IntCounterVec,
    lost: IntCounterVec,
}

impl LogMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let lines = maker.counters(
            "hub_registry_log_lines_total",
            "Lines of the log, by level.",
            &["level"],
        );
        for level in [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE] {
            lines.with_label_values(&[level.as_str()]);
        }
        let lost = maker.counters(
            "hub_registry_log_lost_lines_total",
            "Lines of the log that could not be written, by place and reason.",
            &["place", "reason"],
        );
        for place in ["stdout", "file"] {
            for reason in Lost::ALL {
                lost.with_label_values(&[place, reason.as_str()]);
            }
        }
        Self { lines, lost }
    }

    /// An event is a line.
    pub fn logged(&self, level: Level) {
        self.lines.with_label_values(&[level.as_str()]).inc();
    }

    /// A line was lost.
    pub fn lost(&self, place: &'static str, why: Lost) {
        self.lost.with_label_values(&[place, why.as_str()]).inc();
    }
}
