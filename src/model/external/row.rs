//! The rows of the external tables.

use chrono::{DateTime, Utc};
use hub_registry_core::Secret;

use crate::model::row::CommonColumns;

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
    /// Secrets whose sealed text cannot be opened, and why; the fields hold that text.
    pub unopened: Vec<(&'static str, String)>,
}

impl ExternalConfigRow {
    /// The secrets, by column.
    pub fn secrets_mut(&mut self) -> [(&'static str, &mut Option<Secret>); 3] {
        [
            ("password", &mut self.password),
            ("accessToken", &mut self.access_token),
            ("secretKey", &mut self.secret_key),
        ]
    }

    /// The secrets that there are, by column.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        let all = [
            ("password", &self.password),
            ("accessToken", &self.access_token),
            ("secretKey", &self.secret_key),
        ];
        all.into_iter().filter_map(|(column, secret)| {
            Some((column, secret.as_ref().filter(|secret| !secret.is_empty())?))
        })
    }
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
    pub failover_details: Option<String>,
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
