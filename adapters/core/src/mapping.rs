//! `fieldMapping`: from a path in a foreign record to one of the hub's fields.
//!
//! | path | what |
//! |---|---|
//! | `metadata.KEY` | the value of a metadata pair; the key may have dots |
//! | `tag.KEY` | what follows `KEY=` in a tag |
//! | `native.KEY` | what else the registry says, by the keys of docs/adapters.md |
//!
//! | field | takes |
//! |---|---|
//! | `groupName` | a group of `allowedGroups` |
//! | `weightValue` | a whole number, 0 to 1,000,000 |
//! | `protocolType` | HTTP, HTTPS, TCP, UDP or GRPC, in any case |
//! | `contextPath` | a path; a leading `/` is added |
//! | `instanceStatus`, `healthStatus` | the words of the API |
//! | `metadata.KEY` | anything |
//!
//! Where there is nothing at a path, or nothing that its field takes, the field stays as the
//! registry's own terms say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::carry;
use crate::id::GroupName;
use crate::instance::{Instance, Weight};

/// A pair that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path:?} to {field:?}: {rule}")]
pub struct MappingError {
    /// The path.
    pub path: String,
    /// The field it was to go into.
    pub field: String,
    /// The rule.
    pub rule: String,
}

/// A checked mapping; the default maps nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldMapping {
    rules: Vec<Rule>,
    groups: BTreeSet<GroupName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    path: Path,
    field: Field,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Metadata(String),
    Tag(String),
    Native(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Group,
    Weight,
    Protocol,
    ContextPath,
    Status,
    Health,
    Metadata(String),
}

/// A value that its field does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit<'a> {
    /// The path it was found at.
    pub path: String,
    /// The field.
    pub field: String,
    /// The value.
    pub value: &'a str,
}

impl FieldMapping {
    /// Checks the pairs, path to field. `groups` are those that a mapping may write into.
    ///
    /// # Errors
    /// The first pair that breaks a rule.
    pub fn new(
        pairs: &BTreeMap<String, String>,
        groups: impl IntoIterator<Item = GroupName>,
    ) -> Result<Self, MappingError> {
        let groups: BTreeSet<_> = groups.into_iter().collect();
        let mut rules = Vec::with_capacity(pairs.len());
        let mut taken = BTreeMap::new();
        for (path_text, field_text) in pairs {
            let error = |rule: String| MappingError {
                path: path_text.clone(),
                field: field_text.clone(),
                rule,
            };
            let path = Path::parse(path_text).map_err(error)?;
            let field = Field::parse(field_text).map_err(error)?;
            if let Some(other) = taken.insert(field.clone(), path_text) {
                return Err(error(format!("the field is taken by {other:?} already")));
            }
            if field == Field::Group && groups.is_empty() {
                let rule = "needs specificConfig.allowedGroups, the groups it may write into";
                return Err(error(rule.to_owned()));
            }
            rules.push(Rule { path, field });
        }
        Ok(Self { rules, groups })
    }

    /// Whether it maps nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether instances of one service can end up in several groups.
    #[must_use]
    pub fn regroups(&self) -> bool {
        self.rules.iter().any(|rule| rule.field == Field::Group)
    }

