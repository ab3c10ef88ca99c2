//! Who reads the log when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;

use super::super::*;
use crate::model::words::EventType;
use crate::storage::{
    Cursor, EventCount, EventMark, EventPage, EventQuery, EventRow, LogBatch, LogPosition, Result,
    Take,
};
use crate::telemetry::metrics::Metrics;

/// The last revision of the run before.
const EARLIER: i64 = 1000;
const BASE: i64 = 2000;

/// A log with an event of each revision, that takes its time.
#[derive(Debug, Default)]
struct Log {
    readers: AtomicUsize,
    most: AtomicUsize,
}

impl Log {
    async fn read(&self) {
        let readers = self.readers.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(readers, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventStore for Log {
    async fn positions(&self) -> Result<Vec<LogPosition>> {
        Ok(Vec::new())
    }

    async fn pending(&self) -> Result<Vec<EventMark>> {
        Ok(Vec::new())
    }

    async fn append(&self, _: Arc<LogBatch>) -> Result<()> {
        Ok(())
    }

    async fn events(&self, query: &EventQuery<'_>, take: Take) -> Result<EventPage> {
        self.read().await;
        let Take::First(most) = take else { panic!("subscribers read forwards") };
        let row = |revision| EventRow {
            tenant_id: query.tenant.to_owned(),
            event_type: EventType::GroupCreate.to_string(),
            revision,
            ..EventRow::default()
        };
        let rows = (query.after.revision + 1..=EARLIER).take(most as usize).map(row).collect();
        Ok(EventPage { floor: 0, rows })
    }

    async fn count(&self, _: &EventQuery<'_>) -> Result<Vec<EventCount>> {
        Ok(Vec::new())
    }

    async fn has_revision(&self, _: &str, _: i64) -> Result<bool> {
        self.read().await;
        Ok(true)
    }
}

fn feed(readers: usize) -> (Arc<Feed>, Arc<Log>) {
    let log = Arc::new(Log::default());
    let settings = FeedSettings { buffer: 10, readers, seats: 100, seats_per_user: 100 };
    let store: Arc<dyn EventStore> = log.clone();
    let feed = Arc::new(Feed::new(Some(store), settings, BASE, Metrics::new()));
    let start = Start { base: BASE, quiet: BASE, told: BASE, earlier: Some(EARLIER) };
    feed.begin(&TenantId::default_tenant(), start);
    (feed, log)
}

fn subscribe(feed: &Arc<Feed>, since: i64) -> Subscription {
    let wanted = Wanted {
        tenant: TenantId::default_tenant(),
        user: "me".to_owned(),
        filter: EventFilter::default(),
        since: Some(EventId { revision: since, place: None }),
    };
    feed.subscribe(wanted, Visible::everything()).unwrap()
}

async fn rest(subscription: &mut Subscription, mut after: i64) {
    while after < EARLIER {
        let Item::Events(frames) = subscription.next().await else { panic!("no event") };
        for frame in frames {
            after += 1;
            assert_eq!(frame.cursor, Some(Cursor { revision: after, place: 0 }));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_as_are_wanted_read_the_log_at_once() {
    for readers in [1, 3] {
        let (feed, log) = feed(readers);
        let all = (0..30).map(|number| {
            let feed = Arc::clone(&feed);
            async move { rest(&mut subscribe(&feed, number), number).await }
        });
        join_all(all).await;
        assert_eq!(log.most.load(Ordering::Relaxed), readers);
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_it_slowly_keeps_nobody_waiting() {
    let (feed, _) = feed(1);
    let mut slow = subscribe(&feed, 1);
    let Item::Events(some) = slow.next().await else { panic!("no event") };
    assert!(!some.is_empty());
    let quick = async { rest(&mut subscribe(&feed, 0), 0).await };
    tokio::time::timeout(Duration::from_secs(5), quick).await.expect("the log is free");
    rest(&mut slow, 1 + some.len() as i64).await;
}
