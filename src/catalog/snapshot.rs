//! An immutable state of a tenant's view.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use hub_registry_core::{HealthStatus, InstanceStatus, ServiceKey, ServiceName};
use rpds::HashTrieMapSync;

use super::answer::{self, HeadWriter};
use super::attributes::Attributes;
use super::folded::Folded;
use super::groups::Groups;
use super::merge::Row;
use super::tail::SourceSet;
use crate::balance::Picks;
use crate::http::gzip::GzipHead;
use crate::model::print::Print;

/// A tenant's view at one revision. Cloning it, or changing a service in a clone, costs the same
/// whatever the number of services.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The revision of the last change.
    pub revision: i64,
    /// Every service, by name, then group.
    pub services: HashTrieMapSync<ServiceName, Groups>,
    folded: Folded,
    /// How many rows there are.
    pub instances: usize,
    /// The print of all services and rows.
    pub print: Print,
    /// When services that are no more left, by name in lower case, as long as few enough did: whoever
    /// found `web` as `WEB` asks for `WEB` when it left, and its index must not fall.
    gone: HashTrieMapSync<String, i64>,
    /// Names in neither map are taken to have last changed here.
    gone_floor: i64,
}

/// How many departed names are remembered one by one.
const MAX_GONE: usize = 10_000;

impl Snapshot {
    /// A view in which nothing changed yet.
    #[must_use]
    pub fn starting_at(revision: i64) -> Self {
        Self { revision, gone_floor: revision, ..Self::default() }
    }

    /// One service.
    #[must_use]
    pub fn service(&self, key: &ServiceKey) -> Option<&Arc<ServiceView>> {
        self.services.get(&key.name)?.get(&key.group)
    }

    /// Sets or removes one service.
    pub fn set(&mut self, key: &ServiceKey, view: Option<Arc<ServiceView>>) {
        let groups = self.services.get(&key.name).cloned().unwrap_or_default();
        let before = groups.get(&key.group);
        self.instances -= before.map_or(0, |view| view.rows.len());
        self.print -= before.map(|view| view.print).unwrap_or_default();
        self.instances += view.as_ref().map_or(0, |view| view.rows.len());
        self.print += view.as_ref().map(|view| view.print).unwrap_or_default();
        if view.is_none() {
            self.remember(&key.name);
        }
        let groups = groups.with(&key.group, view);
        if groups.is_empty() {
            self.services.remove_mut(&key.name);
            self.folded.remove(&key.name);
        } else {
            self.services.insert_mut(key.name.clone(), groups);
            self.folded.insert(&key.name);
        }
    }

    /// The names that are this one but for their case, sorted.
    #[must_use]
    pub fn named(&self, text: &str) -> Vec<ServiceName> {
        let lower = text.to_lowercase();
        let plain = ServiceName::parse(&lower).ok();
        let plain = plain.filter(|name| self.services.contains_key(name));
        let mut names: Vec<_> = self.folded.of(&lower).iter().cloned().chain(plain).collect();
        names.sort();
        names
    }

    /// How many services there are.
    #[must_use]
    pub fn service_count(&self) -> usize {
        self.services.values().map(|groups| groups.len()).sum()
    }

    /// The revision at which a service of this name last left; for one that never was, that of
    /// the beginning.
    #[must_use]
    pub fn gone_at(&self, name: &ServiceName) -> i64 {
        self.gone.get(&name.as_str().to_lowercase()).copied().unwrap_or(self.gone_floor)
    }

    /// The revision at which a group of a name that is still there left; 0: none did.
    #[must_use]
    pub fn left_at(&self, name: &ServiceName) -> i64 {
        self.gone.get(&name.as_str().to_lowercase()).copied().unwrap_or_default()
    }

    fn remember(&mut self, name: &ServiceName) {
        if self.gone.size() >= MAX_GONE {
            // A reader that waits for an unknown name is woken once for nothing. Names that other
            // groups still hold are kept: their readers' index must not fall.
            let kept = self.gone.iter().filter(|(name, _)| !self.named(name).is_empty());
            self.gone = kept.map(|(name, at)| (name.clone(), *at)).collect();
            self.gone_floor = self.revision;
        }
        self.gone.insert_mut(name.as_str().to_lowercase(), self.revision);
    }

    /// Every service, sorted by name, then group.
    #[must_use]
    pub fn sorted(&self) -> Vec<Arc<ServiceView>> {
        let mut all: Vec<_> =
            self.services.values().flat_map(|groups| groups.values().cloned()).collect();
        all.sort_by(|a, b| (&a.key.name, &a.key.group).cmp(&(&b.key.name, &b.key.group)));
        all
    }
}

