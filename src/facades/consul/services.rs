//! The names of all services with their tags: what most clients watch. They change rarely beside
//! everything else, and their index only with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use dashmap::DashMap;
use hub_registry_core::{GroupName, TenantId};
use parking_lot::Mutex;

use super::Face;
use super::call::text;
use crate::access::Visible;
use crate::catalog::Snapshot;
use crate::facades::names::qualified;

/// Names with tags, each with its group.
type All = BTreeMap<String, (GroupName, BTreeSet<String>)>;

/// As of one revision.
#[derive(Debug)]
pub(super) struct List {
    pub(super) revision: i64,
    /// The revision at which it last changed.
    pub(super) index: i64,
    all: All,
    written: Bytes,
}

impl List {
    /// What the caller may see, as JSON.
    pub(super) fn text(&self, visible: &Visible) -> Bytes {
        if visible.is_everything() {
            return self.written.clone();
        }
        write(self.all.iter().filter(|(_, (group, _))| visible.sees(group)))
    }
}

fn write<'a>(all: impl Iterator<Item = (&'a String, &'a (GroupName, BTreeSet<String>))>) -> Bytes {
    text(&all.map(|(name, (_, tags))| (name, tags)).collect::<BTreeMap<_, _>>())
}

/// The lists of the tenants.
#[derive(Debug, Default)]
pub(super) struct Lists(DashMap<TenantId, Arc<Current>>);

#[derive(Debug, Default)]
struct Current {
    list: ArcSwapOption<List>,
    turn: Mutex<()>,
}

impl Current {
    /// Costs as much as there are services, once for each revision that somebody asks for.
    fn of(&self, snapshot: &Snapshot) -> Arc<List> {
        let is_good = |list: &Arc<List>| list.revision >= snapshot.revision;
        if let Some(list) = self.list.load_full().filter(is_good) {
            return list;
        }
        let _turn = self.turn.lock();
        let before = self.list.load_full();
        if let Some(list) = before.clone().filter(is_good) {
            return list;
        }
        let mut all = All::new();
        for view in snapshot.services.values().flat_map(|groups| groups.values()) {
            // As a Consul has it, a service without instances is none.
            if !view.rows.is_empty() {
                let tags = view.rows.iter().flat_map(|row| row.instance.tags.iter().cloned());
                all.insert(qualified(&view.key), (view.key.group.clone(), tags.collect()));
            }
        }
        let same = before.filter(|before| before.all == all);
        let (index, written) = match same {
            Some(before) => (before.index, before.written.clone()),
            None => (snapshot.revision, write(all.iter())),
        };
        let list = Arc::new(List { revision: snapshot.revision, index, all, written });
        self.list.store(Some(Arc::clone(&list)));
        list
    }
}

impl Face {
    /// The names of a tenant as of now.
    pub(super) fn services(&self, tenant: &TenantId) -> Arc<List> {
        let snapshot = self.view.snapshot(tenant);
        if let Some(known) = self.services.0.get(tenant) {
            return known.of(&snapshot);
        }
        // Names of tenants are free: for those that have nothing there is nothing to keep.
        if snapshot.services.is_empty() {
            return Current::default().of(&snapshot);
        }
        let current = Arc::clone(&self.services.0.entry(tenant.clone()).or_default());
        current.of(&snapshot)
    }
}
