//! `external`: the external registries.

use std::path::PathBuf;
use std::time::Duration;

use hub_registry_core::duration;
use serde::{Deserialize, Serialize};

use super::egress::EgressConfig;
use super::keys::Key;
use super::rule::Rule;

/// The external registries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExternalConfig {
    /// Whether any is connected.
    pub enabled: bool,
    /// How often the table of them is read.
    #[serde(with = "duration")]
    pub poll_interval: Duration,
    /// How long `/ready` waits for them after the start.
    #[serde(with = "duration")]
    pub startup_deadline: Duration,
    /// The folder that holds the CA certificates they may name.
    pub ca_dir: Option<PathBuf>,
    /// Which addresses they may have.
    pub egress: EgressConfig,
    /// Whether a registry may be replaced by its standby.
    pub enable_failover: bool,
    /// Whether instances are copied between registries.
    pub enable_sync: bool,
}

impl Default for ExternalConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            poll_interval: Duration::from_secs(5),
            startup_deadline: Duration::from_secs(30),
            ca_dir: None,
            egress: EgressConfig::default(),
            enable_failover: true,
            enable_sync: true,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new("external.enabled", Rule::Switch, "Connects the external registries."),
    Key::new(
        "external.pollInterval",
        Rule::Span { min: Duration::from_millis(50), max: Duration::from_secs(10 * 60) },
        "How often the tables are looked at for what others changed in them: external registries, groups, services, instances, tokens.",
    ),
    Key::new(
        "external.startupDeadline",
        Rule::Span { min: Duration::from_millis(100), max: Duration::from_secs(60 * 60) },
        "How long /ready waits for the external registries after the start.",
    ),
    Key::new(
        "external.caDir",
        Rule::Folder,
        "The folder that holds the CA certificates which external registries may name.",
    )
    .optional(),
    Key::new(
        "external.egress.allow",
        Rule::Networks,
        "Which addresses external registries may have, whatever name leads there. Link-local, \
         metadata, multicast, broadcast and unspecified ones must be named here by an entry \
         inside their own range.",
    ),
    Key::new("external.egress.deny", Rule::Networks, "Which of these they may not have."),
    Key::new(
        "external.enableFailover",
        Rule::Switch,
        "Lets a standby take the place of a registry that fails, by itself or by an operator.",
    ),
    Key::new(
        "external.enableSync",
        Rule::Switch,
        "Copies instances between registries, by the rules of their configurations.",
    ),
];
