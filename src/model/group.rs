//! A group of the native registry.

use chrono::DateTime;
use hub_registry_core::{GroupName, Protocol, TenantId};
use serde_json::{Map, Value, json};

use super::audit::{self, Audit, json_value};
use super::fields::Fields;
use super::health_url;
use super::names::{group_id, native_group};
use super::registration::ext_property;
use super::service::{DEFAULT_CHECK_INTERVAL_SECONDS, seconds, set};
use super::words::{Flag, GroupType, LoadBalanceStrategy};
use crate::error::Result;

/// A group of the native registry: a valid row of `HUB_REGISTRY_SERVICE_GROUP`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeGroup {
    /// Its id, made of tenant and name.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its name.
    pub name: GroupName,
    /// What it is.
    pub description: Option<String>,
    /// What it is for.
    pub group_type: GroupType,
    /// Who owns it.
    pub owner_user_id: Option<String>,
    /// Who may change it.
    pub admin_user_ids: UserIds,
    /// Who may read it.
    pub read_user_ids: UserIds,
    /// Whether only they may.
    pub access_control: Flag,
    /// The protocol of a new service.
    pub default_protocol: Protocol,
    /// The order of a new service.
    pub default_strategy: LoadBalanceStrategy,
    /// What an HTTP check of a new service asks.
    pub default_health_check_url: String,
    /// How often.
    pub default_health_check_interval_seconds: u32,
    /// Who changed it, and when.
    pub audit: Audit,
}

impl NativeGroup {
    /// A group with every default.
    #[must_use]
    pub fn new(tenant: TenantId, name: GroupName, audit: Audit) -> Self {
        Self {
            id: group_id(&tenant, &name),
            tenant,
            name,
            description: None,
            group_type: GroupType::default(),
            owner_user_id: None,
            admin_user_ids: UserIds::default(),
            read_user_ids: UserIds::default(),
            access_control: Flag::No,
            default_protocol: Protocol::Http,
            default_strategy: LoadBalanceStrategy::default(),
            default_health_check_url: "/health".to_owned(),
            default_health_check_interval_seconds: DEFAULT_CHECK_INTERVAL_SECONDS,
            audit,
        }
    }

    /// Whether the user owns it or is one of its administrators.
    #[must_use]
    pub fn is_run_by(&self, user: &str) -> bool {
        self.owner_user_id.as_deref() == Some(user) || self.admin_user_ids.contain(user)
    }

    /// Whether the user is one of those who may read it.
    #[must_use]
    pub fn is_read_by(&self, user: &str) -> bool {
        self.read_user_ids.contain(user)
    }

    /// Who alone may read what is in it, for those who ask when it may be gone; `None`: it is not
    /// closed to anybody.
    #[must_use]
    pub fn readers(&self) -> Option<String> {
        self.access_control.is_yes().then(|| {
            let lists = json!({
                "ownerUserId": self.owner_user_id,
                "adminUserIds": self.admin_user_ids.ids,
                "readUserIds": self.read_user_ids.ids,
            });
            lists.to_string()
        })
    }

    /// A group of which no more is known than its [`readers`](Self::readers). What cannot be read
    /// lets nobody in.
    #[must_use]
    pub fn closed(tenant: TenantId, name: GroupName, readers: &str) -> Self {
        let lists: Value = serde_json::from_str(readers).unwrap_or_default();
        let ids =
            |field: &str| UserIds::from_text(lists.get(field).map(Value::to_string).as_deref());
        Self {
            owner_user_id: lists["ownerUserId"].as_str().map(str::to_owned),
            admin_user_ids: ids("adminUserIds"),
            read_user_ids: ids("readUserIds"),
            access_control: Flag::Yes,
            ..Self::new(tenant, name, Audit::new(DateTime::UNIX_EPOCH, ""))
        }
    }

    /// The answer to a GET of one group.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut answer = Map::new();
        let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        let interval = self.default_health_check_interval_seconds;
        put("serviceGroupId", json!(self.id));
        put("tenantId", json!(self.tenant));
        put("groupName", json!(self.name));
        put("groupDescription", json!(self.description));
        put("groupType", json!(self.group_type));
        put("ownerUserId", json!(self.owner_user_id));
        put("adminUserIds", self.admin_user_ids.to_value());
        put("readUserIds", self.read_user_ids.to_value());
        put("accessControlEnabled", json!(self.access_control));
        put("defaultProtocolType", json!(self.default_protocol));
        put("defaultLoadBalanceStrategy", json!(self.default_strategy));
        put("defaultHealthCheckUrl", json!(self.default_health_check_url));
        put("defaultHealthCheckIntervalSeconds", json!(interval));
        self.audit.write(&mut answer);
        Value::Object(answer)
    }
}

/// A list of users: a JSON column, kept as it was written, and read once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserIds {
    text: Option<String>,
    ids: Vec<String>,
}

impl UserIds {
    /// From the column. What is no JSON array of strings (plain SQL can write anything) names
    /// nobody: it must not let anybody in.
    #[must_use]
    pub fn from_text(text: Option<&str>) -> Self {
        let ids = text.map(serde_json::from_str::<Vec<String>>).and_then(Result::ok);
        Self { text: text.map(str::to_owned), ids: ids.unwrap_or_default() }
    }

