//! A request body applied to a row: only the fields it names change.

use hub_registry_core::Secret;
use serde_json::{Map, Value};

use super::row::ExternalConfigRow;
use crate::error::{Error, Result};
use crate::model::json;
use crate::vault::{self, PREFIX};

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
        "password" | "accessToken" | "secretKey" => secret(row, key, value)?,
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
    before.secrets().next().is_some() && before.server() != after.server()
}

/// Whether the body brings every secret that is stored.
#[must_use]
pub fn brings_secrets(before: &ExternalConfigRow, body: &Map<String, Value>) -> bool {
    let brought = |key| body.get(key).is_some_and(|value| value.as_str() != Some(MASK));
    before.secrets().all(|(column, _)| brought(column))
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

fn secret(row: &mut ExternalConfigRow, key: &str, value: &Value) -> Result<()> {
    let (max, to) = match key {
        "password" => (500, &mut row.password),
        "accessToken" => (2000, &mut row.access_token),
        _ => (500, &mut row.secret_key),
    };
    // The value is not repeated, whatever is wrong with it.
    let rule = format!("must be a string of at most {max} bytes, without control characters");
    let given = text(key, value, max).map_err(|_| Error::invalid(key, MASK, &rule))?;
    let secret = match given {
        Some(text) if text == MASK => return Ok(()),
        Some(text) if vault::is_sealed(&text) => {
            let rule = format!("must be the secret itself, which does not begin with {PREFIX}");
            return Err(Error::invalid(key, MASK, &rule));
        }
        given => given.map(|text| Secret::new(&text)),
    };
    *to = secret;
    row.unopened.retain(|(column, _)| *column != key);
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
