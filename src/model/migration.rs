//! Moving services from one registry to another: what is asked for, and the steps of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_registry_core::{GroupName, Scope, ServiceKey, words};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::external::Orphan;
use crate::error::{Error, Result};

words!(
    /// How far a migration, or one service of it, has come.
    MigrationState {
        /// Nothing is written anywhere.
        #[default]
        Planned = "PLANNED",
        /// What is at the source is copied to the target.
        Mirror = "MIRROR",
        /// The other way round as well.
        Dual = "DUAL",
        /// Readers of the hub see the target first; what registers through the hub goes there.
        Cutover = "CUTOVER",
        /// What lives at the source alone is listed, and waited for.
        Drain = "DRAIN",
        /// Nothing is copied any more.
        Done = "DONE",
    }
);

impl MigrationState {
    fn number(self) -> usize {
        Self::ALL.iter().position(|state| *state == self).unwrap_or(0)
    }

    /// Whether it comes before that one.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        self.number() < other.number()
    }

    /// The step after it; `None`: it is the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self.number() + 1).copied()
    }

    /// The step before it; `None`: there is none, or no way back.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        let before = self.number().checked_sub(1).filter(|_| self != Self::Done);
        before.map(|number| Self::ALL[number])
    }

    /// What is at the source is copied to the target.
    #[must_use]
    pub const fn copies_forth(self) -> bool {
        matches!(self, Self::Mirror | Self::Dual | Self::Cutover | Self::Drain)
    }

    /// What is at the target is copied to the source.
    #[must_use]
    pub const fn copies_back(self) -> bool {
        matches!(self, Self::Dual | Self::Cutover | Self::Drain)
    }

    /// Readers of the hub see the target first.
    #[must_use]
    pub const fn is_led_by_target(self) -> bool {
        matches!(self, Self::Cutover | Self::Drain | Self::Done)
    }
}

/// What names a migration: 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct MigrationId(String);

impl MigrationId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", fastrand::u128(..)))
    }

    /// Reads one; `None`: it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_id.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which services something is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Services {
    /// By name and group,
    pub scope: Scope,
    /// all of these, or none,
    pub all: bool,
    /// but for those,
    pub but: BTreeSet<ServiceKey>,
    /// and for what is in these groups.
    pub not_in: BTreeSet<GroupName>,
}

impl Services {
    /// All that a scope holds.
    #[must_use]
    pub fn of(scope: Scope) -> Self {
        Self { scope, all: true, but: BTreeSet::new(), not_in: BTreeSet::new() }
    }

    /// Whether the service is one.
    #[must_use]
    pub fn contains(&self, service: &ServiceKey) -> bool {
        !self.not_in.contains(&service.group)
            && self.all != self.but.contains(service)
            && self.scope.contains(service)
    }
}

/// Names of services, as patterns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Names {
    /// Only services whose name matches one of these; none given: all.
    pub include: Vec<String>,
    /// But none of these.
    pub exclude: Vec<String>,
}

/// What must be true before a step is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Gates {
    /// So long source and target must have been equal, in minutes: 0 to 10,080.
    pub parity_minutes: u32,
    /// In so many milliseconds 99 of 100 changes must be copied: 1 to 3,600,000.
    pub max_lag_ms: u32,
}

impl Default for Gates {
    fn default() -> Self {
        Self { parity_minutes: 5, max_lag_ms: 10_000 }
    }
}

impl Gates {
    /// How long source and target must have been equal.
    #[must_use]
    pub fn parity(self) -> Duration {
        Duration::from_secs(60 * u64::from(self.parity_minutes))
    }

    /// How late a copy may be.
    #[must_use]
    pub fn max_lag(self) -> Duration {
        Duration::from_millis(self.max_lag_ms.into())
    }
}

/// What is to be moved where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MigrationPlan {
    /// What it is called: 1 to 100 characters.
    pub name: String,
    /// The name of the configuration it moves from, or `native`.
    pub from: String,
    /// Where to.
    pub to: String,
    /// Which services.
    #[serde(default)]
    pub services: Names,
    /// From a group at the source to that at the target.
    #[serde(default)]
    pub group_map: BTreeMap<GroupName, GroupName>,
    /// What must be true before a step.
    #[serde(default)]
    pub gates: Gates,
    /// What becomes of the copies when they are not needed any more.
    #[serde(default)]
    pub orphan: Orphan,
}

/// Longest name, in characters.
const MAX_NAME: usize = 100;
/// Most patterns, and most mapped groups.
const MAX_PARTS: usize = 1000;

impl MigrationPlan {
    /// Reads a request's body.
    ///
    /// # Errors
    /// A field is missing, unknown, or breaks its rule.
    pub fn from_body(mut body: Map<String, Value>) -> Result<Self> {
        // Null is what is not said, as everywhere.
        for inner in body.values_mut().filter_map(Value::as_object_mut) {
            inner.retain(|_, value| !value.is_null());
        }
        body.retain(|_, value| !value.is_null());
        for field in ["name", "from", "to"] {
            if body.get(field).is_none_or(Value::is_null) {
                return Err(Error::invalid(field, Value::Null, "must be given"));
            }
        }
        // One key at a time, so that the error names the key.
        for (key, value) in &body {
            let mut one = Map::from_iter(["name", "from", "to"].map(|k| (k.to_owned(), "".into())));
            one.insert(key.clone(), value.clone());
            serde_json::from_value::<Self>(Value::Object(one))
                .map_err(|error| Error::invalid(key, value.clone(), &error.to_string()))?;
        }
        let plan: Self = serde_json::from_value(Value::Object(body))
            .map_err(|error| Error::invalid("body", Value::Null, &error.to_string()))?;
        plan.check()?;
        Ok(plan)
    }

