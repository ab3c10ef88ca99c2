//! Who was heard when, and what is due.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use hub_registry_core::TenantId;
use tokio::time::Instant;

use super::lease::Lease;
use crate::clock;
use crate::model::instance::NativeInstance;
use crate::model::names::{CheckKey, InstanceId};

/// A lease is looked at no later than this after the last look, whatever its length: whether its
/// last heartbeat is to be written is seen then.
const LOOK: u64 = 30_000;
/// An instance is removed after this many leases without a heartbeat.
const EXPIRES_AFTER: u64 = 3;
/// Clients beat so often in a lease: a pause that hides one beat counts.
const BEATS: u64 = 3;
/// A pause of the process is noticed by a pulse that is late.
pub(super) const PULSE: Duration = Duration::from_millis(100);
/// Pauses are told apart by powers of two of milliseconds, up to a third of the longest lease.
const PAUSES: usize = 26;

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
    // The id of an instance is made of tenant and address, so it alone is a key; the tenant is compared too.
    all: DashMap<CheckKey, Arc<Lease>>,
    /// How many leases that count each tenant has.
    beating: DashMap<TenantId, usize>,
    epoch: Instant,
    /// When the last pause of at least 2^index milliseconds ended. The start is one of any length.
    pauses: [AtomicU64; PAUSES],
    /// The last sign that the process runs.
    pulse: AtomicU64,
}

impl Leases {
    pub(super) fn new() -> Self {
        // One second back, so that no time is 0.
        let now = Instant::now();
        let epoch = now.checked_sub(Duration::from_secs(1)).unwrap_or(now);
        let pauses = std::array::from_fn(|_| AtomicU64::new(1000));
        let pulse = AtomicU64::new(1000);
        Self { all: DashMap::new(), beating: DashMap::new(), epoch, pauses, pulse }
    }

    /// Milliseconds of a monotonic clock.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment of such a time.
    pub(super) fn instant(&self, time: u64) -> Instant {
        self.epoch + Duration::from_millis(time)
    }

    /// The process runs: to be called every [`PULSE`]. How long it was paused before.
    pub(super) fn beat_pulse(&self) -> u64 {
        let paused = self.notice_pause();
        self.pulse.store(self.now(), Ordering::SeqCst);
        paused
    }

    /// Notices that the process was stopped (SIGSTOP, a suspended machine), for how many
    /// milliseconds: nobody could be heard, so every lease of which a heartbeat may have been
    /// missed gets its full length from now. A task that is merely slow is no pause: the others
    /// took heartbeats meanwhile.
    pub(super) fn notice_pause(&self) -> u64 {
        let now = self.now();
        let since = now.saturating_sub(self.pulse.load(Ordering::SeqCst));
        let paused = since.saturating_sub(PULSE.as_millis() as u64);
        if paused > 0 {
            self.grace(paused, now);
        }
        paused
    }

    fn grace(&self, paused: u64, now: u64) {
        let known = (u64::BITS - paused.leading_zeros()) as usize;
        self.pauses.iter().take(known).for_each(|ended| ended.store(now, Ordering::Relaxed));
    }

    /// Nobody with a lease this long is taken to be silent since before this.
    fn floor(&self, length: u64) -> u64 {
        self.paused_until(length / BEATS)
    }

    /// When the last pause ended that was so long, or the process started.
    pub(super) fn paused_until(&self, at_least: u64) -> u64 {
        let index = at_least.max(1).ilog2() as usize;
        self.pauses[index.min(PAUSES - 1)].load(Ordering::Relaxed)
    }

    /// Since when it was not heard.
    fn silent_since(&self, lease: &Lease) -> u64 {
        lease.heard().max(lease.begun()).max(self.floor(lease.length()))
    }

    /// When it runs out, or ran out.
    pub(super) fn lapses_at(&self, lease: &Lease) -> u64 {
        self.silent_since(lease) + lease.length()
    }

    /// Takes a heartbeat. `None`: there is no such lease, its instance must register again.
    pub(super) fn beat(&self, tenant: &TenantId, key: CheckKey) -> Option<Arc<Lease>> {
        let lease = Arc::clone(&*self.all.get(&key)?);
        if lease.tenant != *tenant {
            return None;
        }
        // Store, then look, both in one order with `close_if_silent`, which closes, then looks:
        // either we see that it is closed, or it sees that we were here.
        lease.set_heard(self.now());
        (!lease.is_closed()).then_some(lease)
    }

    /// The wall time of the last heartbeat, given that it is `wall` now: of one since the start,
    /// else what the instance's row says.
    pub(super) fn heard_at(
        &self,
        instance: &NativeInstance,
        wall: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let heard = self.all.get(&CheckKey::own(instance.id)).map_or(0, |lease| lease.heard());
        if heard == 0 {
            return instance.last_heartbeat;
        }
        let ago = i64::try_from(self.now().saturating_sub(heard)).unwrap_or(0);
        Some(clock::at(wall.timestamp_millis() - ago))
    }

    /// Follows an instance that was written; the lease when it is new and so must be queued.
    /// `heard`: the write counts as a heartbeat.
    pub(super) fn follow(&self, instance: &NativeInstance, heard: bool) -> Option<Arc<Lease>> {
        let key = CheckKey::own(instance.id);
        let known = self.all.get(&key).map(|lease| Arc::clone(&lease));
        let counted = known.as_ref().is_some_and(|lease| lease.counts());
        let length = u64::from(instance.lease_seconds) * 1000;
        let now = self.now();
        let (lease, new) = match known {
            Some(lease) if lease.length() <= length => (lease, None),
            before => {
                // A shorter lease has to be looked at earlier than the old one is queued for.
                let begun = before.as_ref().map_or(now, |before| before.begun());
                let lease = Arc::new(Lease::new(instance, begun));
                self.all.insert(key, Arc::clone(&lease));
                if let Some(before) = before {
                    before.close();
                    lease.set_heard(before.heard());
                }
                (Arc::clone(&lease), Some(lease))
            }
        };
        lease.set(instance, now);
        self.tally(&lease.tenant, counted, lease.counts());
        if heard {
            lease.set_heard(now);
        }
        new
    }