    /// As the column holds it.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Whether it names the user.
    #[must_use]
    pub fn contain(&self, user: &str) -> bool {
        self.ids.iter().any(|id| id == user)
    }

    fn to_value(&self) -> Value {
        json_value(self.text())
    }
}

/// What can be said of a group.
pub(crate) const SETTABLE: [&str; 13] = [
    "groupName",
    "groupDescription",
    "groupType",
    "ownerUserId",
    "adminUserIds",
    "readUserIds",
    "accessControlEnabled",
    "defaultProtocolType",
    "defaultLoadBalanceStrategy",
    "defaultHealthCheckUrl",
    "defaultHealthCheckIntervalSeconds",
    "noteText",
    "extProperty",
];
/// What answers about a group have besides: taken back without effect.
pub(crate) const ANSWERED: [&str; 6] =
    ["serviceGroupId", "sources", "serviceCount", "instanceCount", "currentVersion", "message"];

/// What to say of a group; what is `None` stays, or has its default in a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPatch {
    /// What it is; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// What it is for.
    pub group_type: Option<GroupType>,
    /// Who owns it; `Some(None)` clears it.
    pub owner_user_id: Option<Option<String>>,
    /// Who may change it, a JSON array as text; `Some(None)` clears it.
    pub admin_user_ids: Option<Option<String>>,
    /// Who may read it, a JSON array as text; `Some(None)` clears it.
    pub read_user_ids: Option<Option<String>>,
    /// Whether only they may.
    pub access_control: Option<Flag>,
    /// The protocol of a new service.
    pub default_protocol: Option<Protocol>,
    /// The order of a new service.
    pub default_strategy: Option<LoadBalanceStrategy>,
    /// What an HTTP check of a new service asks.
    pub default_health_check_url: Option<String>,
    /// How often.
    pub default_health_check_interval_seconds: Option<u32>,
    /// A note for people; `Some(None)` clears it.
    pub note_text: Option<Option<String>>,
    /// Free JSON, as text; `Some(None)` clears it.
    pub ext_property: Option<Option<String>>,
    /// The version the change was made for: another one is a conflict. Ignored when creating.
    pub version: Option<i64>,
}

impl GroupPatch {
    /// From the body of a PUT; the name and whatever else a GET answers are ignored.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value) -> Result<Self> {
        Self::read(&mut fields(body)?)
    }

    fn read(fields: &mut Fields) -> Result<Self> {
        let ids = |value: &Value| {
            value.as_array().is_some_and(|items| items.iter().all(Value::is_string))
        };
        let ids_rule = "must be an array of strings";
        let interval = fields.integer("defaultHealthCheckIntervalSeconds", 1..=86_400)?;
        Ok(Self {
            description: fields.clearable("groupDescription", 500)?,
            group_type: fields.word("groupType")?,
            owner_user_id: fields.clearable("ownerUserId", 32)?,
            admin_user_ids: fields.json("adminUserIds", ids, ids_rule)?,
            read_user_ids: fields.json("readUserIds", ids, ids_rule)?,
            access_control: fields.word("accessControlEnabled")?,
            default_protocol: fields.word("defaultProtocolType")?,
            default_strategy: fields.word("defaultLoadBalanceStrategy")?,
            default_health_check_url: health_url::take(fields, "defaultHealthCheckUrl")?,
            default_health_check_interval_seconds: seconds(interval),
            note_text: fields.clearable("noteText", 500)?,
            ext_property: ext_property(fields)?,
            version: fields.integer("currentVersion", 0..=i64::MAX)?,
        })
    }

    /// The group with these changes; version and editor are the caller's matter.
    pub fn apply(self, group: &mut NativeGroup) {
        let ids = |text: Option<Option<String>>| text.map(|t| UserIds::from_text(t.as_deref()));
        let interval = self.default_health_check_interval_seconds;
        set(&mut group.description, self.description);
        set(&mut group.group_type, self.group_type);
        set(&mut group.owner_user_id, self.owner_user_id);
        set(&mut group.admin_user_ids, ids(self.admin_user_ids));
        set(&mut group.read_user_ids, ids(self.read_user_ids));
        set(&mut group.access_control, self.access_control);
        set(&mut group.default_protocol, self.default_protocol);
        set(&mut group.default_strategy, self.default_strategy);
        set(&mut group.default_health_check_url, self.default_health_check_url);
        set(&mut group.default_health_check_interval_seconds, interval);
        group.audit.note(|notes| {
            set(&mut notes.note_text, self.note_text);
            set(&mut notes.ext_property, self.ext_property);
        });
    }
}

/// A group to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroup {
    /// Its name.
    pub name: GroupName,
    /// What differs from the defaults.
    pub fields: GroupPatch,
}

impl NewGroup {
    /// From the body of a POST.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value) -> Result<Self> {
        let mut fields = fields(body)?;
        let name = native_group("groupName", &fields.required("groupName")?)?;
        Ok(Self { name, fields: GroupPatch::read(&mut fields)? })
    }
}

fn fields(body: Value) -> Result<Fields> {
    Fields::new("a group", body, &[&SETTABLE, &ANSWERED, &audit::READ_ONLY])
}