    /// Applies it, and tells of each value that its field does not take.
    pub fn apply(&self, instance: &mut Arc<Instance>, mut misfit: impl FnMut(Misfit<'_>)) {
        for Rule { path, field } in &self.rules {
            let Some(value) = path.find(instance).map(str::to_owned) else { continue };
            if !self.set(field, instance, &value) {
                misfit(Misfit { path: path.to_string(), field: field.to_string(), value: &value });
            }
        }
    }

    /// Writes the value; whether the field takes it.
    fn set(&self, field: &Field, instance: &mut Arc<Instance>, value: &str) -> bool {
        match field {
            Field::Group => match self.groups.get(value) {
                Some(group) => change(instance, |i| &mut i.key.service.group, group.clone()),
                None => return false,
            },
            Field::Weight => match value.trim().parse::<u32>() {
                Ok(weight) if weight <= Weight::MAX => {
                    change(instance, |i| &mut i.weight, Weight::new(weight));
                }
                _ => return false,
            },
            Field::Protocol => return word(instance, |i| &mut i.protocol, value),
            Field::Status => return word(instance, |i| &mut i.status, value),
            Field::Health => return word(instance, |i| &mut i.health, value),
            Field::ContextPath => {
                let path = value.trim().trim_matches('/');
                if path.contains(char::is_whitespace) {
                    return false;
                }
                let path = (!path.is_empty()).then(|| format!("/{path}"));
                change(instance, |i| &mut i.context_path, path);
            }
            Field::Metadata(key) => {
                if instance.metadata.get(key).map(String::as_str) != Some(value) {
                    let metadata = &mut Arc::make_mut(instance).metadata;
                    metadata.insert(key.clone(), value.to_owned());
                }
            }
        }
        true
    }
}

fn change<T>(instance: &mut Arc<Instance>, field: impl Fn(&mut Instance) -> &mut T, value: T) {
    *field(Arc::make_mut(instance)) = value;
}

fn word<T: FromStr>(
    instance: &mut Arc<Instance>,
    field: impl Fn(&mut Instance) -> &mut T,
    value: &str,
) -> bool {
    match value.trim().to_ascii_uppercase().parse() {
        Ok(value) => {
            change(instance, field, value);
            true
        }
        Err(_) => false,
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, String> {
        let rule = || "the path must be metadata.KEY, tag.KEY or native.KEY".to_owned();
        let (kind, key) = text.split_once('.').ok_or_else(rule)?;
        let key = key_of(key)?;
        match kind {
            "metadata" => Ok(Self::Metadata(key)),
            "tag" => Ok(Self::Tag(key)),
            "native" => Ok(Self::Native(key)),
            _ => Err(rule()),
        }
    }

    fn find<'a>(&self, instance: &'a Instance) -> Option<&'a str> {
        match self {
            Self::Metadata(key) => instance.metadata.get(key).map(String::as_str),
            Self::Native(key) => instance.native.get(key).map(String::as_str),
            Self::Tag(key) => {
                let mut tags = instance.tags.iter();
                tags.find_map(|tag| tag.strip_prefix(key.as_str())?.strip_prefix('='))
            }
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(key) => write!(f, "metadata.{key}"),
            Self::Tag(key) => write!(f, "tag.{key}"),
            Self::Native(key) => write!(f, "native.{key}"),
        }
    }
}

impl Field {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "groupName" => Ok(Self::Group),
            "weightValue" => Ok(Self::Weight),
            "protocolType" => Ok(Self::Protocol),
            "contextPath" => Ok(Self::ContextPath),
            "instanceStatus" => Ok(Self::Status),
            "healthStatus" => Ok(Self::Health),
            _ => match text.strip_prefix("metadata.") {
                Some(key) => Ok(Self::Metadata(key_of(key)?)),
                None => {
                    Err("the field must be groupName, weightValue, protocolType, contextPath, \
                             instanceStatus, healthStatus or metadata.KEY"
                        .to_owned())
                }
            },
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group => f.write_str("groupName"),
            Self::Weight => f.write_str("weightValue"),
            Self::Protocol => f.write_str("protocolType"),
            Self::ContextPath => f.write_str("contextPath"),
            Self::Status => f.write_str("instanceStatus"),
            Self::Health => f.write_str("healthStatus"),
            Self::Metadata(key) => write!(f, "metadata.{key}"),
        }
    }
}

