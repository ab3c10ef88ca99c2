//! From the registry's services, whose instances are in several of the hub's groups, to the hub's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::change::{Change, ServiceState};
use crate::instance::{Instance, ServiceKey};

type Parts = BTreeMap<ServiceKey, Vec<Arc<Instance>>>;

/// What a watch said so far, by the registry's services and by the hub's.
#[derive(Debug, Default)]
pub(super) struct Regroup {
    /// The registry's services, each with its parts.
    homes: BTreeMap<ServiceKey, Parts>,
    /// The hub's services, each with those that have a part of it.
    owners: BTreeMap<ServiceKey, BTreeSet<ServiceKey>>,
}

impl Regroup {
    /// The same change, told of the hub's services; never nothing. Its instances are mapped.
    pub(super) fn take(&mut self, change: Change) -> Vec<Change> {
        match change {
            Change::Reset(states) => {
                *self = Self::default();
                for state in states {
                    self.set(state.key.clone(), Some(parts(state)));
                }
                let all = self.owners.keys().filter_map(|service| self.state(service));
                vec![Change::Reset(all.collect())]
            }
            Change::Put(state) => self.replace(state.key.clone(), Some(parts(state))),
            Change::Gone(home) => self.replace(home, None),
            Change::Partial(state) => self.partial(state),
            Change::Unchanged => vec![Change::Unchanged],
        }
    }

