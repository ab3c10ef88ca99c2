//! All applications of a tenant, and what changed of late: made anew from the snapshot when it has
//! moved on since somebody last asked for all. One application alone costs no more than it has
//! instances. Applications that are the same stay as they were written.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use hub_registry_core::GroupName;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::app::{App, Counts, write};
use super::body::Piece;
use super::form::Form;
use super::render;
use crate::access::Visible;
use crate::catalog::{Row, ServiceView, Snapshot};
use crate::facades::names::split;

/// A delta tells of so much (`eureka.server.retentionTimeInMSInDeltaQueue`). For as long a list
/// that is new has everything in it, for those who know what was before it.
const RETENTION: Duration = Duration::from_secs(180);
/// How many applications are kept as they were written, of those nobody lists.
const MAX_WRITTEN: usize = 100_000;

/// A change that deltas tell of.
#[derive(Clone, Debug)]
struct Recent {
    at: Instant,
    action: &'static str,
    row: Arc<Row>,
}

/// An application: its name, and the group all its services are in. Groups whose names differ in
/// case have applications of one name.
type Key = (String, GroupName);

/// By application, then by the id that clients know the instance by.
type Recents = BTreeMap<Key, BTreeMap<String, Recent>>;

/// The applications as of one revision.
#[derive(Debug)]
pub(super) struct List {
    revision: i64,
    apps: BTreeMap<Key, Arc<App>>,
    recents: Recents,
    /// When the oldest of these was noted.
    oldest: Option<Instant>,
    deltas: [OnceLock<Vec<Piece>>; Form::COUNT],
}

/// The applications of a tenant.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// As they were last written.
    written: DashMap<Key, Arc<App>>,
    current: ArcSwapOption<List>,
    turn: Mutex<()>,
}

impl Lists {
    /// One application, by its name in upper case: the first that may be seen.
    pub(super) fn app(
        &self,
        snapshot: &Snapshot,
        name: &str,
        visible: &Visible,
    ) -> Option<Arc<App>> {
        let mut views = views(snapshot, name);
        // As a Eureka has it, an application without instances is none.
        views.retain(|view| !view.rows.is_empty() && visible.sees(&view.key.group));
        let group = views.first().map(|view| view.key.group.clone())?;
        views.retain(|view| view.key.group == group);
        Some(self.written(&(name.to_owned(), group), views))
    }

    fn written(&self, key: &Key, views: Vec<Arc<ServiceView>>) -> Arc<App> {
        if let Some(known) = self.written.get(key).filter(|known| known.is_of(&views)) {
            return Arc::clone(&known);
        }
        if self.written.len() >= MAX_WRITTEN {
            self.written.clear();
        }
        let app = Arc::new(App::new(key.0.clone(), views));
        self.written.insert(key.clone(), Arc::clone(&app));
        app
    }

    /// The list of this snapshot, or of a later one.
    pub(super) fn all(&self, snapshot: &Snapshot) -> Arc<List> {
        let is_good = |list: &Arc<List>| {
            list.revision >= snapshot.revision
                && list.oldest.is_none_or(|oldest| oldest.elapsed() < RETENTION)
        };
        if let Some(list) = self.current.load_full().filter(is_good) {
            return list;
        }
        // Those who come meanwhile wait for the one that makes it.
        let _turn = self.turn.lock();
        let before = self.current.load_full();
        if let Some(list) = before.clone().filter(is_good) {
            return list;
        }
        let list = Arc::new(self.list(snapshot, before.as_deref(), Instant::now()));
        self.written.retain(|key, _| list.apps.contains_key(key));
        self.current.store(Some(Arc::clone(&list)));
        list
    }

