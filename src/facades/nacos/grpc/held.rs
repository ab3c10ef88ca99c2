//! What goes with a connection: the instances that it registered, of each service one or, by a batch,
//! several. The next registration of a service replaces them.
//!
//! An address is one instance here, whoever registers it: of several connections the last one says
//! what it is, and when that one goes, the one before it does again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dashmap::DashMap;
use futures_util::future::join_all;
use hub_registry_core::{InstanceKey, ServiceKey, TenantId};
use parking_lot::Mutex;

use super::connection::{Asker, Connection};
use crate::access::Action;
use crate::error::{Error, ErrorCode, Result};
use crate::model::instance::{NativeInstance, Registration};
use crate::model::names::InstanceId;
use crate::model::terms::CONNECTION;

/// How many instances one connection may hold.
const MAX_HELD: usize = 10_000;

type Place = (TenantId, ServiceKey);

/// What one connection holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// One registration after the other.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    has_ended: bool,
    services: HashMap<Place, BTreeMap<InstanceKey, Arc<Holder>>>,
}

/// A connection that holds an instance.
#[derive(Debug)]
struct Holder {
    connection: String,
    asker: Asker,
    registration: Registration,
}

/// Who holds which instance, the last one last.
#[derive(Debug, Default)]
pub(in crate::facades::nacos) struct Holders(DashMap<(TenantId, InstanceKey), Vec<Arc<Holder>>>);

impl Holders {
    fn put(&self, place: (TenantId, InstanceKey), holder: Arc<Holder>) {
        let mut all = self.0.entry(place).or_default();
        all.retain(|other| other.connection != holder.connection);
        all.push(holder);
    }

    fn last(&self, place: &(TenantId, InstanceKey)) -> Option<Arc<Holder>> {
        self.0.get(place)?.last().cloned()
    }

    /// Takes a connection out; who is last then.
    fn take(&self, place: &(TenantId, InstanceKey), connection: &str) -> Option<Arc<Holder>> {
        let mut all = self.0.get_mut(place)?;
        all.retain(|holder| holder.connection != connection);
        let last = all.last().cloned();
        drop(all);
        self.0.remove_if(place, |_, all| all.is_empty());
        last
    }
}

fn is_of(instance: &NativeInstance, connection: &str) -> bool {
    instance.native.get(CONNECTION).is_some_and(|id| id == connection)
}

impl Connection {
    /// These are the instances of the service that it has; those it had before leave.
    pub(super) async fn publish(
        self: &Arc<Self>,
        asker: Asker,
        service: ServiceKey,
        new: Vec<Registration>,
    ) -> Result<()> {
        self.face.native.need(&asker.caller, Action::Write, &service.group)?;
        let connection = Arc::clone(self);
        self.to_its_end(async move { connection.replace(asker, service, new).await }).await
    }

    async fn replace(
        &self,
        asker: Asker,
        service: ServiceKey,
        new: Vec<Registration>,
    ) -> Result<()> {
        let _turn = self.held.turn.lock().await;
        let place = (asker.tenant().clone(), service);
        let before = self.before(&place, new.len())?;
        let holders = new.into_iter().map(|registration| {
            let (connection, asker) = (self.id.clone(), asker.clone());
            Arc::new(Holder { connection, asker, registration })
        });
        // Of two at one address the later counts.
        let new: BTreeMap<_, _> =
            holders.map(|holder| (holder.registration.key.clone(), holder)).collect();
        let outcomes = join_all(new.values().map(|holder| self.hold(&place, holder))).await;
        // If one failed, nobody leaves: the client says all of it again.
        outcomes.into_iter().collect::<Result<()>>()?;
        let gone = before.into_iter().filter(|(key, _)| !new.contains_key(key));
        self.withdraw(&place, gone.collect()).await
    }

    /// What it has of the service, if there is room for so many.
    fn before(&self, place: &Place, new: usize) -> Result<BTreeMap<InstanceKey, Arc<Holder>>> {
        let state = self.held.state.lock();
        if state.has_ended {
            return Err(Error::unavailable("the connection has ended"));
        }
        let others = state.services.iter().filter(|(other, _)| *other != place);
        let count: usize = others.map(|(_, instances)| instances.len()).sum();
        if count + new > MAX_HELD {
            let text = format!("a connection holds {MAX_HELD} instances at most");
            return Err(Error::new(ErrorCode::Invalid, text));
        }
        Ok(state.services.get(place).cloned().unwrap_or_default())
    }

    /// Registers an instance that it holds from then on.
    async fn hold(&self, place: &Place, holder: &Arc<Holder>) -> Result<()> {
        let key = &holder.registration.key;
        let _turn = self.face.turns.of((&place.0, key)).await;
        self.register(holder).await?;
        self.face.holders.put((place.0.clone(), key.clone()), Arc::clone(holder));
        let mut state = self.held.state.lock();
        state.services.entry(place.clone()).or_default().insert(key.clone(), Arc::clone(holder));
        Ok(())
    }

    async fn register(&self, holder: &Holder) -> Result<()> {
        let (caller, registration) = (&holder.asker.caller, holder.registration.clone());
        let outcome = self.face.native.register(caller, registration).await;
        self.face.metrics.native.ended("register", outcome.is_ok());
        outcome.map(drop)
    }