/// One service as readers see it, with its common answers made beforehand.
#[derive(Debug)]
pub struct ServiceView {
    /// Which service.
    pub key: ServiceKey,
    /// The revision of its last change.
    pub revision: i64,
    /// Its instances, sorted by key.
    pub rows: Vec<Arc<Row>>,
    /// Settings that change how it is answered.
    pub attributes: Attributes,
    /// Who contributes.
    pub sources: Arc<SourceSet>,
    /// Whose turn it is; handed on from revision to revision, gone with the service.
    pub picks: Arc<Picks>,
    /// The head of the answer with every instance.
    pub all: Prepared,
    /// The head of the answer for `status=UP&health=HEALTHY`.
    pub up: Prepared,
    /// The print of the service and its rows.
    pub print: Print,
    /// Where the rows stand in the head of all.
    ranges: Vec<Range<usize>>,
}

/// The head of an answer, and its compressed form once somebody asked for it.
#[derive(Debug)]
pub struct Prepared {
    /// As [`answer::head`] made it.
    pub head: Bytes,
    gzip: ArcSwapOption<GzipHead>,
}

impl Prepared {
    fn new(head: Bytes) -> Self {
        Self { head, gzip: ArcSwapOption::empty() }
    }

    /// The compressed head.
    #[must_use]
    pub fn gzip_head(&self) -> Arc<GzipHead> {
        if let Some(head) = &*self.gzip.load() {
            return Arc::clone(head);
        }
        let head = Arc::new(GzipHead::new(&self.head));
        self.gzip.store(Some(Arc::clone(&head)));
        head
    }
}

impl ServiceView {
    /// Makes the answers. What `before` wrote of a row that is the same is copied.
    #[must_use]
    pub fn new(
        key: ServiceKey,
        revision: i64,
        rows: Vec<Arc<Row>>,
        attributes: Attributes,
        sources: Arc<SourceSet>,
        before: Option<&Self>,
    ) -> Self {
        let picks = before.map(|view| Arc::clone(&view.picks)).unwrap_or_default();
        // One new row, likely, of the usual length.
        let about = before.map_or(rows.len() * 512, |view| view.all.head.len()) + 1024;
        let mut all = HeadWriter::new(about);
        let mut ranges = Vec::with_capacity(rows.len());
        let mut written = before.into_iter().flat_map(|view| view.rows.iter().enumerate());
        let mut next = written.next();
        for row in &rows {
            while next.is_some_and(|(_, old)| old.key() < row.key()) {
                next = written.next();
            }
            ranges.push(all.row(|out| match (next, before) {
                (Some((index, old)), Some(before)) if Arc::ptr_eq(old, row) => {
                    out.extend_from_slice(before.row_json(index));
                }
                _ => answer::write_row(row, out),
            }));
        }
        let all = all.finish(revision, false);
        let protected = is_protected(&rows, &attributes);
        let selected = |row: &Row| is_up(row, !protected);
        let up = if !protected && rows.iter().all(|row| selected(row)) {
            all.clone()
        } else {
            let wanted = rows.iter().zip(&ranges).filter(|(row, _)| selected(row));
            answer::head(wanted.map(|(_, range)| &all[range.clone()]), revision, protected)
        };
        let (all, up) = (Prepared::new(all), Prepared::new(up));
        let print = rows.iter().fold(Print::service(&key), |sum, row| sum + row.print);
        Self { key, revision, rows, attributes, sources, picks, all, up, print, ranges }
    }

    /// The JSON of the row at this place.
    #[must_use]
    pub fn row_json(&self, index: usize) -> &[u8] {
        &self.all.head[self.ranges[index].clone()]
    }

    /// How many instances are healthy.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.rows.iter().filter(|row| row.instance.health == HealthStatus::Healthy).count()
    }

    /// How the share of so many well ones of all that count compares with `protectThreshold`. `None`:
    /// none is set, or nobody counts. Who counts, and as well, is the reader's to say.
    #[must_use]
    pub fn against_threshold(&self, well: usize, all: usize) -> Option<Ordering> {
        self.attributes.against_threshold(well, all)
    }

    /// Whether the healthy share is so small that the health filter is lifted.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        is_protected(&self.rows, &self.attributes)
    }
}

fn is_up(row: &Row, by_health: bool) -> bool {
    row.instance.status == InstanceStatus::Up
        && (!by_health || row.instance.health == HealthStatus::Healthy)
}

fn is_protected(rows: &[Arc<Row>], attributes: &Attributes) -> bool {
    let healthy = rows.iter().filter(|row| row.instance.health == HealthStatus::Healthy).count();
    attributes.against_threshold(healthy, rows.len()) == Some(Ordering::Less)
}
