use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use hub_registry_core::TenantId;
use parking_lot::Mutex;

use super::*;
use crate::access::Visible;
use crate::events::change::Prints;
use crate::events::feed::{FeedSettings, Item, Subscription, Wanted};
use crate::events::frame::Notice;
use crate::model::words::EventType;
use crate::storage::{EventCount, EventFilter, EventPage, EventQuery, EventRow, LogPosition, Take};

/// A log in memory that fails on demand.
#[derive(Debug, Default)]
struct Store {
    rows: Mutex<Vec<EventRow>>,
    positions: Mutex<BTreeMap<String, LogPosition>>,
    refuses: AtomicBool,
    /// It does what it is told, and the answer is lost.
    forgets_to_answer: AtomicBool,
    hangs: AtomicBool,
    appends: AtomicUsize,
}

impl Store {
    fn unavailable() -> StorageError {
        StorageError::new(StorageErrorKind::Unavailable, "fake")
    }
}

#[async_trait]
impl EventStore for Store {
    async fn positions(&self) -> Result<Vec<LogPosition>> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Self::unavailable());
        }
        Ok(self.positions.lock().values().cloned().collect())
    }

    async fn pending(&self) -> Result<Vec<EventMark>> {
        Ok(Vec::new())
    }

    async fn append(&self, batch: Arc<LogBatch>) -> Result<()> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Self::unavailable());
        }
        self.rows.lock().extend(batch.rows.iter().cloned());
        for position in &batch.positions {
            let mut positions = self.positions.lock();
            let floor = positions.get(&position.tenant_id).map_or(0, |before| before.floor);
            let floor = floor.max(position.floor);
            let position = LogPosition { floor, ..position.clone() };
            positions.insert(position.tenant_id.clone(), position);
        }
        if self.forgets_to_answer.load(Ordering::Relaxed) {
            return Err(Self::unavailable());
        }
        Ok(())
    }

    async fn events(&self, _: &EventQuery<'_>, _: Take) -> Result<EventPage> {
        Err(Self::unavailable())
    }

    async fn count(&self, _: &EventQuery<'_>) -> Result<Vec<EventCount>> {
        Err(Self::unavailable())
    }

    async fn has_revision(&self, _: &str, _: i64) -> Result<bool> {
        Err(Self::unavailable())
    }
}

struct World {
    store: Arc<Store>,
    input: mpsc::Sender<Vec<ChangeSet>>,
    subscription: Subscription,
    feed: Arc<Feed>,
    running: crate::task::TaskGroup,
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

impl World {
    fn start() -> Self {
        let store = Arc::new(Store::default());
        let settings = FeedSettings { buffer: 1_000_000, readers: 1, seats: 9, seats_per_user: 9 };
        let (metrics, running) = (Metrics::new(), crate::task::TaskGroup::new());
        let log: Arc<dyn EventStore> = Arc::clone(&store) as _;
        let feed = Arc::new(Feed::new(Some(Arc::clone(&log)), settings, 0, metrics.clone()));
        let (input, output) = mpsc::channel(4);
        running.spawn(Recorder::new(log, Arc::clone(&feed), metrics, output).run());
        let wanted = Wanted {
            tenant: tenant(),
            user: "me".to_owned(),
            filter: EventFilter::default(),
            since: None,
        };
        let subscription = feed.subscribe(wanted, Visible::everything()).unwrap();
        Self { store, input, subscription, feed, running }
    }

    async fn tell(&self, revision: i64, rows: usize) {
        let row = |place: usize| EventRow {
            tenant_id: tenant().to_string(),
            event_type: EventType::GroupUpdate.to_string(),
            revision,
            place: place as i64,
            ..EventRow::default()
        };
        self.feed.give(&tenant(), revision);
        let set = ChangeSet {
            tenant: tenant(),
            revision,
            rows: (0..rows).map(row).collect(),
            on_disk: OnDisk::Nothing,
            prints: Prints::default(),
            gap: false,
        };
        self.input.send(vec![set]).await.unwrap();
    }

