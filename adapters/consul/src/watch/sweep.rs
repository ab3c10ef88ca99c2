//! Shared wake-ups for the services that have no blocking read of their own.
//!
//! Consul has two feeds that cover everything: the names (their index moves with each
//! registration, but does not say whose) and the checks (`health/state/any`: which check of which
//! service has which status). A shared service is read again when the second names it, and after
//! every move of the first. Reads answered with the index known are not even parsed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hub_registry_core::{Result, ServiceName};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::client::{Client, Cursor};
use crate::wire::Check;

/// How many services are read at a time after a registration somewhere.
const ROUTINE: usize = 16;
/// How many more for services whose checks changed, so that they need not queue behind those.
const URGENT: usize = 4;
/// Pause between two reads of all checks: each carries every check of the datacenter.
const PAUSE: Duration = Duration::from_millis(200);

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
    /// what woke it before is settled by this one, however often it did.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        let queue = if self.mark.level.load(Ordering::Acquire) == WOKEN_URGENTLY {
            &self.sweep.urgent
        } else {
            &self.sweep.routine
        };
        // Never closed, and if it were the read could as well go on alone.
        let turn = loop {
            if let Ok(turn) = queue.acquire().await {
                break turn;
            }
        };
        self.mark.level.store(ASLEEP, Ordering::Release);
        turn
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

/// Whom a change of checks concerns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    /// Everyone: a check of a node changed.
    All,
    /// These services, by name.
    Services(Vec<String>),
}

/// The checks as last seen.
#[derive(Debug)]
pub(super) struct Checks {
    cursor: Cursor,
    digests: HashMap<String, u64>,
    next: Instant,
}

impl Checks {
    /// The checks now.
    pub(super) async fn read(client: &Client) -> Result<Self> {
        let mut cursor = Cursor::waiting();
        let checks = client.checks(&mut cursor).await?.unwrap_or_default();
        Ok(Self { cursor, digests: digests(&checks), next: Instant::now() + PAUSE })
    }

    /// Waits for a change of the checks; it may concern nobody.
    async fn changed(&mut self, client: &Client) -> Result<Concerned> {
        tokio::time::sleep_until(self.next).await;
        let checks = client.checks(&mut self.cursor).await?;
        self.next = Instant::now() + PAUSE;
        let Some(checks) = checks else {
            return Ok(Concerned::Services(Vec::new()));
        };
        let before = std::mem::replace(&mut self.digests, digests(&checks));
        Ok(difference(&before, &self.digests))
    }
}

/// Waits for a change of the checks. Without checks to compare with it reads them, and everyone is
/// concerned. Dropping it loses nothing: the index known stays the one before the change.
pub(super) async fn woken(checks: &mut Option<Checks>, client: &Client) -> Result<Concerned> {
    match checks {
        Some(checks) => checks.changed(client).await,
        None => {
            *checks = Some(Checks::read(client).await?);
            Ok(Concerned::All)
        }
    }
}

/// One number per service for which checks it has and how they stand; node checks are under "".
/// The output of a check is left out: it changes without meaning.
fn digests(checks: &[Check]) -> HashMap<String, u64> {
    let mut digests = HashMap::<String, u64>::new();
    for check in checks {
        let mut hasher = DefaultHasher::new();
        (&check.node, &check.check_id, &check.status).hash(&mut hasher);
        let sum = digests.entry(check.service_name.clone()).or_default();
        // A sum, since the order of the list has no meaning.
        *sum = sum.wrapping_add(hasher.finish());
    }
    digests
}

fn difference(before: &HashMap<String, u64>, after: &HashMap<String, u64>) -> Concerned {
    let changed = after.iter().filter(|(name, sum)| before.get(*name) != Some(sum));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let names: Vec<_> = changed.map(|(name, _)| name).chain(gone).cloned().collect();
    if names.iter().any(String::is_empty) {
        return Concerned::All;
    }
    Concerned::Services(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(service: &str, id: &str, status: &str, output: &str) -> Check {
        Check {
            node: "n1".to_owned(),
            check_id: id.to_owned(),
            status: status.to_owned(),
            output: output.to_owned(),
            service_name: service.to_owned(),
            ..Check::default()
        }
    }

    fn concerned(before: &[Check], after: &[Check]) -> Concerned {
        difference(&digests(before), &digests(after))
    }

    #[test]
    fn a_status_concerns_its_service_and_output_nobody() {
        let web = check("web", "service:web", "passing", "ok");
        let stock = check("stock", "service:stock", "passing", "ok");
        let before = [web.clone(), stock.clone()];
        let chatter = check("web", "service:web", "passing", "still ok");
        let nobody = Concerned::Services(Vec::new());
        assert_eq!(concerned(&before, &[stock.clone(), chatter]), nobody);
        let critical = check("web", "service:web", "critical", "ok");
        let only_web = Concerned::Services(vec!["web".to_owned()]);
        assert_eq!(concerned(&before, &[critical, stock.clone()]), only_web);
        assert_eq!(concerned(&before, &[stock]), only_web);
    }

    #[test]
    fn a_check_of_a_node_concerns_everyone() {
        let node = check("", "serfHealth", "critical", "");
        assert_eq!(concerned(&[], &[node]), Concerned::All);
    }

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
