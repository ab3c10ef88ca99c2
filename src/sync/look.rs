//! What a service asks for: the source's instances as copies, and what the target shows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_registry_core::carry::{self, Mark, Packed};
use hub_registry_core::{Capability, Instance, InstanceKey, ServiceKey, TenantId};
use sha2::{Digest, Sha256};
use tokio::time::{Duration, Instant};

use super::decide::{Act, Case, Verdict, Written};
use super::ledger::Ledger;
use super::queue::Action;
use super::route::{Mode, Route};
use crate::catalog::{Catalog, SourceId, SourceState, Standing};
use crate::model::external::Orphan;

/// A target that does not show what was written so long ago has lost it: longer than Eureka's
/// response cache and a poll of it take.
const SETTLED: Duration = Duration::from_secs(45);

/// Where a copy is known by its mark alone it is removed no sooner than this after its original was
/// seen to be gone: a client may have registered at its address meanwhile, and Java Nacos shows that
/// to nobody for up to 0.8 s.
const SHOWN: Duration = Duration::from_secs(1);

/// What is to be done about one service of a route.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Nobody can say now: what was to be done before stands.
    pub(super) unknown: bool,
    pub(super) actions: Vec<Action>,
    /// Addresses that are left alone, and why.
    pub(super) skipped: Vec<(InstanceKey, &'static str)>,
    /// Copies that are ours no more, and why.
    pub(super) yielded: Vec<(InstanceKey, &'static str)>,
}

/// What looking takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) ledger: &'a Ledger,
    pub(super) route: &'a Route,
    pub(super) capability: Capability,
    /// What others did to copies counts too.
    pub(super) thorough: bool,
}

impl Look<'_> {
    /// Every service of the source, and of what was copied from it.
    pub(super) fn services(&self) -> BTreeSet<ServiceKey> {
        let Route { tenant, from, .. } = self.route;
        let mut all: BTreeSet<_> = self.ledger.originals(&self.route.key()).into_iter().collect();
        let keys = self.catalog.keys(tenant, &from.id).into_iter();
        all.extend(keys.filter(|key| self.route.part(key).is_some()));
        all
    }

    /// Whether what the target shows is what is there.
    pub(super) fn target_is_current(&self) -> bool {
        let Route { tenant, to, .. } = self.route;
        state(self.catalog, tenant, &to.id).is_some_and(SourceState::is_current)
    }

    /// Whether it is known what the source has.
    pub(super) fn source_is_loaded(&self) -> bool {
        let Route { tenant, from, .. } = self.route;
        state(self.catalog, tenant, &from.id).is_some_and(SourceState::is_loaded)
    }

    /// What one service of the source asks for.
    pub(super) fn service(&self, service: &ServiceKey, now: Instant) -> Asked {
        let Route { tenant, from, to, .. } = self.route;
        let target = self.route.target(service, self.capability.groups);
        let standings = self.catalog.standings(tenant, service);
        let source = standing(&standings, &from.id);
        let mode = self.route.mode_of(service);
        let source_is_current = match mode {
            Mode::Copying => source.is_some_and(|one| one.source.state().is_current()),
            Mode::Frozen => false,
            Mode::Ended => true,
        };
        if !self.target_is_current() {
            // What it shows is not what is there: nothing follows from it.
            return Asked { unknown: true, ..Asked::default() };
        }
        let wanted = self.wanted(source, service, &target);
        let mut written = self.ledger.of_service(&self.route.key(), service);
        // Those that are to stay in the end are let go of, not removed.
        let ended = mode == Mode::Ended;
        written.retain(|_, copied| !(ended && copied.orphan == Orphan::Keep));
        // A rule may have led elsewhere before.
        let places: BTreeSet<_> =
            written.keys().map(|key| &key.service).chain([&target]).cloned().collect();
        let there: BTreeMap<_, _> = places
            .iter()
            .flat_map(|place| match place == service {
                true => shown(standing(&standings, &to.id)),
                false => shown(standing(&self.catalog.standings(tenant, place), &to.id)),
            })
            .collect();
        let keys: BTreeSet<_> = wanted.keys().chain(written.keys()).cloned().collect();
        let (before, mut asked) = (there.len(), Asked::default());
        let mut after = there.len();
        for key in keys {
            let wanted = wanted.get(&key);
            let case = Case {
                owner: &self.ledger.owner,
                wanted: wanted.map(|wanted| (&wanted.packed, wanted.print.as_str())),
                source_is_current,
                written: written.get(&key).map(|copied| Written {
                    print: &copied.print,
                    settled: copied.written_at.is_none_or(|at| now >= at + SETTLED),
                }),
                there: there.get(&key).map(Arc::as_ref),
                thorough: self.thorough,
                ids: self.capability.ids,
            };
            match case.verdict() {
                Verdict::Rest => {}
                Verdict::Skip(why) => asked.skipped.push((key, why)),
                Verdict::Yield(why) => asked.yielded.push((key, why)),
                Verdict::Do(act, why) => {
                    match act {
                        Act::Register => after += 1,
                        Act::Deregister => after = after.saturating_sub(1),
                        Act::Update => {}
                    }
                    let copy = wanted.map(|w| (w.packed.clone(), w.print.clone()));
                    let copy = copy.filter(|_| act != Act::Deregister);
                    let urgent = act != Act::Update && before == 0;
                    // The operator said so: no budget holds it up.
                    let on_demand = ended;
                    let (original, failures, since) = (service.clone(), 0, now);
                    let waits = act == Act::Deregister && !self.capability.ids;
                    let not_before = if waits { now + SHOWN } else { now };
                    asked.actions.push(Action {
                        act,
                        why,
                        original,
                        key,
                        copy,
                        urgent,
                        on_demand,
                        since,
                        failures,
                        not_before,
                    });
                }
            }
        }
        for action in &mut asked.actions {
            action.urgent |= action.act == Act::Deregister && after == 0;
        }
        asked
    }

    /// The source's own instances as copies, by the address they have at the target.
    fn wanted(
        &self,
        source: Option<&Standing>,
        service: &ServiceKey,
        target: &ServiceKey,
    ) -> BTreeMap<InstanceKey, Wanted> {
        let shelf = source.and_then(|standing| standing.shelf.as_ref());
        // What the view does not show of the target cannot be seen to be there.
        let is_wanted =
            self.route.mode_of(service) == Mode::Copying && self.route.to.scope.contains(target);
        let Some(shelf) = shelf.filter(|_| is_wanted) else {
            return BTreeMap::new();
        };
        // What somebody copied there is that one's to copy on.
        let own = shelf.entries.iter().filter(|entry| !is_copy(&entry.instance));
        own.map(|entry| {
            let original = &entry.instance;
            let mark = Mark {
                owner: self.ledger.owner.clone(),
                source: Some(self.route.from.id.as_str().to_owned()),
                group: (target.group != service.group).then(|| service.group.clone()),
                service: (!self.capability.case_sensitive).then(|| service.name.clone()),
                id: original.native_id.as_deref().map(str::to_owned),
            };
            let mut copy = Instance::clone(original);
            copy.key.service = target.clone();
            let packed = carry::pack(&copy, &mark, self.capability);
            let print = print(&packed);
            let key = packed.instance.key.clone();
            (key, Wanted { packed, print })
        })
        .collect()
    }
}

