//! Who follows what any source of a tenant says, service by service.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use hub_registry_core::{ServiceKey, TenantId};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::writer::Catalog;

/// Followers, each with a box that what changed is put into. A slow one finds each service once,
/// however often it changed.
#[derive(Debug, Default)]
pub(super) struct Followers(Mutex<Vec<Weak<Mailbox>>>);

#[derive(Debug)]
struct Mailbox {
    tenant: TenantId,
    changed: Mutex<Changed>,
    notify: Notify,
}

/// What changed since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// These services, in some source.
    pub services: BTreeSet<ServiceKey>,
    /// The state of some source.
    pub states: bool,
}

/// Follows a tenant's sources until it is dropped.
#[derive(Debug)]
pub struct Follower(Arc<Mailbox>);

impl Follower {
    /// Waits until something changed, and takes it.
    pub async fn changed(&self) -> Changed {
        loop {
            let taken = std::mem::take(&mut *self.0.changed.lock());
            if taken != Changed::default() {
                return taken;
            }
            // A change in between has left a permit.
            self.0.notify.notified().await;
        }
    }
}

impl Followers {
    pub(super) fn tell(&self, tenant: &TenantId, services: &BTreeSet<ServiceKey>, states: bool) {
        if services.is_empty() && !states {
            return;
        }
        self.0.lock().retain(|follower| {
            let Some(mailbox) = follower.upgrade() else { return false };
            if mailbox.tenant == *tenant {
                let mut changed = mailbox.changed.lock();
                changed.services.extend(services.iter().cloned());
                changed.states |= states;
                drop(changed);
                mailbox.notify.notify_one();
            }
            true
        });
    }
}

impl Catalog {
    /// Follows what the tenant's sources say from now on.
    #[must_use]
    pub fn follow(&self, tenant: &TenantId) -> Follower {
        let changed = Mutex::default();
        let mailbox = Mailbox { tenant: tenant.clone(), changed, notify: Notify::new() };
        let mailbox = Arc::new(mailbox);
        self.followers.0.lock().push(Arc::downgrade(&mailbox));
        Follower(mailbox)
    }
}
