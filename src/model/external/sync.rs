//! `specificConfig.sync`: what is copied where.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_core::{GroupName, Scope};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Copies that a rule may write in a second, unless it says otherwise.
pub const RATE: u32 = 200;
/// How often everything is compared, unless the configuration says otherwise, in seconds.
pub const INTERVAL: u32 = 30;

/// Which way copies go, seen from the registry whose configuration has the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From this registry to the targets.
    In,
    /// From the targets to this registry.
    Out,
    /// Both ways.
    Both,
}

/// What becomes of copies whose rule, or whose source, is no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Orphan {
    /// They are removed; where a registry has leases, they also expire when the hub ends.
    #[default]
    Expire,
    /// They stay as they are, and are the hub's no more.
    Keep,
}

impl Orphan {
    /// The word in answers and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expire => "EXPIRE",
            Self::Keep => "KEEP",
        }
    }
}

/// A checked rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncRule {
    /// Which way.
    pub direction: Direction,
    /// Names of configurations, or `native`; at least one.
    pub targets: Vec<String>,
    /// Only services whose name matches one of these; none given: all.
    #[serde(default)]
    pub include: Vec<String>,
    /// But none of these.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// From a group at the source to the group of the copies; what is not named keeps its group,
    /// or is in the target's default group where the target has none.
    #[serde(default)]
    pub group_map: BTreeMap<GroupName, GroupName>,
    /// What becomes of the copies in the end.
    #[serde(default)]
    pub orphan: Orphan,
    /// Copies written in a second, at most: 1 to 10,000.
    #[serde(default = "rate")]
    pub rate: u32,
}

fn rate() -> u32 {
    RATE
}

/// A rule that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Sync {
    /// What is copied where.
    pub rule: SyncRule,
    /// How often everything is compared, whatever was told of changes.
    pub interval: Duration,
}

impl SyncRule {
    /// Which services it is about.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::new(&self.include, &self.exclude, Vec::new())
    }

    /// Checks the values.
    ///
    /// # Errors
    /// The first that is out of its bounds.
    pub(super) fn check(&self) -> Result<()> {
        if self.targets.is_empty() {
            let rule = "must name at least one configuration, or native";
            return Err(broken("targets", "[]".into(), rule));
        }
        for (key, texts) in
            [("targets", &self.targets), ("include", &self.include), ("exclude", &self.exclude)]
        {
            let bad = |text: &&String| text.is_empty() || text.chars().any(char::is_control);
            if let Some(text) = texts.iter().find(bad) {
                return Err(broken(key, text.as_str().into(), "must be text"));
            }
        }
        if !(1..=10_000).contains(&self.rate) {
            return Err(broken("rate", self.rate.into(), "must be 1 to 10000"));
        }
        Ok(())
    }
}

fn broken(key: &str, value: serde_json::Value, rule: &str) -> Error {
    Error::invalid(&format!("specificConfig.sync.{key}"), value, rule)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_names_what_is_wrong_with_it() {
        let read = |value| serde_json::from_value::<SyncRule>(value).map_err(|e| e.to_string());
        let rule = read(json!({"direction": "in", "targets": ["native"]})).unwrap();
        assert_eq!((rule.orphan, rule.rate, rule.check().is_ok()), (Orphan::Expire, 200, true));
        for (value, name) in [
            (json!({"direction": "in", "targets": []}), "targets"),
            (json!({"direction": "in", "targets": [""]}), "targets"),
            (json!({"direction": "in", "targets": ["a"], "rate": 0}), "rate"),
            (json!({"direction": "in", "targets": ["a"], "include": [""]}), "include"),
        ] {
            let error = read(value).unwrap().check().unwrap_err();
            assert!(error.message.contains(name) || error.to_string().contains(name), "{error:?}");
        }
        assert!(read(json!({"direction": "up", "targets": ["a"]})).is_err());
        assert!(read(json!({"direction": "in"})).is_err());
        assert!(read(json!({"direction": "in", "targets": ["a"], "orphans": "KEEP"})).is_err());
    }
}
