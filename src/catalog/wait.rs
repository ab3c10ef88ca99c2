//! Readers that wait for a change.

use std::collections::HashMap;
use std::sync::Arc;

use hub_registry_core::ServiceName;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who waits for which service name. A change wakes only those that wait for its service.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    slots: Mutex<HashMap<ServiceName, Arc<Notify>>>,
}

impl Waiters {
    /// Joins those who wait for this name. The caller enables the `notified` future *before* it
    /// looks at the state, so that no change falls in between.
    #[must_use]
    pub(super) fn join(&self, name: &ServiceName) -> Waiting<'_> {
        let mut slots = self.slots.lock();
        let notify = Arc::clone(slots.entry(name.clone()).or_default());
        Waiting { waiters: self, name: name.clone(), notify }
    }

    /// Wakes everybody who waits for this name.
    pub(super) fn wake(&self, name: &ServiceName) {
        if let Some(notify) = self.slots.lock().get(name) {
            notify.notify_waiters();
        }
    }

    /// How many names are waited for.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.slots.lock().len()
    }
}

/// A place among those who wait; leaving it frees the name when nobody else waits for it.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    waiters: &'a Waiters,
    name: ServiceName,
    /// Wakes the waiters.
    pub notify: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut slots = self.waiters.slots.lock();
        // The map's own handle and this one: nobody else holds the name.
        if Arc::strong_count(&self.notify) == 2 {
            slots.remove(&self.name);
        }
    }
}