    /// Which services.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::new(&self.services.include, &self.services.exclude, Vec::new())
    }

    fn check(&self) -> Result<()> {
        let long = self.name.chars().count();
        if self.name.trim() != self.name || !(1..=MAX_NAME).contains(&long) {
            let rule = format!("must have 1 to {MAX_NAME} characters, and no space at its ends");
            return Err(Error::invalid("name", self.name.as_str(), &rule));
        }
        if self.name.chars().any(char::is_control) {
            return Err(Error::invalid("name", self.name.as_str(), "must be printable"));
        }
        if self.from == self.to {
            return Err(Error::invalid("to", self.to.as_str(), "must be another one than from"));
        }
        let lists = [&self.services.include, &self.services.exclude];
        for (list, field) in lists.into_iter().zip(["services.include", "services.exclude"]) {
            if list.len() > MAX_PARTS {
                let rule = format!("must have at most {MAX_PARTS} patterns");
                return Err(Error::invalid(field, list.len(), &rule));
            }
            if let Some(empty) = list.iter().find(|pattern| pattern.trim().is_empty()) {
                return Err(Error::invalid(field, empty.as_str(), "must have no empty pattern"));
            }
        }
        if self.group_map.len() > MAX_PARTS {
            let rule = format!("must have at most {MAX_PARTS} groups");
            return Err(Error::invalid("groupMap", self.group_map.len(), &rule));
        }
        let targets: BTreeSet<_> = self.group_map.values().collect();
        if targets.len() < self.group_map.len() {
            // The way back would not know which is meant.
            let rule = "must lead to each group once";
            return Err(Error::invalid("groupMap", serde_json::json!(self.group_map), rule));
        }
        let Gates { parity_minutes, max_lag_ms } = self.gates;
        if parity_minutes > 10_080 {
            let rule = "must be a whole number, 0 to 10080";
            return Err(Error::invalid("gates.parityMinutes", parity_minutes, rule));
        }
        if !(1..=3_600_000).contains(&max_lag_ms) {
            let rule = "must be a whole number, 1 to 3600000";
            return Err(Error::invalid("gates.maxLagMs", max_lag_ms, rule));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::ServiceName;
    use serde_json::json;

    use super::*;

    fn plan(more: Value) -> Result<MigrationPlan> {
        let mut body = json!({"name": "m", "from": "a", "to": "b"});
        let Value::Object(more) = more else { panic!("{more}") };
        body.as_object_mut().unwrap().extend(more);
        let Value::Object(body) = body else { unreachable!() };
        MigrationPlan::from_body(body)
    }

    #[test]
    fn each_field_has_its_rule() {
        assert_eq!(plan(json!({})).unwrap().gates, Gates::default());
        let unsaid = json!({"orphan": null, "gates": {"maxLagMs": null}, "services": null});
        assert_eq!(plan(unsaid), plan(json!({})));
        for (more, field) in [
            (json!({"name": null}), "name"),
            (json!({"name": ""}), "name"),
            (json!({"name": "\n"}), "name"),
            (json!({"name": 1}), "name"),
            (json!({"to": "a"}), "to"),
            (json!({"services": {"include": [""]}}), "services.include"),
            (json!({"services": {"includes": []}}), "services"),
            (json!({"groupMap": {"x": "z", "y": "z"}}), "groupMap"),
            (json!({"gates": {"parityMinutes": 10_081}}), "gates.parityMinutes"),
            (json!({"gates": {"parityMinutes": -1}}), "gates"),
            (json!({"gates": {"maxLagMs": 0}}), "gates.maxLagMs"),
            (json!({"orphan": "DROP"}), "orphan"),
            (json!({"groupMap": {"x": 1}}), "groupMap"),
            (json!({"other": 1}), "other"),
        ] {
            let error = plan(more.clone()).unwrap_err();
            assert_eq!(error.details["field"], field, "{more}: {}", error.message);
        }
    }

    #[test]
    fn steps_lead_there_and_back_but_from_the_last() {
        let mut state = MigrationState::Planned;
        for next in &MigrationState::ALL[1..] {
            assert_eq!(state.next(), Some(*next));
            let back = (*next != MigrationState::Done).then_some(state);
            assert_eq!(next.previous(), back);
            state = *next;
        }
        assert_eq!((state.next(), MigrationState::Planned.previous()), (None, None));
    }

    #[test]
    fn some_services_are_all_but_a_few_or_none_but_a_few() {
        let key = |name: &str| {
            ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
        };
        let scope = Scope::new(&["a*".to_owned()], &[], Vec::new());
        let mut services = Services::of(scope);
        services.but.insert(key("a2"));
        let has = |services: &Services| ["a1", "a2", "b"].map(|name| services.contains(&key(name)));
        assert_eq!(has(&services), [true, false, false]);
        services.all = false;
        assert_eq!(has(&services), [false, true, false]);
    }
}
