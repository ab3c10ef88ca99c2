//! `registry`: the native registry.

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
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { auto_create: true, lease_seconds: 30 }
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
];
