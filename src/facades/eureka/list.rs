//! All applications of a tenant, and what changed of late: made anew from the snapshot when it has
//! moved on since somebody last asked for all. One application alone costs no more than it has
//! instances. Applications that are the same stay as they were written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use dashmap::DashMap;
use hub_registry_core::{GroupName, InstanceKey};
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

/// A change that deltas tell of.
#[derive(Clone, Debug)]
struct Recent {
    at: Instant,
    action: &'static str,
    row: Arc<Row>,
}

/// By application, then instance.
type Recents = BTreeMap<String, BTreeMap<InstanceKey, Recent>>;

/// The applications as of one revision.
#[derive(Debug)]
pub(super) struct List {
    revision: i64,
    apps: BTreeMap<String, Arc<App>>,
    recents: Recents,
}

/// The applications of a tenant.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// As they were last written.
    written: DashMap<String, Arc<App>>,
    current: ArcSwapOption<List>,
    turn: Mutex<()>,
}

impl Lists {
    /// One application, by its name in upper case.
    pub(super) fn app(&self, snapshot: &Snapshot, name: &str) -> Option<Arc<App>> {
        let mut views = views(snapshot, name);
        // As a Eureka has it, an application without instances is none.
        views.retain(|view| !view.rows.is_empty());
        (!views.is_empty()).then(|| self.written(name, views))
    }

    fn written(&self, name: &str, views: Vec<Arc<ServiceView>>) -> Arc<App> {
        if let Some(known) = self.written.get(name).filter(|known| known.is_of(&views)) {
            return Arc::clone(&known);
        }
        let app = Arc::new(App::new(name.to_owned(), views));
        self.written.insert(name.to_owned(), Arc::clone(&app));
        app
    }

    /// The list of this snapshot, or of a later one.
    pub(super) fn all(&self, snapshot: &Snapshot) -> Arc<List> {
        let is_good = |list: &Arc<List>| list.revision >= snapshot.revision;
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
        self.written.retain(|name, _| list.apps.contains_key(name));
        self.current.store(Some(Arc::clone(&list)));
        list
    }

    fn list(&self, snapshot: &Snapshot, before: Option<&List>, now: Instant) -> List {
        let mut all: HashMap<String, Vec<Arc<ServiceView>>> = HashMap::new();
        for view in snapshot.services.values().flat_map(|groups| groups.values()) {
            if !view.rows.is_empty() {
                all.entry(render::app_of(&view.key)).or_default().push(Arc::clone(view));
            }
        }
        let mut recents = before.map(|list| list.recents.clone()).unwrap_or_default();
        for changes in recents.values_mut() {
            changes.retain(|_, recent| now.duration_since(recent.at) < RETENTION);
        }
        recents.retain(|_, changes| !changes.is_empty());
        let mut apps = BTreeMap::new();
        for (name, mut views) in all {
            views.sort_by(|a, b| a.key.name.cmp(&b.key.name));
            let known = before.and_then(|list| list.apps.get(&name));
            let app = self.written(&name, views);
            if known.is_none_or(|known| !Arc::ptr_eq(known, &app)) {
                note(&mut recents, known.map(AsRef::as_ref), Some(&app), now);
            }
            apps.insert(name, app);
        }
        for (name, gone) in before.iter().flat_map(|list| &list.apps) {
            if !apps.contains_key(name) {
                note(&mut recents, Some(gone), None, now);
            }
        }
        List { revision: snapshot.revision, apps, recents }
    }
}

/// The services that are this application, with instances or without, sorted by name.
pub(super) fn views(snapshot: &Snapshot, app: &str) -> Vec<Arc<ServiceView>> {
    let in_group = |name: &str, group: &dyn Fn(&GroupName) -> bool| {
        let names = snapshot.named(name).into_iter();
        let all = names.filter_map(|name| snapshot.services.get(&name));
        let views = all.flat_map(|groups| groups.values().cloned().collect::<Vec<_>>());
        views.filter(|view| group(&view.key.group)).collect::<Vec<_>>()
    };
    let mut found = in_group(app, &|group| *group == GroupName::default_group());
    // Another group's may have the same name by chance; the list has both too.
    if let Some((group, name)) = split(app) {
        found.extend(in_group(name, &|other| {
            *other != GroupName::default_group() && other.as_str().to_uppercase() == group
        }));
    }
    found.sort_by(|a, b| a.key.name.cmp(&b.key.name));
    found
}

impl List {
    /// Those that may be seen, by name.
    pub(super) fn apps<'l>(&'l self, visible: &'l Visible) -> impl Iterator<Item = &'l Arc<App>> {
        self.apps.values().filter(|app| sees(visible, app))
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

    /// The applications with what changed in them within the last three minutes.
    pub(super) fn delta(&self, form: Form, visible: &Visible) -> Vec<Piece> {
        let seen = self.recents.iter().filter(|(_, changes)| {
            let first = changes.keys().next();
            first.is_some_and(|key| visible.sees(&key.service.group))
        });
        let rows = |changes: &'_ BTreeMap<InstanceKey, Recent>| {
            changes
                .values()
                .map(|recent| (Arc::clone(&recent.row), recent.action))
                .collect::<Vec<_>>()
        };
        seen.map(|(name, changes)| {
            let rows = rows(changes);
            write(form, name, rows.iter().map(|(row, action)| (&**row, *action)))
        })
        .collect()
    }
}

/// Whether it may be read.
pub(super) fn sees(visible: &Visible, app: &App) -> bool {
    app.group().is_some_and(|group| visible.sees(group))
}

/// Notes what became of an application's instances.
fn note(recents: &mut Recents, before: Option<&App>, after: Option<&App>, now: Instant) {
    let rows = |app: Option<&App>| -> BTreeMap<InstanceKey, Arc<Row>> {
        let rows = app.into_iter().flat_map(App::rows);
        rows.map(|row| (row.key().clone(), Arc::clone(row))).collect()
    };
    let Some(name) = after.or(before).map(|app| app.name.clone()) else { return };
    let (mut old, new) = (rows(before), rows(after));
    let changes = recents.entry(name).or_default();
    let mut add = |key: &InstanceKey, action, row: &Arc<Row>| {
        changes.insert(key.clone(), Recent { at: now, action, row: Arc::clone(row) });
    };
    for (key, row) in &new {
        match old.remove(key) {
            None => add(key, "ADDED", row),
            Some(before) if Arc::ptr_eq(&before, row) => {}
            Some(_) => add(key, "MODIFIED", row),
        }
    }
    for (key, row) in &old {
        add(key, "DELETED", row);
    }
    if changes.is_empty() {
        recents.retain(|_, changes| !changes.is_empty());
    }
}
