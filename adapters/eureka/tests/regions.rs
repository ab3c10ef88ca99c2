//! Remote regions of a Eureka, where the settings name them.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{
    Change, Driver, ErrorKind, GroupName, Host, Instance, InstanceKey, Presence, Registry, Scope,
    ServiceKey, ServiceName,
};
use hub_registry_eureka::EurekaDriver;
use hub_registry_testkit::contract::{Follower, eventually};
use hub_registry_testkit::servers::{self, EurekaOptions, ServerKind, ServerOptions};
use hub_registry_testkit::stub::eureka::EurekaStub;
use serde_json::{Value, json};

use common::Plain;

const SOON: Duration = Duration::from_secs(3);
/// How long a real server may take over a region's change: it looks every second, its answers are
/// a second old.
const LATER: Duration = Duration::from_secs(20);

fn service(name: &str) -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
}

fn instance(name: &str, number: u16) -> Instance {
    let host = Host::parse(&format!("10.7.0.{number}")).unwrap();
    let mut instance = Instance::new(InstanceKey { service: service(name), host, port: 80 });
    instance.metadata.insert("zone".to_owned(), format!("z{number}"));
    instance
}

/// Three stubs: one, and its regions `east` and `west`.
async fn stubs() -> (EurekaStub, EurekaStub, EurekaStub) {
    let (here, east, west) =
        (EurekaStub::start().await, EurekaStub::start().await, EurekaStub::start().await);
    here.add_region("east", &east);
    here.add_region("west", &west);
    for (stub, number) in [(&here, 1), (&east, 2), (&west, 3)] {
        Plain::new(&stub.base()).put(&instance("both", number)).await;
    }
    Plain::new(&east.base()).put(&instance("far", 4)).await;
    (here, east, west)
}

fn specific(regions: &[&str]) -> Value {
    json!({"pollInterval": "500ms", "regions": regions})
}

async fn registry(stub: &EurekaStub, regions: &[&str]) -> Arc<dyn Registry> {
    common::connect(&common::spec(&[stub.port()], &specific(regions))).await
}

fn hosts<'a>(list: impl IntoIterator<Item = &'a Instance>) -> Vec<&'a str> {
    list.into_iter().map(|one| one.key.host.as_str()).collect()
}

fn seen<'a>(follower: &'a Follower, service: &ServiceKey) -> Vec<&'a str> {
    hosts(follower.seen[service].iter().map(AsRef::as_ref))
}

#[tokio::test]
async fn instances_of_the_regions_named_are_read_with_those_of_here() {
    let (here, _east, _west) = stubs().await;
    let table: [(&[&str], &[&str]); 4] = [
        (&["east"], &["10.7.0.1", "10.7.0.2"]),
        (&["west"], &["10.7.0.1", "10.7.0.3"]),
        (&["west", "east", "west"], &["10.7.0.1", "10.7.0.2", "10.7.0.3"]),
        // A server says nothing of a region it does not know.
        (&["nowhere"], &["10.7.0.1"]),
    ];
    for (regions, expected) in table {
        let registry = registry(&here, regions).await;
        registry.ping().await.unwrap();
        let list = registry.instances(&service("both")).await.unwrap();
        assert_eq!(hosts(&list), expected, "{regions:?}");
        assert_eq!(list[0].metadata["zone"], "z1");
        let far = registry.instances(&service("far")).await.unwrap();
        assert_eq!(far.len(), usize::from(regions.contains(&"east")), "{regions:?}");
        let mut follower = Follower::new(registry.watch(Scope::all()));
        follower.step().await.unwrap();
        assert_eq!(seen(&follower, &service("both")), expected, "{regions:?}");
    }
}

#[tokio::test]
async fn a_change_in_a_region_comes_by_delta() {
    let (here, east, west) = stubs().await;
    let registry = registry(&here, &["east", "west"]).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    let full = here.asked().full;
    let both = service("both");
    let (near, far) = (Plain::new(&here.base()), Plain::new(&west.base()));
    far.put(&instance("both", 5)).await;
    follower.until("one more in the west", SOON, |seen| seen[&both].len() == 4).await;
    near.put(&instance("both", 6)).await;
    follower.until("one more here", SOON, |seen| seen[&both].len() == 5).await;
    far.remove(&instance("both", 5).key).await;
    follower.until("one less in the west", SOON, |seen| seen[&both].len() == 4).await;
    Plain::new(&east.base()).remove(&instance("far", 4).key).await;
    follower.until("none of far", SOON, |seen| !seen.contains_key(&service("far"))).await;
    assert_eq!(here.asked().full, full, "each by delta: the hash counts the regions too");
}

