//! Cases of `services` and `instances`.

use hub_registry_core::{ErrorKind, Instance, Scope};

use super::eventually::eventually;
use super::sample::Sample;
use super::subject::Subject;

pub(super) async fn agree(subject: &dyn Subject) {
    let sample = Sample::new("reads", subject);
    let registry = subject.connect().await;
    let lag = subject.traits().lag;
    registry.ping().await.expect("ping");
    // The same names in each group, with other instances: a group must not read as another.
    for (first, group) in (1..).step_by(10).zip(&subject.traits().groups) {
        let (one, two) = (sample.service_in(group, "one"), sample.service_in(group, "two"));
        let written = [
            sample.instance(&one, first),
            sample.instance(&two, first),
            sample.instance(&two, first + 1),
        ];
        for instance in &written {
            subject.put(instance).await;
        }
        let scope = sample.scope();
        let both = || registry.services(&scope);
        eventually("both services listed", lag, both, |list| {
            list.as_ref().is_ok_and(|list| list.contains(&one) && list.contains(&two))
        })
        .await;
        for (service, expected) in [(&one, &written[..1]), (&two, &written[1..])] {
            let read = || registry.instances(service);
            eventually(&format!("{expected:#?}"), lag, read, |list| {
                list.as_ref().is_ok_and(|list| sample.all_same(list, expected))
            })
            .await;
        }
    }
}

pub(super) async fn unknown_service(subject: &dyn Subject) {
    let sample = Sample::new("unknown", subject);
    let registry = subject.connect().await;
    let list = registry.instances(&sample.service("nowhere")).await;
    assert_eq!(list.expect("an unknown service is no error"), Vec::<Instance>::new());
}

pub(super) async fn states(subject: &dyn Subject) {
    let sample = Sample::new("states", subject);
    let registry = subject.connect().await;
    let lag = subject.traits().lag;
    // Alone in its service: registries that protect against "all unhealthy" must not fool us.
    for (number, (status, health)) in (1..).zip(subject.traits().states) {
        let service = sample.service(&format!("s{number}"));
        let mut instance = sample.instance(&service, number);
        (instance.status, instance.health) = (status, health);
        subject.put(&instance).await;
        let what = format!("{status}/{health} alone in its service");
        let read = || registry.instances(&service);
        eventually(&what, lag, read, |list| {
            list.as_ref().is_ok_and(|list| sample.all_same(list, std::slice::from_ref(&instance)))
        })
        .await;
    }
}

pub(super) async fn scope(subject: &dyn Subject) {
    let sample = Sample::new("scope", subject);
    let registry = subject.connect().await;
    let (wanted, other) = (sample.service("wanted"), sample.service("other"));
    for service in [&wanted, &other] {
        subject.put(&sample.instance(service, 1)).await;
    }
    let include = [sample.service_name("*")];
    let all = Scope::new(&include, &[], Vec::new());
    let lag = subject.traits().lag;
    eventually(
        "both listed",
        lag,
        || registry.services(&all),
        |list| list.as_ref().is_ok_and(|list| list.len() == 2),
    )
    .await;
    let some = Scope::new(&include, &["*-other".to_owned()], Vec::new());
    assert_eq!(registry.services(&some).await.expect("services"), [wanted]);
}

pub(super) async fn unsupported(subject: &dyn Subject) {
    let sample = Sample::new("unsupported", subject);
    let registry = subject.connect().await;
    let capability = registry.capability();
    let instance = sample.instance(&sample.service("x"), 1);
    if !capability.register {
        let kinds = [
            registry.register(&instance).await.expect_err("register").kind(),
            registry.deregister(&instance.key).await.expect_err("deregister").kind(),
        ];
        assert_eq!(kinds, [ErrorKind::Unsupported; 2]);
    }
    if !capability.heartbeat {
        let kind = registry.heartbeat(&instance.key).await.expect_err("heartbeat").kind();
        assert_eq!(kind, ErrorKind::Unsupported);
    }
}
