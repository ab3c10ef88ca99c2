//! What travels with a copy.
//!
//! A hub that copies an instance into another registry writes what that registry has no place for
//! into the instance's metadata, under the keys below; whoever reads such a copy finds it again.
//! The keys are lower case with hyphens only, so that every registry takes them: Consul refuses
//! dots, `XStream` doubles underscores, and Nacos counts characters.

mod pack;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::id::{GroupName, ServiceName};
use crate::instance::{HealthStatus, Instance, InstanceKey, InstanceStatus, Weight};
use crate::pairs::Pairs;

pub use pack::{Packed, besides, pack};

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
/// Its status, where it is not up and healthy: registries have fewer states.
pub const STATUS: &str = "fed-status";
/// Its health, beside [`STATUS`].
pub const HEALTH: &str = "fed-health";
/// How to speak to it.
pub const PROTOCOL: &str = "fed-proto";
/// The path prefix of its API.
pub const PATH: &str = "fed-path";
/// Metadata whose keys or values the registry does not take: a JSON object, cut into pieces under
/// `fed-meta-0`, `fed-meta-1`, ...
pub const META: &str = "fed-meta-";

/// Every key that stands by itself.
pub const KEYS: [&str; 11] =
    [OWNER, SOURCE, GROUP, SERVICE, ID, WEIGHT, TAGS, STATUS, HEALTH, PROTOCOL, PATH];

/// Whether a pair of this key is a hub's word to other hubs, and not its client's.
#[must_use]
pub fn is_carried(key: &str) -> bool {
    KEYS.contains(&key) || key.starts_with(META)
}

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
    // All keys begin so, and few others do. This is asked of every instance of a service each time
    // one of them changes.
    let is_one = |key: &String| key.starts_with("fed-") && KEYS.contains(&key.as_str());
    if !instance.metadata.keys().any(is_one) {
        return;
    }
    let instance = Arc::make_mut(instance);
    let mut taken = |key: &str| instance.metadata.remove(key).filter(|value| !value.is_empty());
    let owner = taken(OWNER);
    let (source, id, tags) = (taken(SOURCE), taken(ID), taken(TAGS));
    let (group, service) = (taken(GROUP), taken(SERVICE));
    let (weight, status, path) = (taken(WEIGHT), taken(STATUS), taken(PATH));
    let (health, protocol) = (taken(HEALTH), taken(PROTOCOL));
    if let Some(tags) = tags.filter(|_| instance.tags.is_empty()) {
        instance.tags = split_tags(&tags).into();
    }
    let Some(owner) = owner else { return };
    if let Some(weight) = weight.and_then(|weight| weight.parse().ok()) {
        instance.weight = Weight::new(weight);
    }
    if let Some(status) = status.and_then(|word| word.parse().ok()) {
        restore(instance, status, health.and_then(|word| word.parse().ok()));
    }
    if path.is_some() {
        instance.context_path = path;
    }
    if let Some(protocol) = protocol.and_then(|word| word.parse().ok()) {
        instance.protocol = protocol;
    }
    unpack(&mut instance.metadata);
    instance.mark = Some(Box::new(Mark {
        owner,
        source,
        group: group.and_then(|name| GroupName::parse(&name).ok()),
        service: service.and_then(|name| ServiceName::parse(&name).ok()),
        id,
    }));
}

/// Gives an instance the state it was copied with, unless somebody changed the copy's since. What
/// a registry has no word for is written as another: "disabled" or "unhealthy" into Nacos,
/// "critical" into Consul, "DOWN" into Eureka.
fn restore(instance: &mut Instance, status: InstanceStatus, health: Option<HealthStatus>) {
    use HealthStatus::{Healthy, Unhealthy, Unknown};
    use InstanceStatus::{Down, OutOfService, Starting, Up};
    let health = health.unwrap_or(match status {
        Up => Healthy,
        Down => Unhealthy,
        Starting | OutOfService => Unknown,
    });
    let there = (instance.status, instance.health);
    let written = match (status, health) {
        (Up, Healthy | Unknown) => matches!(there, (Up, Healthy | Unknown)),
        (Up, Unhealthy) => matches!(there, (Up, Unhealthy) | (Down | OutOfService, _)),
        (Down | Starting, _) => {
            there.0 == status || matches!(there, (OutOfService, _) | (Up, Unhealthy))
        }
        (OutOfService, _) => there.0 == OutOfService,
    };
    if written {
        (instance.status, instance.health) = (status, health);
    }
}

/// Puts the pairs back that a registry would not take.
fn unpack(metadata: &mut Pairs) {
    let pieces = (0..).map_while(|number| metadata.get(&format!("{META}{number}")));
    let pieces: Vec<_> = pieces.map(String::as_str).collect();
    let (text, count) = (pieces.concat(), pieces.len());
    if count == 0 {
        return;
    }
    let number = |key: &str| key.strip_prefix(META)?.parse::<usize>().ok();
    metadata.retain(|key, _| {
        !number(key).is_some_and(|number| number < count && *key == format!("{META}{number}"))
    });
    // What somebody cut off is lost, and nothing else.
    metadata.add_all(serde_json::from_str::<Pairs>(&text).unwrap_or_default());
}

/// The id of a copy in registries whose instances have one: `fed-` and 32 hex digits made of
/// service and address. So it is the same whoever writes the copy, and another than that of an
/// instance which registers there itself.
#[must_use]
pub fn copy_id(key: &InstanceKey) -> String {
    let service = &key.service;
    let text = format!("{}\n{}\n{}\n{}", service.group, service.name, key.host, key.port);
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("fed-{hex}")
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
    use crate::instance::ServiceKey;

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
        assert_eq!(*tagged.tags, ["a", "b"]);
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
    fn an_id_is_that_of_the_address() {
        let key = instance(&[]).key.clone();
        let id = copy_id(&key);
        assert_eq!((id.as_str(), id.len()), (copy_id(&key).as_str(), 36));
        assert_ne!(id, copy_id(&InstanceKey { port: 81, ..key }));
    }

    #[test]
    fn a_folded_status_is_unfolded_unless_somebody_changed_the_copy() {
        use HealthStatus::{Healthy, Unhealthy, Unknown};
        use InstanceStatus::{Down, OutOfService, Starting, Up};
        for (now, carried, expected) in [
            ((Down, Unhealthy), "UP/UNHEALTHY", (Up, Unhealthy)),
            ((Up, Healthy), "UP/UNKNOWN", (Up, Unknown)),
            ((OutOfService, Unknown), "DOWN/HEALTHY", (Down, Healthy)),
            ((OutOfService, Unknown), "DOWN", (Down, Unhealthy)),
            ((Up, Unhealthy), "STARTING", (Starting, Unknown)),
            ((Up, Healthy), "DOWN", (Up, Healthy)),
            ((OutOfService, Unknown), "OUT_OF_SERVICE", (OutOfService, Unknown)),
            ((OutOfService, Unknown), "UP", (OutOfService, Unknown)),
            ((Up, Unhealthy), "sick", (Up, Unhealthy)),
        ] {
            let (status, health) = carried.split_once('/').unwrap_or((carried, ""));
            let mut copy = instance(&[(OWNER, "hub-1"), (STATUS, status), (HEALTH, health)]);
            let inner = Arc::make_mut(&mut copy);
            (inner.status, inner.health) = now;
            take(&mut copy);
            assert_eq!((copy.status, copy.health), expected, "{now:?} {carried}");
        }
    }
}
