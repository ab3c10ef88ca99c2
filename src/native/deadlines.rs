//! When to look at which lease.

use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::lease::Lease;

/// When to look at which lease: earliest first. An entry may be early, never late: a heartbeat
/// does not move it; whoever takes it out asks [`Leases::due`] and puts it back.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Entry>);

impl Deadlines {
    pub(super) fn push(&mut self, at: u64, lease: Arc<Lease>) {
        self.0.push(Entry { at, lease });
    }

    /// The time of the earliest.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.peek().map(|entry| entry.at)
    }

    /// The earliest, if its time has come.
    pub(super) fn pop(&mut self, now: u64) -> Option<Arc<Lease>> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|entry| entry.lease)
    }
}

#[derive(Debug)]
struct Entry {
    at: u64,
    lease: Arc<Lease>,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Order {
        other.at.cmp(&self.at)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}
