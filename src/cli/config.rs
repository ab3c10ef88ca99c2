//! The configuration on the command line.

use serde_json::Value;

use crate::config::{Config, keys};

/// The configuration as a start would have it: a file, or each key with its value and where that
/// comes from. Secrets are masked.
///
/// # Errors
/// It cannot be written as YAML, which no value of it causes.
pub fn printed(config: &Config, sources: bool) -> Result<String, serde_saphyr::SerializeError> {
    if sources { Ok(with_sources(config)) } else { config.to_yaml() }
}

/// A line per key: `path = value`, and where that comes from.
fn with_sources(config: &Config) -> String {
    let values = serde_json::to_value(config).unwrap_or_default();
    let lines: Vec<(String, String)> = keys::all()
        .map(|key| {
            let value = key.path.split('.').fold(&values, |place, name| &place[name]);
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let origin = config.origins.get(key.path);
            let origin = origin.map_or_else(|| "default".to_owned(), ToString::to_string);
            (format!("{} = {value}", key.path), origin)
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    lines.iter().map(|(line, origin)| format!("{line:width$}  {origin}\n")).collect()
}