    fn replace(&mut self, home: ServiceKey, after: Option<Parts>) -> Vec<Change> {
        let touched: BTreeSet<_> = [self.homes.get(&home), after.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(BTreeMap::keys)
            .cloned()
            .collect();
        let before: Vec<_> = touched.iter().map(|service| self.state(service)).collect();
        self.set(home, after);
        let (mut puts, mut gone) = (Vec::new(), Vec::new());
        for (service, before) in touched.into_iter().zip(before) {
            match self.state(&service) {
                after if after == before => {}
                Some(after) => puts.push(Change::Put(after)),
                None => gone.push(Change::Gone(service)),
            }
        }
        // What moves is where it goes before it is not where it was.
        puts.append(&mut gone);
        if puts.is_empty() { vec![Change::Unchanged] } else { puts }
    }

    /// What is listed is put on top of what is known; the doubt is told of each part there is.
    fn partial(&mut self, state: ServiceState) -> Vec<Change> {
        let home = state.key.clone();
        let seen = parts(state);
        let mut known = self.homes.get(&home).cloned().unwrap_or_default();
        for instances in known.values_mut() {
            // One that moved to another group is there only.
            instances.retain(|old| {
                let same = |new: &Arc<Instance>| is_same_place(&new.key, &old.key);
                !seen.values().flatten().any(same)
            });
        }
        for (service, instances) in &seen {
            let part = known.entry(service.clone()).or_default();
            part.extend(instances.iter().cloned());
            part.sort_by(|a, b| a.key.cmp(&b.key));
        }
        let services: Vec<_> = known.keys().cloned().collect();
        self.set(home, Some(known));
        let told = services.into_iter().map(|service| {
            let instances = seen.get(&service).cloned().unwrap_or_default();
            Change::Partial(ServiceState { key: service, instances })
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() { vec![Change::Unchanged] } else { told }
    }

    fn set(&mut self, home: ServiceKey, after: Option<Parts>) {
        for service in self.homes.remove(&home).into_iter().flat_map(BTreeMap::into_keys) {
            if let Some(owners) = self.owners.get_mut(&service) {
                owners.remove(&home);
                if owners.is_empty() {
                    self.owners.remove(&service);
                }
            }
        }
        let Some(after) = after else { return };
        for service in after.keys() {
            self.owners.entry(service.clone()).or_default().insert(home.clone());
        }
        self.homes.insert(home, after);
    }

    fn state(&self, service: &ServiceKey) -> Option<ServiceState> {
        let owners = self.owners.get(service)?;
        let parts = owners.iter().filter_map(|home| self.homes.get(home)?.get(service));
        Some(ServiceState::new(service.clone(), parts.flatten().cloned()))
    }
}

/// The instances by the service each is mapped into. A service without any is in its own group.
fn parts(state: ServiceState) -> Parts {
    let mut parts = Parts::new();
    if state.instances.is_empty() {
        parts.insert(state.key, Vec::new());
        return parts;
    }
    for instance in state.instances {
        parts.entry(instance.key.service.clone()).or_default().push(instance);
    }
    parts
}

fn is_same_place(a: &crate::InstanceKey, b: &crate::InstanceKey) -> bool {
    (&a.host, a.port) == (&b.host, b.port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GroupName, Host, InstanceKey, ServiceName};

    fn service(group: &str, name: &str) -> ServiceKey {
        ServiceKey::new(GroupName::parse(group).unwrap(), ServiceName::parse(name).unwrap())
    }

    fn state(key: &ServiceKey, members: &[(&str, u16)]) -> ServiceState {
        let member = |&(group, port): &(&str, u16)| {
            let service = service(group, key.name.as_str());
            Instance::new(InstanceKey { service, host: Host::parse("10.0.0.1").unwrap(), port })
        };
        let instances = members.iter().map(member).map(Arc::new).collect();
        ServiceState { key: key.clone(), instances }
    }

    /// Ports by service, as the changes leave them.
    fn apply(view: &mut BTreeMap<ServiceKey, Vec<u16>>, changes: Vec<Change>) {
        let ports = |state: &ServiceState| state.instances.iter().map(|i| i.key.port).collect();
        for change in changes {
            match change {
                Change::Reset(states) => {
                    *view = states.iter().map(|s| (s.key.clone(), ports(s))).collect();
                }
                Change::Put(state) => {
                    view.insert(state.key.clone(), ports(&state));
                }
                Change::Gone(key) => {
                    view.remove(&key).expect("gone and never was");
                }
                Change::Partial(_) | Change::Unchanged => {}
            }
        }
    }

    fn shown(view: &BTreeMap<ServiceKey, Vec<u16>>) -> String {
        let parts = view.iter().map(|(key, ports)| format!("{key}{ports:?}"));
        parts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn instances_are_told_of_where_they_are_mapped() {
        let (web, api) = (service("d", "web"), service("d", "api"));
        let (mut regroup, mut view) = (Regroup::default(), BTreeMap::new());
        let all = vec![state(&web, &[("a", 1), ("b", 2)]), state(&api, &[])];
        apply(&mut view, regroup.take(Change::Reset(all)));
        assert_eq!(shown(&view), "a/web[1] b/web[2] d/api[]");

        let moved = regroup.take(Change::Put(state(&web, &[("a", 1), ("a", 2)])));
        assert!(matches!(&moved[..], [Change::Put(_), Change::Gone(_)]), "{moved:?}");
        apply(&mut view, moved);
        assert_eq!(shown(&view), "a/web[1, 2] d/api[]");
        let same = regroup.take(Change::Put(state(&web, &[("a", 1), ("a", 2)])));
        assert_eq!(same, [Change::Unchanged]);

        apply(&mut view, regroup.take(Change::Put(state(&web, &[]))));
        assert_eq!(shown(&view), "d/api[] d/web[]", "a service without instances is at home");
        apply(&mut view, regroup.take(Change::Gone(web)));
        apply(&mut view, regroup.take(Change::Gone(api.clone())));
        assert_eq!(shown(&view), "");
        assert_eq!(regroup.take(Change::Gone(api)), [Change::Unchanged]);
    }

    #[test]
    fn several_services_can_be_one() {
        let (one, two) = (service("g1", "web"), service("g2", "web"));
        let (mut regroup, mut view) = (Regroup::default(), BTreeMap::new());
        let all = vec![state(&one, &[("a", 1)]), state(&two, &[("a", 2), ("g2", 3)])];
        apply(&mut view, regroup.take(Change::Reset(all)));
        assert_eq!(shown(&view), "a/web[1, 2] g2/web[3]");
        apply(&mut view, regroup.take(Change::Gone(one)));
        assert_eq!(shown(&view), "a/web[2] g2/web[3]");
    }

    #[test]
    fn a_partial_look_removes_nothing_from_any_part() {
        let web = service("d", "web");
        let mut regroup = Regroup::default();
        regroup.take(Change::Reset(vec![state(&web, &[("a", 1), ("a", 2), ("b", 3)])]));
        let told = regroup.take(Change::Partial(state(&web, &[("a", 1), ("a", 4)])));
        let lists: Vec<_> = told
            .iter()
            .map(|change| match change {
                Change::Partial(state) => (state.key.to_string(), state.instances.len()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lists, [("a/web".to_owned(), 2), ("b/web".to_owned(), 0)]);
        // What it did not list is known still: the next whole look shows what it removes.
        let whole = regroup.take(Change::Put(state(&web, &[("a", 1)])));
        assert!(matches!(&whole[..], [Change::Put(_), Change::Gone(_)]), "{whole:?}");
    }
}
