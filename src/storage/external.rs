//! The external registries and how they fare.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hub_registry_core::{ConfigId, TenantId};

use super::error::Result;
use crate::model::external::{ExternalConfigRow, ExternalStatusRow};

/// What is done to a row while nobody else changes it; it may be done again from the start.
pub type ChangeRow<'c> = dyn Fn(&mut ExternalConfigRow) + Send + Sync + 'c;

/// Keeps the external registries' configurations.
///
/// What a writer says of `currentVersion` is ignored: it is 1 in a new row and one more after each
/// change. `editTime` and `editWho` come with the row.
#[async_trait]
pub trait ConfigStore: fmt::Debug + Send + Sync + 'static {
    /// All rows of all tenants, inactive ones too, in the order of tenant and id.
    async fn list_all(&self) -> Result<Vec<ExternalConfigRow>>;

    /// A tenant's rows, by name; narrowed to an environment and a type where given.
    async fn list(
        &self,
        tenant: &TenantId,
        environment: Option<&str>,
        registry_type: Option<&str>,
    ) -> Result<Vec<ExternalConfigRow>>;

    /// One row, if it is there.
    async fn get(&self, tenant: &TenantId, id: &ConfigId) -> Result<Option<ExternalConfigRow>>;

    /// Adds a row.
    ///
    /// # Errors
    /// `Conflict` when its id, or its name in that environment, is taken.
    async fn insert(&self, row: &ExternalConfigRow) -> Result<()>;

    /// Replaces every column of a row but `addTime` and `addWho`; `false` when it is not there.
    ///
    /// # Errors
    /// `Conflict` when the row is not of `expected_version`, or its new name is taken.
    async fn update(&self, row: &ExternalConfigRow, expected_version: Option<i64>) -> Result<bool>;

    /// Removes a row with its status and its last known good, all or nothing; `false` when it is
    /// not there.
    async fn delete(&self, tenant: &TenantId, id: &ConfigId) -> Result<bool>;

    /// Sets `activeFlag`; `false` when the row is not there. One that has the flag already is not
    /// touched.
    async fn set_active(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        active: bool,
        who: &str,
        now: DateTime<Utc>,
    ) -> Result<bool>;

    /// Lets `change` see a row while nobody else changes it, and writes the secrets that it changed;
    /// whether it changed any. `editTime` and `currentVersion` stay: how a secret is kept is nothing
    /// that a reader sees.
    async fn change_secrets(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        change: &ChangeRow<'_>,
    ) -> Result<bool>;

    /// Overwrites what a file still holds of rows as they were before; whether it is done, or
    /// somebody reads what would have to go. Database servers look after that themselves.
    async fn wipe_traces(&self) -> Result<bool>;
}

/// Keeps how the external registries fare.
#[async_trait]
pub trait StatusStore: fmt::Debug + Send + Sync + 'static {
    /// All rows of all tenants.
    async fn list_all(&self) -> Result<Vec<ExternalStatusRow>>;

    /// Inserts each row, or replaces the one of its configuration, all in one transaction.
    async fn upsert(&self, batch: &[ExternalStatusRow]) -> Result<()>;

    /// Removes the row of a configuration that is no more.
    async fn forget(&self, tenant: &TenantId, id: &ConfigId) -> Result<()>;
}
