//! An instance as it is written into another registry.

use std::sync::Arc;

use super::{
    GROUP, HEALTH, ID, META, Mark, OWNER, PATH, PROTOCOL, SERVICE, SOURCE, STATUS, TAGS, WEIGHT,
    join_tags,
};
use crate::capability::{Capability, MetadataRoom};
use crate::conventions;
use crate::instance::{HealthStatus, Instance, InstanceStatus, Protocol, Weight};
use crate::pairs::Pairs;

/// What a copy is written from.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// The copy: what the registry has no field for is in its metadata.
    pub instance: Instance,
    /// What it has no room for: `metadata.KEY`, `tags`, or the name of another field.
    pub lost: Vec<String>,
}

/// Makes the copy of an instance that a registry of this capability can hold. [`super::take`]
/// makes the same instance of it again, but for what is `lost`.
///
/// The key of the copy is that of `instance`: whoever copies has put it into the target's group
/// before; `mark` names the original's.
#[must_use]
pub fn pack(instance: &Instance, mark: &Mark, capability: Capability) -> Packed {
    let mut pairs = Filling::new(capability.metadata);
    let mut lost = Vec::new();
    for (key, value, field) in carried(instance, mark, capability) {
        if !pairs.put(key, &value) && !matches!(key, ID) {
            lost.push(field.to_owned());
        }
    }
    // The shortest first, so that what is lost is few and large.
    let mut own: Vec<_> = instance.metadata.iter().collect();
    own.sort_by_key(|(key, value)| (key.len() + value.len(), *key));
    let (plain, odd): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|(key, value)| pairs.takes(key, value));
    for (key, value) in plain {
        if !pairs.put(key, value) {
            lost.push(format!("metadata.{key}"));
        }
    }
    // As many as there is room for: more of them never take less.
    let (mut fit, mut too_many, mut pieces) = (0, odd.len() + 1, Vec::new());
    while too_many - fit > 1 {
        // All at first, which is the usual case.
        let tried = if too_many > odd.len() { odd.len() } else { fit.midpoint(too_many) };
        match pairs.pieces(&odd[..tried]) {
            Some(made) => (fit, pieces) = (tried, made),
            None => too_many = tried,
        }
    }
    lost.extend(odd[fit..].iter().map(|(key, _)| format!("metadata.{key}")));
    lost.sort();
    let mut copy = instance.clone();
    copy.metadata = pairs.pairs.into_iter().chain(pieces).collect();
    copy.mark = Some(Box::new(mark.clone()));
    (copy.native_id, copy.registered_at) = (None, None);
    copy.native = Pairs::new();
    if !capability.tags {
        copy.tags = Arc::default();
    }
    Packed { instance: copy, lost }
}

/// What an instance says that no protocol has a word for, or not each: under the keys of copies, for
/// who asks for it. It makes no copy of it: whose it is stands in none of them.
#[must_use]
pub fn besides(instance: &Instance) -> Vec<(&'static str, String)> {
    let service = &instance.key.service;
    let mark = Mark {
        owner: String::new(),
        source: None,
        group: Some(service.group.clone()),
        service: Some(service.name.clone()),
        id: instance.native_id.as_ref().map(ToString::to_string),
    };
    let all = carried(instance, &mark, Capability::default()).into_iter();
    all.filter(|(key, ..)| *key != OWNER).map(|(key, value, _)| (key, value)).collect()
}

/// What travels under keys of ours, the most needed first, each with its field's name.
fn carried<'i>(
    instance: &'i Instance,
    mark: &'i Mark,
    capability: Capability,
) -> Vec<(&'static str, String, &'static str)> {
    let mut all = vec![(OWNER, mark.owner.clone(), "mark")];
    let mut carry = |key, value: Option<String>, field| {
        all.extend(value.filter(|value| !value.is_empty()).map(|value| (key, value, field)));
    };
    carry(SOURCE, mark.source.clone(), "mark");
    carry(GROUP, mark.group.as_ref().map(ToString::to_string), "groupName");
    carry(SERVICE, mark.service.as_ref().map(ToString::to_string), "serviceName");
    let state = (instance.status, instance.health);
    if state != (InstanceStatus::Up, HealthStatus::Healthy) {
        carry(STATUS, Some(state.0.to_string()), "instanceStatus");
        carry(HEALTH, Some(state.1.to_string()), "healthStatus");
    }
    // Consul's are whole numbers from 1 on.
    let weight = instance.weight;
    let exact = weight.get() > 0 && weight.get().is_multiple_of(Weight::DEFAULT.get());
    if weight != Weight::DEFAULT && !(capability.weight && exact) {
        carry(WEIGHT, Some(weight.get().to_string()), "weightValue");
    }
    let protocol = instance.protocol;
    if protocol != Protocol::Http || conventions::protocol(&instance.metadata) != protocol {
        carry(PROTOCOL, Some(protocol.to_string()), "protocolType");
    }
    if conventions::context_path(&instance.metadata) != instance.context_path {
        carry(PATH, instance.context_path.clone(), "contextPath");
    }
    if !capability.tags {
        carry(TAGS, Some(join_tags(&instance.tags)), "tags");
    }
    carry(ID, mark.id.clone(), "nativeId");
    all
}

/// Metadata as it fills.
#[derive(Debug)]
struct Filling {
    room: MetadataRoom,
    /// Each key once: own ones have a prefix that others do not.
    pairs: Vec<(String, String)>,
    units: usize,
}