fn key_of(key: &str) -> Result<String, String> {
    if key.is_empty() || key.len() > 128 || key.chars().any(char::is_control) {
        return Err("a key must have 1 to 128 characters, no control characters".to_owned());
    }
    if carry::KEYS.contains(&key) {
        return Err(format!("{key} is the hub's own key"));
    }
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Host, ServiceName};
    use crate::instance::{HealthStatus, InstanceKey, InstanceStatus, Protocol, ServiceKey};

    fn groups(names: &[&str]) -> Vec<GroupName> {
        names.iter().map(|name| GroupName::parse(name).unwrap()).collect()
    }

    fn mapping(pairs: &[(&str, &str)], allowed: &[&str]) -> Result<FieldMapping, MappingError> {
        let pairs = pairs.iter().map(|(path, field)| ((*path).to_owned(), (*field).to_owned()));
        FieldMapping::new(&pairs.collect(), groups(allowed))
    }

    fn instance(pairs: &[(&str, &str)]) -> Arc<Instance> {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let mut instance = Instance::new(InstanceKey { service, host, port: 80 });
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        instance.metadata.extend(pairs);
        instance.tags = ["blue", "team=b=c"].map(str::to_owned).into();
        instance.native.insert("cluster".to_owned(), "east".to_owned());
        Arc::new(instance)
    }

    #[test]
    fn values_are_found_and_fit_their_fields() {
        let mapping = mapping(
            &[
                ("metadata.a.team", "groupName"),
                ("metadata.w", "weightValue"),
                ("metadata.proto", "protocolType"),
                ("metadata.base", "contextPath"),
                ("metadata.state", "instanceStatus"),
                ("metadata.check", "healthStatus"),
                ("native.cluster", "metadata.zone"),
                ("tag.team", "metadata.owner"),
            ],
            &["prod"],
        )
        .unwrap();
        let mut mapped = instance(&[
            ("a.team", "prod"),
            ("w", " 7"),
            ("proto", "grpc"),
            ("base", "api/"),
            ("state", "starting"),
            ("check", "UNHEALTHY"),
        ]);
        mapping.apply(&mut mapped, |misfit| panic!("{misfit:?}"));
        assert_eq!(mapped.key.service.group.as_str(), "prod");
        assert_eq!((mapped.weight.get(), mapped.protocol), (7, Protocol::Grpc));
        assert_eq!(mapped.context_path.as_deref(), Some("/api"));
        assert_eq!(mapped.status, InstanceStatus::Starting);
        assert_eq!(mapped.health, HealthStatus::Unhealthy);
        assert_eq!((&*mapped.metadata["zone"], &*mapped.metadata["owner"]), ("east", "b=c"));
    }

    #[test]
    fn what_does_not_fit_changes_nothing_and_is_told() {
        let mapping = mapping(
            &[
                ("metadata.team", "groupName"),
                ("metadata.w", "weightValue"),
                ("metadata.proto", "protocolType"),
                ("metadata.base", "contextPath"),
                ("metadata.none", "metadata.x"),
            ],
            &["prod"],
        )
        .unwrap();
        for weight in ["-1", "1.5", "1000001", "", "many"] {
            let before = instance(&[
                ("team", "root"),
                ("w", weight),
                ("proto", "smoke"),
                ("base", "a path"),
            ]);
            let (mut after, mut told) = (Arc::clone(&before), Vec::new());
            mapping.apply(&mut after, |misfit| told.push(misfit.field));
            assert_eq!(after, before);
            assert_eq!(told, ["contextPath", "protocolType", "groupName", "weightValue"]);
        }
    }

    #[test]
    fn wrong_pairs_are_refused_with_their_rule() {
        let long = format!("metadata.{}", "k".repeat(129));
        for (pairs, rule) in [
            (&[("version", "metadata.v")][..], "metadata.KEY, tag.KEY or native.KEY"),
            (&[("meta.version", "metadata.v")], "metadata.KEY, tag.KEY or native.KEY"),
            (&[("metadata.", "metadata.v")], "1 to 128 characters"),
            (&[(long.as_str(), "metadata.v")], "1 to 128 characters"),
            (&[("metadata.v", "hostAddress")], "the field must be groupName"),
            (&[("metadata.v", "metadata.")], "1 to 128 characters"),
            (&[("metadata.v", "metadata.fed-owner")], "the hub's own key"),
            (&[("metadata.fed-tags", "metadata.v")], "the hub's own key"),
            (&[("metadata.team", "groupName")], "allowedGroups"),
            (
                &[("metadata.a", "weightValue"), ("metadata.b", "weightValue")],
                "taken by \"metadata.a\"",
            ),
        ] {
            let error = mapping(pairs, &[]).expect_err(rule);
            assert!(error.rule.contains(rule), "{error}");
        }
    }
}
