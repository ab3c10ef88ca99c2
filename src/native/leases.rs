//! Who was heard when, and what is due.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use hub_registry_core::{HealthStatus, TenantId};
use tokio::time::Instant;

use crate::clock;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;

/// A lease is looked at no later than this after the last look, whatever its length: that is when
/// its last heartbeat is written.
const LOOK: u64 = 30_000;
/// An instance is removed after this many leases without a heartbeat.
const EXPIRES_AFTER: u64 = 3;

/// One instance's lease. Times are milliseconds of [`Leases::now`].
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) tenant: TenantId,
    pub(super) id: InstanceId,
    seconds: AtomicU32,
    /// Whether heartbeats decide on its health and life at all.
    counts: AtomicBool,
    ephemeral: AtomicBool,
    /// The last heartbeat; 0: none since the start.
    heard: AtomicU64,
    /// The last heartbeat that is on disk.
    written: AtomicU64,
    /// Since when the next heartbeat makes the instance healthy; 0: it does not.
    revives: AtomicU64,
    /// Its instance is removed, or about to be: heartbeats count no more.
    closed: AtomicBool,
}

/// What is to be done about a lease now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// It was heard again: its instance is healthy.
    Revive,
    /// It was not heard for a lease: its instance is unhealthy.
    Lapse,
    /// It was not heard for three leases: its instance is removed.
    Expire,
}

/// All leases.
#[derive(Debug)]
pub(super) struct Leases {
    // The id is made of tenant and address, so it alone is a key; the tenant is compared too.
    all: DashMap<InstanceId, Arc<Lease>>,
    epoch: Instant,
    /// Nobody is taken to be silent since before this: our start, or the end of a pause.
    floor: AtomicU64,
}

impl Leases {
    pub(super) fn new() -> Self {
        // One second back, so that no time is 0.
        let now = Instant::now();
        let epoch = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        Self { all: DashMap::new(), epoch, floor: AtomicU64::new(1000) }
    }

    /// Milliseconds of a monotonic clock.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment of such a time.
    pub(super) fn instant(&self, time: u64) -> Instant {
        self.epoch + Duration::from_millis(time)
    }

    /// Gives every lease its full length from now.
    pub(super) fn grace(&self) {
        self.floor.store(self.now(), Ordering::Relaxed);
    }

    /// Takes a heartbeat. `None`: there is no such lease, its instance must register again.
    pub(super) fn beat(&self, tenant: &TenantId, id: InstanceId) -> Option<Arc<Lease>> {
        let lease = Arc::clone(&*self.all.get(&id)?);
        if lease.tenant != *tenant {
            return None;
        }
        // Store, then look, both in one order with `close_if_silent`, which closes, then looks:
        // either we see that it is closed, or it sees that we were here.
        lease.heard.store(self.now(), Ordering::SeqCst);
        (!lease.closed.load(Ordering::SeqCst)).then_some(lease)
    }

    /// The wall time of the last heartbeat, given that it is `wall` now: of one since the start,
    /// else what the instance's row says.
    pub(super) fn heard_at(
        &self,
        instance: &NativeInstance,
        wall: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let heard =
            self.all.get(&instance.id).map_or(0, |lease| lease.heard.load(Ordering::Relaxed));
        if heard == 0 {
            return instance.last_heartbeat;
        }
        let ago = i64::try_from(self.now().saturating_sub(heard)).unwrap_or(0);
        Some(clock::at(wall.timestamp_millis() - ago))
    }

    /// Follows an instance that was written; the lease when it is new and so must be queued.
    /// `heard`: the write counts as a heartbeat.
    pub(super) fn follow(&self, instance: &NativeInstance, heard: bool) -> Option<Arc<Lease>> {
        let known = self.all.get(&instance.id).map(|lease| Arc::clone(&lease));
        let length = u64::from(instance.lease_seconds) * 1000;
        let now = self.now();
        let (lease, new) = match known {
            Some(lease) if lease.length() <= length => (lease, None),
            before => {
                // A shorter lease has to be looked at earlier than the old one is queued for.
                let lease = Arc::new(Lease::new(instance));
                self.all.insert(instance.id, Arc::clone(&lease));
                if let Some(before) = before {
                    before.closed.store(true, Ordering::SeqCst);
                    lease.heard.fetch_max(before.heard.load(Ordering::SeqCst), Ordering::SeqCst);
                }
                (Arc::clone(&lease), Some(lease))
            }
        };
        lease.set(instance, now);
        if heard {
            lease.heard.fetch_max(now, Ordering::SeqCst);
        }
        new
    }

