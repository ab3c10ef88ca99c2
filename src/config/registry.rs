//! `registry`: the native registry.

use std::time::Duration;

use hub_registry_core::duration;
use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::Rule;

/// The native registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Whether registering an instance makes its group and service.
    pub auto_create: bool,
    /// How long an instance stays healthy without a heartbeat, in seconds.
    pub lease_seconds: u32,
    /// When many silent clients are not believed to be gone.
    pub self_preservation: SelfPreservationConfig,
    /// How silent instances leave after that.
    pub sweep: SweepConfig,
}

/// When many silent clients are not believed to be gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SelfPreservationConfig {
    /// Fewer silent instances of a tenant are believed.
    pub min_instances: usize,
    /// No more than this share of a tenant's instances is believed.
    pub percent: usize,
    /// How long they are kept at most.
    #[serde(with = "duration")]
    pub max: Duration,
}

/// How silent instances leave after self-preservation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SweepConfig {
    /// The time between two sweeps.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// The share of the tenant's instances one sweep removes at most.
    pub percent: usize,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            auto_create: true,
            lease_seconds: 30,
            self_preservation: SelfPreservationConfig::default(),
            sweep: SweepConfig::default(),
        }
    }
}

impl Default for SelfPreservationConfig {
    fn default() -> Self {
        Self { min_instances: 10, percent: 15, max: Duration::from_secs(600) }
    }
}

impl Default for SweepConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), percent: 15 }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "registry.autoCreate",
        Rule::Switch,
        "Registering an instance makes its group and service with defaults; when false it is \
         answered with 404.",
    ),
    Key::new(
        "registry.leaseSeconds",
        Rule::Integer { min: 1, max: 86_400 },
        "After so many seconds without a heartbeat an instance is unhealthy, after three times \
         as many it is removed.",
    ),
    Key::new(
        "registry.selfPreservation.minInstances",
        Rule::Integer { min: 1, max: 1_000_000 },
        "Fewer instances of a tenant that fall silent together are believed to be gone.",
    ),
    Key::new(
        "registry.selfPreservation.percent",
        Rule::Integer { min: 1, max: 100 },
        "So are no more than this share of the tenant's instances with heartbeats; beyond both, \
         health and removals are held. 100 switches self-preservation off.",
    ),
    Key::new(
        "registry.selfPreservation.max",
        Rule::Span { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "How long they are held at most.",
    ),
    Key::new(
        "registry.sweep.interval",
        Rule::Span { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
        "After that, silent instances are removed in sweeps; the time between two.",
    ),
    Key::new(
        "registry.sweep.percent",
        Rule::Integer { min: 1, max: 100 },
        "The share of the tenant's instances, as they were when the hold began, that one sweep \
         removes at most (at least one).",
    ),
];
