//! Following everything with few connections.
//!
//! One blocking read follows the names. Each of the first [`SEATS`] services has a seat: a blocking
//! read of its own, so that a change is seen at once. Services beyond share: they are read again
//! when a shared wake-up concerns them (see [`sweep`]), a few at a time. Seats are taken and freed
//! as services come and go, so there is no moment in which the watch changes its mode.
//!
//! The bound matters because an agent serves 200 connections per client address and answers 429
//! beyond (`limits.http_max_conns_per_client`), and the hub is not the only client of its host.

mod checks;
mod sweep;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use hub_registry_core::watch::{Reading, ServiceStream, TwoLevel, two_level};
use hub_registry_core::{ChangeStream, GroupName, Result, Scope, ServiceKey};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::client::{Before, Client, Cursor, Found, Read};
use crate::convert;
use checks::Feed;
use sweep::{Place, Sweep};

/// How many services are followed by a connection each.
const SEATS: usize = 96;
/// How many services are read at a time when a watch begins.
const PARALLEL: usize = 16;

/// Follows every service of the scope.
pub(crate) fn watch(client: Arc<Client>, group: GroupName, scope: Scope) -> ChangeStream {
    let levels = Levels {
        client,
        group,
        scope,
        followed: Mutex::new(Followed { names: Cursor::waiting(), checks: Feed::default() }),
        seats: Arc::new(Semaphore::new(SEATS)),
        sweep: Arc::default(),
    };
    two_level(Arc::new(levels), PARALLEL)
}

#[derive(Debug)]
struct Levels {
    client: Arc<Client>,
    group: GroupName,
    scope: Scope,
    followed: Mutex<Followed>,
    seats: Arc<Semaphore>,
    sweep: Arc<Sweep>,
}

#[derive(Debug)]
struct Followed {
    names: Cursor,
    checks: Feed,
}

#[async_trait]
impl TwoLevel for Levels {
    async fn names(&self, known: Option<&BTreeSet<ServiceKey>>) -> Result<BTreeSet<ServiceKey>> {
        let before = if known.is_some() { Before::Services } else { Before::Nothing };
        let mut followed = self.followed.lock().await;
        let Followed { names, checks } = &mut *followed;
        if !self.sweep.is_needed() {
            // Nobody waits for its read, which would end as lost.
            *checks = Feed::default();
        }
        let list = {
            let mut list = std::pin::pin!(self.client.names(names, before));
            loop {
                tokio::select! {
                    list = &mut list => break list?,
                    woken = checks.changed(&self.client), if self.sweep.is_needed() => {
                        self.sweep.wake(&woken?);
                    }
                    () = self.sweep.round() => {}
                }
            }
        };
        let Some(Read { value: list, filtered }) = list else {
            let mut known = known.cloned().unwrap_or_default();
            known.retain(|key| !self.client.leaves_out(&key.name));
            return Ok(known);
        };
        let keys = convert::keys(&self.group, list);
        let mut keys: BTreeSet<_> = keys.filter(|key| self.scope.contains(key)).collect();
        if let Some(known) = known {
            // What was listed before may be hidden now, and that is no removal.
            let missing = known.difference(&keys).filter(|key| !self.client.leaves_out(&key.name));
            let missing: Vec<_> = missing.map(|key| key.name.clone()).collect();
            let hidden = if filtered {
                self.client.may_be_there(missing).await?
            } else {
                // Up to 1.10 no header tells that something is hidden.
                self.client.denied(&missing).await?
            };
            if !filtered && keys.is_empty() && !hidden.is_empty() {
                return Err(self.client.lost_its_rights(&hidden));
            }
            keys.extend(hidden.into_iter().map(|name| ServiceKey::new(self.group.clone(), name)));
        }
        // The index of the names moves with every registration and does not say which service.
        self.sweep.wake_all();
        if keys.len() > SEATS && !checks.has_begun() {
            // What changes between a shared service's first read and the first wake-up must wake
            // it: so the wake-ups count from before that read.
            checks.begin(&self.client).await?;
        }
        Ok(keys)
    }

    fn service(&self, key: &ServiceKey) -> ServiceStream {
        let seats = Arc::clone(&self.seats);
        let seat = match Arc::clone(&seats).try_acquire_owned() {
            Ok(permit) => Seat::Own(permit),
            Err(_) => Seat::Shared(Sweep::place(&self.sweep, &key.name)),
        };
        let cursor = match seat {
            Seat::Own(_) => Cursor::waiting(),
            Seat::Shared(_) | Seat::Refused => Cursor::reading(),
        };
        let (client, key) = (Arc::clone(&self.client), key.clone());
        let follow = Follow { client, key, cursor, seat, seats, was_whole: false };
        let items = stream::unfold(follow, |mut follow| async move {
            let item = follow.next().await;
            Some((item, follow))
        });
        items.boxed()
    }
}

enum Seat {
    Own(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    Shared(Place),
    /// Consul refuses to be asked for it: it has nothing more to say, and leaves with the next
    /// list of names.
    Refused,
}

struct Follow {
    client: Arc<Client>,
    key: ServiceKey,
    cursor: Cursor,
    seat: Seat,
    seats: Arc<Semaphore>,
    // Whether a read showed all its instances. Where some are hidden from the beginning, what is
    // shown is all there is for this token.
    was_whole: bool,
}

impl Follow {
    async fn next(&mut self) -> Result<Reading> {
        loop {
            if let Seat::Shared(place) = &self.seat {
                if self.cursor.has_read() {
                    place.woken().await;
                }
                if let Ok(permit) = Arc::clone(&self.seats).try_acquire_owned() {
                    self.seat = Seat::Own(permit);
                    self.cursor.wait_from_now();
                }
            }
            let _turn = match &self.seat {
                Seat::Own(_) => None,
                Seat::Shared(place) => Some(place.turn().await),
                Seat::Refused => std::future::pending().await,
            };
            match self.client.entries(&mut self.cursor, &self.key.name).await {
                Ok(Found::Unchanged) => {}
                Ok(Found::Entries { entries, filtered }) => {
                    let instances = convert::instances(&self.key, entries);
                    if filtered && self.was_whole {
                        return Ok(Reading::Partial(instances));
                    }
                    self.was_whole = !filtered;
                    return Ok(Reading::Whole(instances));
                }
                Ok(Found::Hidden) if self.was_whole => return Ok(Reading::Partial(Vec::new())),
                Ok(Found::Hidden) => return Err(self.client.hidden(&self.key.name)),
                Err(_) if self.client.leaves_out(&self.key.name) => break,
                Err(error) => return Err(error),
            }
        }
        self.seat = Seat::Refused;
        Ok(Reading::Whole(Vec::new()))
    }
}
