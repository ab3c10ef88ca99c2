//! Which instances a reader asks for.

use hub_registry_core::{HealthStatus, Host, InstanceStatus};

use super::merge::Row;

/// A filter over rows; the default lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InstanceFilter {
    /// Only this status.
    pub status: Option<InstanceStatus>,
    /// Only this health, unless the service is protected.
    pub health: Option<HealthStatus>,
    /// Only those this source (by name) knows.
    pub source: Option<String>,
    /// Only those with all these tags.
    pub tags: Vec<String>,
    /// Only those with all these metadata pairs.
    pub meta: Vec<(String, String)>,
    /// Only this zone (metadata `zone`).
    pub zone: Option<String>,
    /// Only this host.
    pub host: Option<Host>,
}

impl InstanceFilter {
    /// Whether it asks for everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it asks just for what is up and healthy, the question most readers have.
    #[must_use]
    pub fn is_up_and_healthy(&self) -> bool {
        let common = Self {
            status: Some(InstanceStatus::Up),
            health: Some(HealthStatus::Healthy),
            ..Self::default()
        };
        *self == common
    }

    /// Whether the row passes; `lift_health` leaves the health filter out.
    #[must_use]
    pub fn matches(&self, row: &Row, lift_health: bool) -> bool {
        let instance = &*row.instance;
        let meta = |key: &str, value: &str| instance.metadata.get(key).is_some_and(|v| v == value);
        self.status.is_none_or(|status| status == instance.status)
            && (lift_health || self.health.is_none_or(|health| health == instance.health))
            && self
                .source
                .as_ref()
                .is_none_or(|name| row.origins.iter().any(|o| *o.source == **name))
            && self.tags.iter().all(|tag| instance.tags.contains(tag))
            && self.meta.iter().all(|(key, value)| meta(key, value))
            && self.zone.as_ref().is_none_or(|zone| meta("zone", zone))
            && self.host.as_ref().is_none_or(|host| instance.key.host == *host)
    }
}