    /// Takes these back, and forgets those that it could.
    async fn withdraw(
        &self,
        place: &Place,
        gone: BTreeMap<InstanceKey, Arc<Holder>>,
    ) -> Result<()> {
        let all = gone.into_values().map(|holder| async move {
            self.remove(&holder).await?;
            let mut state = self.held.state.lock();
            if let Some(instances) = state.services.get_mut(place) {
                instances.remove(&holder.registration.key);
                if instances.is_empty() {
                    state.services.remove(place);
                }
            }
            Ok(())
        });
        join_all(all).await.into_iter().collect()
    }

    /// Removes the instance, unless somebody else registered it since; whoever held it before does
    /// again.
    async fn remove(&self, holder: &Holder) -> Result<()> {
        let (caller, key) = (&holder.asker.caller, &holder.registration.key);
        let place = (caller.tenant().clone(), key.clone());
        let _turn = self.face.turns.of((&place.0, key)).await;
        let id = InstanceId::of(caller.tenant(), key);
        if let Some(other) = self.face.holders.take(&place, &self.id) {
            let shown = self.face.native.get(caller.tenant(), &id.to_string());
            return match shown {
                Ok(shown) if !is_of(&shown, &self.id) => Ok(()),
                _ => self.register(&other).await,
            };
        }
        let connection = self.id.clone();
        let still = move |instance: &NativeInstance| is_of(instance, &connection);
        let outcome = self.face.native.deregister_if(caller, id, still).await;
        self.face.metrics.native.ended("deregister", outcome.is_ok());
        outcome.map(drop)
    }

    /// Renews the leases of what it holds, and registers again what is gone: it is there as long as
    /// its connection is. `false`: what was shown for some of it counts no more.
    pub(super) fn beat(self: &Arc<Self>) -> bool {
        let services: Vec<(Place, Vec<Arc<Holder>>)> = {
            let state = self.held.state.lock();
            let all = state.services.iter();
            all.map(|(place, held)| (place.clone(), held.values().cloned().collect())).collect()
        };
        let firsts = services.iter().filter_map(|(_, instances)| instances.first());
        if !self.knows_all(firsts.map(|holder| &holder.asker)) {
            return false;
        }
        let mut lost = Vec::new();
        for (place, instances) in &services {
            for holder in instances {
                let id = InstanceId::of(&place.0, &holder.registration.key).to_string();
                match self.face.native.get(&place.0, &id) {
                    Ok(shown) if is_of(&shown, &self.id) => {
                        self.face.native.heartbeat(&holder.asker.caller, &id).ok();
                    }
                    // Somebody else has the say now, unless that is a connection that is gone.
                    Ok(shown) if !self.is_orphan(&shown) => {}
                    _ => lost.push((place.clone(), Arc::clone(holder))),
                }
            }
        }
        if !lost.is_empty() {
            let connection = Arc::clone(self);
            self.tasks.spawn_until_stopped(async move { connection.restore(lost).await });
        }
        true
    }

    /// Whether it is of a connection that holds it no more, while this one does, last of all.
    fn is_orphan(&self, shown: &NativeInstance) -> bool {
        let place = (shown.tenant.clone(), shown.key.clone());
        shown.native.contains_key(CONNECTION)
            && !is_of(shown, &self.id)
            && self.face.holders.last(&place).is_some_and(|last| last.connection == self.id)
    }

    async fn restore(&self, lost: Vec<(Place, Arc<Holder>)>) {
        let _turn = self.held.turn.lock().await;
        for (place, holder) in lost {
            let key = &holder.registration.key;
            let is_held = {
                let state = self.held.state.lock();
                let instances = state.services.get(&place);
                let held = instances.and_then(|instances| instances.get(key));
                !state.has_ended && held.is_some_and(|held| Arc::ptr_eq(held, &holder))
            };
            let id = InstanceId::of(&place.0, key).to_string();
            let shown = self.face.native.get(&place.0, &id);
            if !is_held || shown.is_ok_and(|shown| !self.is_orphan(&shown)) {
                continue;
            }
            tracing::info!(
                client = %self.id, service = %key.service, host = %key.host, port = key.port,
                "an instance was removed whose client is connected to the face of Nacos: it is registered again"
            );
            if let Err(error) = self.hold(&place, &holder).await {
                tracing::warn!(client = %self.id, error = error.message, "it could not be");
            }
        }
    }

    /// It is over: what it has leaves, or, if it `comes_back`, stays until its leases end. How many
    /// there were.
    pub(super) async fn end(&self, comes_back: bool) -> usize {
        self.held.state.lock().has_ended = true;
        let _turn = self.held.turn.lock().await;
        let services = std::mem::take(&mut self.held.state.lock().services);
        let mut count = 0;
        for ((tenant, _), instances) in services {
            count += instances.len();
            if comes_back {
                for key in instances.into_keys() {
                    let _turn = self.face.turns.of((&tenant, &key)).await;
                    self.face.holders.take(&(tenant.clone(), key), &self.id);
                }
                continue;
            }
            let all = instances.values().map(|holder| self.remove(holder));
            let outcome: Result<()> = join_all(all).await.into_iter().collect();
            if let Err(error) = outcome {
                tracing::warn!(
                    client = %self.id, error = error.message,
                    "instances of a client of Nacos that left stay until their leases end"
                );
            }
        }
        count
    }
}
