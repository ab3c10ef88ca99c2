//! One instance whose removal is being confirmed.

use tokio::time::Instant;

/// Why an instance that its registry no longer lists, or no longer hears, is still shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The first full read after an outage lacked it: its client may be about to return.
    AfterOutage,
    /// Too many left within a minute to be believed at once.
    Loss,
    /// It was among the last of a service of three or more.
    ServiceEmptied,
    /// It was among the last of the source.
    SourceEmptied,
    /// The registry still lists it, and says itself that it waits for its client.
    SilentClient,
}

impl Why {
    /// The word in answers, events and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AfterOutage => "AFTER_OUTAGE",
            Self::Loss => "LOSS",
            Self::ServiceEmptied => "SERVICE_EMPTIED",
            Self::SourceEmptied => "SOURCE_EMPTIED",
            Self::SilentClient => "SILENT_CLIENT",
        }
    }

    /// What an operator is told.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::AfterOutage => {
                "the first full read after an outage lacked it; its client has time to return"
            }
            Self::Loss => "too many left within a minute; its removal is being confirmed",
            Self::ServiceEmptied => "its service was left empty; its removal is being confirmed",
            Self::SourceEmptied => {
                "the whole registry was left empty; its removal is being confirmed"
            }
            Self::SilentClient => "too many leases ran out together to be believed",
        }
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An instance that is missing, and how far its removal is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The first of the good reads that lack it: none since then had it.
    pub since: Instant,
    /// Why it did not leave at once.
    pub why: Why,
    /// From when on reads count. Later than `since` after another outage.
    pub(super) from: Instant,
    /// Good reads since `from` that lacked it, the first included.
    pub(super) reads: u32,
}

impl Hold {
    /// One that a good read lacks now.
    #[must_use]
    pub fn new(now: Instant, why: Why) -> Self {
        Self { since: now, why, from: now, reads: 1 }
    }

    /// Its confirmation begins again, after an outage.
    pub(in crate::catalog) fn resume(&mut self, now: Instant) {
        (self.why, self.from, self.reads) = (Why::AfterOutage, now, 1);
    }

    /// A look found it after all: what its lists lacked does not count.
    pub(in crate::catalog) fn seen(&mut self, now: Instant) {
        (self.since, self.from, self.reads) = (now, now, 0);
    }
}
