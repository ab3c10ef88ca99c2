//! Waiting by condition.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hub_registry_core::{Change, ChangeStream, Instance, InstanceKey, ServiceKey};
use tokio::time::Instant;

/// Asks until the answer satisfies, at most `within`; the pause between two questions is short.
///
/// # Panics
/// When time is up; the message holds what was expected and the last answer.
pub async fn eventually<T, F, Fut>(
    what: &str,
    within: Duration,
    mut ask: F,
    satisfied: impl Fn(&T) -> bool,
) where
    T: Debug,
    F: FnMut() -> Fut,
    Fut: Future<Output = T>,
{
    let end = Instant::now() + within;
    loop {
        let answer = ask().await;
        if satisfied(&answer) {
            return;
        }
        assert!(Instant::now() < end, "not within {within:?}: {what}; last: {answer:#?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Applies a watch's changes, checking on the way that they keep the contract.
pub struct Follower {
    stream: ChangeStream,
    /// What the watch said so far; a service that is gone is not in it.
    pub seen: BTreeMap<ServiceKey, Vec<Arc<Instance>>>,
    started: bool,
}

impl Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Follower {
    /// Follows this stream.
    #[must_use]
    pub fn new(stream: ChangeStream) -> Self {
        Self { stream, seen: BTreeMap::new(), started: false }
    }

    /// Takes one item; `Err` with the error that ended the stream.
    ///
    /// # Errors
    /// The stream's.
    ///
    /// # Panics
    /// When an item breaks the contract of `Registry::watch`.
    pub async fn step(&mut self) -> Result<Change, hub_registry_core::Error> {
        let item = self.stream.next().await.expect("a watch ends with an error, not silently")?;
        match &item {
            Change::Reset(states) => {
                assert!(!self.started, "a second Reset in one watch");
                self.started = true;
                for state in states {
                    check(&state.instances);
                    let twice = self.seen.insert(state.key.clone(), state.instances.clone());
                    assert!(twice.is_none(), "{} twice in one Reset", state.key);
                }
            }
            Change::Put(state) => {
                assert!(self.started, "a Put before the Reset");
                check(&state.instances);
                let before = self.seen.insert(state.key.clone(), state.instances.clone());
                assert_ne!(before.as_ref(), Some(&state.instances), "a Put without a change");
            }
            Change::Gone(key) => {
                assert!(self.started, "a Gone before the Reset");
                assert!(self.seen.remove(key).is_some(), "{key} is gone and never was");
            }
            Change::Partial(state) => {
                check(&state.instances);
                let known = self.seen.get_mut(&state.key);
                let known = known.expect("a Partial of a service that was never told of");
                let listed = |key: &InstanceKey| state.instances.iter().any(|i| i.key == *key);
                known.retain(|instance| !listed(&instance.key));
                known.extend(state.instances.iter().cloned());
                known.sort_by(|a, b| a.key.cmp(&b.key));
            }
            Change::Unchanged => assert!(self.started, "an Unchanged before the Reset"),
        }
        Ok(item)
    }

    /// Takes items until what was seen satisfies.
    ///
    /// # Panics
    /// When time is up or the stream ends.
    pub async fn until(
        &mut self,
        what: &str,
        within: Duration,
        satisfied: impl Fn(&BTreeMap<ServiceKey, Vec<Arc<Instance>>>) -> bool,
    ) {
        let end = Instant::now() + within;
        while !self.started || !satisfied(&self.seen) {
            let step = tokio::time::timeout_at(end, self.step()).await;
            let Ok(step) = step else {
                panic!("not within {within:?}: {what}; seen: {:#?}", self.seen)
            };
            step.unwrap_or_else(|error| {
                panic!("the watch ended while waiting for {what}: {error}")
            });
        }
    }
}

fn check(instances: &[Arc<Instance>]) {
    let sorted = instances.windows(2).all(|pair| pair[0].key < pair[1].key);
    assert!(sorted, "instances not sorted by key, or one key twice: {instances:#?}");
}
