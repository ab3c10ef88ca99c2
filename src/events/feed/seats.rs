//! How many subscribers there may be.

use std::collections::HashMap;
use std::sync::Arc;

use hub_registry_core::TenantId;
use parking_lot::Mutex;

/// There is no room for one more subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSeat {
    /// In the whole server, which has so many.
    All(usize),
    /// For this user, who has so many.
    User(usize),
}

#[derive(Clone, Debug)]
pub(super) struct Seats {
    most: usize,
    most_per_user: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    users: HashMap<(TenantId, String), usize>,
}

/// A subscriber's seat, given back at its end.
#[derive(Debug)]
pub(super) struct Seat {
    taken: Arc<Mutex<Taken>>,
    who: (TenantId, String),
}

impl Seats {
    pub(super) fn new(most: usize, most_per_user: usize) -> Self {
        Self { most, most_per_user, taken: Arc::default() }
    }

    pub(super) fn take(&self, tenant: &TenantId, user: &str) -> Result<Seat, NoSeat> {
        let who = (tenant.clone(), user.to_owned());
        let mut taken = self.taken.lock();
        if taken.all >= self.most {
            return Err(NoSeat::All(self.most));
        }
        let own = taken.users.entry(who.clone()).or_default();
        if *own >= self.most_per_user {
            return Err(NoSeat::User(self.most_per_user));
        }
        *own += 1;
        taken.all += 1;
        Ok(Seat { taken: Arc::clone(&self.taken), who })
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.lock().all
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all -= 1;
        if let Some(own) = taken.users.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.users.remove(&self.who);
            }
        }
    }
}
