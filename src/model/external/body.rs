//! A request body applied to a row: only the fields it names change.

use hub_registry_core::Secret;
use serde_json::{Map, Value};

use super::config::ExternalConfig;

use super::row::ExternalConfigRow;
use crate::error::{Error, Result};
use crate::model::json;

/// What a secret reads as, and what leaves it unchanged when put back.
pub(super) const MASK: &str = "***";

/// Fields of an answer that are taken back without effect, so that a GET answer can be put back.
pub(crate) const READ_ONLY: [&str; 10] = [
    "configId",
    "externalConfigId",
    "tenantId",
    "addTime",
    "addWho",
    "editTime",
    "editWho",
    "oprSeqFlag",
    "currentVersion",
    "state",
];

/// Applies the body to the row.
///
/// # Errors
/// An unknown field, or a value of the wrong type: the field, the value, the rule.
pub fn apply_body(row: &mut ExternalConfigRow, body: &Map<String, Value>) -> Result<()> {
    for (key, value) in body {
        if !READ_ONLY.contains(&key.as_str()) {
            apply(row, key, value)?;
        }
    }
    Ok(())
}

fn apply(row: &mut ExternalConfigRow, key: &str, value: &Value) -> Result<()> {
    match key {
        "configName" => row.config_name = required(key, value)?,
        "configDescription" => row.config_description = text(key, value, 500)?,
        "registryType" => row.registry_type = required(key, value)?,
        "environmentName" => {
            row.environment_name = text(key, value, 50)?.unwrap_or_else(|| "default".to_owned());
        }
        "serverAddress" => row.server_address = required(key, value)?,
        "serverPort" => row.server_port = integer(key, value)?,
        "serverPath" => row.server_path = text(key, value, 200)?,
        "serverScheme" => row.server_scheme = text(key, value, 10)?,
        "authEnabled" => row.auth_enabled = flag(key, value)?,
        "username" => row.username = text(key, value, 100)?,
        "password" => secret(key, value, 500, &mut row.password)?,
        "accessToken" => secret(key, value, 2000, &mut row.access_token)?,
        "secretKey" => secret(key, value, 500, &mut row.secret_key)?,
        "connectionTimeout" => row.connection_timeout = integer(key, value)?,
        "readTimeout" => row.read_timeout = integer(key, value)?,
        "maxRetries" => row.max_retries = integer(key, value)?,
        "retryInterval" => row.retry_interval = integer(key, value)?,
        "specificConfig" => row.specific_config = json_object(key, value)?,
        "fieldMapping" => row.field_mapping = json_object(key, value)?,
        "failoverEnabled" => row.failover_enabled = flag(key, value)?,
        "failoverConfigId" => row.failover_config_id = text(key, value, 32)?,
        "failoverStrategy" => row.failover_strategy = text(key, value, 50)?,
        "syncEnabled" => row.sync_enabled = flag(key, value)?,
        "syncInterval" => row.sync_interval = integer(key, value)?,
        "conflictResolution" => row.conflict_resolution = text(key, value, 50)?,
        "activeFlag" => row.common.active_flag = flag(key, value)?,
        "noteText" => row.common.note_text = text(key, value, 500)?,
        "extProperty" => row.common.ext_property = json_object(key, value)?,
        _ => {
            return Err(Error::invalid(key, value.clone(), "is not a field of a configuration"));
        }
    }
    Ok(())
}

/// Whether `after` reaches another server, or trusts it differently, than `before`: then the
/// stored secrets must not be sent there.
#[must_use]
pub fn needs_secrets(before: &ExternalConfigRow, after: &ExternalConfigRow) -> bool {
    let stored = [&before.password, &before.access_token, &before.secret_key];
    let has_secret = stored.iter().any(|s| s.as_ref().is_some_and(|s| !s.is_empty()));
    has_secret && reach(before) != reach(after)
}

/// Where a row leads and whom it trusts there. Left out and said as the default are the same.
fn reach(row: &ExternalConfigRow) -> Value {
    let text = row.specific_config.as_deref().unwrap_or("{}");
    let specific: Value = serde_json::from_str(text).unwrap_or_default();
    let trust = ["caPem", "caName", "insecureSkipVerify"].map(|key| specific.get(key).cloned());
    match ExternalConfig::from_row(row) {
        // The path counts: another one can be another server behind the same gate.
        Ok(config) => serde_json::json!([config.spec.kind, config.spec.info().endpoints, trust]),
        Err(_) => serde_json::json!([
            row.registry_type,
            row.server_address,
            row.server_port,
            row.server_scheme,
            row.server_path,
            trust,
        ]),
    }
}

/// Whether the body brings every secret that is stored.
#[must_use]
pub fn brings_secrets(before: &ExternalConfigRow, body: &Map<String, Value>) -> bool {
    let stored = [
        ("password", &before.password),
        ("accessToken", &before.access_token),
        ("secretKey", &before.secret_key),
    ];
    stored
        .iter()
        .filter(|(_, secret)| secret.as_ref().is_some_and(|s| !s.is_empty()))
        .all(|(key, _)| body.get(*key).is_some_and(|value| value.as_str() != Some(MASK)))
}

/// Text that fits its column.
fn text(key: &str, value: &Value, max: usize) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().any(char::is_control) => {
            Err(Error::invalid(key, text.as_str(), "must not contain control characters"))
        }
        Value::String(text) if text.len() > max => {
            Err(Error::invalid(key, text.as_str(), &format!("must be at most {max} bytes long")))
        }
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(Error::invalid(key, other.clone(), "must be a string")),
    }
}

fn required(key: &str, value: &Value) -> Result<String> {
    text(key, value, 500)?.ok_or_else(|| Error::invalid(key, Value::Null, "must be a string"))
}

fn integer(key: &str, value: &Value) -> Result<Option<i64>> {
    match value {
        Value::Null => Ok(None),
        other => other
            .as_i64()
            .map(Some)
            .ok_or_else(|| Error::invalid(key, other.clone(), "must be a whole number")),
    }
}

fn flag(key: &str, value: &Value) -> Result<Option<String>> {
    match value.as_str() {
        Some(flag @ ("Y" | "N")) => Ok(Some(flag.to_owned())),
        _ if value.is_null() => Ok(None),
        _ => Err(Error::invalid(key, value.clone(), "must be \"Y\" or \"N\"")),
    }
}

fn secret(key: &str, value: &Value, max: usize, to: &mut Option<Secret>) -> Result<()> {
    // The value is not repeated, whatever is wrong with it.
    let rule = format!("must be a string of at most {max} bytes, without control characters");
    match text(key, value, max).map_err(|_| Error::invalid(key, MASK, &rule))? {
        Some(text) if text == MASK => {}
        Some(text) => *to = Some(Secret::new(&text)),
        None => *to = None,
    }
    Ok(())
}

/// JSON as text or as a value.
fn json_object(key: &str, value: &Value) -> Result<Option<String>> {
    let bad = || Error::invalid(key, value.clone(), "must be a JSON object, or its text");
    match value {
        Value::Null => Ok(None),
        Value::Object(_) => Ok(Some(value.to_string())),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => match json::parse(key, text.as_bytes())? {
            Value::Object(_) => Ok(Some(text.clone())),
            _ => Err(bad()),
        },
        _ => Err(bad()),
    }
}
