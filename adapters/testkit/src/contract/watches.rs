//! Cases of `watch`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{Change, Instance, Registry, ServiceKey};
use tokio::time::Instant;

use super::eventually::Follower;
use super::sample::Sample;
use super::subject::{Lags, Subject};

type Seen = BTreeMap<ServiceKey, Vec<Arc<Instance>>>;

/// `Registry::watch` promises an item at least this often.
const QUIET: Duration = Duration::from_secs(30);

async fn started(registry: &dyn Registry, sample: &Sample, lag: Duration) -> Follower {
    let mut follower = Follower::new(registry.watch(sample.scope()));
    follower.until("the Reset", lag + Duration::from_secs(10), |_| true).await;
    follower
}

pub(super) async fn begins_with_reset(subject: &dyn Subject) {
    let sample = Sample::new("reset", subject);
    let registry = subject.connect().await;
    let (a, b) = (sample.service("a"), sample.service("b"));
    let written = [sample.instance(&a, 1), sample.instance(&b, 2)];
    for instance in &written {
        subject.put(instance).await;
    }
    // Until the lag is over the Reset may be older than the writes; after it, it may not.
    let lag = subject.traits().lag;
    let mut follower = started(registry.as_ref(), &sample, lag).await;
    let complete = |seen: &Seen| {
        [(&a, &written[..1]), (&b, &written[1..])].iter().all(|(service, expected)| {
            seen.get(*service).is_some_and(|list| sample.all_same(list, expected))
        })
    };
    follower.until("both services", lag, complete).await;
    let mut again = Follower::new(registry.watch(sample.scope()));
    let first = again.step().await.expect("a Reset");
    assert!(matches!(first, Change::Reset(_)), "a watch begins with Reset, not {first:?}");
    assert!(complete(&again.seen), "the Reset holds everything: {:#?}", again.seen);
}

pub(super) async fn shows_changes(subject: &dyn Subject, lags: &Lags) {
    let sample = Sample::new("changes", subject);
    let registry = subject.connect().await;
    let lag = subject.traits().lag;
    let service = sample.service("s");
    let mut written = vec![sample.instance(&service, 1)];
    subject.put(&written[0]).await;
    let mut follower = started(registry.as_ref(), &sample, lag).await;
    let mut see = async |what: &str, written: &[Instance]| {
        let start = Instant::now();
        let expected = |seen: &Seen| match seen.get(&service) {
            Some(list) => sample.all_same(list, written),
            None => written.is_empty(),
        };
        follower.until(what, lag, expected).await;
        lags.add(start.elapsed());
    };
    see("the first instance", &written).await;

    written.push(sample.instance(&service, 2));
    subject.put(&written[1]).await;
    see("a second instance", &written).await;

    written[0].metadata.insert("version".to_owned(), "2.0".to_owned());
    subject.put(&written[0]).await;
    see("changed metadata", &written).await;

    for (status, health) in subject.traits().states {
        (written[1].status, written[1].health) = (status, health);
        subject.put(&written[1]).await;
        see(&format!("{status}/{health}"), &written).await;
    }

    let removed = written.remove(0);
    subject.remove(&removed.key).await;
    see("one of two removed", &written).await;

    let last = written.remove(0);
    subject.remove(&last.key).await;
    see("the last one removed: the service is gone or empty", &written).await;

    written.push(removed);
    subject.put(&written[0]).await;
    see("a service that was empty or gone is back", &written).await;
}

pub(super) async fn shows_new_services(subject: &dyn Subject, lags: &Lags) {
    let sample = Sample::new("new", subject);
    let registry = subject.connect().await;
    let lag = subject.traits().lag;
    let mut follower = started(registry.as_ref(), &sample, lag).await;
    assert_eq!(follower.seen, Seen::new());
    for (first, group) in (1..).step_by(10).zip(&subject.traits().groups) {
        for number in 1..=3 {
            let service = sample.service_in(group, &format!("n{number}"));
            let instance = sample.instance(&service, first + number);
            let start = Instant::now();
            subject.put(&instance).await;
            let expected = |seen: &Seen| {
                let list = seen.get(&service).map(Vec::as_slice);
                list.is_some_and(|list| sample.all_same(list, std::slice::from_ref(&instance)))
            };
            follower.until("the first instance of a new service", lag, expected).await;
            lags.add(start.elapsed());
        }
    }
}

pub(super) async fn quiet(subject: &dyn Subject) {
    let sample = Sample::new("quiet", subject);
    let registry = subject.connect().await;
    let mut follower = started(registry.as_ref(), &sample, subject.traits().lag).await;
    let item = tokio::time::timeout(QUIET, follower.step()).await;
    let item = item.expect("some item within 30 s").expect("no error");
    assert_eq!(item, Change::Unchanged, "nothing changed in this scope");
}

pub(super) async fn churn(subject: &dyn Subject) {
    let sample = Sample::new("churn", subject);
    let registry = subject.connect().await;
    let lag = subject.traits().lag;
    let mut follower = started(registry.as_ref(), &sample, lag).await;
    let services: Vec<_> = (0..5).map(|n| sample.service(&format!("s{n}"))).collect();
    let mut expected: BTreeMap<ServiceKey, Vec<Instance>> = BTreeMap::new();
    for (index, service) in services.iter().enumerate() {
        for number in 0..4_u16 {
            let instance = sample.instance(service, number);
            subject.put(&instance).await;
            if (usize::from(number) + index).is_multiple_of(2) {
                subject.remove(&instance.key).await;
            } else {
                expected.entry(service.clone()).or_default().push(instance);
            }
        }
    }
    let right = |seen: &Seen| {
        expected.iter().all(|(service, written)| {
            seen.get(service).is_some_and(|list| sample.all_same(list, written))
        })
    };
    follower.until("the final state", lag * 2, right).await;
}
