//! How checks fare in all.

use std::collections::HashMap;
use std::time::Duration;

use hub_registry_core::{GroupName, TenantId};
use parking_lot::Mutex;

use super::outcome::Tone;
use super::recent::{Recent, Times};

/// How the checks of some groups fared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CheckNumbers {
    /// Checks since the start.
    pub checks: u64,
    /// Those of them that passed, warnings included.
    pub passed: u64,
    /// Those that the hub could not make.
    pub hindered: u64,
    /// The mean time of one, over the last five to ten minutes.
    pub mean: Option<Duration>,
    /// The time that 99 of 100 did not exceed, within a tenth.
    pub p99: Option<Duration>,
}

/// How the checker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    /// Instances that are checked.
    pub instances: usize,
    /// Those of them that flap.
    pub flapping: usize,
    /// Checks under way.
    pub in_flight: usize,
    /// Checks whose time has come and that wait for a place.
    pub overdue: usize,
    /// How long the first of them has waited.
    pub lag: Duration,
    /// How long after their time checks began, over the last five to ten minutes.
    pub late: Late,
    /// How many may be under way at once.
    pub places: usize,
    /// How many that would have to be.
    pub needed: usize,
}

/// How long after their time checks began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Late {
    /// Half of them sooner.
    pub p50: Duration,
    /// 99 of 100 sooner.
    pub p99: Duration,
    /// The last of them.
    pub max: Duration,
}

impl Late {
    pub(super) fn of(recent: &Recent) -> Self {
        let Some(mut times) = Times::empty() else { return Self::default() };
        times.add(recent);
        let at = |share| times.quantile(share).unwrap_or_default();
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

#[derive(Debug)]
struct Group {
    checks: u64,
    passed: u64,
    hindered: u64,
    times: Recent,
}

/// Counts by tenant and group, so that who may not see a group sees nothing of its numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<HashMap<TenantId, HashMap<GroupName, Group>>>);

impl Numbers {
    pub(super) fn add(&self, tenant: &TenantId, group: &GroupName, tone: Tone, took: Duration) {
        let mut all = self.0.lock();
        if !all.contains_key(tenant) {
            all.insert(tenant.clone(), HashMap::new());
        }
        let Some(groups) = all.get_mut(tenant) else { return };
        if !groups.contains_key(group) {
            let Some(times) = Recent::new() else { return };
            let new = Group { checks: 0, passed: 0, hindered: 0, times };
            groups.insert(group.clone(), new);
        }
        if let Some(counts) = groups.get_mut(group) {
            counts.checks += 1;
            counts.passed += u64::from(matches!(tone, Tone::Passed | Tone::Warning));
            counts.hindered += u64::from(tone == Tone::Hindered);
            counts.times.add(took);
        }
    }

    /// Those of a tenant, in the groups that `sees` says.
    pub(super) fn of(&self, tenant: &TenantId, sees: impl Fn(&GroupName) -> bool) -> CheckNumbers {
        let all = self.0.lock();
        let mut sum = CheckNumbers::default();
        let Some(mut times) = Times::empty() else { return sum };
        let groups = all.get(tenant).into_iter().flatten();
        for (_, group) in groups.filter(|(name, _)| sees(name)) {
            sum.checks += group.checks;
            sum.passed += group.passed;
            sum.hindered += group.hindered;
            times.add(&group.times);
        }
        (sum.mean, sum.p99) = (times.mean(), times.quantile(0.99));
        sum
    }
}
