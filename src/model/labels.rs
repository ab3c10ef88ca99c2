//! Metadata and tags: their limits and their text forms.

use hub_registry_core::Pairs;
use serde_json::Value;

use crate::error::{Error, Result};

/// Free pairs.
pub type Metadata = Pairs;

const MAX_KEYS: usize = 128;
const MAX_METADATA: usize = 64 * 1024;
const MAX_TAGS: usize = 64;
const MAX_TAG: usize = 255;

/// Checks the limits.
///
/// # Errors
/// The field, the value and the rule.
pub fn check_metadata(field: &str, metadata: &Metadata) -> Result<()> {
    if metadata.len() > MAX_KEYS {
        return Err(Error::invalid(field, metadata.len(), "must have at most 128 keys"));
    }
    let size: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_METADATA {
        return Err(Error::invalid(field, size, "must be at most 65536 bytes in keys and values"));
    }
    if metadata.contains_key("") {
        return Err(Error::invalid(field, "", "must not have an empty key"));
    }
    // Keys become query parameters and header names.
    if let Some(key) = metadata.keys().find(|key| key.chars().any(char::is_control)) {
        let rule = "must not have control characters in a key";
        return Err(Error::invalid(field, key.as_str(), rule));
    }
    if let Some((key, value)) = metadata.iter().find(|(_, value)| value.contains('\0')) {
        let rule = "must not contain the character U+0000";
        return Err(Error::invalid(&format!("{field}.{key}"), value.as_str(), rule));
    }
    Ok(())
}

/// Checks the limits.
///
/// # Errors
/// The field, the value and the rule.
pub fn check_tags(field: &str, tags: &[String]) -> Result<()> {
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid(field, tags.len(), "must have at most 64 tags"));
    }
    if let Some(tag) = tags.iter().find(|tag| tag.is_empty() || tag.len() > MAX_TAG) {
        return Err(Error::invalid(field, tag.as_str(), "must have tags of 1 to 255 bytes"));
    }
    match tags.iter().find(|tag| tag.chars().any(char::is_control)) {
        Some(tag) => {
            let rule = "must not have control characters in a tag";
            Err(Error::invalid(field, tag.as_str(), rule))
        }
        None => Ok(()),
    }
}

/// Metadata from JSON: an object of strings.
pub(super) fn metadata(field: &str, value: Value) -> Result<Metadata> {
    const RULE: &str = "must be an object whose values are strings";
    let Value::Object(pairs) = value else {
        return Err(Error::invalid(field, value, RULE));
    };
    let text = |(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        other => Err(Error::invalid(&format!("{field}.{key}"), other, "must be a string")),
    };
    let metadata = pairs.into_iter().map(text).collect::<Result<Metadata>>()?;
    check_metadata(field, &metadata)?;
    Ok(metadata)
}

/// Tags from JSON: an array of strings.
pub(super) fn tags(field: &str, value: Value) -> Result<Vec<String>> {
    let tags = serde_json::from_value::<Vec<String>>(value.clone())
        .map_err(|_| Error::invalid(field, value, "must be an array of strings"))?;
    check_tags(field, &tags)?;
    Ok(tags)
}

/// The text form of metadata; none when there is none.
#[must_use]
pub fn metadata_text(metadata: &Metadata) -> Option<String> {
    (!metadata.is_empty()).then(|| serde_json::json!(metadata).to_string())
}

/// The text form of tags; none when there are none.
#[must_use]
pub fn tags_text(tags: &[String]) -> Option<String> {
    (!tags.is_empty()).then(|| serde_json::json!(tags).to_string())
}

/// Metadata from a column: rows made with plain SQL may hold numbers and the like, which become
/// their text. `None` when it is not a JSON object.
#[must_use]
pub fn metadata_of_column(text: Option<&str>) -> Option<Metadata> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Some(Metadata::new());
    };
    match serde_json::from_str(text).ok()? {
        Value::Object(pairs) => Some(pairs.into_iter().map(|(k, v)| (k, plain(v))).collect()),
        Value::Null => Some(Metadata::new()),
        _ => None,
    }
}

/// Tags from a column, as [`metadata_of_column`]. `None` when it is not a JSON array.
#[must_use]
pub fn tags_of_column(text: Option<&str>) -> Option<Vec<String>> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Some(Vec::new());
    };
    match serde_json::from_str(text).ok()? {
        Value::Array(items) => Some(items.into_iter().map(plain).collect()),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
