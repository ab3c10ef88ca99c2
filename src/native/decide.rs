//! What the keeper does about silent clients, tenant by tenant.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{HealthStatus, InstanceKey, TenantId};
use tokio::time::Instant;

use super::keeper::Keeper;
use super::lease::Lease;
use super::preservation::{Decision, Note, Silence};
use super::stats::LeaseStats;
use crate::model::check::CheckStatus;
use crate::model::names::CheckKey;

/// What runs out within this time is known together, so that a storm costs few looks.
const TOGETHER: Duration = Duration::from_millis(100);
/// For so long a count of who missed a beat is good enough.
const LATE_FOR: Duration = Duration::from_millis(250);
/// Counting may take this share of the time: one part in so many.
const LATE_SHARE: u32 = 20;

impl Keeper {
    /// A lease ran out: whether it is believed is decided with all others.
    pub(super) fn ran_out(&mut self, lease: Arc<Lease>) {
        let state = self.shared.state.load();
        let Some(instance) = state.instance(&lease.tenant, lease.id()) else {
            return;
        };
        let since = self.shared.leases.lapses_at(&lease);
        let lapsed = match &lease.check {
            None => instance.has_lapsed(),
            // One that is critical from the beginning is silent for the first time.
            Some(id) => instance.checks().get(id).is_some_and(|check| {
                check.status == CheckStatus::Critical && check.stated.is_some()
            }),
        };
        let known = lapsed && !lease.is_ephemeral();
        let silence = self.silences.entry(lease.tenant.clone()).or_default();
        silence.lapsed(lease, instance.key.clone(), since, known);
    }

    /// Decides who is gone, shows it, and tells the operator.
    pub(super) fn decide(&mut self) {
        let now = Instant::now();
        if now < self.decided_at + TOGETHER {
            return;
        }
        self.decided_at = now;
        if self.silences.values().any(Silence::wonders) {
            self.count_late(now);
        }
        let (shared, rules) = (Arc::clone(&self.shared), self.shared.settings.preservation);
        let mut verdicts = Vec::new();
        let mut decisions = Vec::new();
        for (tenant, silence) in self.silences.iter_mut().filter(|(_, s)| !s.is_quiet()) {
            let beating = shared.leases.beating(tenant);
            let late = self.late.get(tenant).copied().unwrap_or(0);
            let busy = |key: CheckKey| self.pipeline.plans(key.instance);
            let mut decision = silence.decide(&rules, &shared.leases, (beating, late), busy);
            tell(tenant, silence, &decision.notes);
            if decision.notes.iter().any(|note| matches!(note, Note::Swept { .. })) {
                shared.metrics.leases.swept();
            }
            let lapsed = decision.lapsed.drain(..);
            verdicts.extend(lapsed.map(|lease| (lease, HealthStatus::Unhealthy)));
            self.expiring.append(&mut decision.expired);
            shared.stats.insert(tenant.clone(), stats(silence, &shared));
            decisions.push((tenant.clone(), decision));
        }
        for (tenant, decision) in decisions {
            let Decision { held, freed, .. } = decision;
            if !(held.is_empty() && freed.is_empty()) {
                self.publish.hold(&tenant, held, freed);
            }
        }
        self.judge(verdicts);
        self.measure();
    }

    /// Counts who missed a beat, if the last count is old.
    fn count_late(&mut self, now: Instant) {
        if now < self.late_until {
            return;
        }
        let leases = &self.shared.leases;
        self.late = leases.late(leases.now());
        self.late_until = now + LATE_FOR.max(now.elapsed() * LATE_SHARE);
    }

    /// An instance was written or is removed, or a check of it: it may be silent no more. Its key if it was held.
    pub(super) fn heard_or_gone(
        &mut self,
        tenant: &TenantId,
        key: CheckKey,
        exists: bool,
    ) -> Option<InstanceKey> {
        let silence = self.silences.get_mut(tenant)?;
        let leases = &self.shared.leases;
        let silent = exists && leases.is_overdue(key);
        let rules = &self.shared.settings.preservation;
        let expired = silence.so_far().1;
        let freed = silence.written(key, silent, exists, leases.now(), rules);
        self.shared.metrics.leases.expired(silence.so_far().1 - expired);
        freed
    }

    /// A removal did not come about.
    pub(super) fn stays(&mut self, lease: &Lease) {
        if let Some(silence) = self.silences.get_mut(&lease.tenant) {
            silence.stays(lease.key, self.shared.leases.now());
        }
    }

    fn measure(&self) {
        let (mut overdue, mut held, mut preserving) = (0, 0, 0);
        for silence in self.silences.values() {
            let (silent, marked) = silence.instances();
            overdue += silent;
            held += marked;
            preserving += usize::from(silence.is_preserving());
        }
        let metrics = &self.shared.metrics.leases;
        metrics.set(self.shared.leases.beating_in_all(), overdue, held, preserving);
    }
}

fn stats(silence: &Silence, shared: &super::start::Shared) -> LeaseStats {
    let ((overdue, held), (sweeps, expired)) = (silence.instances(), silence.so_far());
    let wall = |since: u64| {
        let ago = shared.leases.now().saturating_sub(since);
        crate::clock::at(shared.clock.now_ms() - i64::try_from(ago).unwrap_or(0))
    };
    let preserving_since = silence.held_since().map(wall);
    let sweeping = silence.is_sweeping();
    LeaseStats { heart_beating: 0, overdue, held, preserving_since, sweeping, sweeps, expired }
}

fn tell(tenant: &TenantId, silence: &Silence, notes: &[Note]) {
    for note in notes {
        match *note {
            Note::Began { lost, of } => tracing::warn!(
                tenant.id = %tenant, lost, of,
                "self-preservation began: too many clients fell silent together to be believed; \
                 their instances stay as they are"
            ),
            Note::Returned { lost, after_ms } => tracing::info!(
                tenant.id = %tenant, lost, after_ms,
                "self-preservation ended: clients returned; those still silent are unhealthy and \
                 leave as usual"
            ),
            Note::RanOut { lost, of } => tracing::warn!(
                tenant.id = %tenant, lost, of,
                "self-preservation lasted as long as it may: the silent instances are unhealthy \
                 and leave in sweeps"
            ),
            Note::Swept { count, left, seed } => tracing::warn!(
                tenant.id = %tenant, count, left, seed, sweep = silence.so_far().0,
                "silent instances are swept out"
            ),
            Note::SweptAll => tracing::info!(
                tenant.id = %tenant,
                "no silent instance is left to sweep out"
            ),
        }
    }
}
