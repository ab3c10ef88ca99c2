//! Shared wake-ups for the services that have no blocking read of their own.
//!
//! Consul has two feeds that cover everything: the names (their index moves with each
//! registration, but does not say whose) and the checks (`health/state/any`: which check of which
//! service has which status). A shared service is read again when the second names it, and after
//! every move of the first. Reads answered with the index known are not even parsed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hub_registry_core::ServiceName;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::checks::Concerned;

/// How many services are read at a time after a registration somewhere.
const ROUTINE: usize = 16;
/// How many more for services whose checks changed, so that they need not queue behind those.
const URGENT: usize = 4;
/// Pause between two rounds through all services, and what each service adds to it. A burst of
/// registrations anywhere must not become a burst of reads everywhere: with the pace of the client,
/// 2,000 shared services cost at most 300 a second, and a change that no check tells of (metadata,
/// say) is seen within 12 s.
const ROUND: Duration = Duration::from_secs(1);
const ROUND_EACH: Duration = Duration::from_millis(3);

const ASLEEP: u8 = 0;
const WOKEN: u8 = 1;
const WOKEN_URGENTLY: u8 = 2;

/// The shared services.
#[derive(Debug)]
pub(super) struct Sweep {
    places: Mutex<HashMap<ServiceName, Arc<Mark>>>,
    rounds: Mutex<Rounds>,
    routine: Semaphore,
    urgent: Semaphore,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
            rounds: Mutex::default(),
            routine: Semaphore::new(ROUTINE),
            urgent: Semaphore::new(URGENT),
        }
    }
}

impl Sweep {
    /// A place for this service; dropping it gives it up.
    pub(super) fn place(sweep: &Arc<Self>, name: &ServiceName) -> Place {
        let mark = Arc::new(Mark::default());
        sweep.places.lock().insert(name.clone(), Arc::clone(&mark));
        Place { sweep: Arc::clone(sweep), name: name.clone(), mark }
    }

    /// Whether any service has to share.
    pub(super) fn is_needed(&self) -> bool {
        !self.places.lock().is_empty()
    }

    /// Wakes everyone, without haste: at once when the last round is long enough ago, else when
    /// [`round`](Self::round) is over.
    pub(super) fn wake_all(&self) {
        let mut rounds = self.rounds.lock();
        let now = Instant::now();
        if rounds.next.is_some_and(|next| now < next) {
            rounds.wanted = true;
            return;
        }
        let places = self.places.lock();
        let each = ROUND_EACH * u32::try_from(places.len()).unwrap_or(u32::MAX);
        *rounds = Rounds { next: Some(now + ROUND + each), wanted: false };
        places.values().for_each(|mark| mark.set(WOKEN));
    }

    /// Waits until the round that was put off begins, and begins it; for ever if none was.
    pub(super) async fn round(&self) {
        let (next, wanted) = {
            let rounds = self.rounds.lock();
            (rounds.next, rounds.wanted)
        };
        match next {
            Some(next) if wanted => tokio::time::sleep_until(next).await,
            _ => std::future::pending().await,
        }
        self.wake_all();
    }

    /// Wakes those concerned.
    pub(super) fn wake(&self, concerned: &Concerned) {
        let places = self.places.lock();
        match concerned {
            Concerned::All => places.values().for_each(|mark| mark.set(WOKEN_URGENTLY)),
            Concerned::Services(names) => names
                .iter()
                .filter_map(|name| places.get(name.as_str()))
                .for_each(|mark| mark.set(WOKEN_URGENTLY)),
        }
    }
}

#[derive(Debug, Default)]
struct Rounds {
    // When the next may begin.
    next: Option<Instant>,
    wanted: bool,
}

#[derive(Debug, Default)]
struct Mark {
    level: AtomicU8,
    notify: Notify,
}

impl Mark {
    fn set(&self, level: u8) {
        self.level.fetch_max(level, Ordering::AcqRel);
        self.notify.notify_one();
    }
}

/// One service's place among those that share.
#[derive(Debug)]
pub(super) struct Place {
    sweep: Arc<Sweep>,
    name: ServiceName,
    mark: Arc<Mark>,
}

impl Place {
    /// Waits until something concerned this service since its last turn.
    pub(super) async fn woken(&self) {
        while self.mark.level.load(Ordering::Acquire) == ASLEEP {
            self.mark.notify.notified().await;
        }
    }

    /// Waits for a turn to read. What wakes the service from here on wakes it for a further turn;
    /// what woke it before is settled by this one, however often it did. Who is woken urgently need
    /// not wait with the others any more, also when it has begun to.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        let urgent = async {
            while self.mark.level.load(Ordering::Acquire) != WOKEN_URGENTLY {
                self.mark.notify.notified().await;
            }
            seat(&self.sweep.urgent).await
        };
        let turn = tokio::select! {
            biased;
            turn = urgent => turn,
            turn = seat(&self.sweep.routine) => turn,
        };
        self.mark.level.store(ASLEEP, Ordering::Release);
        turn
    }
}

async fn seat(queue: &Semaphore) -> SemaphorePermit<'_> {
    loop {
        // Never closed.
        if let Ok(turn) = queue.acquire().await {
            return turn;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.sweep.places.lock();
        // A service that left and came back has a newer place by now.
        if places.get(&self.name).is_some_and(|mark| Arc::ptr_eq(mark, &self.mark)) {
            places.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rounds_keep_a_distance_and_none_is_lost() {
        let sweep = Arc::<Sweep>::default();
        let place = Sweep::place(&sweep, &ServiceName::parse("web").unwrap());
        let start = Instant::now();
        sweep.wake_all();
        place.woken().await;
        drop(place.turn().await);
        assert_eq!(start.elapsed(), Duration::ZERO, "the first begins at once");
        sweep.wake_all();
        sweep.wake_all();
        tokio::select! {
            () = place.woken() => panic!("the second waits"),
            () = sweep.round() => {}
        }
        place.woken().await;
        drop(place.turn().await);
        assert!((ROUND..ROUND * 2).contains(&start.elapsed()));
        let more = tokio::time::timeout(ROUND * 9, sweep.round()).await;
        more.expect_err("two wishes are one round");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_with_the_others_and_is_urgent_waits_no_more() {
        let sweep = Arc::<Sweep>::default();
        let name = ServiceName::parse("web").unwrap();
        let place = Sweep::place(&sweep, &name);
        let others = sweep.routine.acquire_many(ROUTINE as u32).await.unwrap();
        sweep.wake_all();
        let turn = tokio::time::timeout(ROUND, place.turn()).await;
        turn.expect_err("all turns are taken");
        let urgent = async {
            tokio::time::sleep(ROUND).await;
            sweep.wake(&Concerned::Services(vec!["web".to_owned()]));
        };
        let turn = tokio::time::timeout(ROUND * 2, place.turn());
        let (turn, ()) = futures_util::future::join(turn, urgent).await;
        drop((turn.expect("a turn of its own"), others));
    }

    #[tokio::test]
    async fn a_wake_up_during_a_turn_gives_another_turn() {
        let sweep = Arc::<Sweep>::default();
        let name = ServiceName::parse("web").unwrap();
        let place = Sweep::place(&sweep, &name);
        sweep.wake_all();
        sweep.wake_all();
        place.woken().await;
        let turn = place.turn().await;
        sweep.wake(&Concerned::Services(vec!["web".to_owned()]));
        drop(turn);
        place.woken().await;
        drop(place.turn().await);
        let again = tokio::time::timeout(Duration::from_millis(20), place.woken()).await;
        again.expect_err("all wake-ups are settled");
        drop(place);
        assert!(!sweep.is_needed());
    }
}
