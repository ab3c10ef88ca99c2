//! What travels with a copy.
//!
//! A hub that copies an instance into another registry writes what that registry has no place for
//! into the instance's metadata, under the keys below; whoever reads such a copy finds it again.
//! The keys are lower case with hyphens only, so that every registry takes them: Consul refuses
//! dots, `XStream` doubles underscores, and Nacos counts characters.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{GroupName, ServiceName};
use crate::instance::{HealthStatus, Instance, InstanceStatus, Weight};

/// Which hub wrote the copy, and alone may remove it.
pub const OWNER: &str = "fed-owner";
/// The configuration it was copied from.
pub const SOURCE: &str = "fed-src";
/// The group it is in there.
pub const GROUP: &str = "fed-group";
/// The service's name there, for registries that fold case.
pub const SERVICE: &str = "fed-svc";
/// Its id there.
pub const ID: &str = "fed-id";
/// Its weight, exactly.
pub const WEIGHT: &str = "fed-weight";
/// Its tags, see [`join_tags`].
pub const TAGS: &str = "fed-tags";
/// Its status, where the registry has fewer.
pub const STATUS: &str = "fed-status";
/// The path prefix of its API.
pub const PATH: &str = "fed-path";

/// Every key.
pub const KEYS: [&str; 9] = [OWNER, SOURCE, GROUP, SERVICE, ID, WEIGHT, TAGS, STATUS, PATH];

/// Says of an instance that it is a copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The hub that wrote it.
    pub owner: String,
    /// The configuration it was copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The group of the original, where a copy cannot be in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// The original's service, where a copy cannot have its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The original's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Takes the keys out of the metadata and puts what they say where it belongs. An instance without
/// any of them is not copied.
///
/// Tags are believed of anyone, since that is also how clients of registries without tags write
/// them; everything else only of a copy, which has an owner.
pub fn take(instance: &mut Arc<Instance>) {
    // All keys sort between these two, and few others do.
    let mut near = instance.metadata.range("fed-".to_owned().."fed.".to_owned());
    if !near.any(|(key, _)| KEYS.contains(&key.as_str())) {
        return;
    }
    let instance = Arc::make_mut(instance);
    let mut taken = |key: &str| instance.metadata.remove(key).filter(|value| !value.is_empty());
    let owner = taken(OWNER);
    let (source, id, tags) = (taken(SOURCE), taken(ID), taken(TAGS));
    let (group, service) = (taken(GROUP), taken(SERVICE));
    let (weight, status, path) = (taken(WEIGHT), taken(STATUS), taken(PATH));
    if let Some(tags) = tags.filter(|_| instance.tags.is_empty()) {
        instance.tags = split_tags(&tags);
    }
    let Some(owner) = owner else { return };
    if let Some(weight) = weight.and_then(|weight| weight.parse().ok()) {
        instance.weight = Weight::new(weight);
    }
    if let Some(status) = status.and_then(|word| word.parse().ok()) {
        restore(instance, status);
    }
    if path.is_some() {
        instance.context_path = path;
    }
    instance.mark = Some(Box::new(Mark {
        owner,
        source,
        group: group.and_then(|name| GroupName::parse(&name).ok()),
        service: service.and_then(|name| ServiceName::parse(&name).ok()),
        id,
    }));
}

/// Gives an instance the status it was copied with, unless somebody changed the copy's since: both
/// are written as "disabled" into Nacos and as "critical" into Consul.
fn restore(instance: &mut Instance, carried: InstanceStatus) {
    let folded = matches!(
        (instance.status, instance.health),
        (InstanceStatus::OutOfService, _) | (InstanceStatus::Up, HealthStatus::Unhealthy)
    );
    match carried {
        InstanceStatus::Down if folded => {
            (instance.status, instance.health) = (carried, HealthStatus::Unhealthy);
        }
        InstanceStatus::Starting if folded => {
            (instance.status, instance.health) = (carried, HealthStatus::Unknown);
        }
        _ => {}
    }
}

/// Tags as one text: separated by commas, with `\` before a comma or `\` of a tag.
#[must_use]
pub fn join_tags(tags: &[String]) -> String {
    let escaped = tags.iter().map(|tag| tag.replace('\\', "\\\\").replace(',', "\\,"));
    escaped.collect::<Vec<_>>().join(",")
}

