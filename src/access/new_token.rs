//! A token to make.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use hub_registry_core::{GroupName, TenantId, duration};
use serde_json::{Value, json};

use super::credential::{Tenants, groups};
use super::role::Role;
use crate::error::{Error, Result};
use crate::model::fields::Fields;

/// The longest user id, in bytes: the columns that say who changed a row hold no more.
pub const MAX_USER: usize = 32;
const MAX_LIFE: std::time::Duration = std::time::Duration::from_secs(10 * 366 * 24 * 3600);

/// A token to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What people call it.
    pub name: String,
    /// For which tenants.
    pub tenants: Tenants,
    /// Whose: 1 to 32 bytes.
    pub user: String,
    /// What for.
    pub role: Role,
    /// For which groups; `None`: all of them.
    pub groups: Option<BTreeSet<GroupName>>,
    /// How long it counts; `None`: until it is revoked.
    pub lives: Option<TimeDelta>,
}

impl NewToken {
    /// The token printed at the first start.
    #[must_use]
    pub fn bootstrap() -> Self {
        Self {
            name: "bootstrap".to_owned(),
            tenants: Tenants::All,
            user: "admin".to_owned(),
            role: Role::Admin,
            groups: None,
            lives: None,
        }
    }

    /// From the body of a POST; without a `tenantId` it is for this tenant.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn from_value(body: Value, tenant: &TenantId) -> Result<Self> {
        const KNOWN: [&str; 6] =
            ["tokenName", "tenantId", "userId", "role", "groupNames", "expiresIn"];
        let mut fields = Fields::new("a token", body, &[&KNOWN])?;
        let missing = |field| move || Error::invalid(field, Value::Null, "is required");
        let user = fields.text("userId", MAX_USER)?.ok_or_else(missing("userId"))?;
        let names =
            fields.json("groupNames", Value::is_array, "must be an array of group names")?;
        let tenant = fields.text("tenantId", 32)?.unwrap_or_else(|| tenant.to_string());
        let token = Self {
            name: fields.text("tokenName", 100)?.unwrap_or_default(),
            tenants: Tenants::parse(&tenant)?,
            user,
            role: fields.word("role")?.ok_or_else(missing("role"))?,
            groups: names.flatten().as_deref().map(groups).transpose()?,
            lives: fields.text("expiresIn", 40)?.as_deref().map(life).transpose()?,
        };
        token.check()
    }

    /// The same, if it keeps the rules.
    ///
    /// # Errors
    /// The first field that breaks a rule: the field, the value, the rule.
    pub fn check(self) -> Result<Self> {
        let plain = !self.user.is_empty() && !self.user.chars().any(char::is_control);
        if !plain || self.user.len() > MAX_USER {
            return Err(Error::invalid("userId", self.user, "must be 1 to 32 printable bytes"));
        }
        if self.groups.as_ref().is_some_and(BTreeSet::is_empty) {
            let rule = "must name a group, or be left out for all of them";
            return Err(Error::invalid("groupNames", json!([]), rule));
        }
        Ok(self)
    }
}

/// How long a token counts, from a duration as `720h`.
///
/// # Errors
/// It is none, or longer than ten years.
pub fn life(text: &str) -> Result<TimeDelta> {
    let wrong = |rule: &str| Error::invalid("expiresIn", text, rule);
    let length = duration::parse(text).map_err(|rule| wrong(&rule))?;
    if length.is_zero() || length > MAX_LIFE {
        return Err(wrong("must be more than nothing and at most ten years"));
    }
    TimeDelta::from_std(length).map_err(|_| wrong("is too long"))
}
