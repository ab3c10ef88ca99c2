//! From the view's writers to the log: a queue that never keeps a writer waiting.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use hub_registry_core::TenantId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// So much may wait. The log takes what waits in one go, so that this is a matter of a minute
/// without any progress.
const MOST: usize = 500_000;

/// What goes through the bus.
pub trait Load {
    /// Whose it is.
    fn tenant(&self) -> &TenantId;
    /// The revision.
    fn revision(&self) -> i64;
    /// How much it counts for.
    fn weight(&self) -> usize;
}

/// A queue of many writers and one reader, in the order in which they came.
#[derive(Debug)]
pub struct Bus<T> {
    waiting: Mutex<Waiting<T>>,
    wake: Notify,
}

/// What was waiting.
#[derive(Debug)]
pub struct Waiting<T> {
    /// In order.
    pub loads: VecDeque<T>,
    /// What found no room: the last of each tenant. It comes after `loads`.
    pub lost: BTreeMap<TenantId, T>,
    weight: usize,
}

impl<T> Default for Bus<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), wake: Notify::new() }
    }
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { loads: VecDeque::new(), lost: BTreeMap::new(), weight: 0 }
    }
}

impl<T: Load> Bus<T> {
    /// Adds a load. When there is no room nothing is taken until the reader comes, and it is told.
    pub fn push(&self, load: T) {
        let mut waiting = self.waiting.lock();
        if waiting.weight > MOST {
            waiting.lost.insert(load.tenant().clone(), load);
        } else {
            waiting.weight += load.weight();
            waiting.loads.push_back(load);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Waits until something waits, and takes all of it.
    pub async fn take(&self) -> Waiting<T> {
        loop {
            let waiting = self.take_now();
            if !waiting.loads.is_empty() || !waiting.lost.is_empty() {
                return waiting;
            }
            self.wake.notified().await;
        }
    }

    /// Takes what waits.
    pub fn take_now(&self) -> Waiting<T> {
        mem::take(&mut *self.waiting.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Heavy(TenantId, i64);

    impl Load for Heavy {
        fn tenant(&self) -> &TenantId {
            &self.0
        }

        fn revision(&self) -> i64 {
            self.1
        }

        fn weight(&self) -> usize {
            200_000
        }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_told_and_order_is_kept() {
        let (bus, tenant) = (Bus::default(), TenantId::default_tenant());
        for revision in 1..=6 {
            bus.push(Heavy(tenant.clone(), revision));
        }
        let taken = bus.take().await;
        let revisions: Vec<_> = taken.loads.iter().map(Heavy::revision).collect();
        assert_eq!(revisions, [1, 2, 3]);
        assert_eq!(taken.lost[&tenant], Heavy(tenant.clone(), 6));
        bus.push(Heavy(tenant, 7));
        assert_eq!(bus.take().await.loads.len(), 1, "there is room again");
    }
}