    pub(super) fn close(&self, id: InstanceId) {
        if let Some((_, lease)) = self.all.remove(&id) {
            lease.closed.store(true, Ordering::SeqCst);
        }
    }

    /// Closes a lease that is to expire, unless it was heard at the last moment.
    pub(super) fn close_if_silent(&self, lease: &Lease) -> bool {
        lease.closed.store(true, Ordering::SeqCst);
        let (due, _) = self.due(lease, self.now());
        let silent = due == Due::Expire;
        if !silent {
            lease.closed.store(false, Ordering::SeqCst);
        }
        silent
    }

    /// What is due at this time, and when to look next.
    pub(super) fn due(&self, lease: &Lease, now: u64) -> (Due, u64) {
        let look = now + LOOK;
        if !lease.counts.load(Ordering::Relaxed) {
            return (Due::Nothing, look);
        }
        let heard = lease.heard.load(Ordering::SeqCst);
        let since = heard.max(self.floor.load(Ordering::Relaxed));
        let unhealthy_at = since + lease.length();
        if now < unhealthy_at {
            let revives = lease.revives.load(Ordering::Relaxed);
            let revived = revives > 0 && heard > revives && now < heard + lease.length();
            let due = if revived { Due::Revive } else { Due::Nothing };
            return (due, unhealthy_at.min(look));
        }
        let expires_at = since + EXPIRES_AFTER * lease.length();
        match lease.ephemeral.load(Ordering::Relaxed) {
            true if now >= expires_at => (Due::Expire, look),
            true => (Due::Lapse, expires_at.min(look)),
            false => (Due::Lapse, look),
        }
    }

    /// A heartbeat that is not on disk, with its lease.
    pub(super) fn unwritten(&self, id: InstanceId) -> Option<(Arc<Lease>, u64)> {
        let lease = Arc::clone(&*self.all.get(&id)?);
        let heard = lease.unwritten()?;
        Some((lease, heard))
    }

    /// Every lease; for the last flush.
    pub(super) fn all(&self) -> Vec<Arc<Lease>> {
        self.all.iter().map(|entry| Arc::clone(entry.value())).collect()
    }
}

impl Lease {
    fn new(instance: &NativeInstance) -> Self {
        Self {
            tenant: instance.tenant.clone(),
            id: instance.id,
            seconds: AtomicU32::new(instance.lease_seconds),
            counts: AtomicBool::new(true),
            ephemeral: AtomicBool::new(true),
            heard: AtomicU64::new(0),
            written: AtomicU64::new(0),
            revives: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn set(&self, instance: &NativeInstance, now: u64) {
        let unsaid = instance.has_lease() && instance.health == HealthStatus::Unknown;
        self.seconds.store(instance.lease_seconds, Ordering::Relaxed);
        self.counts.store(instance.has_lease(), Ordering::Relaxed);
        self.ephemeral.store(instance.ephemeral.is_yes(), Ordering::Relaxed);
        let revives = if instance.has_lapsed() || unsaid { now } else { 0 };
        self.revives.store(revives, Ordering::Relaxed);
    }

    /// How long it runs, in milliseconds.
    fn length(&self) -> u64 {
        u64::from(self.seconds.load(Ordering::Relaxed)) * 1000
    }

    pub(super) fn seconds(&self) -> u32 {
        self.seconds.load(Ordering::Relaxed)
    }

    pub(super) fn revives(&self) -> bool {
        self.revives.load(Ordering::Relaxed) > 0
    }

    /// The next heartbeat after this time revives it; 0: none does.
    pub(super) fn set_revives(&self, since: u64) {
        self.revives.store(since, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// The last heartbeat, when it is not on disk.
    pub(super) fn unwritten(&self) -> Option<u64> {
        let heard = self.heard.load(Ordering::Relaxed);
        (heard > self.written.load(Ordering::Relaxed)).then_some(heard)
    }

    pub(super) fn set_written(&self, heard: u64) {
        self.written.fetch_max(heard, Ordering::Relaxed);
    }
}

/// When to look at which lease: earliest first. An entry may be early, never late: a heartbeat
/// does not move it; whoever takes it out asks [`Leases::due`] and puts it back.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Entry>);

impl Deadlines {
    pub(super) fn push(&mut self, at: u64, lease: Arc<Lease>) {
        self.0.push(Entry { at, lease });
    }

    /// The time of the earliest.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.peek().map(|entry| entry.at)
    }

    /// The earliest, if its time has come.
    pub(super) fn pop(&mut self, now: u64) -> Option<Arc<Lease>> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|entry| entry.lease)
    }
}

#[derive(Debug)]
struct Entry {
    at: u64,
    lease: Arc<Lease>,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Order {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}
