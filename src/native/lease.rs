//! The lease of an instance, or of one of its checks.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use hub_registry_core::{HealthStatus, TenantId};

use crate::model::instance::NativeInstance;
use crate::model::names::{CheckKey, InstanceId};

/// So many milliseconds lie between two writings of a lease's last heartbeat. A start gives every
/// lease its whole length, so what is on disk is for those who read the table; a client that beats
/// as ever shall cost no disk.
const WRITTEN_EVERY: u64 = 300_000;

/// The lease of an instance, or of a check that its client speaks for. Times are milliseconds of [`Leases::now`](super::leases::Leases::now).
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) tenant: TenantId,
    pub(super) key: CheckKey,
    /// The check's id, if it is the lease of one.
    pub(super) check: Option<Box<str>>,
    seconds: AtomicU32,
    /// Whether heartbeats decide on its health and life at all.
    counts: AtomicBool,
    ephemeral: AtomicBool,
    /// The last heartbeat; 0: none since the start.
    heard: AtomicU64,
    /// It runs from here on at the earliest: its instance came to be known then.
    begun: AtomicU64,
    /// The last heartbeat that is on disk.
    written: AtomicU64,
    /// Since when the next heartbeat makes the instance healthy; 0: it does not.
    revives: AtomicU64,
    /// Its instance is removed, or about to be: heartbeats count no more.
    closed: AtomicBool,
}

impl Lease {
    pub(super) fn new(instance: &NativeInstance, begun: u64) -> Self {
        Self {
            tenant: instance.tenant.clone(),
            key: CheckKey::own(instance.id),
            check: None,
            seconds: AtomicU32::new(instance.lease_seconds),
            counts: AtomicBool::new(false),
            ephemeral: AtomicBool::new(true),
            heard: AtomicU64::new(0),
            begun: AtomicU64::new(begun),
            written: AtomicU64::new(0),
            revives: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// That of a check.
    pub(super) fn of_check(
        instance: &NativeInstance,
        key: CheckKey,
        check: &str,
        seconds: u32,
        begun: u64,
    ) -> Self {
        Self {
            key,
            check: Some(check.into()),
            seconds: AtomicU32::new(seconds),
            counts: AtomicBool::new(true),
            // A check that is not heard is critical, and stays.
            ephemeral: AtomicBool::new(false),
            ..Self::new(instance, begun)
        }
    }

    /// The instance's id.
    pub(super) fn id(&self) -> InstanceId {
        self.key.instance
    }

    /// Takes over what the instance says of it.
    pub(super) fn set(&self, instance: &NativeInstance, now: u64) {
        let unsaid = instance.has_lease() && instance.health == HealthStatus::Unknown;
        self.seconds.store(instance.lease_seconds, Ordering::Relaxed);
        self.counts.store(instance.has_lease(), Ordering::Relaxed);
        self.ephemeral.store(instance.ephemeral.is_yes(), Ordering::Relaxed);
        let revives = if instance.has_lapsed() || unsaid { now } else { 0 };
        self.revives.store(revives, Ordering::Relaxed);
    }

    /// How long it runs, in milliseconds.
    pub(super) fn length(&self) -> u64 {
        u64::from(self.seconds.load(Ordering::Relaxed)) * 1000
    }

    pub(super) fn seconds(&self) -> u32 {
        self.seconds.load(Ordering::Relaxed)
    }

    pub(super) fn counts(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }

    pub(super) fn is_ephemeral(&self) -> bool {
        self.ephemeral.load(Ordering::Relaxed)
    }

    pub(super) fn heard(&self) -> u64 {
        self.heard.load(Ordering::SeqCst)
    }

    /// When its instance came to be known.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// A heartbeat, perhaps an earlier one than the last.
    pub(super) fn set_heard(&self, at: u64) {
        self.heard.fetch_max(at, Ordering::SeqCst);
    }

    pub(super) fn revives(&self) -> bool {
        self.revived_since() > 0
    }

    /// Since when the next heartbeat makes the instance healthy; 0: it does not.
    pub(super) fn revived_since(&self) -> u64 {
        self.revives.load(Ordering::Relaxed)
    }

    /// The next heartbeat after this time revives it; 0: none does.
    pub(super) fn set_revives(&self, since: u64) {
        self.revives.store(since, Ordering::Relaxed);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn reopen(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }

    /// Whether its last heartbeat is to be written: each lease has its turn once in
    /// [`WRITTEN_EVERY`], at a time of its own, and one since then is not on disk.
    pub(super) fn is_to_be_written(&self) -> bool {
        // A row has no place for when a check was heard.
        if self.check.is_some() {
            return false;
        }
        let turn = |time: u64| (time + self.id().spread(WRITTEN_EVERY)) / WRITTEN_EVERY;
        let written = self.written.load(Ordering::Relaxed).max(self.begun());
        self.unwritten().is_some_and(|heard| turn(heard) > turn(written))
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
