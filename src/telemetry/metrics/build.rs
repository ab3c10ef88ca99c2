//! The version, and how long it runs.

use std::time::Duration;

use prometheus::Gauge;

use super::Maker;

/// Set by whoever builds a release (`HUB_REGISTRY_REVISION=$(git rev-parse HEAD) cargo build`).
const REVISION: Option<&str> = option_env!("HUB_REGISTRY_REVISION");

/// What runs here, and since when.
#[derive(Clone, Debug)]
pub struct BuildMetrics {
    uptime: Gauge,
}

impl BuildMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        let build = maker.gauges(
            "hub_registry_build_info",
            "1, with the version and the revision of the sources.",
            &["version", "revision"],
        );
        let revision = REVISION.filter(|text| !text.is_empty()).unwrap_or("unknown");
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), revision]).set(1);
        Self { uptime: maker.fraction("hub_registry_uptime_seconds", "Time since the start.") }
    }

    /// It runs for so long.
    pub fn set_uptime(&self, uptime: Duration) {
        self.uptime.set(uptime.as_secs_f64());
    }
}
