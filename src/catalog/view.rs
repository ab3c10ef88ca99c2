//! The readers' door.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{GroupName, ServiceName, TenantId};
use tokio::time::Instant;

use super::answer::{self, Answer, Freshness};
use super::groups::Groups;
use super::query::InstanceFilter;
use super::snapshot::{Prepared, ServiceView, Snapshot};
use super::source::SourceCell;
use super::tail::{SourceSet, Sources};
use super::tenant::{Tenant, Tenants};
use crate::access::Visible;

/// Which group a reader means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChoice {
    /// None said: `DEFAULT_GROUP` if it holds the name, else the only group that does.
    Unsaid,
    /// This one.
    Named(GroupName),
    /// All groups together (`*`).
    All,
}

impl GroupChoice {
    /// Whether a list takes this group in.
    #[must_use]
    pub fn takes(&self, group: &GroupName) -> bool {
        match self {
            Self::Named(named) => named == group,
            Self::Unsaid | Self::All => true,
        }
    }
}

/// What a look-up found, and when that last changed: both of one snapshot, so that no change falls
/// in between.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What is there.
    pub found: Found,
    /// The revision at which what is known of the name last changed: what a reader waits from.
    pub index: i64,
    /// Where nothing was found, the sources that were never heard then and might know it: while
    /// there are any, "unknown" is not "does not exist".
    pub unheard: Vec<Arc<SourceCell>>,
}

/// What a look-up found.
#[derive(Clone, Debug)]
pub enum Found {
    /// One service.
    One(Arc<ServiceView>),
    /// The services of this name in all groups.
    Several(Vec<Arc<ServiceView>>),
    /// No group was said, and several (not the default one) hold the name.
    Ambiguous(Vec<GroupName>),
    /// Nobody knows it.
    Unknown,
}

impl Found {
    /// Whether there is no service in it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Several(views) => views.is_empty(),
            Self::One(_) | Self::Ambiguous(_) => false,
        }
    }
}

/// The readers' side of the view: lock-free look-ups in the current snapshot.
#[derive(Clone, Debug)]
pub struct View {
    tenants: Arc<Tenants>,
    base: i64,
}

impl View {
    pub(super) fn new(tenants: Arc<Tenants>, base: i64) -> Self {
        Self { tenants, base }
    }

    /// Looks a service up in the groups that are visible; the others are as if they were not.
    #[must_use]
    pub fn look(
        &self,
        tenant: &TenantId,
        name: &ServiceName,
        group: &GroupChoice,
        visible: &Visible,
    ) -> Looked {
        let Some(tenant) = self.tenants.get(tenant.as_str()) else {
            return Looked { found: Found::Unknown, index: self.base, unheard: Vec::new() };
        };
        let looked = look(&tenant.snapshot.load(), name, group, visible);
        if !looked.found.is_nothing() {
            return looked;
        }
        let unheard = tenant.sources.unloaded();
        // Whoever was heard in between is in the snapshot that is there now.
        Looked { unheard, ..look(&tenant.snapshot.load(), name, group, visible) }
    }

    /// The current snapshot of a tenant; an empty one if nothing was ever written for it.
    #[must_use]
    pub fn snapshot(&self, tenant: &TenantId) -> Arc<Snapshot> {
        let empty = || Arc::new(Snapshot::starting_at(self.base));
        self.tenants.get(tenant.as_str()).map_or_else(empty, |tenant| tenant.snapshot.load_full())
    }

    /// Every tenant with its current snapshot.
    #[must_use]
    pub fn all(&self) -> Vec<(TenantId, Arc<Snapshot>)> {
        let tenants = self.tenants.all();
        tenants.into_iter().map(|t| (t.id.clone(), t.snapshot.load_full())).collect()
    }

    /// The sources of a tenant, in the order of origins.
    #[must_use]
    pub fn sources(&self, tenant: &TenantId) -> Arc<Vec<Arc<SourceCell>>> {
        self.tenants.get(tenant.as_str()).map_or_else(Arc::default, |tenant| tenant.sources.all())
    }

