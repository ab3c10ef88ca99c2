//! A checked configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::spec::{Credentials, Tls};
use hub_registry_core::{
    ConfigId, ConnectSpec, FieldMapping, GroupName, RegistryKind, Scope, Secret, TenantId,
};
use sha2::{Digest, Sha256};

use super::address::Address;
use super::body::MASK;
use super::failover::Failover;
use super::row::ExternalConfigRow;
use super::specific::Common;
use super::sync::{INTERVAL, Sync};
use crate::error::{Error, Result};

/// Who wins when the native registry and an external one know the same instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ConflictResolution {
    /// The native registry.
    #[default]
    PrimaryWins,
    /// The external registry.
    SecondaryWins,
    /// The native registry, with metadata and tags it lacks taken from the external one.
    Merge,
}

/// A checked row of the configuration table.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalConfig {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ConfigId,
    /// Its name: what readers see as the source.
    pub name: String,
    /// Whether it is to be connected.
    pub active: bool,
    /// How to connect.
    pub spec: ConnectSpec,
    /// The keys common to all kinds.
    pub common: Common,
    /// What is read out of the records of its registry.
    pub mapping: FieldMapping,
    /// Who wins on conflicts.
    pub conflict: ConflictResolution,
    /// Its standby.
    pub failover: Option<Failover>,
    /// What is copied from it and to it.
    pub sync: Option<Sync>,
}

/// What the native registry is called as a source.
const NATIVE: &str = "native";

impl ExternalConfig {
    /// Checks a row.
    ///
    /// # Errors
    /// The first field that breaks a rule, with its value and the rule.
    pub fn from_row(row: &ExternalConfigRow) -> Result<Self> {
        if let Some(column) = row.unreadable.first() {
            return Err(Error::invalid(column, "?", "is not of the column's type"));
        }
        if let Some((column, why)) = row.unopened.first() {
            return Err(Error::invalid(column, MASK, why));
        }
        let tenant = TenantId::parse(&row.tenant_id)
            .map_err(|e| Error::invalid("tenantId", e.value, &e.rule))?;
        let id = ConfigId::parse(&row.external_config_id)
            .map_err(|e| Error::invalid("externalConfigId", e.value, &e.rule))?;
        check_name("configName", &row.config_name)?;
        check_name("environmentName", &row.environment_name)?;
        if row.config_name == NATIVE {
            return Err(Error::invalid(
                "configName",
                NATIVE,
                "is the name of the hub's own registry",
            ));
        }
        let kind: RegistryKind =
            row.registry_type.parse().map_err(|e: hub_registry_core::instance::UnknownWord| {
                Error::invalid("registryType", e.value, &format!("must be one of {}", e.allowed))
            })?;
        flag("activeFlag", row.common.active_flag.as_deref(), true)?;
        let (common, specific) = Common::split(row.specific_config.as_deref())?;
        let enabled = flag("failoverEnabled", row.failover_enabled.as_deref(), false)?;
        let failover = Failover::of_row(row, &common, enabled)?;
        let mapping = mapping(row.field_mapping.as_deref(), &common)?;
        let Address { endpoints, scheme, path } = Address::of_row(row, kind)?;
        let spec = ConnectSpec {
            name: row.config_name.clone(),
            kind,
            endpoints,
            scheme,
            path,
            credentials: credentials(row)?,
            connect_timeout: millis("connectionTimeout", row.connection_timeout, 5_000, 1)?,
            read_timeout: millis("readTimeout", row.read_timeout, 10_000, 1)?,
            max_retries: bounded("maxRetries", row.max_retries, 3, 0, 100)? as u32,
            retry_interval: millis("retryInterval", row.retry_interval, 1_000, 1)?,
            default_group: common.default_group.clone().unwrap_or_else(GroupName::default_group),
            tls: Tls {
                ca_pem: common.ca_pem.clone(),
                insecure_skip_verify: common.insecure_skip_verify,
            },
            egress: Arc::default(),
            specific,
        };
        let sync = sync(row, &common)?;
        let conflict = match row.conflict_resolution.as_deref() {
            None | Some("primary_wins") => ConflictResolution::PrimaryWins,
            Some("secondary_wins") => ConflictResolution::SecondaryWins,
            Some("merge") => ConflictResolution::Merge,
            Some(other) => {
                let rule = "must be one of primary_wins, secondary_wins, merge";
                return Err(Error::invalid("conflictResolution", other, rule));
            }
        };
        let (name, active) = (row.config_name.clone(), row.common.is_active());
        Ok(Self { tenant, id, name, active, spec, common, mapping, conflict, failover, sync })
    }

