//! Reading a request body field by field, so that an error names the field, the value and the
//! rule. A body that is merely deserialized can only say where it stopped.

use std::ops::RangeInclusive;
use std::str::FromStr;

use hub_registry_core::instance::UnknownWord;
use serde_json::{Map, Value};

use super::json;
use super::labels::{self, Metadata};
use crate::error::{Error, Result};

/// A body being read. Each field is taken once; `null` counts as left out, unless clearing it is
/// a meaning of its own ([`clearable`](Self::clearable)).
#[derive(Debug)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// The body of a request about a `noun`, which has these fields and no others.
    ///
    /// # Errors
    /// When it is no object or has another field.
    pub fn new(noun: &str, body: Value, known: &[&[&str]]) -> Result<Self> {
        let Value::Object(map) = body else {
            return Err(Error::invalid("body", body, "must be a JSON object"));
        };
        let unknown =
            map.iter().find(|(key, _)| !known.iter().any(|set| set.contains(&key.as_str())));
        if let Some((key, value)) = unknown {
            return Err(Error::invalid(key, value.clone(), &format!("is not a field of {noun}")));
        }
        Ok(Self(map))
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    /// Text of at most `max` bytes.
    ///
    /// # Errors
    /// The field, the value and the rule.
    pub fn text(&mut self, field: &str, max: usize) -> Result<Option<String>> {
        match self.take(field) {
            None => Ok(None),
            // Readers put such text into URLs, headers and log lines.
            Some(Value::String(text)) if text.chars().any(char::is_control) => {
                Err(Error::invalid(field, text, "must not contain control characters"))
            }
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(Value::String(text)) => {
                Err(Error::invalid(field, text, &format!("must be at most {max} bytes long")))
            }
            Some(other) => Err(Error::invalid(field, other, "must be a string")),
        }
    }

    /// Text that must be there.
    ///
    /// # Errors
    /// The field, the value and the rule.
    pub fn required(&mut self, field: &str) -> Result<String> {
        let text = self.text(field, usize::MAX)?;
        text.ok_or_else(|| Error::invalid(field, Value::Null, "is required"))
    }

    /// Text that `null` or an empty string clears: `Some(None)`.
    ///
    /// # Errors
    /// The field, the value and the rule.
    pub fn clearable(&mut self, field: &str, max: usize) -> Result<Option<Option<String>>> {
        if !self.0.contains_key(field) {
            return Ok(None);
        }
        Ok(Some(self.text(field, max)?.filter(|text| !text.is_empty())))
    }

    /// A whole number in the range.
    ///
    /// # Errors
    /// The field, the value and the rule.
    pub fn integer(&mut self, field: &str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(value) = self.take(field) else {
            return Ok(None);
        };
        match value.as_i64().filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let (low, high) = (range.start(), range.end());
                let rule = format!("must be a whole number from {low} to {high}");
                Err(Error::invalid(field, value, &rule))
            }
        }
    }

    /// A word of an enumeration.
    ///
    /// # Errors
    /// The field, the value and the rule.
    pub fn word<T: FromStr<Err = UnknownWord>>(&mut self, field: &str) -> Result<Option<T>> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|error: UnknownWord| {
                Error::invalid(field, text, &format!("must be one of {}", error.allowed))
            }),
            Some(other) => Err(Error::invalid(field, other, "must be a string")),
        }
    }

    /// `metadata` or `metadataJson`: an object of strings, or its text.
    ///
    /// # Errors
    /// The field, the value and the rule; both are there and say different things.
    pub fn metadata(&mut self) -> Result<Option<Metadata>> {
        let text = self.parsed("metadataJson")?;
        let text = text.map(|value| labels::metadata("metadataJson", value)).transpose()?;
        let typed = self.take("metadata").map(|value| labels::metadata("metadata", value));
        one_of("metadata", "metadataJson", typed.transpose()?, text)
    }

    /// `tags` or `tagsJson`: an array of strings, or its text.
    ///
    /// # Errors
    /// The field, the value and the rule; both are there and say different things.
    pub fn tags(&mut self) -> Result<Option<Vec<String>>> {
        let text = self.parsed("tagsJson")?;
        let text = text.map(|value| labels::tags("tagsJson", value)).transpose()?;
        let typed = self.take("tags").map(|value| labels::tags("tags", value));
        one_of("tags", "tagsJson", typed.transpose()?, text)
    }

    /// A JSON column, taken as a value or as its text; `null` and an empty text clear it.
    ///
    /// # Errors
    /// The field, the value and the rule.
    pub fn json(
        &mut self,
        field: &str,
        allowed: fn(&Value) -> bool,
        rule: &str,
    ) -> Result<Option<Option<String>>> {
        if !self.0.contains_key(field) {
            return Ok(None);
        }
        match self.parsed(field)? {
            None => Ok(Some(None)),
            Some(value) if allowed(&value) => Ok(Some(Some(value.to_string()))),
            Some(value) => Err(Error::invalid(field, value, rule)),
        }
    }

    fn parsed(&mut self, field: &str) -> Result<Option<Value>> {
        match self.take(field) {
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => {
                let parsed = json::parse(field, text.as_bytes())?;
                Ok(Some(parsed).filter(|value| !value.is_null()))
            }
            other => Ok(other),
        }
    }
}

/// What two fields for the same thing say.
fn one_of<T: PartialEq>(
    field: &str,
    text_field: &str,
    typed: Option<T>,
    text: Option<T>,
) -> Result<Option<T>> {
    match (typed, text) {
        (Some(typed), Some(text)) if typed != text => {
            let rule = format!("says something else than {text_field}: give one of the two");
            Err(Error::invalid(field, Value::Null, &rule))
        }
        (typed, text) => Ok(typed.or(text)),
    }
}
