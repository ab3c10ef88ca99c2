//! Between the hub's checks and the registry: which instances are to be checked, and what came of
//! it.
//!
//! Whoever checks is told which instances to look at again, never what changed: it reads the state
//! and cannot fall behind. What it finds waits here for the keeper's next turn, the newest for each
//! instance, so that many checks cost one change of the state and one flush.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use dashmap::DashMap;
use hub_registry_core::{HealthStatus, ServiceKey, TenantId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::events::Cause;
use super::keeper::Keeper;
use super::publish::by_tenant;
use super::start::{Native, Shared};
use super::state::State;
use super::turn::CheckFound;
use crate::access::HUB;
use crate::model::check::CheckStatus;
use crate::model::instance::NativeInstance;
use crate::model::names::{CheckKey, InstanceId};
use crate::model::service::NativeService;
use crate::model::words::HealthCheckType;

/// The time of an instance's last check is written no more often, in milliseconds.
const WRITE_EVERY: i64 = 30_000;

/// An instance that is to be checked, as it is now.
#[derive(Clone, Debug)]
pub struct ToCheck {
    /// The instance.
    pub instance: Arc<NativeInstance>,
    /// Its service, with what a check asks and how often.
    pub service: Arc<NativeService>,
}

/// What checks found of an instance.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What it is of, and what it says.
    pub found: Judged,
    /// When a request had stated what is judged: when one states it after that, it was not of this
    /// verdict, which then counts for nothing.
    pub stated: Option<DateTime<Utc>>,
    /// Why, for people.
    pub why: String,
}

/// What a verdict says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The health of the instance.
    Health(HealthStatus),
    /// The status of a check that it brought with it.
    Check {
        /// The check's id.
        id: Arc<str>,
        /// Its status.
        status: CheckStatus,
    },
}

impl Judged {
    /// Its word in metrics: that of the health it says, or helps to.
    #[must_use]
    pub fn health(&self) -> HealthStatus {
        match self {
            Self::Health(health) => *health,
            Self::Check { status, .. } => status.health(),
        }
    }
}

/// What waits between the checks and the keeper.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// Whether anybody checks.
    followed: AtomicBool,
    /// Instances to look at again.
    changed: Mutex<HashMap<InstanceId, TenantId>>,
    wake: Notify,
    verdicts: Mutex<HashMap<CheckKey, (TenantId, Verdict)>>,
    /// When each was last checked, and which of it is on disk, in milliseconds since 1970.
    times: DashMap<InstanceId, Times>,
    unwritten: Mutex<HashMap<InstanceId, TenantId>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    checked: i64,
    written: i64,
}

impl Times {
    fn rewritten(self) -> Self {
        Self { written: 0, ..self }
    }
}

impl Checks {
    /// Instances that differ are looked at again; to be called when the state is the new one.
    pub(super) fn touched(
        &self,
        before: &State,
        after: &State,
        touched: &HashMap<InstanceId, (TenantId, bool)>,
    ) {
        if !self.followed.load(Ordering::Acquire) {
            return;
        }
        let mut changed = Vec::new();
        for (id, (tenant, _)) in touched {
            let (old, new) = (before.instance(tenant, *id), after.instance(tenant, *id));
            match new {
                // The row that was written has the time of a statement.
                Some(new) if new.is_checked() => self.times.alter(id, |_, times| times.rewritten()),
                _ => drop(self.times.remove(id)),
            }
            let checked = old.into_iter().chain(new).any(|instance| instance.is_checked());
            let same = old.zip(new).is_some_and(|(old, new)| Arc::ptr_eq(old, new));
            if checked && !same {
                changed.push((*id, tenant.clone()));
            }
        }
        self.tell(changed);
    }

    /// A service's settings differ: all its instances are looked at again.
    pub(super) fn described(&self, state: &State, tenant: &TenantId, key: &ServiceKey) {
        if self.followed.load(Ordering::Acquire)
            && let Some(entry) = state.service(tenant, key)
        {
            let checked = entry.instances().filter(|instance| instance.is_checked());
            self.tell(checked.map(|instance| (instance.id, tenant.clone())));
        }
    }

    fn tell(&self, changed: impl IntoIterator<Item = (InstanceId, TenantId)>) {
        let mut changed = changed.into_iter().peekable();
        if changed.peek().is_some() {
            self.changed.lock().extend(changed);
            self.wake.notify_one();
        }
    }

    /// The time that counts as the last check: of one since the start, else what the row says.
    pub(super) fn last(&self, instance: &NativeInstance) -> Option<DateTime<Utc>> {
        let checked = self.times.get(&instance.id).map(|times| crate::clock::at(times.checked));
        checked.max(instance.last_health_check)
    }

    /// It was written that it was checked then.
    pub(super) fn set_written(&self, id: InstanceId, time: DateTime<Utc>) {
        if let Some(mut times) = self.times.get_mut(&id) {
            times.written = times.written.max(time.timestamp_millis());
        }
    }

    /// Every instance whose last check is not on disk.
    pub(super) fn all_unwritten(&self, state: &State) -> Vec<(TenantId, InstanceId)> {
        let late =
            |id: &InstanceId| self.times.get(id).is_some_and(|times| times.checked > times.written);
        let all = state.tenants().flat_map(|(tenant, held)| {
            held.instances.values().map(move |it| (tenant.clone(), it.id))
        });
        all.filter(|(_, id)| late(id)).collect()
    }

