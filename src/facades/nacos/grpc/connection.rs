//! A client: what one connection said, and what goes with it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::join_all;
use hub_registry_core::{InstanceKey, Secret, ServiceKey, TenantId};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};

use super::message::Payload;
use super::push::Order;
use crate::access::{Action, Caller, Said as Shown};
use crate::error::{Error, ErrorCode, Result};
use crate::facades::nacos::Face;
use crate::model::instance::Registration;
use crate::model::names::InstanceId;

/// How many instances one connection may hold.
const MAX_HELD: usize = 10_000;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) face: Arc<Face>,
    /// As a Nacos names them: when it began, and from where.
    pub(super) id: String,
    pub(super) orders: mpsc::Sender<Order>,
    is_set_up: AtomicBool,
    began: Instant,
    /// When it was last heard, in milliseconds since it began.
    heard: AtomicU64,
    /// One after the other: a registration replaces what the one before it left.
    turn: tokio::sync::Mutex<()>,
    held: Mutex<Held>,
}

/// What goes with the connection.
#[derive(Debug, Default)]
struct Held {
    has_ended: bool,
    services: HashMap<(TenantId, ServiceKey), Holding>,
    /// The credentials that were shown, as long as anything hangs on them.
    credentials: HashMap<TenantId, Option<Secret>>,
}

#[derive(Debug)]
struct Holding {
    caller: Caller,
    instances: Vec<InstanceKey>,
}

