//! From what the sources say of a service to the rows a reader sees. Pure: the same input gives
//! the same rows, whatever the order of arrival.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use hub_registry_core::{
    HealthStatus, Instance, InstanceKey, InstanceStatus, RegistryKind, TenantId,
};

use super::shelf::Entry;
use super::source::{Conflict, SourceInfo};
use crate::model::names::InstanceId;
use crate::model::print::Print;

/// What one source says of one service.
#[derive(Clone, Debug)]
pub(super) struct Contribution<'a> {
    /// Who says it.
    pub source: &'a SourceInfo,
    /// Its name, once for all rows it has a part in.
    name: Arc<str>,
    /// Whether it is LIVE or PROTECTED.
    pub current: bool,
    /// Its instances of the service.
    pub entries: &'a [Entry],
}

impl<'a> Contribution<'a> {
    pub(super) fn new(source: &'a SourceInfo, current: bool, entries: &'a [Entry]) -> Self {
        Self { source, name: Arc::from(source.name.as_str()), current, entries }
    }
}

/// One source's part in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginRow {
    /// The source's name.
    pub source: Arc<str>,
    /// Its kind.
    pub kind: RegistryKind,
    /// When it last changed this instance, in milliseconds since 1970.
    pub observed_at: i64,
    /// What it says itself.
    pub instance: Arc<Instance>,
}

/// Who has a part in a row. Most rows have one origin, which is in the row itself.
#[derive(Clone, Debug)]
pub enum Origins {
    /// One source alone.
    One(OriginRow),
    /// Several sources, or none yet.
    Several(Box<[OriginRow]>),
}

impl Deref for Origins {
    type Target = [OriginRow];

    fn deref(&self) -> &[OriginRow] {
        match self {
            Self::One(origin) => std::slice::from_ref(origin),
            Self::Several(origins) => origins,
        }
    }
}

impl PartialEq for Origins {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl FromIterator<OriginRow> for Origins {
    fn from_iter<I: IntoIterator<Item = OriginRow>>(origins: I) -> Self {
        let mut origins = origins.into_iter();
        match (origins.next(), origins.next()) {
            (Some(only), None) => Self::One(only),
            (first, second) => {
                Self::Several(first.into_iter().chain(second).chain(origins).collect())
            }
        }
    }
}

/// One instance as readers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The same in every source, node and restart.
    pub id: InstanceId,
    /// The fields of the first origin, with its merged metadata and tags and the row's states.
    pub instance: Arc<Instance>,
    /// Every origin is waiting for it to return.
    pub held: bool,
    /// Who knows it, in the order of origins; never empty.
    pub origins: Origins,
    /// The print of all this but the times.
    pub print: Print,
}

impl Row {
    /// Service and address.
    #[must_use]
    pub fn key(&self) -> &InstanceKey {
        &self.instance.key
    }

    /// Whether traffic is to be sent there: it is up, and not known to be sick unless its service
    /// is so sick that health is no help.
    #[must_use]
    pub fn is_usable(&self, lift_health: bool) -> bool {
        self.instance.status == InstanceStatus::Up
            && (lift_health || self.instance.health != HealthStatus::Unhealthy)
    }

    /// Whether this entry of this source is all that the row is made of.
    fn is_just(&self, source: &SourceInfo, entry: &Entry) -> bool {
        let [origin] = &self.origins[..] else { return false };
        Arc::ptr_eq(&origin.instance, &entry.instance)
            && Arc::ptr_eq(&self.instance, &entry.instance)
            && origin.observed_at == entry.observed_at
            && *origin.source == *source.name
            && origin.kind == source.kind
            && self.held == entry.hold.is_some()
    }

    /// The same row but for the times at which origins last changed.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        let plain = |origin: &OriginRow| (Arc::clone(&origin.source), Arc::clone(&origin.instance));
        self.held == other.held
            && self.instance == other.instance
            && self.origins.iter().map(plain).eq(other.origins.iter().map(plain))
    }
}