/// How a registry stands, if it is connected. The native one of a tenant that has none yet is
/// empty, and there.
pub(super) fn state(catalog: &Catalog, tenant: &TenantId, id: &SourceId) -> Option<SourceState> {
    let known = catalog.state(tenant, id).map(|(state, _)| state);
    known.or_else(|| (*id == SourceId::Native).then_some(SourceState::Live))
}

#[derive(Debug)]
struct Wanted {
    packed: Packed,
    print: String,
}

/// What nacos-sync writes into the metadata of its copies (`SkyWalkerConstants`).
const NACOS_SYNC: [&str; 2] = ["syncSource", "sourceClusterId"];
/// What polaris-sync does: the name of the source (`DefaultValues.META_SYNC`, `NacosRegistryCenter`).
const POLARIS_SYNC: &str = "__sync__";

/// Whether somebody copied it there: that one copies it on, or nobody does.
pub(super) fn is_copy(instance: &Instance) -> bool {
    let has = |key: &&str| instance.metadata.contains_key(key);
    let by_others = has(&POLARIS_SYNC) || NACOS_SYNC.iter().all(has);
    // A copy of a hub's that lost its mark still has its id, where registrations have any: taken for
    // an original it would be copied back to where it came from.
    let by_id = instance.native_id.as_ref().is_some_and(|id| **id == carry::copy_id(&instance.key));
    instance.mark.is_some() || by_id || by_others
}

fn standing<'s>(standings: &'s [Standing], id: &SourceId) -> Option<&'s Standing> {
    standings.iter().find(|standing| standing.source.info.id == *id)
}

/// What the target lists.
fn shown(standing: Option<&Standing>) -> BTreeMap<InstanceKey, Arc<Instance>> {
    let entries = standing.and_then(|s| s.shelf.as_ref()).map_or(&[][..], |shelf| &shelf.entries);
    let listed = entries.iter().filter(|entry| !entry.is_missing());
    listed.map(|entry| (entry.instance.key.clone(), Arc::clone(&entry.instance))).collect()
}

/// What tells whether two copies are the same, over restarts and versions.
fn print(packed: &Packed) -> String {
    // It holds nothing that cannot be written as JSON.
    let text = serde_json::to_vec(&packed.instance).unwrap_or_default();
    Sha256::digest(&text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{GroupName, Host, ServiceName};

    use super::*;

    #[test]
    fn copies_of_whatever_bridge_are_known() {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let original = Instance::new(InstanceKey { service, host, port: 80 });
        let with = |keys: &[&str]| {
            let mut instance = original.clone();
            let pairs = keys.iter().map(|key| ((*key).to_owned(), "nacos-1".to_owned()));
            instance.metadata = pairs.collect();
            is_copy(&instance)
        };
        assert!(!with(&[]) && !with(&["version"]));
        assert!(with(&["syncSource", "sourceClusterId"]), "nacos-sync");
        assert!(!with(&["syncSource"]), "half of its mark is somebody's own");
        assert!(with(&["__sync__"]), "polaris-sync");
        let by_id = carry::copy_id(&original.key);
        assert!(
            is_copy(&Instance { native_id: Some(by_id.into()), ..original.clone() }),
            "a lost mark"
        );
    }
}
