//! What is to be written, the most urgent first, once for each address.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_core::carry::Packed;
use hub_registry_core::{InstanceKey, ServiceKey};
use tokio::time::Instant;

use super::decide::Act;

/// After a failure, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// One thing to write.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) act: Act,
    pub(super) why: &'static str,
    /// The original's service.
    pub(super) original: ServiceKey,
    /// The copy's address at the target.
    pub(super) key: InstanceKey,
    /// What to write; nothing to be removed.
    pub(super) copy: Option<(Packed, String)>,
    /// Readers of the target have nobody, or nobody any more.
    pub(super) urgent: bool,
    /// A removal that an operator asked for.
    pub(super) on_demand: bool,
    /// Since when.
    pub(super) since: Instant,
    /// How often it failed, and not before when it is tried again.
    pub(super) failures: u32,
    pub(super) not_before: Instant,
}

impl Action {
    /// It failed: it waits, the longer the more often that happened.
    pub(super) fn failed(&mut self, now: Instant) {
        let pause = PAUSE.0 * 2_u32.pow(self.failures.min(8));
        self.failures += 1;
        self.not_before = now + pause.min(PAUSE.1);
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    services: BTreeMap<ServiceKey, BTreeMap<InstanceKey, Action>>,
}

impl Queue {
    pub(super) fn put(&mut self, action: Action) {
        let service = self.services.entry(action.original.clone()).or_default();
        service.insert(action.key.clone(), action);
    }

    /// What is to be done about a service now; what was before is given up, but its age counts, and
    /// that it failed.
    pub(super) fn replace(&mut self, original: &ServiceKey, actions: Vec<Action>) {
        let before = self.services.remove(original).unwrap_or_default();
        for mut action in actions {
            if let Some(before) = before.get(&action.key) {
                action.since = action.since.min(before.since);
                if before.act == action.act {
                    (action.failures, action.not_before) = (before.failures, before.not_before);
                }
            }
            self.put(action);
        }
    }

    /// How many may be tried by now.
    pub(super) fn due(&self, now: Instant) -> usize {
        self.all().filter(|action| action.not_before <= now).count()
    }

    /// How many are late: those that may be tried, and those that failed.
    pub(super) fn late(&self, now: Instant) -> usize {
        self.all().filter(|action| action.not_before <= now || action.failures > 0).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    fn all(&self) -> impl Iterator<Item = &Action> {
        self.services.values().flat_map(BTreeMap::values)
    }

    /// When the first one may be tried.
    pub(super) fn next(&self) -> Option<Instant> {
        self.all().map(|action| action.not_before).min()
    }

    /// The next ones: the urgent, then those that wait longest. `removals`: no more of these that
    /// nobody asked for.
    pub(super) fn take(&mut self, count: usize, removals: usize, now: Instant) -> Vec<Action> {
        let mut order: Vec<_> = self.all().filter(|action| action.not_before <= now).collect();
        order.sort_by_key(|action| (!action.urgent, action.since));
        let mut left = removals;
        let may = |action: &&Action| {
            if action.act != Act::Deregister || action.on_demand {
                return true;
            }
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        let next = order.into_iter().filter(may).take(count);
        let keys: Vec<_> = next.map(|one| (one.original.clone(), one.key.clone())).collect();
        keys.iter().filter_map(|(original, key)| self.remove(original, key)).collect()
    }

    fn remove(&mut self, original: &ServiceKey, key: &InstanceKey) -> Option<Action> {
        let service = self.services.get_mut(original)?;
        let action = service.remove(key);
        if service.is_empty() {
            self.services.remove(original);
        }
        action
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{GroupName, Host, ServiceName};

    use super::*;

    fn action(port: u16, act: Act, urgent: bool, since: Instant) -> Action {
        let name = ServiceName::parse("web").unwrap();
        let original = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let key = InstanceKey { service: original.clone(), host, port };
        let (why, copy, failures, not_before, on_demand) = ("", None, 0, since, false);
        Action { act, why, original, key, copy, urgent, on_demand, since, failures, not_before }
    }

    fn ports(taken: Vec<Action>) -> Vec<u16> {
        taken.iter().map(|action| action.key.port).collect()
    }

    #[test]
    fn urgent_ones_go_first_and_removals_are_rationed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        queue.put(action(1, Act::Register, false, at(2)));
        queue.put(action(2, Act::Deregister, false, at(1)));
        queue.put(action(3, Act::Deregister, true, at(5)));
        queue.put(action(4, Act::Update, false, at(3)));
        assert_eq!(ports(queue.take(9, 1, at(9))), [3, 1, 4]);
        assert_eq!((queue.due(at(9)), queue.next()), (1, Some(at(1))));
        assert_eq!(ports(queue.take(9, 0, at(9))), [0; 0]);
        let asked_for = action(5, Act::Deregister, false, at(6));
        queue.put(Action { on_demand: true, ..asked_for });
        assert_eq!(ports(queue.take(9, 0, at(9))), [5]);
        assert_eq!(ports(queue.take(9, 1, at(9))), [2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_is_asked_for_no_more_is_not_done_and_age_and_failures_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut queue = Queue::default();
        let mut old = action(1, Act::Register, false, at(1));
        old.failed(at(10));
        let service = old.original.clone();
        queue.replace(&service, vec![old, action(2, Act::Register, false, at(1))]);
        queue.replace(&service, vec![action(1, Act::Register, false, at(12))]);
        assert_eq!((queue.due(at(12)), queue.next()), (1, Some(at(10) + PAUSE.0)));
        assert_eq!(ports(queue.take(9, 9, at(10))), [0; 0], "it failed a moment ago");
        assert_eq!((queue.due(at(10)), queue.late(at(10))), (0, 1));
        assert_eq!((queue.due(at(11)), queue.late(at(11))), (1, 1));
        assert_eq!(queue.take(9, 9, at(11))[0].since, at(1));
        queue.replace(&service, Vec::new());
        assert!(queue.is_empty());
    }
}
