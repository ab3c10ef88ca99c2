//! A client: one connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hub_registry_core::{Secret, TenantId};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::held::Held;
use super::message::Payload;
use super::push::Order;
use crate::access::{Action, Caller, Said as Shown};
use crate::error::{Error, Result};
use crate::facades::nacos::Face;
use crate::task::TaskGroup;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) face: Arc<Face>,
    pub(super) tasks: TaskGroup,
    /// As a Nacos names them: when it began, and from where.
    pub(super) id: String,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) held: Held,
    /// How many services it subscribed to.
    pub(super) subscriptions: AtomicUsize,
    is_set_up: AtomicBool,
    is_told_carried: AtomicBool,
    has_stream: AtomicBool,
    began: Instant,
    /// When it was last heard, in milliseconds since it began.
    heard: AtomicU64,
    /// The credential that was shown last: there is one of each, however often it is shown.
    shown: Mutex<Option<Arc<Secret>>>,
    /// The place of one that nobody knows yet.
    stranger: Mutex<Option<OwnedSemaphorePermit>>,
}

/// Who asks, and what they showed for it: what they get goes when that counts no more.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) caller: Caller,
    /// `None`: nobody is asked who they are.
    shown: Option<Arc<Secret>>,
}

impl Asker {
    pub(super) fn tenant(&self) -> &TenantId {
        self.caller.tenant()
    }
}

impl Connection {
    pub(super) fn new(
        face: Arc<Face>,
        tasks: TaskGroup,
        peer: SocketAddr,
        orders: mpsc::Sender<Order>,
        stranger: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let id = format!("{}_{}_{}", face.clock.now_ms(), peer.ip(), peer.port());
        Self {
            face,
            tasks,
            id,
            orders,
            held: Held::default(),
            subscriptions: AtomicUsize::new(0),
            is_set_up: AtomicBool::new(false),
            is_told_carried: AtomicBool::new(false),
            has_stream: AtomicBool::new(false),
            began: Instant::now(),
            heard: AtomicU64::new(0),
            shown: Mutex::default(),
            stranger: Mutex::new(stranger),
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

    /// Its client said who it is, and whether it wants to be told what Nacos has no word for.
    pub(super) fn set_up(&self, carried: bool) {
        self.is_told_carried.store(carried, Ordering::Release);
        self.is_set_up.store(true, Ordering::Release);
    }

    pub(super) fn is_set_up(&self) -> bool {
        self.is_set_up.load(Ordering::Acquire)
    }

    pub(super) fn is_told_carried(&self) -> bool {
        self.is_told_carried.load(Ordering::Acquire)
    }

    /// Takes its only stream; whether it still had it.
    pub(super) fn takes_stream(&self) -> bool {
        !self.has_stream.swap(true, Ordering::AcqRel)
    }

    /// Who asks for what, in this tenant (`None`: the caller's own).
    pub(super) async fn asker(
        &self,
        request: &Payload,
        tenant: Option<TenantId>,
        forwarded: bool,
        action: Action,
    ) -> Result<Asker> {
        let shown = Shown { bearer: request.token(), tenant, forwarded, ..Shown::default() };
        let caller = self.face.authenticator.caller(shown).await?;
        caller.need(action)?;
        self.stranger.lock().take();
        let is_asked = self.face.authenticator.is_on();
        let shown = request.token().filter(|_| is_asked).map(|token| self.kept(token));
        Ok(Asker { caller, shown })
    }

    fn kept(&self, token: &str) -> Arc<Secret> {
        let mut last = self.shown.lock();
        let same = last.as_ref().filter(|last| last.expose() == token).cloned();
        Arc::clone(last.insert(same.unwrap_or_else(|| Arc::new(Secret::new(token)))))
    }

    /// Nobody knows yet who it is, and others have no place for it.
    pub(super) fn is_in_the_way(&self) -> bool {
        let stranger = self.stranger.lock();
        stranger.as_ref().is_some_and(|place| place.semaphore().available_permits() == 0)
    }

    /// Whether what each of them showed still counts; the same is looked at once.
    pub(super) fn knows_all<'a>(&self, askers: impl Iterator<Item = &'a Asker>) -> bool {
        let shown = askers.filter_map(|asker| Some((Arc::as_ptr(asker.shown.as_ref()?), asker)));
        let each: HashMap<_, _> =
            shown.map(|(token, asker)| ((token, asker.tenant().clone()), asker)).collect();
        each.values().all(|asker| self.knows(asker))
    }

    fn knows(&self, asker: &Asker) -> bool {
        let Some(token) = &asker.shown else { return true };
        let (bearer, tenant) = (Some(token.expose()), Some(asker.tenant().clone()));
        let shown = Shown { bearer, tenant, ..Shown::default() };
        self.face.authenticator.known(shown).is_some()
    }

    /// Does the work to its end, also when the client does not wait for it.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let unended = |_| Err(Error::unavailable("the work was not ended"));
        self.tasks.to_its_end(work).await.unwrap_or_else(unended)
    }
}