    /// Follows a check of an instance that was written; as [`follow`](Self::follow), but that it does not
    /// count how many beat.
    pub(super) fn follow_check(
        &self,
        instance: &NativeInstance,
        (key, check, seconds): (CheckKey, &str, u32),
    ) -> Option<Arc<Lease>> {
        let known = self.all.get(&key).map(|lease| Arc::clone(&lease));
        if known.as_ref().is_some_and(|lease| lease.seconds() == seconds) {
            return None;
        }
        let begun = known.as_ref().map_or_else(|| self.now(), |before| before.begun());
        let lease = Arc::new(Lease::of_check(instance, key, check, seconds, begun));
        self.all.insert(key, Arc::clone(&lease));
        if let Some(before) = known {
            before.close();
            lease.set_heard(before.heard());
        }
        Some(lease)
    }

    pub(super) fn close(&self, key: CheckKey) {
        if let Some((_, lease)) = self.all.remove(&key) {
            // Of checks instances are counted, not leases.
            self.tally(&lease.tenant, lease.counts() && lease.check.is_none(), false);
            lease.close();
        }
    }

    pub(super) fn tally(&self, tenant: &TenantId, before: bool, after: bool) {
        if before == after {
            return;
        }
        let mut count = self.beating.entry(tenant.clone()).or_default();
        *count = if after { *count + 1 } else { count.saturating_sub(1) };
    }

    /// How many instances of the tenant promised to beat.
    pub(super) fn beating(&self, tenant: &TenantId) -> usize {
        self.beating.get(tenant).map_or(0, |count| *count)
    }

    /// How many instances promised to beat, over all tenants.
    pub(super) fn beating_in_all(&self) -> usize {
        self.beating.iter().map(|count| *count).sum()
    }

    /// Closes a lease that is to expire, unless it was heard at the last moment.
    pub(super) fn close_if_silent(&self, lease: &Lease) -> bool {
        lease.close();
        let (due, _) = self.due(lease, self.now());
        let silent = due == Due::Expire;
        if !silent {
            lease.reopen();
        }
        silent
    }

    /// What is due at this time, and when to look next.
    pub(super) fn due(&self, lease: &Lease, now: u64) -> (Due, u64) {
        let look = now + LOOK;
        if !lease.counts() {
            return (Due::Nothing, look);
        }
        let since = self.silent_since(lease);
        let unhealthy_at = since + lease.length();
        if now < unhealthy_at {
            let (revives, heard) = (lease.revived_since(), lease.heard());
            let revived = revives > 0 && heard > revives && now < heard + lease.length();
            let due = if revived { Due::Revive } else { Due::Nothing };
            return (due, unhealthy_at.min(look));
        }
        let expires_at = since + EXPIRES_AFTER * lease.length();
        match lease.is_ephemeral() {
            true if now >= expires_at => (Due::Expire, look),
            true => (Due::Lapse, expires_at.min(look)),
            false => (Due::Lapse, look),
        }
    }

    /// When it was last heard since the start; 0: not yet.
    pub(super) fn last_heard(&self, key: CheckKey) -> u64 {
        self.all.get(&key).map_or(0, |lease| lease.heard())
    }

    /// Whether its client was heard within the length of the lease, whatever pauses forgive.
    pub(super) fn is_heard(&self, key: CheckKey) -> bool {
        self.all
            .get(&key)
            .is_some_and(|lease| lease.heard() > 0 && self.now() < lease.heard() + lease.length())
    }

    /// Whether there is such a lease and it ran out.
    pub(super) fn is_overdue(&self, key: CheckKey) -> bool {
        self.all
            .get(&key)
            .is_some_and(|lease| matches!(self.due(&lease, self.now()).0, Due::Lapse | Due::Expire))
    }

    /// How many of each tenant's instances were not heard for half of their lease: they have
    /// missed a beat, and some of them will lapse.
    pub(super) fn late(&self, now: u64) -> HashMap<TenantId, usize> {
        let (mut late, mut seen) = (HashMap::new(), HashSet::new());
        for lease in &self.all {
            let silent = now.saturating_sub(self.silent_since(&lease));
            let first = lease.check.is_none() || !seen.contains(&lease.id());
            if lease.counts() && 2 * silent >= lease.length() && first {
                if lease.check.is_some() {
                    seen.insert(lease.id());
                }
                match late.get_mut(&lease.tenant) {
                    Some(count) => *count += 1,
                    None => drop(late.insert(lease.tenant.clone(), 1)),
                }
            }
        }
        late
    }

    /// A heartbeat that is not on disk, with its lease.
    pub(super) fn unwritten(&self, id: InstanceId) -> Option<(Arc<Lease>, u64)> {
        let lease = Arc::clone(&*self.all.get(&CheckKey::own(id))?);
        let heard = lease.unwritten()?;
        Some((lease, heard))
    }

    /// Every lease; for the last flush.
    pub(super) fn all(&self) -> Vec<Arc<Lease>> {
        self.all.iter().map(|entry| Arc::clone(entry.value())).collect()
    }
}
