//! A checked configuration.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::spec::{Credentials, Tls};
use hub_registry_core::{ConfigId, ConnectSpec, GroupName, RegistryKind, Scope, Secret, TenantId};
use sha2::{Digest, Sha256};

use super::address::Address;
use super::body::MASK;
use super::row::ExternalConfigRow;
use super::specific::Common;
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
    /// Who wins on conflicts.
    pub conflict: ConflictResolution,
    /// What was set and does nothing in this version, so that somebody can say so.
    pub without_effect: Vec<&'static str>,
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
        check_mapping(row.field_mapping.as_deref())?;
        let (common, specific) = Common::split(row.specific_config.as_deref())?;
        check_pair(row, &common)?;
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
        bounded("syncInterval", row.sync_interval, 30, 1, 86_400)?;
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
        let without_effect = without_effect(row);
        Ok(Self { tenant, id, name, active, spec, common, conflict, without_effect })
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

fn check_mapping(text: Option<&str>) -> Result<()> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(()) };
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(pairs))
            if pairs.values().all(serde_json::Value::is_string) =>
        {
            Ok(())
        }
        _ => Err(Error::invalid("fieldMapping", text, "must be a JSON object of strings")),
    }
}

fn without_effect(row: &ExternalConfigRow) -> Vec<&'static str> {
    let yes = |flag: &Option<String>| flag.as_deref() == Some("Y");
    let all = [
        ("fieldMapping", row.field_mapping.is_some()),
        ("failoverEnabled", yes(&row.failover_enabled)),
        ("syncEnabled", yes(&row.sync_enabled)),
    ];
    all.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}

fn check_name(field: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() || value.len() > 100 || value.chars().any(char::is_control) {
        return Err(Error::invalid(field, value, "must be 1 to 100 characters of text"));
    }
    Ok(())
}

/// Rules over several fields.
fn check_pair(row: &ExternalConfigRow, common: &Common) -> Result<()> {
    if flag("syncEnabled", row.sync_enabled.as_deref(), false)? && common.sync.is_none() {
        let rule = "needs specificConfig.sync, the rule that says what is copied where";
        return Err(Error::invalid("syncEnabled", "Y", rule));
    }
    let failover = flag("failoverEnabled", row.failover_enabled.as_deref(), false)?;
    match row.failover_config_id.as_deref().filter(|id| !id.is_empty()) {
        None if failover => Err(Error::invalid("failoverEnabled", "Y", "needs failoverConfigId")),
        Some(id) if id == row.external_config_id => {
            Err(Error::invalid("failoverConfigId", id, "must name another configuration"))
        }
        _ => match row.failover_strategy.as_deref() {
            None | Some("MANUAL" | "AUTO") => Ok(()),
            Some(other) => {
                Err(Error::invalid("failoverStrategy", other, "must be one of MANUAL, AUTO"))
            }
        },
    }
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
