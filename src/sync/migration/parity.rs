//! How equal source and target are. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::{Host, Instance, ServiceKey};
use serde_json::{Value, json};

use crate::catalog::SourceId;
use crate::sync::look::is_copy;

/// Where an instance is: the port of a host.
pub type Place = (Host, u16);

/// A field that is not the same on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Of which instance.
    pub place: Place,
    /// Which field, as the API calls it.
    pub field: String,
    /// What the source says,
    pub from: Value,
    /// and the target.
    pub to: Value,
}

/// How equal a service is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceParity {
    /// Instances that are the same on both sides.
    pub equal: usize,
    /// Instances the target lacks.
    pub missing: Vec<Place>,
    /// Instances the source lacks.
    pub extra: Vec<Place>,
    /// Instances that are on both sides and differ.
    pub different: usize,
    /// In what.
    pub differences: Vec<Difference>,
}

/// Sums over services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Instances that are the same on both sides.
    pub equal: usize,
    /// Those the target lacks.
    pub missing: usize,
    /// Those the source lacks.
    pub extra: usize,
    /// Those that differ.
    pub different: usize,
}

impl Totals {
    /// What the source has and the target has just so, in percent; 100 of nothing.
    #[must_use]
    pub fn percent(self) -> f64 {
        let all = self.equal + self.missing + self.different;
        if all == 0 { 100.0 } else { self.equal as f64 * 100.0 / all as f64 }
    }

    /// Nothing is missing or differs; `both`: nor at the source.
    #[must_use]
    pub fn is_whole(self, both: bool) -> bool {
        self.missing == 0 && self.different == 0 && (!both || self.extra == 0)
    }

    /// Adds up.
    pub fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.missing += other.missing;
        self.extra += other.extra;
        self.different += other.different;
    }
}

impl ServiceParity {
    /// How many.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            equal: self.equal,
            missing: self.missing.len(),
            extra: self.extra.len(),
            different: self.different,
        }
    }
}

/// How equal all services are, by their names at the source.
pub type Parity = BTreeMap<ServiceKey, ServiceParity>;

type Listed = BTreeMap<Place, Arc<Instance>>;

/// The instances of one registry by where they are.
pub(super) fn listed<'i>(instances: impl Iterator<Item = &'i Arc<Instance>>) -> Listed {
    instances.map(|i| ((i.key.host.clone(), i.key.port), Arc::clone(i))).collect()
}

/// Compares a service on both sides. A copy of something that is on neither of them is left out.
pub(super) fn compare(
    service: &ServiceKey,
    (from, at_source): (&SourceId, &Listed),
    (to, at_target): (&SourceId, &Listed),
) -> ServiceParity {
    let mut parity = ServiceParity::default();
    let is_copy_of = |instance: &Instance, id: &SourceId| {
        let source = instance.mark.as_ref().and_then(|mark| mark.source.as_deref());
        source == Some(id.as_str())
    };
    for (place, source) in at_source {
        match at_target.get(place) {
            Some(target) => {
                let differences = differences(place, source, target);
                match differences.is_empty() {
                    true => parity.equal += 1,
                    false => parity.different += 1,
                }
                parity.differences.extend(differences);
            }
            None if !is_copy(source) || is_copy_of(source, to) => {
                parity.missing.push(place.clone());
            }
            None => {}
        }
    }
    for (place, target) in at_target {
        // Services of several groups may be copied into one.
        let group = |target: &Instance| {
            let mark = target.mark.as_deref();
            mark.and_then(|mark| mark.group.clone()).is_none_or(|group| group == service.group)
        };
        let counts = !is_copy(target) || (is_copy_of(target, from) && group(target));
        if counts && !at_source.contains_key(place) {
            parity.extra.push(place.clone());
        }
    }
    parity
}