    /// The sources of a tenant that never said anything: while there are any, "unknown" is not
    /// "does not exist".
    #[must_use]
    pub fn unloaded(&self, tenant: &TenantId) -> Vec<Arc<SourceCell>> {
        let tenant = self.tenants.get(tenant.as_str());
        tenant.map_or_else(Vec::new, |tenant| tenant.sources.unloaded())
    }

    /// The answer with the instances that pass the filter. The two common filters are answered
    /// with bytes made beforehand.
    ///
    /// `index` is the answer's revision. It is above that of the services found when a group of
    /// the name left.
    #[must_use]
    pub fn answer(
        &self,
        tenant: &TenantId,
        found: &[Arc<ServiceView>],
        filter: &InstanceFilter,
        index: i64,
    ) -> Answer {
        if let [view] = found
            && view.revision == index
        {
            if filter.is_everything() {
                return self.prepared(tenant, view, |view| &view.all);
            }
            if filter.is_up_and_healthy() {
                return self.prepared(tenant, view, |view| &view.up);
            }
        }
        self.answer_of(tenant, found, &select(found, filter), index)
    }

    /// The answer with just these rows, in this order.
    #[must_use]
    pub fn answer_of(
        &self,
        tenant: &TenantId,
        found: &[Arc<ServiceView>],
        selection: &Selection,
        revision: i64,
    ) -> Answer {
        let rows = selection.rows.iter().map(|&(view, row)| found[view].row_json(row));
        let head = answer::head(rows, revision, selection.protected);
        self.complete(tenant, found, head, revision)
    }

    /// How fresh an answer about these services would be.
    #[must_use]
    pub fn freshness(&self, tenant: &TenantId, found: &[Arc<ServiceView>]) -> Freshness {
        self.complete(tenant, found, bytes::Bytes::new(), 0).freshness
    }

    fn prepared(
        &self,
        tenant: &TenantId,
        view: &Arc<ServiceView>,
        which: fn(&ServiceView) -> &Prepared,
    ) -> Answer {
        let head = which(view).head.clone();
        let answer = self.complete(tenant, std::slice::from_ref(view), head, view.revision);
        Answer { prepared: Some((Arc::clone(view), which)), ..answer }
    }

    fn complete(
        &self,
        tenant: &TenantId,
        found: &[Arc<ServiceView>],
        head: bytes::Bytes,
        revision: i64,
    ) -> Answer {
        let no_sources = Sources::default();
        let tenant = self.tenants.get(tenant.as_str());
        let sources = tenant.as_ref().map_or(&no_sources, |tenant| &tenant.sources);
        let tail = match found {
            [view] => view.sources.tail(sources),
            _ => union(found).tail(sources),
        };
        Answer {
            head,
            tail: tail.bytes.clone(),
            etag: format!("W/\"{revision}-{:x}\"", tail.states),
            revision,
            freshness: tail.freshness,
            prepared: None,
        }
    }

    /// Waits until what is known of this name changed after `index`, at most `wait`. An index
    /// from the future is answered at once.
    pub async fn wait(
        &self,
        tenant: &TenantId,
        name: &ServiceName,
        (group, visible): (&GroupChoice, &Visible),
        given: i64,
        wait: Duration,
    ) {
        let deadline = Instant::now() + wait;
        let tenant = loop {
            let grown = self.tenants.grown.notified();
            tokio::pin!(grown);
            grown.as_mut().enable();
            if let Some(tenant) = self.tenants.get(tenant.as_str()) {
                break tenant;
            }
            if given != self.base || tokio::time::timeout_at(deadline, grown).await.is_err() {
                return;
            }
        };
        wait_in(&tenant, name, (group, visible), given, deadline).await;
    }

    /// Waits until anything changed after this revision, at most until then.
    pub async fn wait_for_any(&self, tenant: &TenantId, revision: i64, deadline: Instant) {
        let grown = self.tenants.grown.notified();
        tokio::pin!(grown);
        grown.as_mut().enable();
        let Some(tenant) = self.tenants.get(tenant.as_str()) else {
            tokio::time::timeout_at(deadline, grown).await.ok();
            return;
        };
        loop {
            let changed = tenant.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if tenant.snapshot.load().revision > revision
                || tokio::time::timeout_at(deadline, changed).await.is_err()
            {
                return;
            }
        }
    }

