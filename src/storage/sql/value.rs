//! What is bound to a statement.

use chrono::{DateTime, Utc};

/// A value for a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Value<'v> {
    Text(Option<&'v str>),
    Int(Option<i64>),
    Time(Option<DateTime<Utc>>),
}

impl Value<'_> {
    /// About how many bytes it takes on its way.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(text) => 8 + text.map_or(0, str::len),
            Self::Int(_) | Self::Time(_) => 16,
        }
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(text: Option<&'v str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<DateTime<Utc>> for Value<'_> {
    fn from(time: DateTime<Utc>) -> Self {
        Self::Time(Some(time))
    }
}

/// A field of a row as a value, by the kind of its column: the counterpart of the readers of the
/// same names in [`Columns`](super::row::Columns).
pub(super) mod of {
    use chrono::{DateTime, Utc};
    use hub_registry_core::Secret;

    use super::Value;

    pub(in super::super) fn key(field: &str) -> Value<'_> {
        Value::Text(Some(field))
    }

    pub(in super::super) fn text(field: &Option<String>) -> Value<'_> {
        Value::Text(field.as_deref())
    }

    pub(in super::super) fn secret(field: &Option<Secret>) -> Value<'_> {
        Value::Text(field.as_ref().map(Secret::expose))
    }

    pub(in super::super) fn int(field: &Option<i64>) -> Value<'static> {
        Value::Int(*field)
    }

    pub(in super::super) fn time(field: &Option<DateTime<Utc>>) -> Value<'static> {
        Value::Time(*field)
    }
}
