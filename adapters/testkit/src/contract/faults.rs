//! The case of an outage.

use std::time::Duration;

use hub_registry_core::Scope;

use super::eventually::{Follower, eventually};
use super::sample::Sample;
use super::subject::Subject;
use super::writes;

/// `Registry::watch` promises to end this long after the registry began to refuse.
const NOTICED: Duration = Duration::from_secs(5);
/// How long a real server may take to serve again.
const BACK: Duration = Duration::from_secs(120);

pub(super) async fn outage(subject: &dyn Subject) {
    let sample = Sample::new("outage", subject);
    let registry = subject.connect().await;
    let lag = subject.traits().lag;
    let service = sample.service("s");
    let instance = sample.instance(&service, 1);
    subject.put(&instance).await;
    let mut follower = Follower::new(registry.watch(sample.scope()));
    let shown = |list: &Vec<_>| sample.all_same(list, std::slice::from_ref(&instance));
    follower.until("the instance", lag, |seen| seen.get(&service).is_some_and(shown)).await;

    subject.fail().await;
    let ended = tokio::time::timeout(NOTICED, async {
        loop {
            match follower.step().await {
                Ok(_) => assert!(
                    follower.seen.get(&service).is_some_and(shown),
                    "an outage removed the instance: {:#?}",
                    follower.seen
                ),
                Err(error) => return error,
            }
        }
    });
    let error = ended.await.expect("a failed registry ends the watch within 5 s");
    assert!(error.is_retryable(), "an outage is worth another try: {error}");
    registry.ping().await.expect_err("ping of a dead registry");
    registry.services(&Scope::all()).await.expect_err("services of a dead registry");
    registry.instances(&service).await.expect_err("instances of a dead registry");
    if registry.capability().register {
        writes::fail(subject, registry.as_ref()).await;
    }
    let mut dead = Follower::new(registry.watch(sample.scope()));
    dead.step().await.expect_err("a watch of a dead registry begins with an error");

    subject.mend().await;
    eventually("the registry answers again", BACK, || registry.ping(), Result::is_ok).await;
    if !subject.traits().keeps_data {
        subject.put(&instance).await;
    }
    let list = || registry.instances(&service);
    let within = lag + Duration::from_secs(10);
    eventually("the instance is read again", within, list, |list| {
        let same = |list: &Vec<_>| sample.all_same(list, std::slice::from_ref(&instance));
        list.as_ref().is_ok_and(same)
    })
    .await;
    // A watch may meet a registry that is still waking up: it ends with an error and is begun
    // anew, as the hub does.
    let again = async {
        loop {
            let mut follower = Follower::new(registry.watch(sample.scope()));
            while follower.step().await.is_ok() {
                if follower.seen.get(&service).is_some_and(shown) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let seen = tokio::time::timeout(within, again).await;
    seen.expect("a new watch shows the instance again");
}
