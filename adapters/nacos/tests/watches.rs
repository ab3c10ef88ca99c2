//! What pushes, and their absence, do to a watch.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code; one test looks at its environment to know which half it is"
)]

mod common;

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::egress::EgressPolicy;
use hub_registry_core::{GroupName, HealthStatus, Instance, Scope};
use hub_registry_testkit::contract::{Follower, eventually};
use hub_registry_testkit::stub::fault::Fault;
use hub_registry_testkit::stub::nacos::NacosStub;

use common::{Writer, connect, instance, service, spec, stub_spec};

const SOON: Duration = Duration::from_secs(3);
const LATER: Duration = Duration::from_secs(12);

async fn subscriptions(stub: &NacosStub, expected: usize) {
    let what = format!("{expected} subscriptions");
    let now = || async { stub.subscriptions() };
    eventually(&what, LATER, now, |now| *now == expected).await;
}

#[tokio::test]
async fn what_is_dropped_is_unsubscribed() {
    let stub = NacosStub::start().await;
    let writer = Writer::new(stub.port());
    for number in 1..=3 {
        let service = service(&format!("s{number}"));
        writer.put(&instance(&service, 1)).await;
    }
    let registry = connect(&stub_spec(&stub)).await;
    let unpolled = registry.watch(Scope::all());
    let some = Scope::new(&["s1".to_owned()], &[], Vec::new());
    let mut all = Follower::new(registry.watch(Scope::all()));
    let mut one = Follower::new(registry.watch(some));
    all.step().await.unwrap();
    one.step().await.unwrap();
    subscriptions(&stub, 3).await;
    assert_eq!(stub.connections(), 1, "one for all watches");
    drop(all);
    subscriptions(&stub, 1).await;
    drop((one, unpolled));
    subscriptions(&stub, 0).await;
    drop(registry);
}

/// nacos-sdk is given addresses, and only those that may be connected to.
#[tokio::test]
async fn pushes_come_from_servers_given_by_name_if_they_may() {
    let stub = NacosStub::start().await;
    Writer::new(stub.port()).put(&instance(&service("s"), 1)).await;
    let mut named = stub_spec(&stub);
    named.endpoints[0].host = "localhost".to_owned();
    let registry = connect(&named).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    subscriptions(&stub, 1).await;
    drop((follower, registry));
    subscriptions(&stub, 0).await;

    let before = (stub.calls(), stub.connections());
    let deny = ["127.0.0.0/8", "::1"].map(|text| text.parse().unwrap());
    named.egress = Arc::new(EgressPolicy::new(EgressPolicy::everything(), deny.into()));
    let error = connect(&named).await.ping().await.unwrap_err();
    assert!(error.to_string().contains("in egress.deny"), "{error}");
    assert_eq!((stub.calls(), stub.connections()), before);
}

#[tokio::test]
async fn connections_do_not_pile_up() {
    let stub = NacosStub::start().await;
    let service = service("s");
    Writer::new(stub.port()).put(&instance(&service, 1)).await;
    for _ in 0..5 {
        let registry = connect(&stub_spec(&stub)).await;
        let mut follower = Follower::new(registry.watch(Scope::all()));
        follower.step().await.unwrap();
        subscriptions(&stub, 1).await;
        drop((follower, registry));
        subscriptions(&stub, 0).await;
    }
    // A second one where the next registry was faster than the end of the one before.
    let connections = stub.connections();
    assert!(connections <= 2, "{connections} connections");
}

#[tokio::test]
async fn a_quiet_watch_asks_little() {
    let stub = NacosStub::start().await;
    let writer = Writer::new(stub.port());
    for number in 0..20 {
        let service = service(&format!("s{number}"));
        writer.put(&instance(&service, 1)).await;
    }
    let registry = connect(&stub_spec(&stub)).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.until("the Reset", SOON, |seen| seen.len() == 20).await;
    let drive = tokio::time::timeout(Duration::from_secs(5), async {
        while follower.step().await.is_ok() {}
    });
    drive.await.unwrap_err();
    let before = stub.calls();
    let drive = tokio::time::timeout(Duration::from_secs(5), async {
        while follower.step().await.is_ok() {}
    });
    drive.await.unwrap_err();
    let calls = stub.calls() - before;
    assert!(calls <= 8, "{calls} calls in 5 s for 20 quiet services");
}

