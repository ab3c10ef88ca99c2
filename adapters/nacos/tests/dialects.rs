//! Each version of Nacos is read by the newest API that it has, through upgrades too.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{
    ErrorKind, HealthStatus, Instance, InstanceStatus, Registry, Scope, ServiceKey,
};
use hub_registry_testkit::contract::Follower;
use hub_registry_testkit::stub::fault::Fault;
use hub_registry_testkit::stub::nacos::{NacosStub, Version};
use reqwest::Method;

use common::{LOGIN, Writer, connect, credentials, instance, service, stub_of, stub_spec};

const SOON: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(20);

const ALL: [Version; 5] =
    [Version::V1_4, Version::V2_0, Version::V2_2, Version::V3_0, Version::V3_2];

async fn register(writer: &Writer, instance: &Instance, cluster: &str) {
    let more = [("clusterName", cluster.to_owned())];
    writer.send(Method::POST, &instance.key, &more).await;
}

async fn hosts(registry: &dyn Registry, service: &ServiceKey) -> Vec<String> {
    let list = registry.instances(service).await.unwrap();
    list.iter().map(|one| one.key.host.to_string()).collect()
}

#[tokio::test]
async fn disabled_sick_and_elsewhere_are_read_in_each_dialect() {
    for version in ALL {
        let (stub, spec) = stub_of(version).await;
        stub.protect("DEFAULT_GROUP", "s", 1.0);
        let (writer, service) = (Writer::of(&stub), service("s"));
        let registry = connect(&spec).await;
        let mut sick = instance(&service, 1);
        sick.health = HealthStatus::Unhealthy;
        let mut disabled = instance(&service, 2);
        disabled.status = InstanceStatus::OutOfService;
        writer.put(&sick).await;
        writer.put(&disabled).await;
        register(&writer, &instance(&service, 3), "east").await;
        register(&writer, &instance(&service, 4), "west").await;
        let list = registry.instances(&service).await.unwrap();
        let seen: Vec<_> = list.iter().map(|one| (one.status.as_str(), one.health)).collect();
        let up = ("UP", HealthStatus::Healthy);
        let expected =
            [("UP", HealthStatus::Unhealthy), ("OUT_OF_SERVICE", HealthStatus::Unknown), up, up];
        assert_eq!(seen, expected, "{version:?}");
        assert_eq!(list[3].metadata["cluster"], "west", "{version:?}");
        assert_eq!(registry.services(&Scope::all()).await.unwrap(), [service], "{version:?}");
    }
}

/// 2.0 and 3.0 know the clusters of a service only after somebody looked at it: until then they
/// answer as if it had no instances.
#[tokio::test]
async fn a_service_nobody_looked_at_is_not_empty() {
    for version in ALL {
        let (stub, spec) = stub_of(version).await;
        let registry = connect(&spec).await;
        registry.ping().await.unwrap();
        let service = service("just-now");
        let written = instance(&service, 1);
        register(&Writer::of(&stub), &written, "east").await;
        let before = stub.calls();
        assert_eq!(hosts(registry.as_ref(), &service).await, ["10.2.0.1"], "{version:?}");
        println!("{version:?}: {} calls", stub.calls() - before);
    }
}

#[tokio::test]
async fn the_calls_of_a_read_are_few() {
    for (version, most) in ALL.into_iter().zip([3, 3, 1, 2, 2]) {
        let (stub, spec) = stub_of(version).await;
        let (registry, service) = (connect(&spec).await, service("s"));
        Writer::of(&stub).put(&instance(&service, 1)).await;
        registry.services(&Scope::all()).await.unwrap();
        let before = stub.calls();
        assert_eq!(hosts(registry.as_ref(), &service).await.len(), 1);
        assert_eq!(stub.calls() - before, most, "{version:?}");
    }
}

#[tokio::test]
async fn an_instance_that_moves_between_two_lists_is_not_lost() {
    for version in [Version::V1_4, Version::V2_0, Version::V3_0] {
        let (stub, spec) = stub_of(version).await;
        let (writer, service) = (Writer::of(&stub), service("s"));
        let registry = connect(&spec).await;
        for (number, cluster) in (1..).zip(["a", "b", "b"]) {
            register(&writer, &instance(&service, number), cluster).await;
        }
        registry.services(&Scope::all()).await.unwrap();
        assert_eq!(hosts(registry.as_ref(), &service).await.len(), 3, "{version:?}");
        stub.move_after_a_read("10.2.0.3", "a");
        assert_eq!(hosts(registry.as_ref(), &service).await.len(), 3, "{version:?}");
        // And one that may be in both.
        stub.move_after_a_read("10.2.0.1", "b");
        assert_eq!(hosts(registry.as_ref(), &service).await.len(), 3, "{version:?}");
    }
}

async fn changed(follower: &mut Follower, service: &ServiceKey, version: &str, within: Duration) {
    let right = |list: &Vec<Arc<Instance>>| {
        list.iter().any(|one| one.metadata.get("version").is_some_and(|found| found == version))
    };
    follower
        .until(&format!("version {version}"), within, |seen| {
            let list = seen.get(service).expect("never without the service");
            assert!(!list.is_empty(), "never an empty list");
            right(list)
        })
        .await;
}

