//! A source of the view: who it is, where it stands in the order, how fresh it is.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};

use hub_registry_core::{ConfigId, RegistryKind};
use serde::Serialize;
use tokio::time::Instant;

pub use crate::model::external::ConflictResolution as Conflict;

/// Which source: the native registry or an external configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceId {
    /// The hub's own registry.
    Native,
    /// An external registry.
    External(ConfigId),
}

impl SourceId {
    /// From what [`as_str`](Self::as_str) says; `None`: it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "native" {
            return Some(Self::Native);
        }
        ConfigId::parse(text).ok().map(Self::External)
    }

    /// `native` or the configuration's id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Native => "native",
            Self::External(id) => id.as_str(),
        }
    }
}

/// The place of a source in the order of origins: a smaller rank goes first.
///
/// The order never depends on arrival: externals that win over native, native, all other
/// externals; inside each by priority, then by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    tier: u8,
    priority: i32,
    id: SourceId,
}

/// What does not change about a source while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its id.
    pub id: SourceId,
    /// `native` or the configuration's name: what readers see.
    pub name: String,
    /// Its kind.
    pub kind: RegistryKind,
    /// Who wins on conflicts.
    pub conflict: Conflict,
    /// Lower goes first among its like.
    pub priority: i32,
}

impl SourceInfo {
    /// The native registry of a tenant.
    #[must_use]
    pub fn native() -> Self {
        Self {
            id: SourceId::Native,
            name: "native".to_owned(),
            kind: RegistryKind::System,
            conflict: Conflict::PrimaryWins,
            priority: 0,
        }
    }

    /// Its place in the order of origins.
    #[must_use]
    pub fn rank(&self) -> Rank {
        let tier = match (&self.id, self.conflict) {
            (_, Conflict::SecondaryWins) => 0,
            (SourceId::Native, _) => 1,
            (SourceId::External(_), Conflict::PrimaryWins | Conflict::Merge) => 2,
        };
        Rank { tier, priority: self.priority, id: self.id.clone() }
    }
}

/// How a source's connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The first attempt is under way.
    Connecting,
    /// Its last read was good.
    Up,
    /// Its last read failed.
    Failing,
}

/// How far a source can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SourceState {
    /// Nothing came yet.
    Connecting,
    /// Its last read was good.
    Live,
    /// Its last read failed: last known good, the age grows.
    Stale,
    /// It is read well, but removals are held back.
    Protected,
    /// It never answered, and fails.
    Down,
    /// An operator disconnected it.
    Disconnected,
}

impl SourceState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Connecting,
        Self::Live,
        Self::Stale,
        Self::Protected,
        Self::Down,
        Self::Disconnected,
    ];

    /// The state of a source from the state of its connection and its shelf.
    #[must_use]
    pub const fn of(link: Link, loaded: bool, held: bool) -> Self {
        match (link, loaded, held) {
            (Link::Connecting, false, _) => Self::Connecting,
            (Link::Failing, false, _) => Self::Down,
            (Link::Up, _, true) => Self::Protected,
            (Link::Up, _, false) => Self::Live,
            (Link::Connecting | Link::Failing, true, _) => Self::Stale,
        }
    }

    /// The word in answers, metrics and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "CONNECTING",
            Self::Live => "LIVE",
            Self::Stale => "STALE",
            Self::Protected => "PROTECTED",
            Self::Down => "DOWN",
            Self::Disconnected => "DISCONNECTED",
        }
    }

    /// Whether what it says is current.
    #[must_use]
    pub const fn is_current(self) -> bool {
        matches!(self, Self::Live | Self::Protected)
    }

    /// Whether it has, or had, something to say.
    #[must_use]
    pub const fn is_loaded(self) -> bool {
        matches!(self, Self::Live | Self::Stale | Self::Protected)
    }

    const fn from_index(index: u8) -> Self {
        Self::ALL[index as usize % Self::ALL.len()]
    }
}

impl std::fmt::Display for SourceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A source as readers see it: state and age are atomics, so telling a reader takes no lock.
#[derive(Debug)]
pub struct SourceCell {
    /// Who it is.
    pub info: SourceInfo,
    state: AtomicU8,
    last_good_ms: AtomicI64,
    accounted: AtomicBool,
    origin: Instant,
}

impl SourceCell {
    /// A source of which nothing is known yet. Ages count from `origin`, the catalog's start.
    #[must_use]
    pub fn new(info: SourceInfo, origin: Instant) -> Self {
        let state = SourceState::Connecting as u8;
        let (state, last_good_ms) = (AtomicU8::new(state), AtomicI64::new(i64::MIN));
        Self { info, state, last_good_ms, accounted: AtomicBool::default(), origin }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> SourceState {
        SourceState::from_index(self.state.load(Ordering::Relaxed))
    }

    /// Sets the state; whether it changed.
    pub fn set_state(&self, state: SourceState) -> bool {
        self.state.swap(state as u8, Ordering::Relaxed) != state as u8
    }

    /// Whether readers need not wait for it: it said something, it is a standby that is not shown
    /// for itself, or its own standby serves. Whoever is told so finds in the next snapshot what it
    /// said.
    #[must_use]
    pub fn is_accounted_for(&self) -> bool {
        self.accounted.load(Ordering::Acquire)
    }

    /// Sets whether readers need not wait for it; whether that changed. That they need not is said
    /// after the snapshot is there that has its rows.
    pub fn set_accounted_for(&self, accounted: bool) -> bool {
        self.accounted.swap(accounted, Ordering::AcqRel) != accounted
    }

    /// Notes that it was read well `ago_ms` milliseconds ago.
    pub fn touch(&self, ago_ms: i64) {
        let now = self.origin.elapsed().as_millis() as i64;
        self.last_good_ms.store(now - ago_ms.max(0), Ordering::Relaxed);
    }

    /// Milliseconds since it was last read well; `None`: never. The native registry is always
    /// current.
    #[must_use]
    pub fn age_ms(&self) -> Option<i64> {
        if self.info.id == SourceId::Native {
            return Some(0);
        }
        let last = self.last_good_ms.load(Ordering::Relaxed);
        let now = self.origin.elapsed().as_millis() as i64;
        (last != i64::MIN).then(|| (now - last).max(0))
    }
}
