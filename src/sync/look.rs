//! What a service asks for: the source's instances as copies, and what the target shows of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_registry_core::carry::{self, Mark, Packed};
use hub_registry_core::{Capability, Instance, InstanceKey, ServiceKey};
use sha2::{Digest, Sha256};
use tokio::time::{Duration, Instant};

use super::decide::{Act, Case, Verdict, Written};
use super::ledger::Ledger;
use super::queue::Action;
use super::route::Route;
use crate::catalog::{Catalog, SourceId, Standing};

/// A target that does not show what was written so long ago has lost it: longer than Eureka's
/// response cache and a poll of it take.
const SETTLED: Duration = Duration::from_secs(45);

/// What is to be done about one service of a route.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) actions: Vec<Action>,
    /// Addresses that are left alone, and why.
    pub(super) skipped: Vec<(InstanceKey, &'static str)>,
    /// Copies that are ours no more, and why.
    pub(super) yielded: Vec<(InstanceKey, &'static str)>,
    /// Addresses about which nothing is to be done.
    pub(super) at_rest: Vec<InstanceKey>,
}

/// What looking takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) ledger: &'a Ledger,
    pub(super) route: &'a Route,
    pub(super) capability: Capability,
    /// The rule is no more: nothing is wanted.
    pub(super) ended: bool,
    /// What others did to copies counts too.
    pub(super) thorough: bool,
}

impl Look<'_> {
    /// Every service of the source, and of what was copied from it.
    pub(super) fn services(&self) -> BTreeSet<ServiceKey> {
        let Route { tenant, from, .. } = self.route;
        let mut all: BTreeSet<_> = self.ledger.originals(&self.route.key()).into_iter().collect();
        if !self.ended {
            let keys = self.catalog.keys(tenant, &from.id).into_iter();
            all.extend(keys.filter(|key| self.route.scope.contains(key)));
        }
        all
    }

    /// What one service of the source asks for.
    pub(super) fn service(&self, service: &ServiceKey, now: Instant) -> Asked {
        let Route { tenant, from, to, .. } = self.route;
        let target = self.route.target(service, self.capability.groups);
        let standings = self.catalog.standings(tenant, service);
        let source = standing(&standings, &from.id);
        let source_is_current =
            self.ended || source.is_some_and(|standing| standing.source.state().is_current());
        let state = self.catalog.state(tenant, &to.id);
        if !state.is_some_and(|(state, _)| state.is_current()) {
            // What it shows is not what is there: nothing follows from it.
            return Asked::default();
        }
        let wanted = self.wanted(source, service, &target);
        let written = self.ledger.of_service(&self.route.key(), service);
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
            };
            match case.verdict() {
                Verdict::Rest => asked.at_rest.push(key),
                Verdict::Skip(why) => asked.skipped.push((key, why)),
                Verdict::Yield(why) => asked.yielded.push((key, why)),
                Verdict::Do(act, why) => {
                    match act {
                        Act::Register => after += 1,
                        Act::Deregister => after = after.saturating_sub(1),
                        Act::Update => {}
                    }
                    let from = wanted.map_or_else(|| key.clone(), |wanted| wanted.from.clone());
                    let copy = wanted.map(|w| (w.packed.clone(), w.print.clone()));
                    let copy = copy.filter(|_| act != Act::Deregister);
                    let urgent = act != Act::Update && before == 0;
                    asked.actions.push(Action { act, why, key, copy, from, urgent, since: now });
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
        let Some(shelf) = shelf.filter(|_| !self.ended && self.route.scope.contains(service))
        else {
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
                id: original.native_id.clone(),
            };
            let mut copy = Instance::clone(original);
            copy.key.service = target.clone();
            let packed = carry::pack(&copy, &mark, self.capability);
            let print = print(&packed);
            let key = packed.instance.key.clone();
            (key, Wanted { packed, print, from: original.key.clone() })
        })
        .collect()
    }
}

#[derive(Debug)]
struct Wanted {
    packed: Packed,
    print: String,
    from: InstanceKey,
}

/// What nacos-sync writes into the metadata of its copies (`SkyWalkerConstants`).
const NACOS_SYNC: [&str; 2] = ["syncSource", "sourceClusterId"];

fn is_copy(instance: &Instance) -> bool {
    let has = |key: &&str| instance.metadata.contains_key(*key);
    instance.mark.is_some() || NACOS_SYNC.iter().all(has)
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