/// The tags of such a text.
#[must_use]
pub fn split_tags(text: &str) -> Vec<String> {
    let (mut tags, mut tag, mut escaped) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            _ if escaped => {
                tag.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            ',' => tags.push(std::mem::take(&mut tag)),
            c => tag.push(c),
        }
    }
    tags.push(tag);
    tags.retain(|tag| !tag.is_empty());
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Host;
    use crate::instance::{InstanceKey, ServiceKey};

    fn instance(pairs: &[(&str, &str)]) -> Arc<Instance> {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let mut instance = Instance::new(InstanceKey { service, host, port: 80 });
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        instance.metadata.extend(pairs);
        Arc::new(instance)
    }

    #[test]
    fn tags_are_split_at_plain_commas_only() {
        assert_eq!(split_tags(r"a,b\,c,,d\\"), ["a", "b,c", r"d\"]);
        assert_eq!(split_tags(""), Vec::<String>::new());
        let odd = ["a", "b,c", r"d\", r"\,"].map(str::to_owned);
        assert_eq!(split_tags(&join_tags(&odd)), odd);
    }

    #[test]
    fn what_is_no_copy_stays_as_it_is() {
        let mut plain = instance(&[("version", "1"), ("fed-eral", "x"), ("fed", "y")]);
        let before = Arc::clone(&plain);
        take(&mut plain);
        assert!(Arc::ptr_eq(&plain, &before), "not even copied");
        let mut tagged = instance(&[(TAGS, "a,b"), (WEIGHT, "7"), (STATUS, "DOWN")]);
        take(&mut tagged);
        assert_eq!(tagged.tags, ["a", "b"]);
        assert_eq!(tagged.weight, Weight::DEFAULT, "only an owner's word counts");
        assert_eq!((tagged.status, &tagged.mark), (InstanceStatus::Up, &None));
        assert!(tagged.metadata.is_empty());
    }

    #[test]
    fn a_copy_gets_back_what_it_carries() {
        let mut copy = instance(&[
            (OWNER, "hub-1"),
            (SOURCE, "c1"),
            (GROUP, "team"),
            (SERVICE, "Web"),
            (ID, "w1"),
            (WEIGHT, "250"),
            (PATH, "/api"),
            ("version", "2"),
        ]);
        take(&mut copy);
        let mark = copy.mark.as_deref().unwrap();
        assert_eq!((mark.owner.as_str(), mark.source.as_deref()), ("hub-1", Some("c1")));
        assert_eq!(mark.group.as_ref().map(GroupName::as_str), Some("team"));
        assert_eq!(mark.service.as_ref().map(ServiceName::as_str), Some("Web"));
        assert_eq!(mark.id.as_deref(), Some("w1"));
        assert_eq!((copy.weight.get(), copy.context_path.as_deref()), (250, Some("/api")));
        assert_eq!(copy.metadata.keys().collect::<Vec<_>>(), ["version"]);
    }

    #[test]
    fn a_folded_status_is_unfolded_unless_somebody_changed_the_copy() {
        use HealthStatus::{Healthy, Unhealthy, Unknown};
        use InstanceStatus::{Down, OutOfService, Starting, Up};
        for (now, carried, expected) in [
            ((OutOfService, Unknown), "DOWN", (Down, Unhealthy)),
            ((Up, Unhealthy), "STARTING", (Starting, Unknown)),
            ((Up, Healthy), "DOWN", (Up, Healthy)),
            ((OutOfService, Unknown), "OUT_OF_SERVICE", (OutOfService, Unknown)),
            ((OutOfService, Unknown), "UP", (OutOfService, Unknown)),
            ((Up, Unhealthy), "sick", (Up, Unhealthy)),
        ] {
            let mut copy = instance(&[(OWNER, "hub-1"), (STATUS, carried)]);
            let inner = Arc::make_mut(&mut copy);
            (inner.status, inner.health) = now;
            take(&mut copy);
            assert_eq!((copy.status, copy.health), expected, "{now:?} {carried}");
        }
    }
}
