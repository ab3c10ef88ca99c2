//! What subscribers are given: recent change sets from memory, older ones from the log.
//!
//! A subscriber is a place and a filter; the events are there once for all of them. A change wakes
//! those who follow its service, and those who follow everything.

mod ring;
mod seats;
mod subscription;
mod tenant;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dashmap::DashMap;
use hub_registry_core::TenantId;
use tokio::sync::{Semaphore, watch};

use self::ring::Release;
pub use self::seats::NoSeat;
use self::seats::{Seat, Seats};
pub use self::subscription::{Item, Subscription};
pub(super) use self::tenant::Start;
use self::tenant::Tenant;
use super::change::ChangeSet;
use super::frame::Frame;
use super::id::EventId;
use crate::access::Visible;
use crate::storage::{EventFilter, EventStore};
use crate::telemetry::metrics::Metrics;

/// What a subscriber asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose events.
    pub tenant: TenantId,
    /// Who asks.
    pub user: String,
    /// Which events.
    pub filter: EventFilter,
    /// After which; `None`: after those there are now.
    pub since: Option<EventId>,
}

/// Bounds of the feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedSettings {
    /// So many events of each tenant are kept in memory.
    pub buffer: usize,
    /// So many subscribers read the log at once.
    pub readers: usize,
    /// So many subscribers there are at most.
    pub seats: usize,
    /// So many of them with one tenant and user.
    pub seats_per_user: usize,
}

/// The events of all tenants.
#[derive(Debug)]
pub(super) struct Feed {
    tenants: DashMap<TenantId, Arc<Tenant>>,
    /// The log; `None`: nothing is kept.
    pub(super) store: Option<Arc<dyn EventStore>>,
    readers: Semaphore,
    seats: Seats,
    settings: FeedSettings,
    /// The lowest revision of this run.
    base: i64,
    metrics: Metrics,
}

impl Feed {
    pub(super) fn new(
        store: Option<Arc<dyn EventStore>>,
        settings: FeedSettings,
        base: i64,
        metrics: Metrics,
    ) -> Self {
        let readers = Semaphore::new(settings.readers.max(1));
        let seats = Seats::new(settings.seats, settings.seats_per_user);
        Self { tenants: DashMap::new(), store, readers, seats, settings, base, metrics }
    }

    /// A tenant as the start found it.
    pub(super) fn begin(&self, tenant: &TenantId, start: Start) {
        let new = Arc::new(Tenant::new(start, self.settings.buffer));
        self.tenants.insert(tenant.clone(), new);
    }

    fn tenant(&self, id: &TenantId) -> Arc<Tenant> {
        if let Some(tenant) = self.tenants.get(id) {
            return Arc::clone(&tenant);
        }
        // Nobody knew it when this run began: all there is of it is told.
        let start = Start { base: self.base, quiet: self.base, told: self.base, earlier: Some(0) };
        let make = || Arc::new(Tenant::new(start, self.settings.buffer));
        Arc::clone(&self.tenants.entry(id.clone()).or_insert_with(make))
    }

    /// The tenant's view has this revision now; its events follow.
    pub(super) fn give(&self, tenant: &TenantId, revision: i64) {
        self.tenant(tenant).give(revision);
    }

    /// Lets subscribers have a change set.
    pub(super) fn release(&self, set: &ChangeSet) {
        let tenant = self.tenant(&set.tenant);
        if set.gap {
            tenant.lose(set.revision);
            return;
        }
        let frames: Vec<_> = set.rows.iter().map(|row| Arc::new(Frame::of(row))).collect();
        frames.iter().filter_map(|f| f.kind).for_each(|kind| self.metrics.events.published(kind));
        tenant.release(Release { revision: set.revision, frames });
    }

    /// The events up to this revision are on disk.
    pub(super) fn logged(&self, tenant: &TenantId, revision: i64) {
        self.tenant(tenant).logged.send_replace(revision);
    }

    /// Follows how far a tenant's events are on disk.
    pub(super) fn follow_log(&self, tenant: &TenantId) -> Option<watch::Receiver<i64>> {
        self.tenants.get(tenant).map(|tenant| tenant.logged.subscribe())
    }

    /// The revision that the tenant's view has.
    pub(super) fn given(&self, tenant: &TenantId) -> i64 {
        self.tenants.get(tenant).map_or(self.base, |tenant| tenant.given())
    }

    /// The last revision whose events subscribers were given.
    pub(super) fn told(&self, tenant: &TenantId) -> i64 {
        self.tenants.get(tenant).map_or(self.base, |tenant| tenant.told())
    }

    /// A heartbeat, if somebody asked for them.
    pub(super) fn beat(&self, tenant: &TenantId, frame: impl FnOnce() -> Option<Frame>) {
        let Some(tenant) = self.tenants.get(tenant) else { return };
        if tenant.beats.receiver_count() > 0
            && let Some(frame) = frame()
        {
            // Fails when the last one has just left.
            drop(tenant.beats.send(Arc::new(frame)));
        }
    }

    pub(super) fn subscribe(
        self: &Arc<Self>,
        wanted: Wanted,
        visible: Visible,
    ) -> Result<Subscription, NoSeat> {
        let seat = self.seats.take(&wanted.tenant, &wanted.user)?;
        let (feed, metrics) = (Arc::clone(self), self.metrics.clone());
        let tenant = self.tenant(&wanted.tenant);
        Ok(Subscription::new(feed, tenant, wanted, visible, metrics, seat))
    }

    /// Forgets a tenant that nobody follows and of which nothing was told.
    fn left(&self, tenant: &TenantId) {
        let unused = |_: &TenantId, tenant: &Arc<Tenant>| {
            Arc::strong_count(tenant) <= 2 && tenant.is_idle() && tenant.given() == self.base
        };
        self.tenants.remove_if(tenant, unused);
    }

    /// How many events of all tenants are in memory.
    pub(super) fn buffered(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.buffered()).sum()
    }

    /// How many subscribers there are.
    pub(super) fn subscribers(&self) -> usize {
        self.seats.taken()
    }
}