    fn checked(&self, tenant: &TenantId, id: InstanceId, now: i64) {
        let mut times = self.times.entry(id).or_default();
        times.checked = now;
        if now - times.written >= WRITE_EVERY {
            drop(times);
            self.unwritten.lock().entry(id).or_insert_with(|| tenant.clone());
        }
    }
}

impl Keeper {
    /// Takes over what checks found since the last turn: seen at once, written with the next
    /// flush.
    pub(super) fn take_verdicts(&mut self) {
        let checks = &self.shared.checks;
        self.unwritten.extend(std::mem::take(&mut *checks.unwritten.lock()));
        let found = std::mem::take(&mut *checks.verdicts.lock());
        if found.is_empty() {
            return;
        }
        let before = self.shared.state.load_full();
        let (mut next, mut changed) = (State::clone(&before), BTreeSet::new());
        let cause = Cause { time: crate::clock::at(self.shared.clock.now_ms()), who: HUB };
        let mut told = Vec::new();
        for (key, (tenant, verdict)) in found {
            let id = key.instance;
            if self.pipeline.plans(id) {
                // What is on its way to disk is judged when it is there.
                let mut waiting = self.shared.checks.verdicts.lock();
                waiting.entry(key).or_insert((tenant, verdict));
                continue;
            }
            let Some(known) = next.instance(&tenant, id).cloned() else { continue };
            let health = match verdict.found {
                Judged::Health(health) => health,
                Judged::Check { id, status } => {
                    let stated = known.checks().get(&id).map(|check| check.stated);
                    if stated != Some(verdict.stated.map(|time| time.timestamp_millis())) {
                        continue;
                    }
                    let found = CheckFound { check: &id, status, why: verdict.why };
                    if let Some(judged) = self.move_check(&mut next, cause, &known, found) {
                        changed.insert((tenant, known.key.service.clone()));
                        told.extend(judged);
                    }
                    continue;
                }
            };
            let stale = !known.is_checked()
                || known.check == HealthCheckType::Checks
                || known.last_health_check != verdict.stated;
            if stale || known.health == health {
                continue;
            }
            let judged = Arc::new(known.judged(health, verdict.stated));
            changed.insert((tenant.clone(), judged.key.service.clone()));
            next.put_instance(Arc::clone(&judged));
            told.extend(self.judged(&next, cause, (&known, &judged), verdict.why));
            self.pipeline.put_instance(&judged);
            self.unwritten.insert(id, tenant);
        }
        self.swap(&before, next, changed, by_tenant(told.into_iter()));
    }
}

/// Tells which instances to check.
#[derive(Debug)]
pub struct CheckFeed(Arc<Shared>);

impl CheckFeed {
    /// Waits for instances that are to be looked at again: they are new, changed, gone, or their
    /// service changed. May be dropped while it waits; nothing is lost.
    pub async fn changed(&self) -> HashMap<InstanceId, TenantId> {
        let checks = &self.0.checks;
        loop {
            let changed = std::mem::take(&mut *checks.changed.lock());
            if !changed.is_empty() {
                return changed;
            }
            checks.wake.notified().await;
        }
    }
}

impl Native {
    /// Follows the instances that are to be checked; those there are by now come first. For one
    /// follower.
    #[must_use]
    pub fn follow_checks(&self) -> CheckFeed {
        // Listen first, look then: what changes in between is told twice.
        self.shared.checks.followed.store(true, Ordering::Release);
        let state = self.shared.state.load();
        for (id, tenant) in state.tenants() {
            let checked = tenant.instances.values().filter(|instance| instance.is_checked());
            self.shared.checks.tell(checked.map(|instance| (instance.id, id.clone())));
        }
        CheckFeed(Arc::clone(&self.shared))
    }

    /// All on whose health checks decide, of whatever tenant.
    #[must_use]
    pub fn checked(&self) -> Vec<Arc<NativeInstance>> {
        let state = self.shared.state.load();
        let all = state.tenants().flat_map(|(_, tenant)| tenant.instances.values());
        all.filter(|one| one.is_checked()).cloned().collect()
    }

    /// An instance, if it is there and is to be checked.
    #[must_use]
    pub fn to_check(&self, tenant: &TenantId, id: InstanceId) -> Option<ToCheck> {
        let state = self.shared.state.load();
        let instance = state.instance(tenant, id).filter(|instance| instance.is_checked())?;
        let entry = state.service(tenant, &instance.key.service)?;
        Some(ToCheck { instance: Arc::clone(instance), service: Arc::clone(&entry.service) })
    }

    /// Wall time, as the registry's rows have it.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// An instance was checked then, and perhaps another health was found. Waits for nothing: readers
    /// see it with the keeper's next turn, the disk with its next flush.
    pub fn report_check(
        &self,
        tenant: &TenantId,
        key: CheckKey,
        time: DateTime<Utc>,
        verdict: Option<Verdict>,
    ) {
        let checks = &self.shared.checks;
        checks.checked(tenant, key.instance, time.timestamp_millis());
        if let Some(verdict) = verdict {
            checks.verdicts.lock().insert(key, (tenant.clone(), verdict));
        }
    }
}
