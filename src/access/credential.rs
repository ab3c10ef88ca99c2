//! What a credential says of its holder.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{GroupName, TenantId};
use serde_json::json;

use super::caller::{Caller, Grant};
use super::role::Role;
use super::token::TokenHash;
use crate::error::{Error, ErrorCode, Result};
use crate::storage::TokenRow;

/// The tenants a credential is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenants {
    /// Every one (`*`): a request says which.
    All,
    /// This one.
    One(TenantId),
}

impl Tenants {
    /// From a table or a claim.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "*" {
            return Ok(Self::All);
        }
        let tenant = TenantId::parse(text);
        tenant.map(Self::One).map_err(|error| Error::invalid("tenantId", error.value, &error.rule))
    }

    /// As a table holds it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => "*",
            Self::One(tenant) => tenant.as_str(),
        }
    }

    /// Whether the tenant is among them.
    #[must_use]
    pub fn contain(&self, tenant: &TenantId) -> bool {
        matches!(self, Self::All) || *self == Self::One(tenant.clone())
    }
}

/// What a token or a signed claim says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Whose.
    pub user: Arc<str>,
    /// What for, and where.
    pub grant: Arc<Grant>,
    /// When it ends to count.
    pub expires: Option<DateTime<Utc>>,
}

impl Credential {
    /// A row of the table of tokens, with the hash it is found by. `None`: it does not count.
    ///
    /// # Errors
    /// What cannot be read: such a row lets nobody in.
    pub(super) fn of(row: &TokenRow) -> Result<Option<(TokenHash, Self)>> {
        // Here a flag that is neither yes nor no is no.
        if !matches!(row.common.active_flag.as_deref().map(str::trim), None | Some("Y" | "y")) {
            return Ok(None);
        }
        if let Some(column) = row.unreadable.first() {
            return Err(Error::invalid(column, json!(null), "cannot be read"));
        }
        let hash = TokenHash::parse(&row.token_hash)
            .ok_or_else(|| Error::invalid("tokenHash", json!(null), "must be 64 hex digits"))?;
        let role = row.role.parse::<Role>().map_err(|error| {
            Error::invalid("role", error.value, &format!("must be one of {}", error.allowed))
        })?;
        if row.user_id.is_empty() {
            return Err(Error::invalid("userId", "", "must not be empty"));
        }
        let groups = row.group_names.as_deref().map(groups).transpose()?;
        let credential = Self {
            user: Arc::from(row.user_id.as_str()),
            grant: Arc::new(Grant { role, groups, tenants: Tenants::parse(&row.tenant_id)? }),
            expires: row.expire_time,
        };
        Ok(Some((hash, credential)))
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// Its holder, asking for the data of the tenant the request names. What a request says of
    /// itself grants nothing: it may only repeat what the credential says.
    ///
    /// # Errors
    /// `Forbidden` when the request names another tenant or user.
    pub fn caller(&self, tenant: Option<TenantId>, user: Option<&str>) -> Result<Caller> {
        let tenant = match (tenant, &self.grant.tenants) {
            (None, Tenants::All) => TenantId::default_tenant(),
            (None, Tenants::One(own)) => own.clone(),
            (Some(said), tenants) if tenants.contain(&said) => said,
            (Some(said), _) => return Err(mismatch("tenantId", said.as_str())),
        };
        match user {
            Some(said) if *said != *self.user => Err(mismatch("userId", said)),
            _ => Ok(Caller::granted(tenant, Arc::clone(&self.user), Arc::clone(&self.grant))),
        }
    }
}

fn mismatch(field: &str, value: &str) -> Error {
    let rule = "must be left out or be that of the credential";
    Error::new(ErrorCode::Forbidden, format!("{field} {rule}"))
        .with_details(json!({ "field": field, "value": value, "rule": rule }))
}

/// A JSON list of group names.
pub(super) fn groups(text: &str) -> Result<BTreeSet<GroupName>> {
    let wrong = || Error::invalid("groupNames", text, "must be a JSON array of group names");
    let names: Vec<String> = serde_json::from_str(text).map_err(|_| wrong())?;
    names.iter().map(|name| GroupName::parse(name).map_err(|_| wrong())).collect()
}
