//! A service of the native registry.

use hub_registry_core::{GroupName, Protocol, ServiceKey, TenantId};
use serde_json::{Map, Value, json};

use super::audit::{self, Audit};
use super::fields::Fields;
use super::group::NativeGroup;
use super::health_url;
use super::labels::{Metadata, metadata_text, tags_text};
use super::names::{native_group, native_service};
use super::registration::ext_property;
use super::words::LoadBalanceStrategy;
use crate::error::Result;

/// `healthCheckIntervalSeconds` where nobody chose, as the table has it.
pub const DEFAULT_CHECK_INTERVAL_SECONDS: u32 = 30;
/// `healthCheckTimeoutSeconds` where nobody chose, as the table has it.
pub const DEFAULT_CHECK_TIMEOUT_SECONDS: u32 = 5;

/// A service of the native registry: a valid row of `HUB_REGISTRY_SERVICE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeService {
    /// Whose it is.
    pub tenant: TenantId,
    /// Group and name.
    pub key: ServiceKey,
    /// What it is.
    pub description: Option<String>,
    /// How to speak to its instances.
    pub protocol: Protocol,
    /// Path prefix of its API.
    pub context_path: Option<String>,
    /// In which order its instances are offered.
    pub strategy: LoadBalanceStrategy,
    /// What an HTTP check asks.
    pub health_check_url: String,
    /// How often.
    pub health_check_interval_seconds: u32,
    /// How long it waits.
    pub health_check_timeout_seconds: u32,
    /// Free pairs.
    pub metadata: Metadata,
    /// Free labels.
    pub tags: Vec<String>,
    /// Who changed it, and when.
    pub audit: Audit,
}

impl NativeService {
    /// A service with its group's defaults.
    #[must_use]
    pub fn new(key: ServiceKey, group: &NativeGroup, audit: Audit) -> Self {
        Self {
            tenant: group.tenant.clone(),
            key,
            description: None,
            protocol: group.default_protocol,
            context_path: None,
            strategy: group.default_strategy,
            health_check_url: group.default_health_check_url.clone(),
            health_check_interval_seconds: group.default_health_check_interval_seconds,
            health_check_timeout_seconds: DEFAULT_CHECK_TIMEOUT_SECONDS,
            metadata: Metadata::new(),
            tags: Vec::new(),
            audit,
        }
    }

    /// Metadata `protectThreshold`, 0 to 1: under this healthy share the health filter of readers
    /// is lifted. 0, never, when it is missing or no such number.
    #[must_use]
    pub fn protect_threshold(&self) -> f64 {
        let value = self.metadata.get("protectThreshold");
        let number = value.and_then(|value| value.parse::<f64>().ok());
        number.filter(|share| (0.0..=1.0).contains(share)).unwrap_or(0.0)
    }

    /// The answer to a GET of one service.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut answer = Map::new();
        let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        put("tenantId", json!(self.tenant));
        put("groupName", json!(self.key.group));
        put("serviceName", json!(self.key.name));
        put("serviceDescription", json!(self.description));
        put("protocolType", json!(self.protocol));
        put("contextPath", json!(self.context_path));
        put("loadBalanceStrategy", json!(self.strategy));
        put("healthCheckUrl", json!(self.health_check_url));
        put("healthCheckIntervalSeconds", json!(self.health_check_interval_seconds));
        put("healthCheckTimeoutSeconds", json!(self.health_check_timeout_seconds));
        put("metadata", json!(self.metadata));
        put("metadataJson", json!(metadata_text(&self.metadata)));
        put("tags", json!(self.tags));
        put("tagsJson", json!(tags_text(&self.tags)));
        self.audit.write(&mut answer);
        Value::Object(answer)
    }
}

/// What can be said of a service.
pub(crate) const SETTABLE: [&str; 15] = [
    "groupName",
    "serviceName",
    "serviceDescription",
    "protocolType",
    "contextPath",
    "loadBalanceStrategy",
    "healthCheckUrl",
    "healthCheckIntervalSeconds",
    "healthCheckTimeoutSeconds",
    "metadata",
    "metadataJson",
    "tags",
    "tagsJson",
    "noteText",
    "extProperty",
];
/// What answers about a service have besides: taken back without effect.
pub(crate) const ANSWERED: [&str; 6] =
    ["sources", "instanceCount", "healthyCount", "revision", "currentVersion", "message"];

