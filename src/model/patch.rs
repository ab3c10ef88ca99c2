//! What a client wants to change in an instance.

use hub_registry_core::{HealthStatus, InstanceStatus, Pairs, Weight};
use serde_json::Value;

use super::fields::Fields;
use super::labels::Metadata;
use super::registration::{KNOWN, ext_property, weight};
use super::words::HealthCheckType;
use crate::error::Result;

/// What to change in an instance; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstancePatch {
    /// Its share of traffic.
    pub weight: Option<Weight>,
    /// What it says of itself.
    pub status: Option<InstanceStatus>,
    /// Its health; not in the body of a PUT of the instance, which only reports it.
    pub health: Option<HealthStatus>,
    /// All its free pairs.
    pub metadata: Option<Metadata>,
    /// All its free labels.
    pub tags: Option<Vec<String>>,
    /// Path prefix of its API; `Some(None)` clears it.
    pub context_path: Option<Option<String>>,
    /// A note for people; `Some(None)` clears it.
    pub note_text: Option<Option<String>>,
    /// Free JSON, as text; `Some(None)` clears it.
    pub ext_property: Option<Option<String>>,
    /// What decides on its health; not in the body of a PUT.
    pub check: Option<HealthCheckType>,
    /// All that the protocol it registered by says of it besides; not in the body of a PUT.
    pub native: Option<Pairs>,
    /// The version the change was made for: another one is a conflict.
    pub version: Option<i64>,
}

impl InstancePatch {
    /// From the body of a request; whatever else a GET answers is ignored.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value) -> Result<Self> {
        let mut fields = Fields::new("an instance", body, &KNOWN)?;
        Ok(Self {
            weight: weight(&mut fields)?,
            status: fields.word("instanceStatus")?,
            health: None,
            metadata: fields.metadata()?,
            tags: fields.tags()?,
            context_path: fields.clearable("contextPath", 200)?,
            note_text: fields.clearable("noteText", 500)?,
            ext_property: ext_property(&mut fields)?,
            check: None,
            native: None,
            version: fields.integer("currentVersion", 0..=i64::MAX)?,
        })
    }
}
