//! A row as the API answers it.

use hub_registry_core::Secret;
use serde_json::{Value, json};

use super::body::MASK;
use super::row::ExternalConfigRow;
use super::sync::INTERVAL;
use crate::clock::rfc3339;

/// The row as JSON: secrets masked, JSON columns as values.
#[must_use]
pub fn row_json(row: &ExternalConfigRow) -> Value {
    let mask =
        |secret: &Option<Secret>| secret.as_ref().filter(|secret| !secret.is_empty()).map(|_| MASK);
    // Text that is not JSON (by plain SQL) is shown as it is, so that it can be mended.
    let parsed = |text: &Option<String>| {
        let text = text.as_ref()?;
        Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
    };
    let common = &row.common;
    json!({
        "configId": row.external_config_id,
        "externalConfigId": row.external_config_id,
        "tenantId": row.tenant_id,
        "configName": row.config_name,
        "configDescription": row.config_description,
        "registryType": row.registry_type,
        "environmentName": row.environment_name,
        "serverAddress": row.server_address,
        "serverPort": row.server_port,
        "serverPath": row.server_path,
        "serverScheme": row.server_scheme.as_deref().unwrap_or("http"),
        "authEnabled": row.auth_enabled.as_deref().unwrap_or("N"),
        "username": row.username,
        "password": mask(&row.password),
        "accessToken": mask(&row.access_token),
        "secretKey": mask(&row.secret_key),
        "connectionTimeout": row.connection_timeout.unwrap_or(5000),
        "readTimeout": row.read_timeout.unwrap_or(10_000),
        "maxRetries": row.max_retries.unwrap_or(3),
        "retryInterval": row.retry_interval.unwrap_or(1000),
        "specificConfig": parsed(&row.specific_config),
        "fieldMapping": parsed(&row.field_mapping),
        "failoverEnabled": row.failover_enabled.as_deref().unwrap_or("N"),
        "failoverConfigId": row.failover_config_id,
        "failoverStrategy": row.failover_strategy.as_deref().unwrap_or("MANUAL"),
        "syncEnabled": row.sync_enabled.as_deref().unwrap_or("N"),
        "syncInterval": row.sync_interval.unwrap_or_else(|| INTERVAL.into()),
        "conflictResolution": row.conflict_resolution.as_deref().unwrap_or("primary_wins"),
        "addTime": common.add_time.map(rfc3339),
        "addWho": common.add_who,
        "editTime": common.edit_time.map(rfc3339),
        "editWho": common.edit_who,
        "oprSeqFlag": common.opr_seq_flag,
        "currentVersion": common.current_version,
        "activeFlag": if common.is_active() { "Y" } else { "N" },
        "noteText": common.note_text,
        "extProperty": parsed(&common.ext_property),
    })
}
