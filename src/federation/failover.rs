//! When a standby takes the place of a registry that fails, and when it gives it back. Pure: times
//! are milliseconds of one clock that only goes forward.
//!
//! ```text
//!            it fails for `after`, and the standby is fit
//!   NORMAL ───────────────────────────────────────────────► FAILOVER ◄─┐ it fails again
//!      ▲                                                       │       │
//!      │   good reads, nothing held, large enough, hold-down   ▼       │
//!      └──────────────────────────────────────────────── RECOVERING ───┘
//! ```
//!
//! In FAILOVER and RECOVERING readers get the standby's instances.

use std::time::Duration;

use crate::model::external::Failover;

/// Flips that are older do not lengthen the hold-down any more.
const MEMORY: i64 = 60 * 60 * 1000;
/// The hold-down doubles up to this.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// A moment, in milliseconds.
pub(super) type Moment = i64;

/// Who serves, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// The primary.
    #[default]
    Normal,
    /// The standby.
    Failover,
    /// The standby still; the primary is read well since then.
    Recovering(Moment),
}

impl Phase {
    /// The word in the status row.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Failover => "FAILOVER",
            Self::Recovering(_) => "RECOVERING",
        }
    }

    /// Whether the standby serves.
    pub(super) const fn is_away(self) -> bool {
        !matches!(self, Self::Normal)
    }
}

/// What is seen of the primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Primary {
    /// Since when it fails, and with how many failed or hanging attempts.
    pub(super) outage: Option<(Moment, u32)>,
    /// Whether it is read well now.
    pub(super) current: bool,
    /// Good reads since its last failure.
    pub(super) good_reads: u32,
    /// Removals are held.
    pub(super) held: bool,
    /// Instances it lists, or listed last.
    pub(super) instances: usize,
}

/// What is seen of the standby; the default: it is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standby {
    /// It is LIVE.
    pub(super) live: bool,
    /// It is LIVE or PROTECTED.
    pub(super) current: bool,
    /// Instances it lists, or listed last.
    pub(super) instances: usize,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The standby serves from now on.
    Away,
    /// The primary answers again.
    Answers,
    /// It fails once more.
    Fails,
    /// The primary serves again.
    Back,
}

impl Step {
    /// The word for metrics.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Away => "failover",
            Self::Answers => "answers",
            Self::Fails => "fails",
            Self::Back => "recover",
        }
    }
}

/// One primary and its standby.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    phase: Phase,
    by_operator: bool,
    flips: Vec<Moment>,
    // An operator brought it back then: an outage counts from there on.
    called_back: Option<Moment>,
}

impl Machine {
    /// As it was before a restart: the standby serves, and the primary has to prove itself anew.
    pub(super) fn away(by_operator: bool, flips: Vec<Moment>) -> Self {
        Self { phase: Phase::Failover, by_operator, flips, called_back: None }
    }

    /// In NORMAL, with a memory.
    pub(super) fn home(flips: Vec<Moment>) -> Self {
        Self { flips, ..Self::default() }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    pub(super) fn by_operator(&self) -> bool {
        self.by_operator
    }

    /// When the standby took over within the last hour.
    pub(super) fn flips(&self) -> &[Moment] {
        &self.flips
    }

    /// How long the primary must be read well before it serves again.
    pub(super) fn hold_down(&self, rules: &Failover, now: Moment) -> Duration {
        let recent = self.flips.iter().filter(|flip| **flip > now - MEMORY).count();
        let doublings = u32::try_from(recent.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        (rules.hold_down * 2_u32.pow(doublings)).min(LONGEST.max(rules.hold_down))
    }

    /// One look; what it leads to. At most one step.
    pub(super) fn look(
        &mut self,
        rules: &Failover,
        primary: &Primary,
        standby: &Standby,
        now: Moment,
    ) -> Option<Step> {
        if !rules.auto || (self.by_operator && self.phase.is_away()) {
            return None;
        }
        match self.phase {
            Phase::Normal
                if fails(rules, primary, self.called_back, now) && fit(rules, primary, standby) =>
            {
                self.leave(now, false);
                Some(Step::Away)
            }
            Phase::Failover if primary.current && primary.outage.is_none() => {
                self.phase = Phase::Recovering(now);
                Some(Step::Answers)
            }
            Phase::Recovering(_) if !primary.current || primary.outage.is_some() => {
                self.phase = Phase::Failover;
                Some(Step::Fails)
            }
            Phase::Recovering(since) if self.may_return(rules, primary, standby, since, now) => {
                self.phase = Phase::Normal;
                Some(Step::Back)
            }
            _ => None,
        }
    }

    fn may_return(
        &self,
        rules: &Failover,
        primary: &Primary,
        standby: &Standby,
        since: Moment,
        now: Moment,
    ) -> bool {
        // A standby that fails itself is no reason to wait: what it said last grows old.
        let held_down = standby.current && now - since < ms(self.hold_down(rules, now));
        !held_down
            && primary.good_reads >= rules.good_reads
            && !primary.held
            && reaches(primary.instances, standby.instances, rules)
    }

    /// An operator lets the standby serve, whatever the rules say; it stays so until one says
    /// otherwise. Whether anything changed.
    pub(super) fn send_away(&mut self, now: Moment) -> bool {
        if self.phase.is_away() {
            let changed = !self.by_operator;
            (self.by_operator, self.phase) = (true, Phase::Failover);
            return changed;
        }
        self.leave(now, true);
        true
    }

    /// An operator lets the primary serve again. Whether anything changed.
    pub(super) fn call_back(&mut self, now: Moment) -> bool {
        let changed = self.phase.is_away();
        (self.phase, self.by_operator, self.called_back) = (Phase::Normal, false, Some(now));
        changed
    }

    fn leave(&mut self, now: Moment, by_operator: bool) {
        self.flips.retain(|flip| *flip > now - MEMORY);
        self.flips.push(now);
        (self.phase, self.by_operator) = (Phase::Failover, by_operator);
    }
}

/// Whether the primary failed for long enough, and often enough.
fn fails(rules: &Failover, primary: &Primary, called_back: Option<Moment>, now: Moment) -> bool {
    primary.outage.is_some_and(|(since, attempts)| {
        let since = since.max(called_back.unwrap_or(since));
        attempts >= 2 && now - since >= ms(rules.after)
    })
}

/// Whether the standby may take its place.
fn fit(rules: &Failover, primary: &Primary, standby: &Standby) -> bool {
    standby.live && reaches(standby.instances, primary.instances, rules)
}

/// Whether one has the floor's share of what the other has.
fn reaches(one: usize, other: usize, rules: &Failover) -> bool {
    one as u64 * 100 >= other as u64 * u64::from(rules.floor_percent)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