    fn list(&self, snapshot: &Snapshot, before: Option<&List>, now: Instant) -> List {
        let mut all: HashMap<Key, Vec<Arc<ServiceView>>> = HashMap::new();
        for view in snapshot.services.values().flat_map(|groups| groups.values()) {
            if !view.rows.is_empty() {
                let key = (render::app_of(&view.key), view.key.group.clone());
                all.entry(key).or_default().push(Arc::clone(view));
            }
        }
        let mut recents = before.map(|list| list.recents.clone()).unwrap_or_default();
        for changes in recents.values_mut() {
            changes.retain(|_, recent| now.duration_since(recent.at) < RETENTION);
        }
        recents.retain(|_, changes| !changes.is_empty());
        let mut apps = BTreeMap::new();
        for (key, mut views) in all {
            views.sort_by(|a, b| a.key.name.cmp(&b.key.name));
            let known = before.and_then(|list| list.apps.get(&key));
            let app = self.written(&key, views);
            if known.is_none_or(|known| !Arc::ptr_eq(known, &app)) {
                note(&mut recents, &key, known.map(AsRef::as_ref), Some(&app), now);
            }
            apps.insert(key, app);
        }
        for (key, gone) in before.iter().flat_map(|list| &list.apps) {
            if !apps.contains_key(key) {
                note(&mut recents, key, Some(gone), None, now);
            }
        }
        let oldest = recents.values().flat_map(|changes| changes.values().map(|recent| recent.at));
        let oldest = oldest.min();
        let deltas = Default::default();
        List { revision: snapshot.revision, apps, recents, oldest, deltas }
    }
}

/// The services that are this application, with instances or without, sorted by group and name.
pub(super) fn views(snapshot: &Snapshot, app: &str) -> Vec<Arc<ServiceView>> {
    let default = GroupName::default_group();
    let (group, name) = split(app).unwrap_or_else(|| (default.to_string(), app));
    let is_meant = |view: &&Arc<ServiceView>| {
        let own = &view.key.group;
        own.as_str().to_uppercase() == group.to_uppercase() && render::app_of(&view.key) == app
    };
    let names = snapshot.named(name);
    let all = names.iter().filter_map(|name| snapshot.services.get(name));
    let mut found: Vec<_> =
        all.flat_map(|groups| groups.values()).filter(is_meant).cloned().collect();
    found.sort_by(|a, b| (&a.key.group, &a.key.name).cmp(&(&b.key.group, &b.key.name)));
    found
}

impl List {
    /// Those that may be seen, by name.
    pub(super) fn apps<'l>(&'l self, visible: &'l Visible) -> impl Iterator<Item = &'l Arc<App>> {
        self.apps.iter().filter(|((_, group), _)| visible.sees(group)).map(|(_, app)| app)
    }

    /// What clients check their copy by: `STATUS_count_` for each status, by name
    /// (`Applications.getReconcileHashCode`).
    pub(super) fn hash(&self, visible: &Visible) -> String {
        let mut all = Counts::new();
        for (status, count) in self.apps(visible).flat_map(|app| app.counts()) {
            *all.entry(status.clone()).or_default() += count;
        }
        all.iter().map(|(status, count)| format!("{status}_{count}_")).collect()
    }

    /// Changes with everything that does.
    pub(super) fn version(&self) -> i64 {
        self.revision
    }

    /// The applications with what changed in them within the last three minutes; `carried`: with what
    /// Eureka has no word for.
    pub(super) fn delta<T>(
        &self,
        form: Form,
        carried: bool,
        visible: &Visible,
        answer: impl FnOnce(&[Piece]) -> T,
    ) -> T {
        if visible.is_everything() && !carried {
            let changes = || self.changes(form, carried, visible);
            return answer(self.deltas[form as usize].get_or_init(changes));
        }
        answer(&self.changes(form, carried, visible))
    }

    fn changes(&self, form: Form, carried: bool, visible: &Visible) -> Vec<Piece> {
        let seen = self.recents.iter().filter(|((_, group), _)| visible.sees(group));
        let written = seen.map(|((name, _), changes)| {
            write(
                form,
                name,
                changes
                    .values()
                    .map(|recent| render::info(&recent.row, name, recent.action, carried)),
            )
        });
        written.collect()
    }
}