/// Registries add metadata of their own to copies: what the original has is looked at.
fn differences(place: &Place, source: &Instance, target: &Instance) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |field: &str, from: Value, to: Value| {
        if from != to {
            let field = field.to_owned();
            found.push(Difference { place: place.clone(), field, from, to });
        }
    };
    let is_back = source.mark.is_some() && target.mark.is_none();
    let (original, copy) = if is_back { (target, source) } else { (source, target) };
    for key in original.metadata.keys() {
        let value = |instance: &Instance| json!(instance.metadata.get(key));
        if original.metadata.get(key) != copy.metadata.get(key) {
            compare(&format!("metadata.{key}"), value(source), value(target));
        }
    }
    compare("weightValue", json!(source.weight), json!(target.weight));
    compare("instanceStatus", json!(source.status), json!(target.status));
    compare("healthStatus", json!(source.health), json!(target.health));
    compare("protocolType", json!(source.protocol), json!(target.protocol));
    compare("contextPath", json!(source.context_path), json!(target.context_path));
    compare("tags", json!(source.tags), json!(target.tags));
    found
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{
        ConfigId, GroupName, HealthStatus, InstanceKey, Mark, Pairs, ServiceName, Weight,
    };

    use super::*;

    fn source(id: &str) -> SourceId {
        SourceId::External(ConfigId::parse(id).unwrap())
    }

    fn instance(port: u16, copied_from: Option<&str>) -> Instance {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let mut instance = Instance::new(InstanceKey { service, host, port });
        instance.metadata.insert("v".to_owned(), "1".to_owned());
        let (owner, group, service, id) = ("me".to_owned(), None, None, None);
        instance.mark = copied_from.map(|from| {
            Box::new(Mark { owner, source: Some(from.to_owned()), group, service, id })
        });
        instance
    }

    fn parity(at_source: Vec<Instance>, at_target: Vec<Instance>) -> ServiceParity {
        let list = |all: Vec<Instance>| {
            let all: Vec<_> = all.into_iter().map(Arc::new).collect();
            listed(all.iter())
        };
        let service = instance(1, None).key.service;
        compare(&service, (&source("a"), &list(at_source)), (&source("b"), &list(at_target)))
    }

    fn ports(places: &[Place]) -> Vec<u16> {
        places.iter().map(|(_, port)| *port).collect()
    }

    #[test]
    fn each_instance_is_equal_missing_extra_or_different() {
        let mut sick = instance(3, Some("a"));
        sick.health = HealthStatus::Unhealthy;
        sick.weight = Weight::new(7);
        sick.metadata.insert("own".to_owned(), "of the registry".to_owned());
        let mut there = instance(1, Some("a"));
        there.metadata.insert("own".to_owned(), "of the registry".to_owned());
        let found = parity(
            vec![instance(1, None), instance(2, None), instance(3, None), instance(8, Some("c"))],
            vec![there, sick, instance(4, None), instance(5, Some("a")), instance(9, Some("c"))],
        );
        assert_eq!((found.equal, ports(&found.missing)), (1, vec![2]));
        assert_eq!((ports(&found.extra), found.different), (vec![4, 5], 1));
        let fields: Vec<_> = found.differences.iter().map(|one| &*one.field).collect();
        assert_eq!(fields, ["weightValue", "healthStatus"]);
        assert!((found.totals().percent() - 100.0 / 3.0).abs() < 1e-9);
        assert!(!found.totals().is_whole(false));
    }

    #[test]
    fn a_copy_at_the_source_is_held_against_its_original_at_the_target() {
        let mut copy = instance(1, Some("b"));
        copy.metadata.insert("own".to_owned(), "of the registry".to_owned());
        let found = parity(vec![copy, instance(2, Some("b"))], vec![instance(1, None)]);
        assert_eq!((found.equal, found.different), (1, 0), "{:?}", found.differences);
        assert_eq!(ports(&found.missing), [2], "its original is gone");
        let mut copy = instance(1, Some("b"));
        copy.metadata = Pairs::new();
        let found = parity(vec![copy], vec![instance(1, None)]);
        assert_eq!(found.differences[0].field, "metadata.v");
        assert_eq!(
            (&found.differences[0].from, &found.differences[0].to),
            (&Value::Null, &json!("1"))
        );
    }

    #[test]
    fn nothing_is_as_equal_as_it_gets() {
        let totals = parity(Vec::new(), Vec::new()).totals();
        assert!(totals.is_whole(true) && (totals.percent() - 100.0).abs() < 1e-9);
        let extra = Totals { extra: 1, ..totals };
        assert!(extra.is_whole(false) && !extra.is_whole(true));
    }
}