impl Filling {
    fn new(room: MetadataRoom) -> Self {
        Self { room, pairs: Vec::new(), units: 0 }
    }

    /// Whether the pair fits by itself.
    fn takes(&self, key: &str, value: &str) -> bool {
        self.room.keys.takes(key)
            && key.len() <= self.room.key_bytes
            && value.len() <= self.room.value_bytes
            && !key.starts_with("fed-")
    }

    /// Puts a pair, if there is room for it.
    fn put(&mut self, key: &str, value: &str) -> bool {
        let units = key.encode_utf16().count() + value.encode_utf16().count();
        let fits = self.pairs.len() < self.room.pairs
            && value.len() <= self.room.value_bytes
            && units <= self.room.units.saturating_sub(self.units);
        if fits {
            self.units += units;
            self.pairs.push((key.to_owned(), value.to_owned()));
        }
        fits
    }

    /// All of these in pieces, if there is room for them.
    fn pieces(&self, odd: &[(&String, &String)]) -> Option<Vec<(String, String)>> {
        let odd: Pairs =
            odd.iter().map(|(key, value)| ((*key).clone(), (*value).clone())).collect();
        let text = serde_json::json!(odd).to_string();
        let mut pieces = Self::new(MetadataRoom {
            pairs: self.room.pairs.saturating_sub(self.pairs.len()),
            units: self.room.units.saturating_sub(self.units),
            ..self.room
        });
        let mut rest = text.as_str();
        for number in 0.. {
            let piece = &rest[..rest.floor_char_boundary(self.room.value_bytes)];
            if piece.is_empty() || !pieces.put(&format!("{META}{number}"), piece) {
                break;
            }
            rest = &rest[piece.len()..];
        }
        rest.is_empty().then_some(pieces.pairs)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::take;
    use super::*;
    use crate::capability::KeyRule;
    use crate::id::{GroupName, Host, ServiceName};
    use crate::instance::{InstanceKey, ServiceKey};

    fn instance() -> Instance {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let mut instance = Instance::new(InstanceKey { service, host, port: 80 });
        instance.health = HealthStatus::Healthy;
        instance
    }

    fn mark() -> Mark {
        Mark {
            owner: "hub-1".to_owned(),
            source: Some("c1".to_owned()),
            group: Some(GroupName::parse("team").unwrap()),
            service: Some(ServiceName::parse("Web").unwrap()),
            id: Some("web-1".to_owned()),
        }
    }

    fn small(keys: KeyRule) -> Capability {
        let room = MetadataRoom { keys, value_bytes: 64, pairs: 24, units: 1024, key_bytes: 32 };
        Capability { metadata: room, ..Capability::default() }
    }

    fn back(packed: &Packed) -> Instance {
        let mut read = Arc::new(packed.instance.clone());
        let mut raw = Arc::make_mut(&mut read).clone();
        raw.mark = None;
        read = Arc::new(raw);
        take(&mut read);
        Arc::unwrap_or_clone(read)
    }

    #[test]
    fn a_copy_is_read_as_what_it_was_made_of() {
        let mut original = instance();
        original.weight = Weight::new(250);
        original.protocol = Protocol::Grpc;
        original.context_path = Some("/api".to_owned());
        original.tags = ["a", "b,c"].map(str::to_owned).into();
        for (key, value) in [
            ("plain", "1"),
            ("with.dots", "2"),
            ("\u{4e2d}", "\u{6587}"),
            ("under_score", "3"),
            ("fed-own", "4"),
            ("long", &"x\u{e9}".repeat(60)),
        ] {
            original.metadata.insert(key.to_owned(), value.to_owned());
        }
        for keys in [KeyRule::Any, KeyRule::Consul, KeyRule::Xml] {
            let packed = pack(&original, &mark(), small(keys));
            assert_eq!(packed.lost, [""; 0], "{keys:?}");
            let room = small(keys).metadata;
            for (key, value) in &packed.instance.metadata {
                assert!(keys.takes(key) && value.len() <= room.value_bytes, "{keys:?} {key}");
            }
            let read = back(&packed);
            assert_eq!(read.mark.as_deref(), Some(&mark()));
            assert_eq!(Instance { mark: None, ..read }, original, "{keys:?}");
        }
    }

    #[test]
    fn what_has_no_room_is_named_and_is_the_largest() {
        let mut original = instance();
        for number in 0..9 {
            original.metadata.insert(format!("k{number}"), "x".repeat(40 + number));
            original.metadata.insert(format!("k.{number}"), "y".repeat(300 + number));
        }
        let packed = pack(&original, &mark(), small(KeyRule::Consul));
        assert!(packed.lost.contains(&"metadata.k.8".to_owned()), "{:?}", packed.lost);
        let mut read = back(&packed);
        for name in &packed.lost {
            let key = name.strip_prefix("metadata.").unwrap();
            assert_eq!(read.metadata.get(key), None);
            read.metadata.insert(key.to_owned(), original.metadata[key].clone());
        }
        assert_eq!(read.metadata, original.metadata);
        let units = packed.instance.metadata.iter().map(|(key, value)| key.len() + value.len());
        assert!(units.sum::<usize>() <= 1024);
        assert!(packed.instance.metadata.len() <= 24);
    }

    #[test]
    fn every_state_is_found_again() {
        for status in InstanceStatus::ALL {
            for health in HealthStatus::ALL {
                let original = Instance { status: *status, health: *health, ..instance() };
                let read = back(&pack(&original, &mark(), Capability::default()));
                assert_eq!((read.status, read.health), (*status, *health));
            }
        }
    }
}