#[tokio::test]
async fn without_grpc_changes_are_seen_all_the_same() {
    let stub = NacosStub::start().await;
    stub.grpc_fault(Fault::Refuse).await;
    let writer = Writer::new(stub.port());
    let service = service("s");
    let mut written = instance(&service, 1);
    writer.put(&written).await;
    let registry = connect(&stub_spec(&stub)).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    for version in ["2", "3"] {
        let metadata = &mut written.metadata;
        metadata.insert("version".to_owned(), version.to_owned());
        writer.put(&written).await;
        follower
            .until("the new version", SOON, |seen| {
                let list = seen.get(&service).map_or(&[][..], Vec::as_slice);
                let found = list.first().and_then(|i| i.metadata.get("version"));
                found.is_some_and(|found| found == version)
            })
            .await;
    }
    assert_eq!(stub.subscriptions(), 0);
    stub.grpc_fault(Fault::None).await;
    let drive = async {
        while stub.subscriptions() == 0 {
            follower.step().await.unwrap();
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(20), drive).await;
    back.expect("pushes come again when the port is open again");
}

#[tokio::test]
async fn names_that_nacos_sdk_would_write_files_by_are_polled() {
    let stub = NacosStub::start().await;
    let writer = Writer::new(stub.port());
    let mut odd = service("s");
    odd.group = GroupName::parse("/tmp/x").unwrap();
    let mut written = instance(&odd, 1);
    writer.put(&written).await;
    writer.put(&instance(&service("plain"), 1)).await;
    let registry = connect(&stub_spec(&stub)).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    subscriptions(&stub, 1).await;
    let metadata = &mut written.metadata;
    metadata.insert("version".to_owned(), "2".to_owned());
    writer.put(&written).await;
    follower
        .until("the new version", SOON, |seen| {
            let version = seen[&odd][0].metadata.get("version");
            version.is_some_and(|version| version == "2")
        })
        .await;
    assert_eq!(stub.subscriptions(), 1);
}

#[tokio::test]
async fn forged_health_is_not_believed() {
    let stub = NacosStub::start().await;
    stub.protect("DEFAULT_GROUP", "s", 0.0);
    let service = service("s");
    let mut written = instance(&service, 1);
    written.health = HealthStatus::Unhealthy;
    Writer::new(stub.port()).put(&written).await;
    let registry = connect(&stub_spec(&stub)).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    subscriptions(&stub, 1).await;
    let health = |health| move |list: &Vec<Arc<Instance>>| list[0].health == health;
    assert!(health(HealthStatus::Unhealthy)(&follower.seen[&service]));
    written.health = HealthStatus::Healthy;
    Writer::new(stub.port()).put(&written).await;
    let healthy = health(HealthStatus::Healthy);
    follower.until("the recovery", SOON, |seen| healthy(&seen[&service])).await;
}

#[tokio::test]
async fn a_service_that_is_listed_no_more_is_gone() {
    let stub = NacosStub::start().await;
    let service = service("s");
    Writer::new(stub.port()).put(&instance(&service, 1)).await;
    let registry = connect(&stub_spec(&stub)).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    stub.forget_service("DEFAULT_GROUP", "s");
    follower.until("its end", SOON, |seen| seen.is_empty()).await;
    let drive = async {
        while stub.subscriptions() > 0 {
            follower.step().await.unwrap();
        }
    };
    let gone = tokio::time::timeout(LATER, drive).await;
    gone.expect("unsubscribed while the watch goes on");
}

#[tokio::test]
async fn a_dead_address_is_left_for_the_next() {
    let stub = NacosStub::start().await;
    let mut settings = stub_spec(&stub);
    let live = settings.endpoints.remove(0);
    // Nothing listens at the second loopback address; one port for all, as the offset wants it.
    let mut dead = live.clone();
    dead.host = "127.0.0.2".to_owned();
    settings.endpoints = vec![dead, live];
    let registry = connect(&settings).await;
    registry.ping().await.unwrap_err();
    registry.ping().await.unwrap();
}

const CHILD: &str = "HUB_REGISTRY_TEST_ENVIRONMENT";

#[tokio::test]
async fn the_environment_changes_nothing() {
    if std::env::var(CHILD).is_err() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "the_environment_changes_nothing", "--nocapture"]);
        again.env(CHILD, "1");
        for (name, value) in [
            ("SERVER_ADDRESS", "127.0.0.1:9"),
            ("SERVER_PORT", "9"),
            ("ENDPOINT", "127.0.0.1:9"),
            ("NAMESPACE", "elsewhere"),
            ("USERNAME", "somebody"),
            ("PASSWORD", "secret"),
            ("CACHE_DIR", "/nowhere"),
            ("NAMING_PUSH_EMPTY_PROTECTION", "true"),
        ] {
            again.env(format!("NACOS_CLIENT_{name}"), value);
        }
        for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
            again.env(name, "http://127.0.0.1:9");
        }
        let home = tempfile::tempdir().unwrap();
        again.env("HOME", home.path()).current_dir(home.path());
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{errors}");
        let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().collect();
        assert!(left.is_empty(), "something was written: {left:?}");
        return;
    }
    let stub = NacosStub::start().await;
    let writer = Writer::new(stub.port());
    let service = service("s");
    let written = instance(&service, 1);
    writer.put(&written).await;
    let registry = connect(&stub_spec(&stub)).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    // In the namespace public of this server, or there would be none.
    subscriptions(&stub, 1).await;
    writer.remove(&written.key).await;
    follower.until("its last instance gone", SOON, |seen| seen[&service].is_empty()).await;
    assert!(connect(&spec(9)).await.ping().await.is_err());
}
