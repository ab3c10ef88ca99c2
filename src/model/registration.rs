//! What a client says when it registers.

use hub_registry_core::{
    GroupName, HealthStatus, Instance, InstanceKey, InstanceStatus, Pairs, Protocol, ServiceKey,
    Weight,
};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::audit;
use super::fields::Fields;
use super::labels::{self, Metadata};
use super::names::{native_group, native_service, reachable_host};
use super::terms;
use super::words::{ClientType, Flag, HealthCheckType};
use crate::error::{Error, Result};

/// The longest lease.
pub const MAX_LEASE_SECONDS: u32 = 86_400;
/// The longest path prefix, in characters.
const MAX_PATH: usize = 200;

/// What can be said when registering.
pub(crate) const SETTABLE: [&str; 21] = [
    "groupName",
    "serviceName",
    "hostAddress",
    "portNumber",
    "protocolType",
    "contextPath",
    "instanceStatus",
    "healthStatus",
    "weightValue",
    "clientId",
    "clientVersion",
    "clientType",
    "metadata",
    "metadataJson",
    "tags",
    "tagsJson",
    "healthCheckType",
    "leaseSeconds",
    "ephemeral",
    "noteText",
    "extProperty",
];
/// What answers about an instance have besides: taken back without effect.
pub(crate) const ANSWERED: [&str; 13] = [
    "instanceId",
    "serviceInstanceId",
    "registerTime",
    "lastHeartbeatTime",
    "lastHealthCheckTime",
    "healthCheck",
    "checks",
    "registryType",
    "held",
    "sources",
    "heartbeatSeconds",
    "currentVersion",
    "message",
];

/// The fields of a body about an instance.
pub(super) const KNOWN: [&[&str]; 3] = [&SETTABLE, &ANSWERED, &audit::READ_ONLY];

/// What a client says when it registers; what it leaves out has its default in a new instance and
/// stays as it is in one that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Service and address.
    pub key: InstanceKey,
    /// How to speak to it; counts when its service is made for it. Who speaks to this instance alone
    /// otherwise says [`speaking`](Self::speaking).
    pub protocol: Option<Protocol>,
    /// Path prefix of its API.
    pub context_path: Option<String>,
    /// What it says of itself.
    pub status: Option<InstanceStatus>,
    /// Its health, where it is to differ from what registering implies.
    pub health: Option<HealthStatus>,
    /// Its share of traffic.
    pub weight: Option<Weight>,
    /// What the client calls itself.
    pub client_id: Option<String>,
    /// The client's version.
    pub client_version: Option<String>,
    /// What registers it.
    pub client_type: Option<ClientType>,
    /// Free pairs.
    pub metadata: Option<Metadata>,
    /// Free labels.
    pub tags: Option<Vec<String>>,
    /// What decides on its health.
    pub check: Option<HealthCheckType>,
    /// How long it stays healthy without a heartbeat.
    pub lease_seconds: Option<u32>,
    /// Whether it is removed when its heartbeats stay away for good.
    pub ephemeral: Option<Flag>,
    /// A note for people.
    pub note_text: Option<String>,
    /// Free JSON, as text.
    pub ext_property: Option<String>,
    /// What the protocol it registers by says of it besides ([`terms`]); no field of a body.
    pub native: Option<Pairs>,
}

impl Registration {
    /// Only service and address.
    #[must_use]
    pub fn new(key: InstanceKey) -> Self {
        Self {
            key,
            protocol: None,
            context_path: None,
            status: None,
            health: None,
            weight: None,
            client_id: None,
            client_version: None,
            client_type: None,
            metadata: None,
            tags: None,
            check: None,
            lease_seconds: None,
            ephemeral: None,
            note_text: None,
            ext_property: None,
            native: None,
        }
    }

    /// This instance is spoken to so, whatever its service says: it is no word about others.
    #[must_use]
    pub fn speaking(mut self, protocol: Protocol) -> Self {
        let native = self.native.get_or_insert_default();
        native.insert(terms::PROTOCOL.to_owned(), protocol.as_str().to_owned());
        self
    }