#[tokio::test]
async fn an_upgrade_under_a_running_watch_heals_by_itself() {
    let stub = NacosStub::of(Version::V1_4).await;
    stub.require_login(LOGIN.0, LOGIN.1);
    let mut spec = stub_spec(&stub);
    spec.credentials = credentials(LOGIN.0, LOGIN.1);
    let service = service("s");
    let mut written = instance(&service, 1);
    let registry = connect(&spec).await;
    let versions = ALL.into_iter().chain(ALL.into_iter().rev());
    let mut follower: Option<Follower> = None;
    for (step, version) in versions.enumerate() {
        stub.become_version(version).await;
        written.metadata.insert("version".to_owned(), step.to_string());
        Writer::of(&stub).logged_in(LOGIN.0, LOGIN.1).await.put(&written).await;
        let follower = match &mut follower {
            Some(follower) => follower,
            none => {
                let watch = Follower::new(registry.watch(Scope::all()));
                let follower = none.insert(watch);
                follower.step().await.unwrap();
                follower
            }
        };
        // That the pushes of the version before come no more is noticed within ten seconds.
        let within = if version == Version::V1_4 { LATER } else { SOON };
        changed(follower, &service, &step.to_string(), within).await;
        registry.ping().await.unwrap();
        println!("{version:?}: followed by the same watch");
    }
}

#[tokio::test]
async fn the_next_address_may_speak_another_dialect() {
    let (first, mut spec) = stub_of(Version::V2_2).await;
    let (second, other) = stub_of(Version::V3_0).await;
    let service = service("s");
    Writer::of(&first).put(&instance(&service, 1)).await;
    Writer::of(&second).put(&instance(&service, 2)).await;
    spec.endpoints.extend(other.endpoints.clone());
    spec.credentials = other.credentials;
    // Pushes are not what this is about, and two ports have no offset in common.
    spec.specific.clear();
    first.require_login(LOGIN.0, LOGIN.1);
    let registry = connect(&spec).await;
    assert_eq!(hosts(registry.as_ref(), &service).await, ["10.2.0.1"]);
    first.down().await;
    registry.ping().await.unwrap_err();
    assert_eq!(hosts(registry.as_ref(), &service).await, ["10.2.0.2"]);
}

#[tokio::test]
async fn a_3_0_that_wants_a_login_says_so() {
    for version in [Version::V3_0, Version::V3_2] {
        let (stub, mut spec) = stub_of(version).await;
        let kind = async |registry: &dyn Registry| {
            registry.services(&Scope::all()).await.unwrap_err().kind()
        };
        // A wrong password is a 500 there.
        spec.credentials = credentials(LOGIN.0, "wrong");
        assert_eq!(kind(connect(&spec).await.as_ref()).await, ErrorKind::Unauthorized);
        spec.credentials = credentials("nobody", "wrong");
        assert_eq!(kind(connect(&spec).await.as_ref()).await, ErrorKind::Unauthorized);
        spec.credentials = credentials("", "");
        let registry = connect(&spec).await;
        assert_eq!(kind(registry.as_ref()).await, ErrorKind::Forbidden);
        let error = registry.instances(&service("s")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{version:?}");
        drop(stub);
    }
}

#[tokio::test]
async fn tokens_taken_back_are_renewed_in_each_dialect() {
    for version in ALL {
        let stub = NacosStub::of(version).await;
        stub.require_login(LOGIN.0, LOGIN.1);
        let mut spec = stub_spec(&stub);
        spec.credentials = credentials(LOGIN.0, LOGIN.1);
        let registry = connect(&spec).await;
        registry.ping().await.unwrap();
        stub.revoke_tokens();
        let list = registry.instances(&service("s")).await;
        assert_eq!(list.unwrap(), [], "{version:?}");
    }
}

#[tokio::test]
async fn a_short_list_is_an_error_in_each_dialect() {
    for version in ALL {
        let (stub, spec) = stub_of(version).await;
        let (writer, service) = (Writer::of(&stub), service("s"));
        for number in 1..=5 {
            writer.put(&instance(&service, number)).await;
            writer.put(&instance(&common::service(&format!("s{number}")), 1)).await;
        }
        let registry = connect(&spec).await;
        stub.cap_pages(2);
        assert_eq!(registry.services(&Scope::all()).await.unwrap().len(), 6, "{version:?}");
        assert_eq!(hosts(registry.as_ref(), &service).await.len(), 5, "{version:?}");
        stub.cap_pages(0);
        let error = registry.services(&Scope::all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{version:?}");
        if version < Version::V3_0 {
            let error = registry.instances(&service).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{version:?}");
        }
    }
}

/// While nobody says what is there, nothing is empty.
#[tokio::test]
async fn whatever_stands_before_it_is_an_error_in_each_dialect() {
    for version in ALL {
        let (stub, spec) = stub_of(version).await;
        let service = service("s");
        Writer::of(&stub).put(&instance(&service, 1)).await;
        let registry = connect(&spec).await;
        assert_eq!(hosts(registry.as_ref(), &service).await.len(), 1);
        for (name, fault) in Fault::wrong_answers() {
            stub.http_fault(fault).await;
            let read = registry.instances(&service).await;
            assert!(read.is_err(), "{version:?}, {name}: {read:?}");
            registry.services(&Scope::all()).await.unwrap_err();
            stub.http_fault(Fault::None).await;
            assert_eq!(hosts(registry.as_ref(), &service).await.len(), 1, "{version:?}, {name}");
        }
    }
}
