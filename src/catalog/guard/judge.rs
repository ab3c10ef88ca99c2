//! The rules.

use std::time::Duration;

use hub_registry_core::ServiceKey;
use tokio::time::Instant;

use super::hold::{Hold, Why};
use super::policy::GuardRules;
use super::window::{self, Window};

/// A service of this many that is left empty is held; of fewer, the last one may just leave.
const SERVICE: u64 = 3;
/// What confirms that a service was emptied while the rest of the source stands: reads, and over
/// how long.
const SERVICE_CONFIRMED: (u32, Duration) = (2, Duration::from_secs(2));
/// A source of this many that is left empty waits `empty_hold`: an expired Consul token reads as
/// an empty list.
const SOURCE: u64 = 10;
/// However often a registry fails and returns: what all good reads lack leaves within so many
/// times its hold.
const BOUND: u32 = 2;
/// While anything is held the source is read again this often at the latest, and not more often.
const LOOKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What one service lost and got in a change.
#[derive(Clone, Copy, Debug)]
pub(in crate::catalog) struct Loss<'a> {
    /// Which service.
    pub key: &'a ServiceKey,
    /// How many of its instances were listed before.
    pub before: usize,
    /// How many are listed now.
    pub after: usize,
    /// How many of those listed before are missing now.
    pub missing: usize,
    /// How many are new; those held that are listed again are not.
    pub added: usize,
}

/// A change as far as the guard is concerned: what came together, judged together.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Batch<'a> {
    /// It tells of every service there is.
    pub full: bool,
    /// How many instances the source listed before.
    pub before: usize,
    /// How many it lists now.
    pub after: usize,
    /// The services it tells of, each once.
    pub services: Vec<Loss<'a>>,
}

/// What becomes of the instances of a service that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) enum Fate {
    /// Those missing since this change leave.
    Leave,
    /// They leave, and so do those held before: another registry.
    LeaveAll,
    /// They leave, and so do those held since this time: others took their places.
    Replaced(Instant),
    /// They are held.
    Hold(Why),
    /// They are held, and those held before begin anew: their clients may be about to return.
    Settle,
}

impl Fate {
    /// Why they are held, if they are.
    pub(in crate::catalog) fn why(self) -> Option<Why> {
        match self {
            Self::Hold(why) => Some(why),
            Self::Settle => Some(Why::AfterOutage),
            Self::Leave | Self::LeaveAll | Self::Replaced(_) => None,
        }
    }
}

/// What a change is as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Each service for itself.
    Ordinary,
    /// Too much to be believed at once.
    Suspicious(Why),
    /// The first full read after an outage.
    Return,
    /// The first full read of another registry.
    Other,
}

/// What must come together before a held instance leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::catalog) struct Needs {
    /// So many good reads without it,
    pub reads: u32,
    /// over so long;
    pub span: Duration,
    /// or a good read without it after so long, however often the registry failed meanwhile.
    pub bound: Duration,
}

/// What is known of a source beyond its instances.
#[derive(Debug)]
pub(in crate::catalog) struct Guard {
    window: Window,
    after_outage: bool,
    other_registry: bool,
    // When too much was last missing, or everything.
    alarm: Option<Instant>,
    // A source of ten or more lists nothing.
    emptied: bool,
    // When such a source last began to list something again.
    refilled: Option<Instant>,
}

impl Guard {
    /// That of a source of which nothing is known yet.
    pub(in crate::catalog) fn new(now: Instant) -> Self {
        Self {
            window: Window::new(now),
            after_outage: false,
            other_registry: false,
            alarm: None,
            emptied: false,
            refilled: None,
        }
    }

    /// The registry stopped answering: what its next full read lacks is waited for.
    pub(in crate::catalog) fn outage(&mut self) {
        self.after_outage = true;
    }

    /// The next full read is of another registry.
    pub(in crate::catalog) fn expect_other_registry(&mut self) {
        self.other_registry = true;
    }

    /// The sum of what the services lost within the last minute, and how many instances there were
    /// before.
    pub(in crate::catalog) fn lost(&self, listed: usize) -> (u64, u64) {
        let size = listed as i64 + self.window.total();
        (self.window.loss(), size.max(0) as u64)
    }

    /// Nothing is held any more.
    pub(in crate::catalog) fn calm(&mut self) {
        (self.alarm, self.emptied, self.refilled) = (None, false, None);
    }

    /// The losses so far were accepted: they count no more.
    pub(in crate::catalog) fn accept(&mut self) {
        self.window.clear();
        self.calm();
    }

    /// A held instance is listed again.
    pub(in crate::catalog) fn returned(&mut self, hold: &Hold, key: &ServiceKey) {
        self.window.forgive(hold.since, key);
    }

    /// A look found a held instance that the lists lack: it is missing since now.
    pub(in crate::catalog) fn seen(&mut self, hold: &Hold, key: &ServiceKey, now: Instant) {
        self.window.forgive(hold.since, key);
        self.window.note(now, key, 1, 0);
    }

    /// Judges a change: what becomes of the missing instances of each service, in the order of
    /// the batch. What a first load lists is no gain.
    pub(in crate::catalog) fn judge(
        &mut self,
        rules: &GuardRules,
        batch: &Batch<'_>,
        first_load: bool,
        now: Instant,
    ) -> Vec<Fate> {
        self.window.advance(now);
        let change = self.classify(rules, batch, first_load, now);
        if batch.full {
            (self.after_outage, self.other_registry) = (false, false);
        }
        self.remember(batch, change, now);
        batch.services.iter().map(|loss| self.fate(rules, change, loss, now)).collect()
    }