    /// Everything an instance of any registry says, its health included.
    #[must_use]
    pub fn of(instance: &Instance) -> Self {
        Self {
            protocol: Some(instance.protocol),
            context_path: instance.context_path.clone(),
            status: Some(instance.status),
            health: Some(instance.health),
            weight: Some(instance.weight),
            metadata: Some(instance.metadata.clone()),
            tags: Some(instance.tags.to_vec()),
            ..Self::new(instance.key.clone())
        }
    }

    /// From the body of a request; a GET answer is taken back, its read-only fields ignored.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value) -> Result<Self> {
        let mut fields = Fields::new("an instance", body, &KNOWN)?;
        let group = match fields.text("groupName", usize::MAX)?.filter(|name| !name.is_empty()) {
            Some(name) => native_group("groupName", &name)?,
            None => GroupName::default_group(),
        };
        let name = native_service("serviceName", &fields.required("serviceName")?)?;
        let host = reachable_host("hostAddress", &fields.required("hostAddress")?)?;
        let port = fields.integer("portNumber", 1..=65_535)?;
        let port = port.ok_or_else(|| Error::invalid("portNumber", Value::Null, "is required"))?;
        // The integer is in the range, so neither conversion can fail.
        let port = u16::try_from(port).unwrap_or_default();
        let key = InstanceKey { service: ServiceKey::new(group, name), host, port };
        let lease = fields.integer("leaseSeconds", 1..=i64::from(MAX_LEASE_SECONDS))?;
        Ok(Self {
            key,
            protocol: fields.word("protocolType")?,
            context_path: fields.text("contextPath", MAX_PATH)?.filter(|path| !path.is_empty()),
            status: fields.word("instanceStatus")?,
            health: fields.word("healthStatus")?,
            weight: weight(&mut fields)?,
            client_id: fields.text("clientId", 100)?,
            client_version: fields.text("clientVersion", 50)?,
            client_type: fields.word("clientType")?,
            metadata: fields.metadata()?,
            tags: fields.tags()?,
            check: fields.word("healthCheckType")?,
            lease_seconds: lease.and_then(|seconds| u32::try_from(seconds).ok()),
            ephemeral: fields.word("ephemeral")?,
            note_text: fields.text("noteText", 500)?,
            ext_property: ext_property(&mut fields)?.flatten(),
            native: None,
        })
    }

    /// Checks what [`from_value`](Self::from_value) checks, for registrations made otherwise.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn check(&self) -> Result<()> {
        native_group("groupName", self.key.service.group.as_str())?;
        native_service("serviceName", self.key.service.name.as_str())?;
        reachable_host("hostAddress", self.key.host.as_str())?;
        if self.key.port == 0 {
            let rule = "must be a whole number from 1 to 65535";
            return Err(Error::invalid("portNumber", 0, rule));
        }
        if let Some(seconds) = self.lease_seconds.filter(|s| !(1..=MAX_LEASE_SECONDS).contains(s)) {
            let rule = "must be a whole number from 1 to 86400";
            return Err(Error::invalid("leaseSeconds", seconds, rule));
        }
        if let Some(path) = self.context_path.as_ref().filter(|path| !is_context_path(path)) {
            let rule = "must be at most 200 characters, and none that is for control";
            return Err(Error::invalid("contextPath", path.as_str(), rule));
        }
        self.native.as_ref().map_or(Ok(()), terms::check)?;
        self.metadata.as_ref().map_or(Ok(()), |pairs| labels::check_metadata("metadata", pairs))?;
        self.tags.as_ref().map_or(Ok(()), |tags| labels::check_tags("tags", tags))
    }
}

/// Whether there is room for it.
#[must_use]
pub fn is_context_path(path: &str) -> bool {
    path.chars().count() <= MAX_PATH && !path.chars().any(char::is_control)
}

pub(super) fn weight(fields: &mut Fields) -> Result<Option<Weight>> {
    let weight = fields.integer("weightValue", 0..=i64::from(Weight::MAX))?;
    Ok(weight.and_then(|weight| u32::try_from(weight).ok()).map(Weight::new))
}

pub(super) fn ext_property(fields: &mut Fields) -> Result<Option<Option<String>>> {
    fields.json("extProperty", terms::is_free, terms::FREE)
}

impl<'de> Deserialize<'de> for Registration {
    /// As [`Registration::from_value`], the error as text.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
