//! The keys of `specificConfig` that every kind of registry takes.

use hub_registry_core::GroupName;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::failover::FailoverRules;
use super::removal_guard::RemovalGuard;
use super::sync::SyncRule;
use crate::error::{Error, Result};

/// The common keys; what is not among them is the driver's.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Common {
    /// Lower goes first among registries of the same standing; 100.
    pub priority: Option<i32>,
    /// Which services are read.
    pub services: Services,
    /// The group of services whose registry has no groups.
    pub default_group: Option<GroupName>,
    /// The constants of the removal guard.
    pub removal_guard: RemovalGuard,
    /// When the standby takes the place.
    pub failover: Option<FailoverRules>,
    /// What is copied where.
    pub sync: Option<SyncRule>,
    /// Groups a field mapping may write into.
    pub allowed_groups: Vec<GroupName>,
    /// A trusted certificate, PEM.
    pub ca_pem: Option<String>,
    /// The name of a file in `external.caDir`.
    pub ca_name: Option<String>,
    /// Do not verify the server's certificate.
    pub insecure_skip_verify: bool,
}

/// Globs over service names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// Only these; none given: all.
    pub include: Vec<String>,
    /// But not these.
    pub exclude: Vec<String>,
}

const COMMON_KEYS: [&str; 10] = [
    "priority",
    "services",
    "defaultGroup",
    "removalGuard",
    "failover",
    "sync",
    "allowedGroups",
    "caPem",
    "caName",
    "insecureSkipVerify",
];

impl Common {
    /// Takes the common keys out of a `specificConfig`; the rest is the driver's.
    ///
    /// # Errors
    /// When it is not an object, or a common key has a wrong type or value.
    pub fn split(text: Option<&str>) -> Result<(Self, Map<String, Value>)> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok((Self::default(), Map::new()));
        };
        let Ok(Value::Object(all)) = serde_json::from_str(text) else {
            return Err(Error::invalid("specificConfig", text, "must be a JSON object"));
        };
        let mut specific = Map::new();
        let mut common = Map::new();
        for (key, value) in all {
            let of = if COMMON_KEYS.contains(&key.as_str()) { &mut common } else { &mut specific };
            of.insert(key, value);
        }
        if let Some(guard) = common.get("removalGuard") {
            RemovalGuard::check(guard)?;
        }
        // One key at a time, so that the error names the key.
        for (key, value) in &common {
            let one = Value::Object([(key.clone(), value.clone())].into_iter().collect());
            serde_json::from_value::<Self>(one).map_err(|error| {
                Error::invalid(&format!("specificConfig.{key}"), value.clone(), &error.to_string())
            })?;
        }
        let common: Self = serde_json::from_value(Value::Object(common))
            .map_err(|error| Error::invalid("specificConfig", text, &error.to_string()))?;
        common.check()?;
        Ok((common, specific))
    }

    fn check(&self) -> Result<()> {
        let Services { include, exclude } = &self.services;
        for (key, globs) in [("include", include), ("exclude", exclude)] {
            let bad = |glob: &&String| glob.is_empty() || glob.chars().any(char::is_control);
            if let Some(glob) = globs.iter().find(bad) {
                let field = format!("specificConfig.services.{key}");
                let rule = "must be patterns of text, in which * and ? stand for any";
                return Err(Error::invalid(&field, glob.as_str(), rule));
            }
        }
        if let Some(failover) = &self.failover {
            failover.check()?;
        }
        if let Some(sync) = &self.sync {
            sync.check()?;
        }
        if let Some(name) = &self.ca_name {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
                let rule = "must be the name of a file in external.caDir, not a path";
                return Err(Error::invalid("specificConfig.caName", name.as_str(), rule));
            }
        }
        Ok(())
    }
}
