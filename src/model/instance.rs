//! An instance of the native registry.

use std::ops::Deref;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{
    HealthStatus, Instance, InstanceKey, InstanceStatus, Pairs, Protocol, TenantId, conventions,
};
use serde_json::{Map, Value, json};

use super::audit::Audit;
use super::check::{Check, Checks};
use super::labels::{metadata_text, tags_text};
use super::names::{CheckKey, InstanceId};
use super::service::NativeService;
use super::terms;
use super::words::{ClientType, Flag, HealthCheckType};
use crate::clock::{self, rfc3339};

pub use super::patch::InstancePatch;
pub use super::registration::Registration;

/// An instance of the native registry: a valid row of `HUB_REGISTRY_SERVICE_INSTANCE`. It is what it
/// says, and what the registry knows of it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeInstance {
    /// Its id, made of tenant and key.
    pub id: InstanceId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it says itself. That is what readers see, but for what its service says instead: the
    /// protocol, unless a term or the metadata ([`conventions`]) say its own, and the context path where
    /// it has none.
    pub said: Arc<Instance>,
    /// What the client calls itself.
    pub client_id: Option<Box<str>>,
    /// The client's version.
    pub client_version: Option<Box<str>>,
    /// What registered it.
    pub client_type: ClientType,
    /// The last heartbeat; registering is one.
    pub last_heartbeat: Option<DateTime<Utc>>,
    /// When a check or a request last *stated* the health. None where heartbeats have the say.
    pub last_health_check: Option<DateTime<Utc>>,
    /// What decides on its health.
    pub check: HealthCheckType,
    /// The checks that its terms hold, where they decide: [`settle`](Self::settle) reads them.
    pub brought: Option<Arc<Checks>>,
    /// How long it stays healthy without a heartbeat.
    pub lease_seconds: u32,
    /// Whether it is removed after three leases without a heartbeat.
    pub ephemeral: Flag,
    /// Who changed it, and when.
    pub audit: Audit,
}

impl Deref for NativeInstance {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.said
    }
}

impl NativeInstance {
    /// What an instance that registered then says while it says nothing else.
    #[must_use]
    pub fn unsaid(id: InstanceId, key: InstanceKey, registered: DateTime<Utc>) -> Instance {
        Instance {
            native_id: Some((*id.text()).into()),
            registered_at: Some(registered.timestamp_millis()),
            ..Instance::new(key)
        }
    }

    /// Lets it say something else. What comes to the same stays shared.
    pub fn say(&mut self, change: impl FnOnce(&mut Instance)) {
        let mut said = Instance::clone(&self.said);
        change(&mut said);
        if said != *self.said {
            self.said = Arc::new(said);
        }
    }

    /// The same with this health, which was stated then or by nobody.
    #[must_use]
    pub fn judged(&self, health: HealthStatus, stated: Option<DateTime<Utc>>) -> Self {
        let mut judged = Self { last_health_check: stated, ..self.clone() };
        judged.say(|said| said.health = health);
        judged
    }

    /// The instance as readers of any source see it: most often no other than it says itself.
    #[must_use]
    pub fn shown(&self, service: &NativeService) -> Arc<Instance> {
        let said = self.said.context_path.clone();
        let said = said.or_else(|| conventions::context_path(&self.said.metadata));
        let path = said.or_else(|| service.context_path.clone());
        let term = self.said.native.get(terms::PROTOCOL).and_then(|word| word.parse().ok());
        let own = term.or_else(|| conventions::said_protocol(&self.said.metadata));
        let protocol = own.unwrap_or(service.protocol);
        if protocol == self.said.protocol && path == self.said.context_path {
            return Arc::clone(&self.said);
        }
        Arc::new(Instance { protocol, context_path: path, ..Instance::clone(&self.said) })
    }

    /// When it first registered.
    #[must_use]
    pub fn register_time(&self) -> DateTime<Utc> {
        clock::at(self.said.registered_at.unwrap_or_default())
    }

    /// Whether its own heartbeats decide on its health.
    #[must_use]
    pub fn has_lease(&self) -> bool {
        self.check == HealthCheckType::Heartbeat
    }

    /// Whether the hub's checks decide on its health, or help to.
    #[must_use]
    pub fn is_checked(&self) -> bool {
        match self.check {
            HealthCheckType::Http
            | HealthCheckType::Tcp
            | HealthCheckType::Grpc
            | HealthCheckType::Checks => true,
            HealthCheckType::Heartbeat | HealthCheckType::None => false,
        }
    }

    /// The checks that it brought with it, where they decide on its health.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        self.brought.as_deref().unwrap_or(Checks::NONE)
    }

    /// The leases of the checks that its client speaks for, in seconds.
    #[must_use]
    pub fn check_leases(&self) -> Vec<(CheckKey, String, u32)> {
        let leased = |check: &Check| {
            let seconds = check.lease()?;
            Some((CheckKey::of(self.id, &check.id), check.id.clone(), seconds))
        };
        self.checks().iter().filter_map(leased).collect()
    }

    /// The same with these checks, and the health that follows from them.
    #[must_use]
    pub fn with_checks(&self, checks: Checks) -> Self {
        let mut judged = self.clone();
        judged.say(|said| {
            checks.write(&mut said.native);
            said.health = checks.health();
        });
        judged.brought = Some(Arc::new(checks));
        judged
    }

    /// Whether it is in maintenance, by itself or with all of its agent's.
    #[must_use]
    pub fn is_in_maintenance(&self) -> bool {
        in_maintenance(&self.native)
    }

    /// Makes what it says agree: health with checks, since whoever else states one has no say where
    /// checks have it, and checks that have none are dropped; its status with what stands for one
    /// (maintenance, Eureka's override and its word), since who gives it another one ends it.
    pub fn settle(&mut self) {
        if self.check == HealthCheckType::Checks {
            let checks = Checks::of(&self.native);
            self.last_health_check = None;
            self.say(|said| said.health = checks.health());
            self.brought = Some(Arc::new(checks));
        } else {
            self.brought = None;
            if self.native.contains_key(terms::CHECKS) {
                self.say(|said| drop(said.native.remove(terms::CHECKS)));
            }
        }
        for term in ended(self.status, &self.native) {
            self.say(|said| drop(said.native.remove(term)));
        }
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
        put("registerTime", json!(rfc3339(self.register_time())));
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

/// What of these terms does not agree with the status. What its client says of itself stands above an
/// override, if that is worse (`DownOrStartingRule` of Eureka), and maintenance above both.
fn ended(status: InstanceStatus, native: &Pairs) -> Vec<&'static str> {
    use InstanceStatus::{Down, OutOfService, Starting};
    let in_use = status != OutOfService;
    let is_worse = matches!(status, Down | Starting) || (!in_use && in_maintenance(native));
    let overridden = terms::overridden(native);
    let all = [
        (terms::MAINTENANCE, in_use),
        (terms::NODE_MAINTENANCE, in_use),
        (terms::OVERRIDDEN, !is_worse && overridden != Some(status)),
        (terms::STATUS, status != Down),
    ];
    let ended = all.into_iter().filter(|(term, ends)| *ends && native.contains_key(term));
    ended.map(|(term, _)| term).collect()
}

/// Whether these terms say that an instance is in maintenance.
#[must_use]
pub fn in_maintenance(native: &Pairs) -> bool {
    native.contains_key(terms::MAINTENANCE) || native.contains_key(terms::NODE_MAINTENANCE)
}
