//! Logs and metrics.

mod lease_metrics;
pub mod logging;
pub mod metrics;
