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

use hub_registry_core::words;

use crate::model::external::Failover;
use crate::model::words::FailoverStatus;

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
    /// What the status row says.
    pub(super) const fn status(self) -> FailoverStatus {
        match self {
            Self::Normal => FailoverStatus::Normal,
            Self::Failover => FailoverStatus::Failover,
            Self::Recovering(_) => FailoverStatus::Recovering,
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

impl Primary {
    fn fails(&self) -> bool {
        !self.current || self.outage.is_some()
    }
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

words!(
    /// What the next step of a source and its standby waits for.
    Waits {
        /// Nothing: the primary is read well, and serves.
        #[default]
        Nothing = "NOTHING",
        /// An operator: the strategy is MANUAL, or it was an operator who had the standby serve.
        Operator = "OPERATOR",
        /// The primary fails, and not yet for long enough or in enough attempts.
        Outage = "OUTAGE",
        /// The primary fails, and the standby is not LIVE.
        StandbyNotLive = "STANDBY_NOT_LIVE",
        /// The primary fails, and the standby has too few instances.
        StandbyTooSmall = "STANDBY_TOO_SMALL",
        /// The standby serves, and the primary does not answer.
        Primary = "PRIMARY",
        /// The primary must be read well for longer.
        HoldDown = "HOLD_DOWN",
        /// The primary must be read well more often.
        GoodReads = "GOOD_READS",
        /// Removals of the primary are held.
        HeldRemovals = "HELD_REMOVALS",
        /// The primary has too few instances.
        PrimaryTooSmall = "PRIMARY_TOO_SMALL",
    }
);

impl Waits {
    /// Whether the primary fails and its standby cannot help.
    pub(super) const fn is_helpless(self) -> bool {
        matches!(self, Self::StandbyNotLive | Self::StandbyTooSmall)
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
        if self.waits_for(rules, primary, standby, now).is_some() {
            return None;
        }
        let (phase, step) = match self.phase {
            Phase::Normal => {
                self.leave(now, false);
                return Some(Step::Away);
            }
            Phase::Failover => (Phase::Recovering(now), Step::Answers),
            Phase::Recovering(_) if primary.fails() => (Phase::Failover, Step::Fails),
            Phase::Recovering(_) => (Phase::Normal, Step::Back),
        };
        self.phase = phase;
        Some(step)
    }

    /// What the next step waits for; `None`: it is due.
    pub(super) fn waits_for(
        &self,
        rules: &Failover,
        primary: &Primary,
        standby: &Standby,
        now: Moment,
    ) -> Option<Waits> {
        let by_hand = !rules.auto || (self.by_operator && self.phase.is_away());
        match self.phase {
            Phase::Normal if primary.outage.is_none() => Some(Waits::Nothing),
            _ if by_hand => Some(Waits::Operator),
            Phase::Normal if !fails(rules, primary, self.called_back, now) => Some(Waits::Outage),
            Phase::Normal if !standby.live => Some(Waits::StandbyNotLive),
            Phase::Normal if !reaches(standby.instances, primary.instances, rules) => {
                Some(Waits::StandbyTooSmall)
            }
            Phase::Failover if primary.fails() => Some(Waits::Primary),
            Phase::Recovering(since) if !primary.fails() => {
                self.waits_to_return(rules, primary, standby, now - since, now)
            }
            Phase::Normal | Phase::Failover | Phase::Recovering(_) => None,
        }
    }

    fn waits_to_return(
        &self,
        rules: &Failover,
        primary: &Primary,
        standby: &Standby,
        well_for: i64,
        now: Moment,
    ) -> Option<Waits> {
        // A standby that fails itself is no reason to wait: what it said last grows old.
        if standby.current && well_for < ms(self.hold_down(rules, now)) {
            return Some(Waits::HoldDown);
        }
        if primary.good_reads < rules.good_reads {
            return Some(Waits::GoodReads);
        }
        if primary.held {
            return Some(Waits::HeldRemovals);
        }
        let too_small = !reaches(primary.instances, standby.instances, rules);
        too_small.then_some(Waits::PrimaryTooSmall)
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

/// Whether one has the floor's share of what the other has.
fn reaches(one: usize, other: usize, rules: &Failover) -> bool {
    one as u64 * 100 >= other as u64 * u64::from(rules.floor_percent)
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
