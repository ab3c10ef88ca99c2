//! The constants of the removal guard, as `specificConfig.removalGuard` gives them.

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// What is set; `None`: the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RemovalGuard {
    /// The share of a source that may leave within a minute, in percent, 0 to 100.
    pub percent: Option<u32>,
    /// Fewer than this many may always leave, 0 to 1,000,000.
    pub min_instances: Option<u32>,
    /// Good reads that confirm a removal, 1 to 100.
    pub confirmations: Option<u32>,
    /// Over how long, in seconds, up to an hour.
    pub hold_seconds: Option<u64>,
    /// How long the missing are waited for after an outage, in seconds, up to an hour.
    pub settle_seconds: Option<u64>,
    /// How long a source of ten or more that lists nothing is waited for, in seconds, up to a day.
    pub empty_hold_seconds: Option<u64>,
}

/// The keys with their least and greatest values.
const KEYS: [(&str, u64, u64); 6] = [
    ("percent", 0, 100),
    ("minInstances", 0, 1_000_000),
    ("confirmations", 1, 100),
    ("holdSeconds", 0, 3_600),
    ("settleSeconds", 0, 3_600),
    ("emptyHoldSeconds", 0, 86_400),
];

impl RemovalGuard {
    /// Checks the value of the key before it is read, so that the error names what is wrong in it.
    ///
    /// # Errors
    /// The first key that is not known, or whose value is no whole number within its bounds.
    pub(super) fn check(value: &Value) -> Result<()> {
        const FIELD: &str = "specificConfig.removalGuard";
        let Some(object) = value.as_object() else {
            return Err(Error::invalid(FIELD, value.clone(), "must be an object"));
        };
        for (key, value) in object {
            let field = format!("{FIELD}.{key}");
            let Some((_, least, greatest)) = KEYS.iter().find(|(known, ..)| known == key) else {
                let known = KEYS.map(|(key, ..)| key).join(", ");
                let rule = format!("is no key of it; there are {known}");
                return Err(Error::invalid(&field, value.clone(), &rule));
            };
            let number = value.as_u64().filter(|number| (least..=greatest).contains(&number));
            if number.is_none() && !value.is_null() {
                let rule = format!("must be a whole number, {least} to {greatest}");
                return Err(Error::invalid(&field, value.clone(), &rule));
            }
        }
        Ok(())
    }
}