/// Merges the contributions to one service, given in any order, into rows sorted by key.
///
/// The first origin in rank order gives all fields; metadata and tags are its own plus what each
/// `merge` source adds, in that order. The states come from the first origin that is current and
/// not holding the instance, so that a stale winner never hides a live one's health.
///
/// `before`: the rows there were, sorted too. One whose only origin still says the same is used
/// again as it is, so that whoever compares rows need not look into it.
#[must_use]
pub(super) fn merge(
    tenant: &TenantId,
    contributions: &[Contribution<'_>],
    before: &[Arc<Row>],
) -> Vec<Arc<Row>> {
    let mut order: Vec<_> = contributions.iter().collect();
    order.sort_by_key(|contribution| contribution.source.rank());
    let mut before = Sorted::new(before);
    if let [only] = order[..] {
        // Most services are known to one source, whose entries are in order already.
        let rows = only.entries.iter().map(|entry| {
            row(tenant, &entry.instance.key, &[(only, entry)], before.find(&entry.instance.key))
        });
        return rows.collect();
    }
    let mut by_key: BTreeMap<&InstanceKey, Vec<(&Contribution<'_>, &Entry)>> = BTreeMap::new();
    for contribution in order {
        for entry in contribution.entries {
            by_key.entry(&entry.instance.key).or_default().push((contribution, entry));
        }
    }
    let rows = by_key.into_iter();
    rows.map(|(key, origins)| row(tenant, key, &origins, before.find(key))).collect()
}

/// Rows in the order of their keys, asked for in that order.
pub(super) struct Sorted<'a>(&'a [Arc<Row>]);

impl<'a> Sorted<'a> {
    pub(super) fn new(rows: &'a [Arc<Row>]) -> Self {
        Self(rows)
    }

    /// The row of this key, which is above all that were asked for before.
    pub(super) fn find(&mut self, key: &InstanceKey) -> Option<&'a Arc<Row>> {
        while let [first, rest @ ..] = self.0 {
            match first.key().cmp(key) {
                Ordering::Greater => return None,
                Ordering::Equal => return Some(first),
                Ordering::Less => self.0 = rest,
            }
        }
        None
    }
}

fn row(
    tenant: &TenantId,
    key: &InstanceKey,
    origins: &[(&Contribution<'_>, &Entry)],
    before: Option<&Arc<Row>>,
) -> Arc<Row> {
    if let ([(contribution, entry)], Some(before)) = (origins, before)
        && before.is_just(contribution.source, entry)
    {
        return Arc::clone(before);
    }
    let first = &origins[0].1.instance;
    let speaks = |(c, entry): &&(&Contribution<'_>, &Entry)| c.current && entry.hold.is_none();
    let states = origins.iter().find(speaks).map_or((first.status, first.health), |(_, entry)| {
        (entry.instance.status, entry.instance.health)
    });
    let instance = joined(first, states, &origins[1..]);
    let held = origins.iter().all(|(_, entry)| entry.hold.is_some());
    let said = |(contribution, entry): &(&Contribution<'_>, &Entry)| OriginRow {
        source: Arc::clone(&contribution.name),
        kind: contribution.source.kind,
        observed_at: entry.observed_at,
        instance: Arc::clone(&entry.instance),
    };
    let origins: Origins = origins.iter().map(said).collect();
    let print = match &origins[..] {
        [only] if !held => Print::instance(&only.source, &instance),
        several => {
            let said = several.iter().map(|origin| (&*origin.source, &*origin.instance));
            Print::shared(&instance, held, said)
        }
    };
    let id = before.map_or_else(|| InstanceId::of(tenant, key), |row| row.id);
    Arc::new(Row { id, instance, held, origins, print })
}

/// The first origin's instance; a copy of it is made only when something differs.
fn joined(
    first: &Arc<Instance>,
    (status, health): (InstanceStatus, HealthStatus),
    others: &[(&Contribution<'_>, &Entry)],
) -> Arc<Instance> {
    let mut instance = Arc::clone(first);
    if (status, health) != (first.status, first.health) {
        let copy = Arc::make_mut(&mut instance);
        (copy.status, copy.health) = (status, health);
    }
    for (contribution, entry) in others {
        if contribution.source.conflict != Conflict::Merge {
            continue;
        }
        let added = &entry.instance;
        if added.metadata.keys().any(|key| !instance.metadata.contains_key(key)) {
            Arc::make_mut(&mut instance).metadata.add_all(added.metadata.clone());
        }
        let known: BTreeSet<&String> = instance.tags.iter().collect();
        let new: Vec<_> = added.tags.iter().filter(|tag| !known.contains(tag)).collect();
        if !new.is_empty() {
            let all = instance.tags.iter().chain(new).cloned().collect();
            Arc::make_mut(&mut instance).tags = all;
        }
    }
    instance
}
