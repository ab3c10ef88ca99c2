//! One tenant's events: what was released, and who waits for more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};

use super::ring::{Release, Ring, names};
use crate::events::frame::Frame;
use crate::storage::Cursor;

/// How many heartbeats wait for a subscriber who asked for them; whoever is slower misses some.
const BEATS: usize = 1024;
/// There is nothing to read.
const NOTHING: u64 = u64::MAX;
/// There was something to read, and it is gone.
const LOST: u64 = NOTHING - 1;

/// A subscriber's place among those who wait.
#[derive(Debug)]
pub(super) struct Place {
    /// The number of the first set that it may want and has not read.
    unread: AtomicU64,
    pub(super) wake: Notify,
}

impl Place {
    fn tell(&self, number: u64) {
        // Under the tenant's lock: nobody else sets it meanwhile.
        if self.unread.load(Ordering::Relaxed) == NOTHING {
            self.unread.store(number, Ordering::Relaxed);
        }
        self.wake.notify_one();
    }
}

/// What was known of a tenant when this run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The lowest revision of this run. Those from here to `quiet` name the view as it was found.
    pub(crate) base: i64,
    /// The revision of the view as it was found.
    pub(crate) quiet: i64,
    /// The last revision that was told, `quiet` or a higher one.
    pub(crate) told: i64,
    /// The last revision an earlier run told, if what came after it is known.
    pub(crate) earlier: Option<i64>,
}

/// One tenant's events.
#[derive(Debug)]
pub(super) struct Tenant {
    inner: Mutex<Inner>,
    /// The highest revision of the view, told or not.
    given: AtomicI64,
    /// The highest revision whose events are on disk.
    pub(super) logged: watch::Sender<i64>,
    pub(super) beats: broadcast::Sender<Arc<Frame>>,
}

#[derive(Debug)]
struct Inner {
    start: Start,
    ring: Ring,
    told: i64,
    of_service: HashMap<Box<str>, Vec<Arc<Place>>>,
    of_all: Vec<Arc<Place>>,
}

/// What a subscriber finds.
#[derive(Debug)]
pub(super) enum Found {
    /// Sets of which it may want some events.
    Sets(Vec<Arc<Release>>),
    /// Nothing: it was given all it wants up to this revision.
    Nothing(i64),
    /// What it wants was let go of.
    Lost,
}

impl Tenant {
    pub(super) fn new(start: Start, buffer: usize) -> Self {
        let inner = Inner {
            start,
            ring: Ring::new(buffer, start.told),
            told: start.told,
            of_service: HashMap::new(),
            of_all: Vec::new(),
        };
        Self {
            inner: Mutex::new(inner),
            given: AtomicI64::new(start.told),
            logged: watch::Sender::new(start.told),
            beats: broadcast::Sender::new(BEATS),
        }
    }

    pub(super) fn start(&self) -> Start {
        self.inner.lock().start
    }

    /// The view has this revision now.
    pub(super) fn give(&self, revision: i64) {
        self.given.fetch_max(revision, Ordering::Relaxed);
    }

    pub(super) fn given(&self) -> i64 {
        self.given.load(Ordering::Relaxed)
    }

    /// The last revision that was released.
    pub(super) fn told(&self) -> i64 {
        self.inner.lock().told
    }

    pub(super) fn buffered(&self) -> usize {
        self.inner.lock().ring.events()
    }

    /// Nobody listens and nothing was told: it need not be kept.
    pub(super) fn is_idle(&self) -> bool {
        let inner = self.inner.lock();
        inner.of_service.is_empty() && inner.of_all.is_empty() && inner.told == inner.start.told
    }

    /// Lets subscribers read a change set, and wakes those who may want it.
    pub(super) fn release(&self, release: Release) {
        let release = Arc::new(release);
        let mut inner = self.inner.lock();
        inner.told = release.revision;
        let number = inner.ring.push(Arc::clone(&release));
        for name in names(&release) {
            let places = inner.of_service.get(name);
            places.into_iter().flatten().for_each(|place| place.tell(number));
        }
        inner.of_all.iter().for_each(|place| place.tell(number));
    }

    /// What came up to this revision is lost: everybody has to begin anew.
    pub(super) fn lose(&self, revision: i64) {
        let mut inner = self.inner.lock();
        inner.told = revision;
        inner.ring.forget(revision);
        for place in inner.of_service.values().flatten().chain(&inner.of_all) {
            place.unread.store(LOST, Ordering::Relaxed);
            place.wake.notify_one();
        }
    }

    /// Takes a place among those who follow one service, or all.
    pub(super) fn join(&self, service: Option<&str>) -> Arc<Place> {
        let place = Arc::new(Place { unread: AtomicU64::new(NOTHING), wake: Notify::new() });
        let mut inner = self.inner.lock();
        match service {
            Some(name) => inner.of_service.entry(name.into()).or_default().push(Arc::clone(&place)),
            None => inner.of_all.push(Arc::clone(&place)),
        }
        place
    }

    /// Gives the place back.
    pub(super) fn leave(&self, service: Option<&str>, place: &Arc<Place>) {
        let remove = |places: &mut Vec<Arc<Place>>| {
            if let Some(at) = places.iter().position(|other| Arc::ptr_eq(other, place)) {
                places.swap_remove(at);
            }
        };
        let mut inner = self.inner.lock();
        let Some(name) = service else { return remove(&mut inner.of_all) };
        if let Some(places) = inner.of_service.get_mut(name) {
            remove(places);
            if places.is_empty() {
                inner.of_service.remove(name);
            }
        }
    }

    /// Goes on with what happens from now on; the revision that the view has now.
    pub(super) fn go_live(&self, place: &Place) -> i64 {
        let inner = self.inner.lock();
        place.unread.store(NOTHING, Ordering::Relaxed);
        inner.told.max(self.given())
    }

    /// Goes on after this place, if everything after it is here.
    pub(super) fn go_on(&self, place: &Place, cursor: Cursor) -> bool {
        let inner = self.inner.lock();
        let whole = cursor == Cursor::after(cursor.revision);
        let oldest = inner.ring.since() + i64::from(!whole);
        if cursor.revision < oldest {
            return false;
        }
        let number = inner.ring.number_of(cursor.revision);
        let unread = if number == inner.ring.end() { NOTHING } else { number };
        place.unread.store(unread, Ordering::Relaxed);
        true
    }

    /// Reads on.
    pub(super) fn read(&self, place: &Place, service: Option<&str>, most: usize) -> Found {
        let inner = self.inner.lock();
        let unread = place.unread.load(Ordering::Relaxed);
        if unread == NOTHING {
            return Found::Nothing(inner.told);
        }
        if unread < inner.ring.first() || unread == LOST {
            return Found::Lost;
        }
        let (sets, next) = inner.ring.from(unread, service, most);
        let unread = if next == inner.ring.end() { NOTHING } else { next };
        place.unread.store(unread, Ordering::Relaxed);
        if sets.is_empty() { Found::Nothing(inner.told) } else { Found::Sets(sets) }
    }
}
