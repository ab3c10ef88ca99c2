use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::events::change::{OnDisk, Prints};
use crate::events::frame::Notice;
use crate::model::words::EventType;
use crate::storage::EventRow;
use crate::telemetry::metrics::Metrics;

mod turns;

const BASE: i64 = 100;

fn feed(buffer: usize) -> Arc<Feed> {
    let settings = FeedSettings { buffer, readers: 2, seats: 3, seats_per_user: 2 };
    Arc::new(Feed::new(None, settings, BASE, Metrics::new()))
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn wanted(service: Option<&str>, since: Option<&str>) -> Wanted {
    Wanted {
        tenant: tenant(),
        user: "me".to_owned(),
        filter: EventFilter { service: service.map(str::to_owned), ..EventFilter::default() },
        since: since.map(|id| id.parse().unwrap()),
    }
}

fn set(revision: i64, services: &[&str]) -> ChangeSet {
    let row = |(place, name): (usize, &&str)| EventRow {
        tenant_id: tenant().to_string(),
        group_name: Some("DEFAULT_GROUP".to_owned()),
        service_name: Some((*name).to_owned()),
        event_type: EventType::InstanceUpdate.to_string(),
        revision,
        place: place as i64,
        ..EventRow::default()
    };
    ChangeSet {
        tenant: tenant(),
        revision,
        rows: services.iter().enumerate().map(row).collect(),
        on_disk: OnDisk::Nothing,
        prints: Prints::default(),
        gap: false,
    }
}

fn tell(feed: &Feed, revision: i64, services: &[&str]) {
    feed.give(&tenant(), revision);
    feed.release(&set(revision, services));
}

fn subscribe(feed: &Arc<Feed>, service: Option<&str>, since: Option<&str>) -> Subscription {
    feed.subscribe(wanted(service, since), Visible::everything()).unwrap()
}

/// What it is given at once, as ids or words.
async fn given(subscription: &mut Subscription) -> Vec<String> {
    let mut all = Vec::new();
    let soon = Duration::from_millis(10);
    while let Ok(item) = tokio::time::timeout(soon, subscription.next()).await {
        match item {
            Item::Notice(notice) => all.push(format!("{notice:?}")),
            Item::Events(frames) => {
                let cursors = frames.iter().map(|frame| frame.cursor.unwrap());
                all.extend(cursors.map(|at| format!("{}-{}", at.revision, at.place)));
            }
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn each_is_given_what_it_asked_for_in_order_and_once() {
    let feed = feed(100);
    let mut everything = subscribe(&feed, None, None);
    let mut of_a = subscribe(&feed, Some("a"), None);
    tell(&feed, 101, &["a", "b", "a"]);
    tell(&feed, 102, &["b"]);
    tell(&feed, 103, &["b", "a"]);
    assert_eq!(
        given(&mut everything).await,
        ["101-0", "101-1", "101-2", "102-0", "103-0", "103-1"]
    );
    assert_eq!(given(&mut of_a).await, ["101-0", "101-2", "103-1"]);
    assert_eq!(given(&mut everything).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_goes_on_where_it_was() {
    let feed = feed(100);
    for revision in 101..=105 {
        tell(&feed, revision, &["a", "b"]);
    }
    let of = |service, since| subscribe(&feed, service, Some(since));
    assert_eq!(given(&mut of(None, "103")).await, ["104-0", "104-1", "105-0", "105-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_id_is_resumed_from_in_the_middle_of_a_change() {
    let feed = feed(100);
    tell(&feed, 101, &["a", "a", "a"]);
    tell(&feed, 102, &["a"]);
    assert_eq!(
        given(&mut subscribe(&feed, Some("a"), Some("101-0"))).await,
        ["101-1", "101-2", "102-0"]
    );
    assert_eq!(given(&mut subscribe(&feed, None, Some("101"))).await, ["102-0"]);
    // The view as the run found it has any of these revisions.
    assert_eq!(given(&mut subscribe(&feed, None, Some("100"))).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_said() {
    let feed = feed(3);
    let resync = |revision: i64| format!("{:?}", Notice::Resync(revision));
    for revision in 101..=110 {
        tell(&feed, revision, &["a"]);
    }
    for since in ["50", "105", "106-0", "111", "9007199254740991"] {
        let mut subscription = subscribe(&feed, None, Some(since));
        assert_eq!(given(&mut subscription).await, [resync(110)], "{since}");
    }
    assert_eq!(given(&mut subscribe(&feed, None, Some("107"))).await.len(), 3);
    // Of one service too, whether or not what left was of it.
    assert_eq!(given(&mut subscribe(&feed, Some("b"), Some("105"))).await, [resync(110)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_one_is_told_and_one_that_wants_nothing_is_not() {
    let feed = feed(10);
    let (mut slow, mut idle) = (subscribe(&feed, None, None), subscribe(&feed, Some("b"), None));
    assert_eq!(given(&mut slow).await, [""; 0]);
    for revision in 101..=150 {
        tell(&feed, revision, &["a"]);
    }
    assert_eq!(given(&mut slow).await, [format!("{:?}", Notice::Resync(150))]);
    tell(&feed, 151, &["a", "b"]);
    assert_eq!(given(&mut slow).await, ["151-0", "151-1"]);
    assert_eq!(given(&mut idle).await, ["151-1"]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_one_is_told_how_far_it_is() {
    let feed = feed(100);
    let mut of_b = subscribe(&feed, Some("b"), None);
    tell(&feed, 101, &["a"]);
    let start = Instant::now();
    let Item::Notice(Notice::Bookmark(101)) = of_b.next().await else { panic!("no bookmark") };
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_told_to_everybody() {
    let feed = feed(100);
    let (mut one, mut other) = (subscribe(&feed, None, None), subscribe(&feed, Some("b"), None));
    tell(&feed, 101, &["a"]);
    feed.give(&tenant(), 105);
    feed.release(&ChangeSet { gap: true, ..set(105, &[]) });
    for subscription in [&mut one, &mut other] {
        assert_eq!(given(subscription).await, [format!("{:?}", Notice::Resync(105))]);
    }
    tell(&feed, 106, &["b"]);
    assert_eq!(
        (given(&mut one).await, given(&mut other).await),
        (vec!["106-0".to_owned()], vec!["106-0".to_owned()])
    );
}

#[tokio::test]
async fn seats_are_given_back_and_tenants_forgotten() {
    let feed = feed(100);
    let (one, two) = (subscribe(&feed, None, None), subscribe(&feed, Some("a"), None));
    let more = |user: &str| {
        let wanted = Wanted { user: user.to_owned(), ..wanted(None, None) };
        feed.subscribe(wanted, Visible::everything())
    };
    assert_eq!(more("me").unwrap_err(), NoSeat::User(2));
    let three = more("you").unwrap();
    assert_eq!(more("they").unwrap_err(), NoSeat::All(3));
    drop((one, two, three));
    assert_eq!((feed.subscribers(), feed.tenants.len()), (0, 0));
    drop(more("me").unwrap());
}

/// Whatever is told, read and missed: what a subscriber was given is a part of what was told, in
/// order, and whole between two words that it is not.
#[tokio::test(start_paused = true)]
async fn any_pace_gives_a_whole_history_or_says_so() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..200 {
        let feed = feed(random.usize(1..20));
        let names = ["a", "b", "c"];
        let mut told: Vec<(i64, i64, &str)> = Vec::new();
        let service = random.choice([None, Some("a"), Some("b")]).unwrap();
        let mut subscription = subscribe(&feed, service, None);
        let (mut seen, mut from): (Vec<(i64, i64)>, i64) = (Vec::new(), BASE);
        let mut whole: BTreeMap<(i64, i64), bool> = BTreeMap::new();
        for revision in BASE + 1..BASE + 60 {
            let services: Vec<_> =
                (0..random.usize(1..4)).map(|_| names[random.usize(..3)]).collect();
            tell(&feed, revision, &services);
            told.extend((0..).zip(services).map(|(place, name)| (revision, place, name)));
            if random.u8(..4) > 0 {
                continue;
            }
            let soon = Duration::from_millis(1);
            while let Ok(item) = tokio::time::timeout(soon, subscription.next()).await {
                match item {
                    Item::Events(frames) => seen.extend(frames.iter().map(|frame| {
                        let at = frame.cursor.unwrap();
                        (at.revision, at.place)
                    })),
                    Item::Notice(Notice::Resync(to)) => (from, seen) = (to, Vec::new()),
                    Item::Notice(Notice::Bookmark(_)) => {}
                }
            }
            let wanted = told.iter().filter(|(revision, _, name)| {
                *revision > from && service.is_none_or(|service| service == *name)
            });
            let wanted: Vec<_> = wanted.map(|(revision, place, _)| (*revision, *place)).collect();
            assert_eq!(seen, wanted, "since {from}");
            whole.extend(seen.iter().map(|at| (*at, true)));
        }
    }
}
