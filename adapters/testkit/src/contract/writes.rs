//! Cases of `register`, `deregister` and `heartbeat`: what the hub writes as copies.

use std::sync::Arc;

use hub_registry_core::carry::{self, Packed};
use hub_registry_core::{
    ErrorKind, HealthStatus, Instance, InstanceKey, InstanceStatus, Mark, Protocol, Registry,
    ServiceKey, Weight,
};

use super::eventually::{Follower, eventually};
use super::sample::Sample;
use super::subject::Subject;

fn mark() -> Mark {
    Mark {
        owner: "hub-of-the-suite".to_owned(),
        source: Some("elsewhere".to_owned()),
        group: None,
        service: None,
        id: Some("its-id".to_owned()),
    }
}

/// An instance that no registry has a field for all of.
fn odd(sample: &Sample, service: &ServiceKey, number: u16) -> Instance {
    let mut instance = sample.instance(service, number);
    instance.health = HealthStatus::Healthy;
    instance.weight = Weight::new(250);
    instance.protocol = Protocol::Grpc;
    instance.context_path = Some("/api/v1".to_owned());
    instance.tags = ["blue", "a,b"].map(str::to_owned).into();
    for (key, value) in [
        ("with.dots", "1"),
        ("under_score", "2"),
        ("\u{540d}\u{524d}", "\u{503c}"),
        ("1-digit", "<&\"'>"),
    ] {
        instance.metadata.insert(key.to_owned(), value.to_owned());
    }
    instance
}

async fn write(registry: &dyn Registry, instance: &Instance) {
    let Packed { instance: copy, lost } = carry::pack(instance, &mark(), registry.capability());
    assert_eq!(lost, [""; 0], "all of it has room");
    registry.register(&copy).await.expect("register");
}

/// Whether the copy reads as what it was made of.
fn same(read: &Instance, original: &Instance) -> bool {
    let plain = Instance {
        native_id: None,
        registered_at: None,
        native: original.native.clone(),
        mark: None,
        ..read.clone()
    };
    read.mark.as_deref() == Some(&mark()) && plain == *original
}

async fn read(registry: &dyn Registry, subject: &dyn Subject, expected: &[Instance]) {
    let service = &expected[0].key.service;
    eventually(
        &format!("{expected:#?}"),
        subject.traits().lag,
        || registry.instances(service),
        |list| {
            list.as_ref().is_ok_and(|list| {
                list.len() == expected.len()
                    && list.iter().zip(expected).all(|(read, written)| same(read, written))
            })
        },
    )
    .await;
}

/// Every state, in instances of their own and in one after the other.
pub(super) async fn come_back_whole(subject: &dyn Subject) {
    let sample = Sample::new("copies", subject);
    let registry = subject.connect().await;
    let turning = sample.service("turning");
    for group in &subject.traits().groups {
        let mut number = 0;
        for status in InstanceStatus::ALL {
            for health in HealthStatus::ALL {
                number += 1;
                let service = sample.service_in(group, &format!("s{number}"));
                let mut instance = odd(&sample, &service, number);
                (instance.status, instance.health) = (*status, *health);
                write(registry.as_ref(), &instance).await;
                read(registry.as_ref(), subject, &[instance.clone()]).await;
                instance.key =
                    InstanceKey { service: turning.clone(), ..odd(&sample, &turning, 1).key };
                write(registry.as_ref(), &instance).await;
                read(registry.as_ref(), subject, &[instance]).await;
            }
        }
    }
}

/// A watch sees the old and then the new, and nothing between them.
pub(super) async fn are_updated_in_place(subject: &dyn Subject) {
    let sample = Sample::new("in-place", subject);
    let registry = subject.connect().await;
    let service = sample.service("s");
    let mut both = [odd(&sample, &service, 1), odd(&sample, &service, 2)];
    for instance in &both {
        write(registry.as_ref(), instance).await;
    }
    read(registry.as_ref(), subject, &both).await;
    let mut follower = Follower::new(registry.watch(sample.scope()));
    let lag = subject.traits().lag;
    let there = |list: &Vec<Arc<Instance>>, expected: &[Instance; 2]| {
        list.len() == 2 && list.iter().zip(expected).all(|(read, written)| same(read, written))
    };
    follower.until("both", lag, |seen| seen.get(&service).is_some_and(|l| there(l, &both))).await;
    for round in 0..3 {
        both[0].metadata.insert("version".to_owned(), format!("2.{round}"));
        both[0].weight = Weight::new(500 + round);
        both[0].tags = both[0].tags.iter().cloned().chain([format!("t{round}")]).collect();
        write(registry.as_ref(), &both[0]).await;
        let updated = async {
            while !follower.seen.get(&service).is_some_and(|list| there(list, &both)) {
                follower.step().await.expect("no error");
                let seen = follower.seen.get(&service).map_or(0, Vec::len);
                assert_eq!(seen, 2, "round {round}: {:#?}", follower.seen);
            }
        };
        tokio::time::timeout(lag, updated).await.expect("the update is seen");
    }
}

/// Ours leaves, once or twice, by whoever has the settings; a client's own stays as it is.
pub(super) async fn are_removed_alone(subject: &dyn Subject) {
    let sample = Sample::new("removed", subject);
    let registry = subject.connect().await;
    let service = sample.service("s");
    let own = sample.instance(&service, 3);
    subject.put(&own).await;
    let copies = [odd(&sample, &service, 1), odd(&sample, &service, 2)];
    for instance in &copies {
        write(registry.as_ref(), instance).await;
    }
    let left = async |copies: &[Instance]| {
        eventually(
            &format!("{} copies and a client's own", copies.len()),
            subject.traits().lag,
            || registry.instances(&service),
            |list| {
                list.as_ref().is_ok_and(|list| {
                    list.len() == copies.len() + 1
                        && list.iter().zip(copies).all(|(read, written)| same(read, written))
                        && list.last().is_some_and(|last| sample.same(last, &own))
                })
            },
        )
        .await;
    };
    left(&copies).await;
    registry.deregister(&copies[0].key).await.expect("deregister");
    left(&copies[1..]).await;
    registry.deregister(&copies[0].key).await.expect("one that is not there is no error");
    // Another process of ours, which did not write it.
    let another = subject.connect().await;
    another.deregister(&copies[1].key).await.expect("deregister");
    left(&[]).await;
}

/// Renewed ones are known, others not.
pub(super) async fn are_renewed(subject: &dyn Subject) {
    let sample = Sample::new("renewed", subject);
    let registry = subject.connect().await;
    let service = sample.service("s");
    let copy = odd(&sample, &service, 1);
    write(registry.as_ref(), &copy).await;
    registry.heartbeat(&copy.key).await.expect("heartbeat");
    read(registry.as_ref(), subject, std::slice::from_ref(&copy)).await;
    registry.deregister(&copy.key).await.expect("deregister");
    for key in [&copy.key, &odd(&sample, &sample.service("none"), 3).key] {
        let error = registry.heartbeat(key).await.expect_err("nobody to renew");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

/// A dead registry takes nothing.
pub(super) async fn fail(subject: &dyn Subject, registry: &dyn Registry) {
    let sample = Sample::new("refused", subject);
    let copy = odd(&sample, &sample.service("s"), 1);
    let errors = [
        registry.register(&copy).await.expect_err("register"),
        registry.deregister(&copy.key).await.expect_err("deregister"),
    ];
    for error in errors {
        assert!(error.is_retryable(), "{error}");
    }
}
