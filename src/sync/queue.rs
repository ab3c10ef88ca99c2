//! What is to be written, the most urgent first, once for each address.

use std::collections::BTreeMap;

use hub_registry_core::InstanceKey;
use hub_registry_core::carry::Packed;
use tokio::time::Instant;

use super::decide::Act;

/// One thing to write.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) act: Act,
    pub(super) why: &'static str,
    /// The copy's address at the target.
    pub(super) key: InstanceKey,
    /// What to write; nothing to be removed.
    pub(super) copy: Option<(Packed, String)>,
    /// The original's address.
    pub(super) from: InstanceKey,
    /// Readers of the target have nobody, or nobody any more.
    pub(super) urgent: bool,
    /// Since when.
    pub(super) since: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Queue(BTreeMap<InstanceKey, Action>);

impl Queue {
    /// Takes an action in; one for the same address is given up, but its age counts.
    pub(super) fn put(&mut self, mut action: Action) {
        if let Some(before) = self.0.get(&action.key) {
            action.since = action.since.min(before.since);
        }
        self.0.insert(action.key.clone(), action);
    }

    /// Nothing is to be done about this address any more.
    pub(super) fn forget(&mut self, key: &InstanceKey) {
        self.0.remove(key);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next ones: the urgent, then those that wait longest. `removals`: no more of these.
    pub(super) fn take(&mut self, count: usize, removals: usize) -> Vec<Action> {
        let mut order: Vec<_> = self.0.values().collect();
        order.sort_by_key(|action| (!action.urgent, action.since));
        let mut left = removals;
        let may = |action: &&Action| {
            if action.act != Act::Deregister {
                return true;
            }
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        let keys: Vec<_> =
            order.into_iter().filter(may).take(count).map(|action| action.key.clone()).collect();
        keys.iter().filter_map(|key| self.0.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hub_registry_core::{GroupName, Host, ServiceKey, ServiceName};

    use super::*;

    fn action(port: u16, act: Act, urgent: bool, since: Instant) -> Action {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let key = InstanceKey { service, host: Host::parse("10.0.0.1").unwrap(), port };
        Action { act, why: "", key: key.clone(), copy: None, from: key, urgent, since }
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
        queue.put(action(4, Act::Update, false, at(9)));
        let ports = |taken: Vec<Action>| taken.iter().map(|a| a.key.port).collect::<Vec<_>>();
        assert_eq!(ports(queue.take(9, 1)), [3, 1, 4], "one removal, and the age of the first");
        assert_eq!(queue.len(), 1);
        assert_eq!(ports(queue.take(9, 0)), [0; 0]);
        queue.forget(&action(2, Act::Register, false, start).key);
        assert!(queue.is_empty());
    }
}