    /// Which services are read.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::new(&self.common.services.include, &self.common.services.exclude, Vec::new())
    }

    /// Lower goes first.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.common.priority.unwrap_or(100)
    }

    /// Whether both make the same connection, so that a running one need not be touched.
    #[must_use]
    pub fn connects_like(&self, other: &Self) -> bool {
        self.spec == other.spec
            && self.common.services == other.common.services
            && self.mapping == other.mapping
            && self.common.ca_name == other.common.ca_name
    }

    /// A digest of *which registry* this is: what is known of one must never be shown as known of
    /// another. Credentials and time-outs are no part of it.
    #[must_use]
    pub fn identity(&self) -> String {
        let spec = &self.spec;
        let mut digest = Sha256::new();
        let mut part = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text.as_bytes());
        };
        part(spec.kind.as_str());
        for endpoint in &spec.endpoints {
            part(&endpoint.authority());
        }
        part("/");
        part(&spec.path);
        part(spec.default_group.as_str());
        for key in ["namespace", "datacenter", "partition"] {
            part(key);
            part(&spec.specific.get(key).map(ToString::to_string).unwrap_or_default());
        }
        let bytes = digest.finalize();
        bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn mapping(text: Option<&str>, common: &Common) -> Result<FieldMapping> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
        return Ok(FieldMapping::default());
    };
    let pairs: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|_| Error::invalid("fieldMapping", text, "must be a JSON object of strings"))?;
    FieldMapping::new(&pairs, common.allowed_groups.iter().cloned()).map_err(|error| {
        Error::invalid(&format!("fieldMapping.{}", error.path), error.field, &error.rule)
    })
}

fn check_name(field: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() || value.len() > 100 || value.chars().any(char::is_control) {
        return Err(Error::invalid(field, value, "must be 1 to 100 characters of text"));
    }
    Ok(())
}

fn sync(row: &ExternalConfigRow, common: &Common) -> Result<Option<Sync>> {
    let seconds = bounded("syncInterval", row.sync_interval, INTERVAL.into(), 1, 86_400)?;
    if !flag("syncEnabled", row.sync_enabled.as_deref(), false)? {
        return Ok(None);
    }
    let Some(rule) = common.sync.clone() else {
        let rule = "needs specificConfig.sync, the rule that says what is copied where";
        return Err(Error::invalid("syncEnabled", "Y", rule));
    };
    if rule.targets.contains(&row.config_name) {
        let name = row.config_name.as_str();
        let problem = "must not name the configuration itself";
        return Err(Error::invalid("specificConfig.sync.targets", name, problem));
    }
    Ok(Some(Sync { rule, interval: Duration::from_secs(seconds as u64) }))
}

fn flag(field: &str, value: Option<&str>, default: bool) -> Result<bool> {
    match value {
        None => Ok(default),
        Some("Y") => Ok(true),
        Some("N") => Ok(false),
        Some(other) => Err(Error::invalid(field, other, "must be \"Y\" or \"N\"")),
    }
}

fn bounded(field: &str, value: Option<i64>, default: i64, min: i64, max: i64) -> Result<i64> {
    let value = value.unwrap_or(default);
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(Error::invalid(field, value, &format!("must be {min} to {max}")))
}

/// Up to ten minutes.
fn millis(field: &str, value: Option<i64>, default: i64, min: i64) -> Result<Duration> {
    bounded(field, value, default, min, 600_000).map(|ms| Duration::from_millis(ms as u64))
}

fn credentials(row: &ExternalConfigRow) -> Result<Credentials> {
    if !flag("authEnabled", row.auth_enabled.as_deref(), false)? {
        return Ok(Credentials::default());
    }
    let secret = |value: &Option<Secret>| value.clone().unwrap_or_default();
    Ok(Credentials {
        username: row.username.clone().unwrap_or_default(),
        password: secret(&row.password),
        access_token: secret(&row.access_token),
        secret_key: secret(&row.secret_key),
    })
}
