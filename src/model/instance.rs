//! An instance of the native registry.

use chrono::{DateTime, Utc};
use hub_registry_core::{
    HealthStatus, Instance, InstanceKey, InstanceStatus, Protocol, TenantId, Weight,
};
use serde_json::{Map, Value, json};

use super::audit::Audit;
use super::labels::{Metadata, metadata_text, tags_text};
use super::names::InstanceId;
use super::service::NativeService;
use super::words::{ClientType, Flag, HealthCheckType};
use crate::clock::rfc3339;

pub use super::patch::InstancePatch;
pub use super::registration::Registration;

/// An instance of the native registry: a valid row of `HUB_REGISTRY_SERVICE_INSTANCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeInstance {
    /// Its id, made of tenant and key.
    pub id: InstanceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Service and address.
    pub key: InstanceKey,
    /// Path prefix of its API; none: that of its service.
    pub context_path: Option<String>,
    /// What it says of itself.
    pub status: InstanceStatus,
    /// What heartbeats, checks or statements say of it.
    pub health: HealthStatus,
    /// Its share of traffic.
    pub weight: Weight,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// The client's version.
    pub client_version: Option<String>,
    /// What registered it.
    pub client_type: ClientType,
    /// Free pairs.
    pub metadata: Metadata,
    /// Free labels.
    pub tags: Vec<String>,
    /// When it first registered.
    pub register_time: DateTime<Utc>,
    /// The last heartbeat; registering is one.
    pub last_heartbeat: Option<DateTime<Utc>>,
    /// When a check or a request last *stated* the health. None where heartbeats have the say.
    pub last_health_check: Option<DateTime<Utc>>,
    /// What decides on its health.
    pub check: HealthCheckType,
    /// How long it stays healthy without a heartbeat.
    pub lease_seconds: u32,
    /// Whether it is removed after three leases without a heartbeat.
    pub ephemeral: Flag,
    /// Who changed it, and when.
    pub audit: Audit,
}

impl NativeInstance {
    /// The instance as readers of any source see it; protocol and a missing context path are its
    /// service's.
    #[must_use]
    pub fn to_core(&self, service: &NativeService) -> Instance {
        Instance {
            status: self.status,
            health: self.health,
            weight: self.weight,
            protocol: service.protocol,
            context_path: self.context_path.clone().or_else(|| service.context_path.clone()),
            metadata: self.metadata.clone(),
            tags: self.tags.clone(),
            native_id: Some(self.id.to_string()),
            registered_at: Some(self.register_time.timestamp_millis()),
            ..Instance::new(self.key.clone())
        }
    }

    /// Whether its own heartbeats decide on its health.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.check == HealthCheckType::Heartbeat
    }

    /// Whether the hub's checks decide on its health.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        matches!(self.check, HealthCheckType::Http | HealthCheckType::Tcp)
    }

    /// Whether it is unhealthy because its heartbeats stayed away, not because somebody said so.
    #[must_use]
    pub fn has_lapsed(&self) -> bool {
        self.has_lease()
            && self.health == HealthStatus::Unhealthy
            && self.last_health_check.is_none()
    }

    /// The answer to a GET of one instance.
    #[must_use]
    pub fn to_value(&self, protocol: Protocol) -> Value {
        let service = &self.key.service;
        let mut answer = Map::new();
        let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        put("instanceId", json!(self.id));
        put("tenantId", json!(self.tenant));
        put("groupName", json!(service.group));
        put("serviceName", json!(service.name));
        put("hostAddress", json!(self.key.host));
        put("portNumber", json!(self.key.port));
        put("protocolType", json!(protocol));
        put("contextPath", json!(self.context_path));
        put("instanceStatus", json!(self.status));
        put("healthStatus", json!(self.health));
        put("weightValue", json!(self.weight));
        put("clientId", json!(self.client_id));
        put("clientVersion", json!(self.client_version));
        put("clientType", json!(self.client_type));
        put("metadata", json!(self.metadata));
        put("metadataJson", json!(metadata_text(&self.metadata)));
        put("tags", json!(self.tags));
        put("tagsJson", json!(tags_text(&self.tags)));
        put("registerTime", json!(rfc3339(self.register_time)));
        put("lastHeartbeatTime", json!(self.last_heartbeat.map(rfc3339)));
        put("lastHealthCheckTime", json!(self.last_health_check.map(rfc3339)));
        put("healthCheckType", json!(self.check));
        put("leaseSeconds", json!(self.lease_seconds));
        put("ephemeral", json!(self.ephemeral));
        put("registryType", json!("SYSTEM"));
        self.audit.write(&mut answer);
        Value::Object(answer)
    }
}
