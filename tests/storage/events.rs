//! The log of events.

use std::sync::Arc;

use hub_registry::model::words::EventType;
use hub_registry::storage::{
    Cursor, EventCount, EventFilter, EventMark, EventQuery, EventRow, EventStore, Events, LogBatch,
    LogPosition, NativeStore, NativeWrite, RetentionStore, Take,
};

use crate::database::Database;
use crate::sample::{event, later, some};

fn marked(place: i64, mark: &str) -> EventRow {
    EventRow { revision: 0, place, mark: mark.to_owned(), ..event(place) }
}

fn mark(mark: &str) -> EventMark {
    EventMark { tenant_id: "t".to_owned(), mark: mark.to_owned() }
}

fn position(revision: i64, floor: i64) -> LogPosition {
    LogPosition {
        tenant_id: "t".to_owned(),
        revision,
        floor,
        view_print: -7,
        native_print: 1 << 62,
    }
}

fn all(filter: &EventFilter) -> EventQuery<'_> {
    EventQuery {
        tenant: "t",
        filter,
        after: Cursor::after(0),
        before: Cursor::END,
        since: None,
        until: None,
    }
}

async fn ids(database: &Database, query: &EventQuery<'_>, take: Take) -> Vec<(i64, i64)> {
    let page = database.store.events(query, take).await.unwrap();
    page.rows.iter().map(|row| (row.revision, row.place)).collect()
}

pub(crate) async fn a_commit_is_numbered_read_and_counted(database: &Database) {
    let store = &database.store;
    assert_eq!(store.positions().await.unwrap(), []);
    let commit = [marked(0, "b"), marked(1, "b"), marked(0, "a")].map(NativeWrite::AddEvent);
    store.commit(&commit).await.unwrap();
    assert_eq!(store.pending().await.unwrap(), [mark("b"), mark("a")], "in their order");
    let nothing = EventFilter::default();
    assert_eq!(ids(database, &all(&nothing), Take::First(9)).await, [], "they are not told yet");
    let foreign = EventRow { revision: 5, place: 2, readers: some("{}"), ..marked(2, "") };
    let batch = LogBatch {
        number: vec![(mark("b"), 5), (mark("a"), 6)],
        rows: vec![foreign.clone()],
        positions: vec![position(6, 0)],
        forget: Vec::new(),
    };
    store.append(Arc::new(batch)).await.unwrap();
    assert_eq!(store.pending().await.unwrap(), []);
    assert_eq!(store.positions().await.unwrap(), [position(6, 0)]);
    let expected = [(5, 0), (5, 1), (5, 2), (6, 0)];
    assert_eq!(ids(database, &all(&nothing), Take::First(9)).await, expected);
    let page = store.events(&all(&nothing), Take::First(9)).await.unwrap();
    assert_eq!((page.floor, &page.rows[2]), (0, &foreign), "every column comes back");
    assert!(store.has_revision("t", 5).await.unwrap());
    assert!(
        !store.has_revision("t", 4).await.unwrap() && !store.has_revision("u", 5).await.unwrap()
    );
    let mut counts = store.count(&all(&nothing)).await.unwrap();
    counts.sort_by_key(|count| count.events);
    let count = |readers, events| EventCount { group_name: some("G"), readers, events };
    assert_eq!(counts, [count(some("{}"), 1), count(None, 3)]);
    // A position never looks back, nor does a floor.
    let batch = LogBatch { positions: vec![position(9, 7)], ..LogBatch::default() };
    store.append(Arc::new(batch)).await.unwrap();
    let batch = LogBatch { positions: vec![position(10, 3)], ..LogBatch::default() };
    store.append(Arc::new(batch)).await.unwrap();
    assert_eq!(store.positions().await.unwrap(), [position(10, 7)]);
}

