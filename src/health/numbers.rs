//! How checks fare in all.

use std::collections::HashMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use hub_registry_core::{GroupName, TenantId};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::outcome::Tone;

/// Times are of the last of these spans that is over and of the one that goes on.
const SPAN: Duration = Duration::from_secs(300);

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
    /// How many may be under way at once.
    pub places: usize,
    /// How many that would have to be.
    pub needed: usize,
}

#[derive(Debug)]
struct Group {
    checks: u64,
    passed: u64,
    hindered: u64,
    began: Instant,
    /// Microseconds.
    now: Histogram<u32>,
    before: Histogram<u32>,
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
            let Some(new) = Group::new() else { return };
            groups.insert(group.clone(), new);
        }
        if let Some(counts) = groups.get_mut(group) {
            counts.add(tone, took);
        }
    }

    /// Those of a tenant, in the groups that `sees` says.
    pub(super) fn of(&self, tenant: &TenantId, sees: impl Fn(&GroupName) -> bool) -> CheckNumbers {
        let all = self.0.lock();
        let mut sum = CheckNumbers::default();
        let Some(mut times) = Group::new().map(|group| group.now) else { return sum };
        let groups = all.get(tenant).into_iter().flatten();
        for (_, group) in groups.filter(|(name, _)| sees(name)) {
            sum.checks += group.checks;
            sum.passed += group.passed;
            sum.hindered += group.hindered;
            if group.began.elapsed() < SPAN * 2 {
                // Histograms of one shape can be added.
                times.add(&group.now).ok();
                times.add(&group.before).ok();
            }
        }
        if !times.is_empty() {
            sum.mean = Some(Duration::from_secs_f64(times.mean() / 1e6));
            sum.p99 = Some(Duration::from_micros(times.value_at_quantile(0.99)));
        }
        sum
    }
}

impl Group {
    /// `None` never: the shape is a valid one.
    fn new() -> Option<Self> {
        // Up to an hour, the longest time-out, in steps of a tenth: two kilobytes.
        let empty = Histogram::new_with_bounds(1, 3_600_000_000, 1).ok()?;
        let (now, before) = (empty.clone(), empty);
        Some(Self { checks: 0, passed: 0, hindered: 0, began: Instant::now(), now, before })
    }

    fn add(&mut self, tone: Tone, took: Duration) {
        self.checks += 1;
        self.passed += u64::from(matches!(tone, Tone::Passed | Tone::Warning));
        self.hindered += u64::from(tone == Tone::Hindered);
        if self.began.elapsed() >= SPAN {
            self.began = Instant::now();
            std::mem::swap(&mut self.now, &mut self.before);
            self.now.reset();
        }
        self.now.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