    /// The revisions that the subscriber is given within this time.
    async fn given(&mut self, within: Duration) -> Vec<i64> {
        let (mut all, end) = (Vec::new(), Instant::now() + within);
        while let Ok(item) = tokio::time::timeout_at(end, self.subscription.next()).await {
            match item {
                Item::Events(frames) => {
                    all.extend(frames.iter().map(|frame| frame.cursor.unwrap().revision));
                }
                Item::Notice(Notice::Bookmark(_)) => {}
                Item::Notice(Notice::Resync(_)) => panic!("nothing was lost"),
            }
        }
        all
    }

    fn logged(&self) -> Vec<i64> {
        self.store.rows.lock().iter().map(|row| row.revision).collect()
    }
}

const SOON: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn what_is_given_is_in_the_log_first() {
    let mut world = World::start();
    world.tell(1, 1).await;
    assert_eq!(world.given(SOON).await, [1]);
    world.store.hangs.store(true, Ordering::Relaxed);
    world.tell(2, 1).await;
    assert_eq!(world.given(RELEASE / 2).await, [0_i64; 0], "not before it is written");
    assert_eq!(world.logged(), [1]);
}

#[tokio::test(start_paused = true)]
async fn while_the_log_is_away_events_go_on_and_it_catches_up() {
    let mut world = World::start();
    world.store.refuses.store(true, Ordering::Relaxed);
    for revision in 1..=5 {
        world.tell(revision, 2).await;
    }
    assert_eq!(world.given(RELEASE * 2).await, [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    world.tell(6, 1).await;
    assert_eq!(world.given(SOON).await, [6], "nobody waits any more");
    assert_eq!(world.logged(), [0_i64; 0]);
    world.store.refuses.store(false, Ordering::Relaxed);
    assert_eq!(world.given(PAUSE * 3).await, [0_i64; 0], "nothing is given twice");
    assert_eq!(world.logged(), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]);
    world.store.hangs.store(true, Ordering::Relaxed);
    world.tell(7, 1).await;
    assert_eq!(world.given(SOON).await, [0_i64; 0], "it is waited for again");
}

#[tokio::test(start_paused = true)]
async fn what_was_written_without_an_answer_is_not_written_twice() {
    let mut world = World::start();
    world.store.forgets_to_answer.store(true, Ordering::Relaxed);
    world.tell(1, 3).await;
    world.tell(2, 1).await;
    assert_eq!(world.given(RELEASE * 3).await, [1, 1, 1, 2]);
    world.store.forgets_to_answer.store(false, Ordering::Relaxed);
    tokio::time::sleep(PAUSE * 3).await;
    assert_eq!(world.logged(), [1, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_stays_away_is_left_behind_and_says_so() {
    let world = World::start();
    world.store.refuses.store(true, Ordering::Relaxed);
    for revision in 1..=6 {
        world.tell(revision, WAITING / 4).await;
        tokio::time::sleep(PAUSE * 2).await;
    }
    world.store.refuses.store(false, Ordering::Relaxed);
    tokio::time::sleep(PAUSE * 20).await;
    let floor = world.store.positions.lock()["default"].clone();
    assert!(floor.floor > 0 && floor.revision == 6, "{floor:?}");
    assert!(world.logged().iter().all(|revision| *revision >= floor.floor), "no hole above it");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_waits_is_written() {
    let World { store, input, running, feed, .. } = World::start();
    let set = |revision| ChangeSet {
        tenant: tenant(),
        revision,
        rows: vec![EventRow { revision, ..EventRow::default() }],
        on_disk: OnDisk::Nothing,
        prints: Prints::default(),
        gap: false,
    };
    input.send((1..=9).map(set).collect()).await.unwrap();
    drop(input);
    assert!(running.stop(Duration::from_secs(5)).await);
    assert_eq!(store.rows.lock().len(), 9);
    assert_eq!(feed.told(&tenant()), 9);
    assert!(store.appends.load(Ordering::Relaxed) <= 2, "together");
}