/// What to say of a service; what is `None` stays, or has its group's default in a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePatch {
    /// What it is; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// How to speak to its instances.
    pub protocol: Option<Protocol>,
    /// Path prefix of its API; `Some(None)` clears it.
    pub context_path: Option<Option<String>>,
    /// In which order its instances are offered.
    pub strategy: Option<LoadBalanceStrategy>,
    /// What an HTTP check asks.
    pub health_check_url: Option<String>,
    /// How often.
    pub health_check_interval_seconds: Option<u32>,
    /// How long it waits.
    pub health_check_timeout_seconds: Option<u32>,
    /// All its free pairs.
    pub metadata: Option<Metadata>,
    /// All its free labels.
    pub tags: Option<Vec<String>>,
    /// A note for people; `Some(None)` clears it.
    pub note_text: Option<Option<String>>,
    /// Free JSON, as text; `Some(None)` clears it.
    pub ext_property: Option<Option<String>>,
    /// The version the change was made for: another one is a conflict. Ignored when creating.
    pub version: Option<i64>,
}

impl ServicePatch {
    /// From the body of a PUT; names and whatever else a GET answers are ignored.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value) -> Result<Self> {
        Self::read(&mut fields(body)?)
    }

    fn read(fields: &mut Fields) -> Result<Self> {
        let mut seconds = |field| fields.integer(field, 1..=86_400).map(seconds);
        let interval = seconds("healthCheckIntervalSeconds")?;
        let timeout = seconds("healthCheckTimeoutSeconds")?;
        Ok(Self {
            description: fields.clearable("serviceDescription", 500)?,
            protocol: fields.word("protocolType")?,
            context_path: fields.clearable("contextPath", 200)?,
            strategy: fields.word("loadBalanceStrategy")?,
            health_check_url: health_url::take(fields, "healthCheckUrl")?,
            health_check_interval_seconds: interval,
            health_check_timeout_seconds: timeout,
            metadata: fields.metadata()?,
            tags: fields.tags()?,
            note_text: fields.clearable("noteText", 500)?,
            ext_property: ext_property(fields)?,
            version: fields.integer("currentVersion", 0..=i64::MAX)?,
        })
    }

    /// The service with these changes; version and editor are the caller's matter.
    pub fn apply(self, service: &mut NativeService) {
        set(&mut service.description, self.description);
        set(&mut service.protocol, self.protocol);
        set(&mut service.context_path, self.context_path);
        set(&mut service.strategy, self.strategy);
        set(&mut service.health_check_url, self.health_check_url);
        set(&mut service.health_check_interval_seconds, self.health_check_interval_seconds);
        set(&mut service.health_check_timeout_seconds, self.health_check_timeout_seconds);
        set(&mut service.metadata, self.metadata);
        set(&mut service.tags, self.tags);
        service.audit.note(|notes| {
            set(&mut notes.note_text, self.note_text);
            set(&mut notes.ext_property, self.ext_property);
        });
    }
}

/// A service to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewService {
    /// Group and name.
    pub key: ServiceKey,
    /// What differs from the defaults.
    pub fields: ServicePatch,
}

impl NewService {
    /// From the body of a POST; a service without a group is in `DEFAULT_GROUP`.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value) -> Result<Self> {
        let mut fields = fields(body)?;
        let group = match fields.text("groupName", usize::MAX)?.filter(|name| !name.is_empty()) {
            Some(name) => native_group("groupName", &name)?,
            None => GroupName::default_group(),
        };
        let name = native_service("serviceName", &fields.required("serviceName")?)?;
        let key = ServiceKey::new(group, name);
        Ok(Self { key, fields: ServicePatch::read(&mut fields)? })
    }
}

fn fields(body: Value) -> Result<Fields> {
    Fields::new("a service", body, &[&SETTABLE, &ANSWERED, &audit::READ_ONLY])
}

pub(super) fn seconds(value: Option<i64>) -> Option<u32> {
    value.and_then(|seconds| u32::try_from(seconds).ok())
}

pub(crate) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