#[tokio::test]
async fn a_region_that_is_not_loaded_is_no_shorter_list() {
    let (here, _east, _west) = stubs().await;
    let registry = registry(&here, &["east"]).await;
    let mut watch = Follower::new(registry.watch(Scope::all()));
    watch.step().await.unwrap();
    here.moods(|moods| moods.region_missing = true);
    let error = loop {
        match watch.step().await {
            Ok(change) => assert_eq!(change, Change::Unchanged),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::NotReady);
    assert_eq!(registry.ping().await.unwrap_err().kind(), ErrorKind::NotReady);
    let error = registry.instances(&service("both")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotReady);
}

#[tokio::test]
async fn a_second_look_at_many_reads_the_list_once() {
    let (here, _east, _west) = stubs().await;
    let registry = registry(&here, &["east", "west"]).await;
    let all: Vec<_> = [("both", 2), ("both", 9), ("far", 4), ("gone", 1)]
        .map(|(n, i)| Arc::new(instance(n, i)))
        .into();
    let full = here.asked().full;
    let found = registry.look_again(&all).await.unwrap();
    let expected = [Presence::Listed, Presence::Absent, Presence::Listed, Presence::Absent];
    assert_eq!(found, expected);
    assert_eq!(here.asked().full, full + 1);
    here.down(true).await;
    registry.look_again(&all).await.unwrap_err();
}

/// Lists may be minutes old: who lacks in them is asked for by name.
#[tokio::test]
async fn a_second_look_goes_past_the_lists() {
    let (here, east, _west) = stubs().await;
    for regions in [&[][..], &["east"]] {
        let registry = registry(&here, regions).await;
        let both = registry.instances(&service("both")).await.unwrap();
        here.moods(|moods| moods.stale_lists = true);
        let mut asked: Vec<_> = both.into_iter().map(Arc::new).collect();
        let known = asked.len();
        asked.push(Arc::new(instance("both", 9)));
        let mut moved = Instance::clone(&asked[0]);
        moved.key.port = 81;
        asked.push(Arc::new(moved));
        let mut expected = vec![Presence::Listed; known];
        // The last of them is another address under an id that is there.
        expected.extend([Presence::Absent, Presence::Absent]);
        assert_eq!(registry.look_again(&asked).await.unwrap(), expected, "{regions:?}");
        here.moods(|moods| moods.stale_lists = false);
    }
    let registry = registry(&here, &["east"]).await;
    let both = registry.instances(&service("both")).await.unwrap();
    let asked: Vec<_> = both.into_iter().map(Arc::new).collect();
    Plain::new(&east.base()).remove(&instance("both", 2).key).await;
    here.moods(|moods| moods.stale_lists = true);
    let found = registry.look_again(&asked).await.unwrap();
    assert_eq!(found, [Presence::Listed, Presence::Absent]);
}

#[test]
fn the_names_of_regions_are_checked() {
    let check =
        |regions: Value| EurekaDriver.check(&common::spec(&[1], &json!({ "regions": regions })));
    check(json!([])).unwrap();
    check(json!(["us-east-1", "eu_1.b"])).unwrap();
    let many: Vec<_> = (0..33).map(|n| format!("r{n}")).collect();
    for wrong in [
        json!("us-east-1"),
        json!([1]),
        json!([""]),
        json!(["US-EAST-1"]),
        json!(["a,b"]),
        json!(["a&b"]),
        json!(["x".repeat(65)]),
        json!(many),
        json!(null),
    ] {
        assert_eq!(check(wrong).unwrap_err().field, "specificConfig.regions");
    }
}

#[tokio::test]
async fn the_real_server_with_a_remote_region() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let east = servers::start(ServerKind::Eureka, options.clone()).await.unwrap();
    let url = format!("{}/", east.base_url());
    let options = options
        .with_argument(format!("--eureka.server.remoteRegionUrlsWithName.east={url}"))
        .with_argument("--eureka.server.remoteRegionRegistryFetchInterval=1")
        // No change in a region renews what is cached: it has to grow old, by default for 180 s.
        .with_argument("--eureka.server.responseCacheAutoExpirationInSeconds=1");
    let here = servers::start(ServerKind::Eureka, options).await.unwrap();
    let (near, far) = (Plain::new(&here.base_url()), Plain::new(&east.base_url()));
    near.put(&instance("both", 1)).await;
    far.put(&instance("both", 2)).await;
    far.put(&instance("far", 3)).await;
    let registry = common::connect(&common::spec(&[here.http_port()], &specific(&["east"]))).await;
    let both = service("both");
    let read = || registry.instances(&both);
    let is_whole = |list: &Result<Vec<_>, _>| list.as_ref().is_ok_and(|list| list.len() == 2);
    eventually("both read", LATER, read, is_whole).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    let has = |count: usize| move |list: Option<&Vec<_>>| list.map_or(0, Vec::len) == count;
    follower.until("both followed", LATER, |seen| has(2)(seen.get(&both))).await;
    assert_eq!(follower.seen[&both][1].metadata["zone"], "z2");
    // It was put there after the other one: the region may be read between the two.
    follower.until("far followed", LATER, |seen| seen.contains_key(&service("far"))).await;
    far.put(&instance("both", 4)).await;
    follower.until("one more there", LATER, |seen| has(3)(seen.get(&both))).await;
    far.remove(&instance("both", 2).key).await;
    follower.until("one less there", LATER, |seen| has(2)(seen.get(&both))).await;
    near.remove(&instance("both", 1).key).await;
    follower.until("none here", LATER, |seen| has(1)(seen.get(&both))).await;
    assert_eq!(seen(&follower, &both), ["10.7.0.4"]);
}
