//! The end of a discovery answer: which sources stand behind it and how they are. Made at most
//! once per 250 ms for each set of sources and shared by all services of that set.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use hub_registry_core::RegistryKind;
use serde::Serialize;
use tokio::time::Instant;

use super::answer::Freshness;
use super::source::{SourceCell, SourceState};

/// A tail is used for this long, in milliseconds; a changed state ends it at once.
const LIFETIME_MS: u128 = 250;

/// The bytes that complete an answer.
#[derive(Debug)]
pub struct Tail {
    /// From `,"stale":` to the closing brace.
    pub bytes: Bytes,
    /// How fresh the answer is.
    pub freshness: Freshness,
    /// A digest of the sources' states, for the entity tag.
    pub states: u64,
    made: Instant,
    version: u64,
}

/// All sources of a tenant, and a number that rises whenever one's state changes.
#[derive(Debug, Default)]
pub struct Sources {
    cells: ArcSwap<Vec<Arc<SourceCell>>>,
    version: std::sync::atomic::AtomicU64,
}

impl Sources {
    /// Replaces the list.
    pub fn set(&self, cells: Vec<Arc<SourceCell>>) {
        self.cells.store(Arc::new(cells));
        self.changed();
    }

    /// All sources, in rank order.
    #[must_use]
    pub fn all(&self) -> Arc<Vec<Arc<SourceCell>>> {
        self.cells.load_full()
    }

    /// Tells every tail that a state changed.
    pub fn changed(&self) {
        self.version.fetch_add(1, std::sync::atomic::Ordering::Release);
    }

    fn version(&self) -> u64 {
        self.version.load(std::sync::atomic::Ordering::Acquire)
    }

    /// The enabled sources that never said anything and that readers wait for.
    #[must_use]
    pub fn unloaded(&self) -> Vec<Arc<SourceCell>> {
        let cells = self.cells.load();
        cells.iter().filter(|cell| !cell.is_accounted_for()).cloned().collect()
    }
}

/// The sources that contribute to a service.
#[derive(Debug)]
pub struct SourceSet {
    cells: Vec<Arc<SourceCell>>,
    tail: ArcSwapOption<Tail>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SourceJson<'a> {
    source: &'a str,
    registry_type: RegistryKind,
    state: SourceState,
    age_ms: Option<i64>,
}

#[derive(Serialize)]
struct TailJson<'a> {
    stale: bool,
    partial: bool,
    sources: Vec<SourceJson<'a>>,
}

impl SourceSet {
    /// A set of these sources.
    #[must_use]
    pub fn new(cells: Vec<Arc<SourceCell>>) -> Self {
        Self { cells, tail: ArcSwapOption::empty() }
    }

    /// The contributing sources.
    #[must_use]
    pub fn cells(&self) -> &[Arc<SourceCell>] {
        &self.cells
    }

    /// The tail for now.
    pub fn tail(&self, sources: &Sources) -> Arc<Tail> {
        // The number is read before the states: a change in between makes the new tail look old,
        // and it is made once more.
        let version = sources.version();
        if let Some(tail) = &*self.tail.load()
            && tail.version == version
            && tail.made.elapsed().as_millis() < LIFETIME_MS
        {
            return Arc::clone(tail);
        }
        let tail = Arc::new(self.make(sources, version));
        self.tail.store(Some(Arc::clone(&tail)));
        tail
    }

    fn make(&self, sources: &Sources, version: u64) -> Tail {
        let unloaded = sources.unloaded();
        let mut freshness = Freshness { partial: !unloaded.is_empty(), ..Freshness::default() };
        let mut digest = DefaultHasher::new();
        let mut list = Vec::with_capacity(self.cells.len() + unloaded.len());
        for cell in &self.cells {
            let (state, age_ms) = (cell.state(), cell.age_ms());
            freshness.stale |= !state.is_current();
            freshness.max_age_ms = freshness.max_age_ms.max(age_ms.unwrap_or(0));
            list.push((cell, state, age_ms));
        }
        let contributes = |cell: &Arc<SourceCell>| self.cells.iter().any(|c| Arc::ptr_eq(c, cell));
        for cell in unloaded.iter().filter(|cell| !contributes(cell)) {
            list.push((cell, cell.state(), cell.age_ms()));
        }
        let mut entries = Vec::with_capacity(list.len());
        for (cell, state, age_ms) in list {
            (cell.info.id.as_str(), state).hash(&mut digest);
            let (source, registry_type) = (cell.info.name.as_str(), cell.info.kind);
            entries.push(SourceJson { source, registry_type, state, age_ms });
        }
        let json =
            TailJson { stale: freshness.stale, partial: freshness.partial, sources: entries };
        let mut bytes = serde_json::to_vec(&json).unwrap_or_else(|_| b"{}".to_vec());
        bytes[0] = b',';
        Tail {
            bytes: bytes.into(),
            freshness,
            states: digest.finish(),
            made: Instant::now(),
            version,
        }
    }
}