pub(crate) async fn what_is_undone_is_forgotten(database: &Database) {
    let store = &database.store;
    let commit = [marked(0, "a"), marked(1, "a"), marked(0, "b")].map(NativeWrite::AddEvent);
    store.commit(&commit).await.unwrap();
    let numbered = LogBatch { number: vec![(mark("b"), 4)], ..LogBatch::default() };
    store.append(Arc::new(numbered)).await.unwrap();
    let undone = ["a", "b", "c"].map(|name| NativeWrite::ForgetEvents(mark(name)));
    store.commit(&undone).await.unwrap();
    assert_eq!(database.count("HUB_REGISTRY_SERVICE_EVENT").await, 1, "what was told stays");
    store.commit(&[NativeWrite::AddEvent(marked(0, "d"))]).await.unwrap();
    let instead = LogBatch {
        forget: vec![mark("d")],
        rows: vec![EventRow { revision: 5, ..marked(0, "") }],
        ..LogBatch::default()
    };
    store.append(Arc::new(instead)).await.unwrap();
    let nothing = EventFilter::default();
    assert_eq!(ids(database, &all(&nothing), Take::First(9)).await, [(4, 0), (5, 0)]);
}

pub(crate) async fn filters_pages_and_cursors(database: &Database) {
    let store = &database.store;
    let row = |revision: i64, place: i64| EventRow {
        revision,
        place,
        service_name: some(if revision % 2 == 0 { "even" } else { "odd" }),
        event_source: if place == 0 { "native" } else { "consul" }.to_owned(),
        event_type: if place == 1 { "INSTANCE_DEREGISTER" } else { "INSTANCE_REGISTER" }.to_owned(),
        event_time: later(revision),
        ..event(1)
    };
    let rows = (1..=10).flat_map(|revision| (0..3).map(move |place| row(revision, place)));
    store.append(Arc::new(LogBatch { rows: rows.collect(), ..LogBatch::default() })).await.unwrap();
    let nothing = EventFilter::default();
    let query = all(&nothing);
    assert_eq!(ids(database, &query, Take::First(2)).await, [(1, 0), (1, 1)]);
    assert_eq!(ids(database, &query, Take::Last(2)).await, [(10, 1), (10, 2)]);
    let after = EventQuery { after: Cursor { revision: 2, place: 1 }, ..query.clone() };
    assert_eq!(ids(database, &after, Take::First(2)).await, [(2, 2), (3, 0)]);
    let after = EventQuery { after: Cursor::after(9), ..query.clone() };
    assert_eq!(ids(database, &after, Take::First(9)).await.len(), 3);
    let before = EventQuery { before: Cursor { revision: 2, place: 1 }, ..query.clone() };
    assert_eq!(ids(database, &before, Take::Last(9)).await, [(1, 0), (1, 1), (1, 2), (2, 0)]);
    let filter = EventFilter {
        types: vec![EventType::InstanceDeregister, EventType::GroupCreate],
        service: some("odd"),
        group: some("G"),
        source: some("consul"),
    };
    let narrow = EventQuery { since: Some(later(3)), until: Some(later(7)), ..all(&filter) };
    assert_eq!(ids(database, &narrow, Take::First(9)).await, [(3, 1), (5, 1)]);
    assert_eq!(store.count(&narrow).await.unwrap()[0].events, 2);
    let of_nobody = EventQuery { tenant: "other", ..query };
    assert_eq!(ids(database, &of_nobody, Take::First(9)).await, []);
}

pub(crate) async fn retention_raises_the_floor(database: &Database) {
    let store = &database.store;
    let rows = (1..=9).map(event).collect();
    let batch = LogBatch { rows, positions: vec![position(9, 0)], ..LogBatch::default() };
    store.append(Arc::new(batch)).await.unwrap();
    assert_eq!(store.delete_events(Events::Before(later(5)), 100).await.unwrap(), 4);
    let nothing = EventFilter::default();
    let page = store.events(&all(&nothing), Take::First(1)).await.unwrap();
    assert_eq!((page.floor, page.rows[0].revision), (4, 5));
    assert_eq!(store.positions().await.unwrap()[0].floor, 4);
}
