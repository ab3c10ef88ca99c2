//! Who may do what: the tokens that callers show.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::Result;
use crate::model::row::CommonColumns;

/// A row of `HUB_REGISTRY_ACCESS_TOKEN`, columns as the database has them. The token itself is
/// never kept, only its hash. A text that is NULL reads as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenRow {
    /// 32 hexadecimal digits.
    pub token_id: String,
    /// The tenant it is for; `*` is every tenant.
    pub tenant_id: String,
    /// What people call it.
    pub token_name: String,
    /// SHA-256 of the token, 64 hexadecimal digits; no two rows have the same.
    pub token_hash: String,
    /// How the token begins, so that people can tell one from another.
    pub token_prefix: String,
    /// Whose it is.
    pub user_id: String,
    /// What it allows.
    pub role: String,
    /// The groups it is for, a JSON list; `None` is all.
    pub group_names: Option<String>,
    /// When it ends to count; `None` is never.
    pub expire_time: Option<DateTime<Utc>>,
    /// The columns every table has.
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

/// Keeps the tokens.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// All rows of all tenants, inactive and expired ones too, in the order of tenant and id.
    async fn list_all(&self) -> Result<Vec<TokenRow>>;

    /// Adds a row.
    ///
    /// # Errors
    /// `Conflict` when its id or its hash is there already.
    async fn insert(&self, row: &TokenRow) -> Result<()>;

    /// Removes a row; `false` when it is not there.
    async fn delete(&self, token_id: &str) -> Result<bool>;
}
