//! The external registries and how they fare.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hub_registry_core::{ConfigId, Secret, TenantId};

use super::common::CommonColumns;
use super::error::Result;

/// A row of `HUB_REGISTRY_EXTERNAL_CONFIG`, columns as the database has them: it may come from
/// plain SQL and break any rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where the table is")]
pub struct ExternalConfigRow {
    pub external_config_id: String,
    pub tenant_id: String,
    pub config_name: String,
    pub config_description: Option<String>,
    pub registry_type: String,
    pub environment_name: String,
    pub server_address: String,
    pub server_port: Option<i64>,
    pub server_path: Option<String>,
    pub server_scheme: Option<String>,
    pub auth_enabled: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub access_token: Option<Secret>,
    pub secret_key: Option<Secret>,
    pub connection_timeout: Option<i64>,
    pub read_timeout: Option<i64>,
    pub max_retries: Option<i64>,
    pub retry_interval: Option<i64>,
    pub specific_config: Option<String>,
    pub field_mapping: Option<String>,
    pub failover_enabled: Option<String>,
    pub failover_config_id: Option<String>,
    pub failover_strategy: Option<String>,
    pub sync_enabled: Option<String>,
    pub sync_interval: Option<i64>,
    pub conflict_resolution: Option<String>,
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

/// A row of `HUB_REGISTRY_EXTERNAL_STATUS`, columns as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where the table is")]
pub struct ExternalStatusRow {
    pub external_status_id: String,
    pub tenant_id: String,
    pub external_config_id: String,
    pub connection_status: Option<String>,
    pub health_status: Option<String>,
    pub last_connect_time: Option<DateTime<Utc>>,
    pub last_disconnect_time: Option<DateTime<Utc>>,
    pub last_health_check_time: Option<DateTime<Utc>>,
    pub response_time: Option<i64>,
    pub success_count: Option<i64>,
    pub error_count: Option<i64>,
    pub timeout_count: Option<i64>,
    pub failover_status: Option<String>,
    pub failover_time: Option<DateTime<Utc>>,
    pub failover_count: Option<i64>,
    pub recover_time: Option<DateTime<Utc>>,
    pub sync_status: Option<String>,
    pub last_sync_time: Option<DateTime<Utc>>,
    pub sync_success_count: Option<i64>,
    pub sync_error_count: Option<i64>,
    pub last_error_message: Option<String>,
    pub last_error_time: Option<DateTime<Utc>>,
    pub error_details: Option<String>,
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

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
}

/// Keeps how the external registries fare.
#[async_trait]
pub trait StatusStore: fmt::Debug + Send + Sync + 'static {
    /// All rows of all tenants.
    async fn list_all(&self) -> Result<Vec<ExternalStatusRow>>;

    /// Inserts each row, or replaces the one of its configuration, all in one transaction.
    async fn upsert(&self, batch: &[ExternalStatusRow]) -> Result<()>;
}
