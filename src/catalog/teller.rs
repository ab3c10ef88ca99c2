//! Tells what changes in the views: from the writers' change sets to events.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hub_registry_core::{GroupName, TenantId};
use tokio_util::sync::CancellationToken;

use super::change::ChangeSet;
use super::snapshot::Snapshot;
use super::tenant::Tenant;
use super::told::tell;
use super::writer::Catalog;
use crate::error::Result;
use crate::events::{self, Bus, Events, Prints, Restored, Telling, Waiting};
use crate::task::TaskGroup;

/// Where change sets go.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) bus: Arc<Bus<ChangeSet>>,
    pub(super) events: Events,
}

/// Who alone may read what happens in a group: asked for what no commit of the native registry
/// tells.
pub trait Readers: fmt::Debug + Send + Sync + 'static {
    /// Those of the group now; `None`: it is not closed to anybody.
    fn of(&self, tenant: &TenantId, group: &GroupName) -> Option<String>;
}

impl Catalog {
    /// The events that what changes is told to.
    #[must_use]
    pub fn events(&self) -> Option<&Events> {
        self.told.as_ref().map(|told| &told.events)
    }

    /// Begins to tell. The views as they are now are what was found; what is restored later would
    /// be told as if it had happened. Telling ends when the group stops, after what happened by
    /// then.
    ///
    /// # Errors
    /// When the log of events cannot be read or written.
    pub async fn begin_telling(&self, readers: Arc<dyn Readers>, tasks: &TaskGroup) -> Result<()> {
        let Some(Told { bus, events }) = self.told.clone() else { return Ok(()) };
        let found = self.found();
        let quiet = found.iter().map(|found| (found.tenant.clone(), found.revision)).collect();
        let next = |tenant: &TenantId| self.next_revision(tenant);
        let telling = events.begin(found, next, self.metrics.clone(), tasks).await?;
        let teller = Teller { bus, telling, readers, quiet };
        tasks.spawn(teller.run(tasks.stop_signal()));
        Ok(())
    }

    /// Every tenant's view as it is: what is told from now on comes after it.
    fn found(&self) -> Vec<Restored> {
        let found = |tenant: Arc<Tenant>| {
            let desk = tenant.desk.lock();
            let snapshot = tenant.snapshot.load();
            let prints = Prints { view: snapshot.print, native: desk.native_print };
            Restored { tenant: tenant.id.clone(), revision: snapshot.revision, prints }
        };
        self.tenants.all().into_iter().map(found).collect()
    }

    /// Gives out a revision for what changes nothing in the view.
    fn next_revision(&self, id: &TenantId) -> i64 {
        let tenant = self.tenants.get_or_make(id, || self.new_tenant(id));
        let _desk = tenant.desk.lock();
        let mut next = Snapshot::clone(&tenant.snapshot.load());
        next.revision += 1;
        let revision = next.revision;
        self.revisions.note(revision);
        tenant.snapshot.store(Arc::new(next));
        revision
    }
}

struct Teller {
    bus: Arc<Bus<ChangeSet>>,
    telling: Telling,
    readers: Arc<dyn Readers>,
    /// What happened up to these revisions was found, not told.
    quiet: HashMap<TenantId, i64>,
}

impl Teller {
    async fn run(self, stop: CancellationToken) {
        loop {
            let waiting = tokio::select! {
                waiting = self.bus.take() => waiting,
                () = stop.cancelled() => break,
            };
            self.tell(waiting).await;
        }
        self.tell(self.bus.take_now()).await;
    }

    async fn tell(&self, waiting: Waiting<ChangeSet>) {
        let is_new =
            |set: &ChangeSet| self.quiet.get(&set.tenant).is_none_or(|found| set.revision > *found);
        let new = waiting.loads.into_iter().filter(is_new);
        let mut sets: Vec<_> = new.map(|set| tell(set, &*self.readers)).collect();
        for (tenant, last) in waiting.lost {
            tracing::error!(tenant.id = %tenant, revision = last.revision, "changes came faster \
                than they could be told: subscribers are told to begin anew");
            sets.push(events::ChangeSet { gap: true, ..tell(last, &*self.readers) });
        }
        if !sets.is_empty() {
            self.telling.tell(sets).await;
        }
    }
}