/// Notes what became of an application's instances, which clients know by their ids: one that is at
/// another address has changed, and one whose address another one has by now is gone.
fn note(recents: &mut Recents, key: &Key, before: Option<&App>, after: Option<&App>, now: Instant) {
    // Of two with one id clients have the one that comes last.
    let by_id = |app: Option<&App>| -> BTreeMap<String, Arc<Row>> {
        let rows = app.into_iter().flat_map(App::rows);
        rows.map(|row| (render::id_of(row), Arc::clone(row))).collect()
    };
    let mut old = by_id(before);
    let changes = recents.entry(key.clone()).or_default();
    let mut tell = |id, action, row| changes.insert(id, Recent { at: now, action, row });
    for (id, row) in by_id(after) {
        match old.remove(&id) {
            None => drop(tell(id, "ADDED", row)),
            Some(before) if Arc::ptr_eq(&before, &row) => {}
            Some(_) => drop(tell(id, "MODIFIED", row)),
        }
    }
    for (id, row) in old {
        tell(id, "DELETED", row);
    }
    if changes.is_empty() {
        recents.retain(|_, changes| !changes.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{
        Change, ConfigId, Host, Instance, InstanceKey, RegistryKind, ServiceKey, ServiceName,
        ServiceState, TenantId,
    };

    use super::*;
    use crate::catalog::{Catalog, Conflict, GuardPolicy, Revisions, SourceId, SourceInfo};
    use crate::clock::Clock;
    use crate::telemetry::metrics::Metrics;

    /// A Eureka that has the instance `one` at this port, or nobody.
    fn has(catalog: &Catalog, source: &SourceId, port: Option<u16>) {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let one = |port| {
            let host = Host::parse("10.0.0.1").unwrap();
            let key = InstanceKey { service: service.clone(), host, port };
            Instance { native_id: Some("one".into()), ..Instance::new(key) }
        };
        let state = ServiceState::new(service.clone(), port.map(one));
        catalog.apply(&TenantId::default_tenant(), source, vec![Change::Reset(vec![state])]);
    }

    fn told(list: &List) -> Vec<(&'static str, u16)> {
        let all = list.recents.values().flat_map(BTreeMap::values);
        all.map(|recent| (recent.action, recent.row.key().port)).collect()
    }

    /// Two Eurekas with one id, of which one goes: whoever has it where it was would keep it for good,
    /// since the number of instances is as clients count it.
    #[tokio::test(start_paused = true)]
    async fn who_has_an_id_where_it_was_is_told_where_it_is() {
        let tenant = TenantId::default_tenant();
        let catalog = Catalog::new(Revisions::from_zero(), Clock::fixed(1_000).0, Metrics::new());
        let sources = ["a", "b"].map(|id| SourceId::External(ConfigId::parse(id).unwrap()));
        for (id, port) in sources.iter().zip([80, 90]) {
            let info = SourceInfo {
                id: id.clone(),
                name: id.as_str().to_owned(),
                kind: RegistryKind::Eureka,
                conflict: Conflict::PrimaryWins,
                priority: 1,
            };
            catalog.open(&tenant, info, GuardPolicy::Off);
            has(&catalog, id, Some(port));
        }
        let (view, lists) = (catalog.view(), Lists::default());
        let (begin, later) = (Instant::now(), Instant::now() + RETENTION);
        let first = lists.list(&view.snapshot(&tenant), None, begin);
        assert_eq!(told(&first), [("ADDED", 90)]);
        let second = lists.list(&view.snapshot(&tenant), Some(&first), later);
        assert_eq!(told(&second), []);
        has(&catalog, &sources[1], None);
        let third = lists.list(&view.snapshot(&tenant), Some(&second), later);
        assert_eq!(told(&third), [("MODIFIED", 80)]);
        // The other way round nobody has it where it was.
        has(&catalog, &sources[1], Some(90));
        let fourth = lists.list(&view.snapshot(&tenant), Some(&third), later);
        assert_eq!(told(&fourth), [("MODIFIED", 90)]);
        has(&catalog, &sources[0], None);
        let fifth = lists.list(&view.snapshot(&tenant), Some(&fourth), later + RETENTION);
        assert_eq!(told(&fifth), []);
        has(&catalog, &sources[1], None);
        let sixth = lists.list(&view.snapshot(&tenant), Some(&fifth), later + RETENTION);
        assert_eq!(told(&sixth), [("DELETED", 90)]);
    }
}
