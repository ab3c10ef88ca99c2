//! `healthCheck`: checks of native instances by the hub.

use std::path::PathBuf;
use std::time::Duration;

use hub_registry_core::duration;
use serde::{Deserialize, Serialize};

use super::egress::EgressConfig;
use super::keys::Key;
use super::ports::Ports;
use super::rule::Rule;

/// Checks of native instances by the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HealthCheckConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// How often an instance is checked whose service says nothing of its own.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How long its check may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How many run at once.
    pub concurrent_checks: u32,
    /// So many failures in a row make an instance unhealthy.
    pub unhealthy_threshold: u32,
    /// So many passes in a row make it healthy.
    pub healthy_threshold: u32,
    /// Whether one that flaps is kept unhealthy for longer.
    pub flap_damping: bool,
    /// Further certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// Trust whoever answers.
    pub insecure_skip_verify: bool,
    /// Which addresses are checked.
    pub egress: EgressConfig,
    /// Which ports are.
    pub ports: Vec<Ports>,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            concurrent_checks: 10,
            unhealthy_threshold: 3,
            healthy_threshold: 2,
            flap_damping: true,
            ca_file: None,
            insecure_skip_verify: false,
            egress: EgressConfig::default(),
            ports: vec![Ports::ALL],
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "healthCheck.enabled",
        Rule::Switch,
        "Checks native instances whose healthCheckType is HTTP, TCP, GRPC or CHECKS.",
    ),
    Key::new(
        "healthCheck.interval",
        Rule::Span { min: Duration::from_millis(100), max: Duration::from_secs(24 * 60 * 60) },
        "How often an instance is checked whose service says nothing of its own: its \
         healthCheckIntervalSeconds is the table's 30. Any other number there counts instead.",
    ),
    Key::new(
        "healthCheck.timeout",
        Rule::Span { min: Duration::from_millis(10), max: Duration::from_secs(60 * 60) },
        "How long a check may take, its connection included, unless healthCheckTimeoutSeconds is \
         another number than the table's 5; never longer than the interval.",
    ),
    Key::new(
        "healthCheck.concurrentChecks",
        Rule::Integer { min: 1, max: 10_000 },
        "How many checks run at once. The log and hub_registry_health_check_places_needed say when \
         more are needed.",
    ),
    Key::new(
        "healthCheck.unhealthyThreshold",
        Rule::Integer { min: 1, max: 100 },
        "So many checks in a row must fail for an instance to become UNHEALTHY.",
    ),
    Key::new(
        "healthCheck.healthyThreshold",
        Rule::Integer { min: 1, max: 100 },
        "So many checks in a row must pass for it to become HEALTHY again; the first one is enough \
         for one whose health is UNKNOWN.",
    ),
    Key::new(
        "healthCheck.flapDamping",
        Rule::Switch,
        "Keeps an instance UNHEALTHY for longer that became so three times within some ten \
         intervals: up to twenty intervals, and ten minutes at most.",
    ),
    Key::new(
        "healthCheck.caFile",
        Rule::File,
        "Certificates that checks over TLS trust besides those of the system, PEM.",
    )
    .optional(),
    Key::new(
        "healthCheck.insecureSkipVerify",
        Rule::Switch,
        "Checks over TLS trust whoever answers.",
    ),
    Key::new(
        "healthCheck.egress.allow",
        Rule::Networks,
        "Which addresses are checked, whatever name leads there; as external.egress.allow.",
    ),
    Key::new("healthCheck.egress.deny", Rule::Networks, "Which of these are not."),
    Key::new(
        "healthCheck.ports",
        Rule::Ports,
        "Which ports are checked: with fewer of them, writers learn less of what else listens in \
         the hub's network.",
    ),
];
