//! What a service remembers from one request for an order to the next.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::loads::{Load, Loads};
use super::order::Candidate;
use super::wheel::Wheel;

/// How many different lists of candidates (readers with different filters) of a service have
/// turns of their own; the one not asked for longest loses its place.
const RINGS: usize = 16;
/// A new ring begins somewhere in its first turns, so that lists that change all the time do not
/// favour whoever is first.
const PHASES: u64 = 64;

/// What a service remembers of its turns and connections. It lives and goes with the service, in
/// memory only.
#[derive(Default)]
pub struct Picks {
    // Most services are never asked for an order.
    memory: Mutex<Option<Box<Memory>>>,
}

#[derive(Default)]
struct Memory {
    // The last used in front.
    rings: Vec<(u64, Ring)>,
    loads: Loads,
}

enum Ring {
    Even(u64),
    Weighted(Box<Wheel>),
}

impl Picks {
    /// Takes an instance's report of its connections; it counts for
    /// [`LOAD_LIFETIME`](super::LOAD_LIFETIME).
    pub fn report(&self, id: &str, connections: u64) {
        self.memory.lock().get_or_insert_default().loads.report(id, connections, Instant::now());
    }

    /// What is known of an instance's connections.
    #[must_use]
    pub fn load(&self, id: &str) -> Option<Load> {
        self.memory.lock().as_ref()?.loads.get(id, Instant::now())
    }

    /// Whose turn it is when all have the same number of turns.
    pub(super) fn even(&self, all: &[Candidate<'_>], random: u64) -> usize {
        let mut memory = self.memory.lock();
        let memory = memory.get_or_insert_default();
        match memory.ring(all, false, || Ring::Even(random % all.len().max(1) as u64)) {
            Ring::Even(turn) => {
                *turn = turn.wrapping_add(1);
                (*turn % all.len().max(1) as u64) as usize
            }
            Ring::Weighted(_) => 0,
        }
    }

    /// Whose turn it is when each has turns by its weight.
    pub(super) fn weighted(&self, all: &[Candidate<'_>], random: u64) -> usize {
        let mut memory = self.memory.lock();
        let memory = memory.get_or_insert_default();
        let make = || {
            let weights: Vec<_> = all.iter().map(|candidate| candidate.weight).collect();
            let mut wheel = Wheel::new(&weights);
            for _ in 0..random % PHASES {
                wheel.next();
            }
            Ring::Weighted(Box::new(wheel))
        };
        match memory.ring(all, true, make) {
            Ring::Weighted(wheel) => wheel.next(),
            Ring::Even(_) => 0,
        }
    }

    /// The candidates' places by their connections, fewest first; equals take turns. The first
    /// counts as picked.
    pub(super) fn by_load(&self, all: &[Candidate<'_>], random: u64) -> Vec<usize> {
        let first = self.even(all, random);
        let mut memory = self.memory.lock();
        let memory = memory.get_or_insert_default();
        let loads = memory.loads.of(all.iter().map(|candidate| candidate.id), Instant::now());
        let mut places: Vec<usize> = (0..all.len()).collect();
        places.rotate_left(first);
        places.sort_by_key(|&place| loads[place]);
        if let Some(&first) = places.first() {
            memory.loads.picked(all[first].id);
        }
        places
    }
}

impl Memory {
    fn ring(
        &mut self,
        all: &[Candidate<'_>],
        weighted: bool,
        make: impl FnOnce() -> Ring,
    ) -> &mut Ring {
        let mut hasher = DefaultHasher::new();
        weighted.hash(&mut hasher);
        for candidate in all {
            candidate.id.hash(&mut hasher);
            if weighted {
                candidate.weight.hash(&mut hasher);
            }
        }
        let wanted = hasher.finish();
        match self.rings.iter().position(|(of, _)| *of == wanted) {
            Some(place) => self.rings[..=place].rotate_right(1),
            None => {
                self.rings.truncate(RINGS - 1);
                self.rings.insert(0, (wanted, make()));
            }
        }
        &mut self.rings[0].1
    }
}

impl fmt::Debug for Picks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picks").finish_non_exhaustive()
    }
}