    fn classify(
        &mut self,
        rules: &GuardRules,
        batch: &Batch<'_>,
        first_load: bool,
        now: Instant,
    ) -> Change {
        if first_load {
            return Change::Ordinary;
        }
        if batch.full && self.other_registry {
            self.accept();
            return Change::Other;
        }
        for loss in &batch.services {
            self.window.note(now, loss.key, loss.missing, loss.added);
        }
        if batch.full && self.after_outage && rules.settle != Some(Duration::ZERO) {
            return Change::Return;
        }
        if batch.after == 0 {
            return Change::Suspicious(Why::SourceEmptied);
        }
        let (loss, size) = self.lost(batch.after);
        if loss >= u64::from(rules.min_instances) && loss * 100 > size * u64::from(rules.percent) {
            return Change::Suspicious(Why::Loss);
        }
        Change::Ordinary
    }

    /// Keeps in mind what makes other holds longer.
    fn remember(&mut self, batch: &Batch<'_>, change: Change, now: Instant) {
        if batch.after > 0 && std::mem::take(&mut self.emptied) {
            self.refilled = Some(now);
        }
        if batch.services.iter().all(|loss| loss.missing == 0) || change == Change::Other {
            return;
        }
        let (_, size) = self.lost(batch.after);
        if batch.after == 0 && size.max(batch.before as u64) >= SOURCE {
            self.emptied = true;
        }
        if matches!(change, Change::Suspicious(_)) {
            self.alarm = Some(now);
        }
    }

    fn fate(&self, rules: &GuardRules, change: Change, loss: &Loss<'_>, now: Instant) -> Fate {
        let why = match change {
            Change::Other => return Fate::LeaveAll,
            Change::Return => return Fate::Settle,
            // A swap is no loss, in whichever order it is told.
            _ if loss.after > 0 && self.window.net(loss.key) <= 0 => {
                return Fate::Replaced(now.checked_sub(window::REACH).unwrap_or(now));
            }
            Change::Suspicious(why) => why,
            Change::Ordinary if self.is_emptied(loss) => Why::ServiceEmptied,
            Change::Ordinary => return Fate::Leave,
        };
        let needs = self.needs(rules, Duration::ZERO, &Hold::new(now, why));
        if needs.reads <= 1 && needs.span.is_zero() { Fate::Leave } else { Fate::Hold(why) }
    }

    /// Whether a service of some size has nothing left.
    fn is_emptied(&self, loss: &Loss<'_>) -> bool {
        let size = self.window.net(loss.key).max(loss.before as i64);
        loss.after == 0 && size >= SERVICE as i64
    }

    /// What it takes for this one to leave. `settle`: how long clients take to return.
    pub(in crate::catalog) fn needs(
        &self,
        rules: &GuardRules,
        settle: Duration,
        hold: &Hold,
    ) -> Needs {
        let confirmed = (rules.confirmations, rules.hold);
        let alarmed = self.alarm.is_some_and(|at| at >= hold.since);
        let (mut reads, mut span) = match hold.why {
            Why::AfterOutage => (1, settle),
            Why::ServiceEmptied if !alarmed => {
                (confirmed.0.min(SERVICE_CONFIRMED.0), confirmed.1.min(SERVICE_CONFIRMED.1))
            }
            Why::ServiceEmptied | Why::Loss | Why::SourceEmptied | Why::SilentClient => confirmed,
        };
        let mut longest = span;
        if self.emptied {
            (reads, span) = (confirmed.0, span.max(rules.empty_hold));
            longest = span;
        } else if self.refilled.is_some_and(|at| at >= hold.since) {
            // What fills again is like what comes back after an outage.
            (reads, span) = (confirmed.0, span.max(settle));
            longest = span.max(rules.empty_hold);
        }
        Needs { reads, span, bound: longest * BOUND }
    }

    /// The hold as it counts now: while a source that was empty fills again, what is still missing
    /// is confirmed from the beginning.
    fn counted(&self, mut hold: Hold) -> Hold {
        if let Some(at) = self.refilled.filter(|at| *at > hold.from) {
            (hold.from, hold.reads) = (at, 0);
        }
        hold
    }

    /// The earliest moment at which this one leaves, given that all looks go on missing it.
    pub(in crate::catalog) fn leaves_at(&self, needs: &Needs, hold: &Hold) -> Instant {
        (self.counted(*hold).from + needs.span).min(hold.since + needs.bound)
    }

    /// So many reads lacked it, of those that count.
    pub(in crate::catalog) fn reads(&self, hold: &Hold) -> u32 {
        self.counted(*hold).reads
    }

    /// A look asked for at this time did not find it: whether it leaves now.
    pub(in crate::catalog) fn confirm(
        &self,
        needs: &Needs,
        hold: &mut Hold,
        asked: Instant,
        now: Instant,
    ) -> bool {
        *hold = self.counted(*hold);
        if asked < hold.from {
            // Asked before: the answer may be older than what made it begin again.
            return false;
        }
        hold.reads = hold.reads.saturating_add(1);
        (hold.reads >= needs.reads && now >= hold.from + needs.span)
            || now >= hold.since + needs.bound
    }

    /// When the registry is to be asked again for this one, having been asked at `last`.
    pub(in crate::catalog) fn next_look(
        &self,
        needs: &Needs,
        hold: &Hold,
        last: Instant,
    ) -> Instant {
        let hold = self.counted(*hold);
        let pace = needs.span / needs.reads.saturating_sub(1).max(1);
        let wanted =
            if hold.reads + 1 >= needs.reads { hold.from + needs.span } else { last + pace };
        wanted.clamp(last + LOOKS.0, last + LOOKS.1)
    }
}