impl Connection {
    pub(super) fn new(face: Arc<Face>, peer: SocketAddr, orders: mpsc::Sender<Order>) -> Self {
        let id = format!("{}_{}_{}", face.clock.now_ms(), peer.ip(), peer.port());
        Self {
            face,
            id,

            orders,
            is_set_up: AtomicBool::new(false),
            began: Instant::now(),
            heard: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// It says something.
    pub(super) fn hears(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    /// When it last said something.
    pub(super) fn last_heard(&self) -> Instant {
        self.began + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// Its client said who it is.
    pub(super) fn set_up(&self) {
        self.is_set_up.store(true, Ordering::Release);
    }

    pub(super) fn is_set_up(&self) -> bool {
        self.is_set_up.load(Ordering::Acquire)
    }

    /// Who asks for what, in this tenant (`None`: the caller's own).
    pub(super) async fn caller(
        &self,
        request: &Payload,
        tenant: Option<TenantId>,
        action: Action,
    ) -> Result<Caller> {
        let shown = Shown { bearer: request.token(), tenant, ..Shown::default() };
        let caller = self.face.authenticator.caller(shown).await?;
        caller.need(action)?;
        if self.face.authenticator.is_on() {
            let token = request.token().map(Secret::new);
            self.held.lock().credentials.insert(caller.tenant().clone(), token);
        }
        Ok(caller)
    }

    /// Whether all that was shown still counts: what hangs on it goes with it.
    pub(super) fn is_known(&self) -> bool {
        if !self.face.authenticator.is_on() {
            return true;
        }
        self.held.lock().credentials.iter().all(|(tenant, token)| {
            let bearer = token.as_ref().map(Secret::expose);
            let shown = Shown { bearer, tenant: Some(tenant.clone()), ..Shown::default() };
            self.face.authenticator.known(shown).is_some()
        })
    }

    /// These are the instances of the service that it has; those it had before leave.
    pub(super) async fn publish(
        &self,
        caller: &Caller,
        service: &ServiceKey,
        new: Vec<Registration>,
    ) -> Result<()> {
        let _turn = self.turn.lock().await;
        let at = (caller.tenant().clone(), service.clone());
        let mut kept: Vec<_> = new.iter().map(|one| one.key.clone()).collect();
        kept.sort();
        kept.dedup();
        let before = self.note(caller, &at, &kept)?;
        let all = new.into_iter().map(|one| self.register(caller, one));
        join_all(all).await.into_iter().collect::<Result<()>>()?;
        let gone = before.into_iter().filter(|key| kept.binary_search(key).is_err());
        let outcome = self.withdraw(caller, gone.collect()).await;
        self.keep(&at, kept);
        outcome
    }

    /// Takes all instances of the service back that it has.
    pub(super) async fn unpublish(&self, caller: &Caller, service: &ServiceKey) -> Result<()> {
        let _turn = self.turn.lock().await;
        let at = (caller.tenant().clone(), service.clone());
        let before = self.note(caller, &at, &[])?;
        self.withdraw(caller, before).await?;
        self.keep(&at, Vec::new());
        Ok(())
    }

    /// Notes what is about to be registered, so that whoever is cut off in between leaves nothing
    /// behind; what there was before.
    fn note(
        &self,
        caller: &Caller,
        at: &(TenantId, ServiceKey),
        new: &[InstanceKey],
    ) -> Result<Vec<InstanceKey>> {
        let mut held = self.held.lock();
        if held.has_ended {
            return Err(Error::unavailable("the connection has ended"));
        }
        let count: usize = held.services.values().map(|holding| holding.instances.len()).sum();
        if count + new.len() > MAX_HELD {
            let text = format!("a connection holds {MAX_HELD} instances at most");
            return Err(Error::new(ErrorCode::Invalid, text));
        }
        let holding = held.services.entry(at.clone());
        let holding =
            holding.or_insert_with(|| Holding { caller: caller.clone(), instances: Vec::new() });
        holding.caller = caller.clone();
        let before = holding.instances.clone();
        holding.instances.extend(new.iter().filter(|key| !before.contains(key)).cloned());
        Ok(before)
    }

    fn keep(&self, at: &(TenantId, ServiceKey), instances: Vec<InstanceKey>) {
        let mut held = self.held.lock();
        if instances.is_empty() {
            held.services.remove(at);
        } else if let Some(holding) = held.services.get_mut(at) {
            holding.instances = instances;
        }
    }

    async fn register(&self, caller: &Caller, one: Registration) -> Result<()> {
        let _turn = self.face.turns.of((caller.tenant(), &one.key)).await;
        let outcome = self.face.native.register(caller, one).await;
        self.face.metrics.native.ended("register", outcome.is_ok());
        outcome.map(drop)
    }

    /// Removes those that nobody else registered meanwhile.
    async fn withdraw(&self, caller: &Caller, keys: Vec<InstanceKey>) -> Result<()> {
        let all = keys.into_iter().map(|key| self.remove(caller, key));
        join_all(all).await.into_iter().collect()
    }

    async fn remove(&self, caller: &Caller, key: InstanceKey) -> Result<()> {
        let _turn = self.face.turns.of((caller.tenant(), &key)).await;
        let Some(id) = self.own(caller, &key) else { return Ok(()) };
        let outcome = self.face.native.deregister(caller, &id.to_string()).await;
        self.face.metrics.native.ended("deregister", outcome.is_ok());
        match outcome {
            Err(error) if error.code != ErrorCode::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The instance at the address, if it is there and this connection was the last to register it.
    fn own(&self, caller: &Caller, key: &InstanceKey) -> Option<InstanceId> {
        let id = InstanceId::of(caller.tenant(), key);
        let now = self.face.native.get(caller.tenant(), &id.to_string()).ok()?;
        (now.client_id.as_deref() == Some(&self.id)).then_some(id)
    }

    /// Renews the leases of what it has: it is there as long as its connection is.
    pub(super) fn beat(&self) {
        let mut held = self.held.lock();
        let face = &self.face;
        for ((tenant, _), holding) in &mut held.services {
            let caller = &holding.caller;
            holding.instances.retain(|key| {
                let id = InstanceId::of(tenant, key).to_string();
                match face.native.heartbeat(caller, &id) {
                    Err(error) if error.code == ErrorCode::NotFound => {
                        tracing::info!(
                            client = %self.id, service = %key.service, host = %key.host, port = key.port,
                            "an instance was removed that a client of Nacos is connected for"
                        );
                        false
                    }
                    _ => true,
                }
            });
        }
    }

    /// It is over: what it has leaves. How many there were.
    pub(super) async fn end(&self) -> usize {
        let _turn = self.turn.lock().await;
        let services = {
            let mut held = self.held.lock();
            held.has_ended = true;
            std::mem::take(&mut held.services)
        };
        let mut count = 0;
        for Holding { caller, instances } in services.into_values() {
            count += instances.len();
            if let Err(error) = self.withdraw(&caller, instances).await {
                tracing::warn!(
                    client = %self.id, error = error.message,
                    "instances of a client of Nacos that left stay until their leases end"
                );
            }
        }
        count
    }
}