    /// How many names are being waited for, over all tenants.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.tenants.all().iter().map(|tenant| tenant.waiters.len()).sum()
    }
}

async fn wait_in(
    tenant: &Tenant,
    name: &ServiceName,
    (group, visible): (&GroupChoice, &Visible),
    given: i64,
    deadline: Instant,
) {
    let place = tenant.waiters.join(name);
    loop {
        let woken = place.notify.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        let snapshot = tenant.snapshot.load_full();
        if given > snapshot.revision || look(&snapshot, name, group, visible).index > given {
            return;
        }
        if tokio::time::timeout_at(deadline, woken).await.is_err() {
            return;
        }
    }
}

/// Rows of several services: which service, which row.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Places of services and of rows in them.
    pub rows: Vec<(usize, usize)>,
    /// A health filter was lifted.
    pub protected: bool,
}

/// The rows that pass the filter.
#[must_use]
pub fn select(found: &[Arc<ServiceView>], filter: &InstanceFilter) -> Selection {
    let mut selection = Selection::default();
    for (place, view) in found.iter().enumerate() {
        let lifted = filter.health.is_some() && view.is_protected();
        selection.protected |= lifted;
        let rows = view.rows.iter().enumerate();
        let passing = rows.filter(|(_, row)| filter.matches(row, lifted));
        selection.rows.extend(passing.map(|(row, _)| (place, row)));
    }
    selection
}

fn look(snapshot: &Snapshot, name: &ServiceName, group: &GroupChoice, visible: &Visible) -> Looked {
    match snapshot.services.get(name.as_str()) {
        None => {
            let index = snapshot.gone_at(name);
            Looked { found: Found::Unknown, index, unheard: Vec::new() }
        }
        Some(groups) => {
            let found = find(groups, group, visible);
            let index = index(snapshot, name, (groups, group), visible, &found);
            Looked { found, index, unheard: Vec::new() }
        }
    }
}

fn find(groups: &Groups, group: &GroupChoice, visible: &Visible) -> Found {
    let one = |group: &GroupName| match groups.get(group).filter(|_| visible.sees(group)) {
        Some(view) => Found::One(Arc::clone(view)),
        None => Found::Unknown,
    };
    let seen = || groups.iter().filter(|(group, _)| visible.sees(group));
    match group {
        GroupChoice::Named(group) => one(group),
        GroupChoice::All => Found::Several(seen().map(|(_, view)| Arc::clone(view)).collect()),
        GroupChoice::Unsaid => match one(&GroupName::default_group()) {
            Found::Unknown => {
                let mut all = seen();
                match (all.next(), all.next()) {
                    (None, _) => Found::Unknown,
                    (Some((_, view)), None) => Found::One(Arc::clone(view)),
                    _ => Found::Ambiguous(seen().map(|(group, _)| group.clone()).collect()),
                }
            }
            found => found,
        },
    }
}

/// The revision a reader of this name waits from. A group that left counts, since it changes what
/// a reader who named no group, or all, is answered.
fn index(
    snapshot: &Snapshot,
    name: &ServiceName,
    (groups, group): (&Groups, &GroupChoice),
    visible: &Visible,
    found: &Found,
) -> i64 {
    let seen = || groups.iter().filter(|(group, _)| visible.sees(group));
    let newest = || seen().map(|(_, view)| view.revision).max().unwrap_or_default();
    match (found, group) {
        (Found::Unknown, _) => snapshot.gone_at(name),
        (Found::One(view), GroupChoice::Named(_)) => view.revision,
        (Found::One(view), _) => view.revision.max(snapshot.left_at(name)),
        (Found::Several(_) | Found::Ambiguous(_), _) => newest().max(snapshot.left_at(name)),
    }
}

fn union(found: &[Arc<ServiceView>]) -> SourceSet {
    let mut cells: Vec<Arc<SourceCell>> = Vec::new();
    for cell in found.iter().flat_map(|view| view.sources.cells()) {
        if !cells.iter().any(|known| Arc::ptr_eq(known, cell)) {
            cells.push(Arc::clone(cell));
        }
    }
    cells.sort_by_key(|cell| cell.info.rank());
    SourceSet::new(cells)
}
