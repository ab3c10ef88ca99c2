//! The standby of a configuration.

use std::time::Duration;

use hub_registry_core::{ConfigId, duration};
use serde::Deserialize;

use super::row::ExternalConfigRow;
use super::specific::Common;
use crate::error::{Error, Result};

/// The standby of a configuration, and the rules by which it takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// Which configuration is the standby.
    pub standby: ConfigId,
    /// It takes the place by itself; otherwise only an operator makes it.
    pub auto: bool,
    /// How long the primary must fail before.
    pub after: Duration,
    /// The share of the other's instances that whoever takes the place must have, in percent.
    pub floor_percent: u32,
    /// Good reads the primary needs before it serves again.
    pub good_reads: u32,
    /// How long the primary must be read well before it serves again; doubles per flip.
    pub hold_down: Duration,
    /// The standby is shown for itself too.
    pub standby_visible: bool,
}

/// `specificConfig.failover`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct FailoverRules {
    /// How long the primary must fail before the standby takes its place.
    #[serde(with = "duration")]
    pub after: Duration,
    /// The least share of the other's instances, in percent.
    pub floor_percent: u32,
    /// Good reads before the primary serves again.
    pub good_reads: u32,
    /// How long it must be read well before.
    #[serde(with = "duration")]
    pub hold_down: Duration,
    /// The standby is shown for itself too.
    pub standby_visible: bool,
}

impl Default for FailoverRules {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(10),
            floor_percent: 50,
            good_reads: 3,
            hold_down: Duration::from_secs(30),
            standby_visible: false,
        }
    }
}

impl FailoverRules {
    /// Checks the values.
    ///
    /// # Errors
    /// The first that is out of its bounds.
    pub(super) fn check(&self) -> Result<()> {
        let hour = Duration::from_secs(3600);
        let spans = [
            ("after", self.after, Duration::from_secs(1)),
            ("holdDown", self.hold_down, Duration::ZERO),
        ];
        for (key, value, least) in spans {
            if !(least..=hour).contains(&value) {
                let rule = format!("must be {} to 1h", duration::format(least));
                return Err(broken(key, duration::format(value).into(), &rule));
            }
        }
        if self.floor_percent > 100 {
            return Err(broken("floorPercent", self.floor_percent.into(), "must be 0 to 100"));
        }
        if !(1..=100).contains(&self.good_reads) {
            return Err(broken("goodReads", self.good_reads.into(), "must be 1 to 100"));
        }
        Ok(())
    }
}

fn broken(key: &str, value: serde_json::Value, rule: &str) -> Error {
    Error::invalid(&format!("specificConfig.failover.{key}"), value, rule)
}

impl Failover {
    /// The standby of a row, if it has one that counts.
    ///
    /// # Errors
    /// The column that breaks a rule.
    pub(super) fn of_row(
        row: &ExternalConfigRow,
        common: &Common,
        enabled: bool,
    ) -> Result<Option<Self>> {
        let auto = match row.failover_strategy.as_deref() {
            None | Some("MANUAL") => false,
            Some("AUTO") => true,
            Some(other) => {
                let rule = "must be one of MANUAL, AUTO";
                return Err(Error::invalid("failoverStrategy", other, rule));
            }
        };
        let standby = match row.failover_config_id.as_deref().filter(|id| !id.is_empty()) {
            None if enabled => {
                return Err(Error::invalid("failoverEnabled", "Y", "needs failoverConfigId"));
            }
            None => return Ok(None),
            Some(id) if id == row.external_config_id => {
                let rule = "must name another configuration";
                return Err(Error::invalid("failoverConfigId", id, rule));
            }
            Some(id) => ConfigId::parse(id)
                .map_err(|error| Error::invalid("failoverConfigId", error.value, &error.rule))?,
        };
        let rules = common.failover.clone().unwrap_or_default();
        Ok(enabled.then_some(Self {
            standby,
            auto,
            after: rules.after,
            floor_percent: rules.floor_percent,
            good_reads: rules.good_reads,
            hold_down: rules.hold_down,
            standby_visible: rules.standby_visible,
        }))
    }
}
