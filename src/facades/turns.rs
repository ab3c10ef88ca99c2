//! One after the other for what is read, changed and written back.

use std::hash::{BuildHasher, Hash, RandomState};

use tokio::sync::{Mutex, MutexGuard};

const LANES: usize = 256;

/// Lanes, in which those who change the same thing follow each other.
#[derive(Debug)]
pub(super) struct Turns {
    lanes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        let lanes = (0..LANES).map(|_| Mutex::default()).collect();
        Self { lanes, hasher: RandomState::new() }
    }
}

impl Turns {
    /// Waits for the turn of this thing; it lasts until the guard is dropped. Other things may have
    /// to wait for it too.
    pub(super) async fn of(&self, thing: impl Hash) -> MutexGuard<'_, ()> {
        let lane = self.hasher.hash_one(thing) as usize % LANES;
        self.lanes[lane].lock().await
    }
}
