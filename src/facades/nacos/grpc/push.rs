//! What a connection is told: the instances of the services that it subscribed to, whenever they
//! change. One task for each connection, which also finds out whether anybody is there.
//!
//! A service is pushed as it is when there is room for it, and not again before the client has
//! acknowledged it: a slow client gets the newest state, not all that were in between.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable, BoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hub_registry_core::{ServiceKey, TenantId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::connection::{Asker, Connection};
use super::message::{self, Nothing, Payload, Push};
use crate::catalog::GroupChoice;
use crate::telemetry::metrics::Pushed;

/// A client says who it is within this time.
const SET_UP: Duration = Duration::from_secs(30);
/// After so long a silence it is asked whether it is there (Nacos: 20 s), and answers in time.
const SILENCE: Duration = Duration::from_secs(20);
const DETECTION: Duration = Duration::from_secs(5);
/// A push is acknowledged within this time, else it is pushed again (Nacos: 5 s), so many times.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);
const TRIES: u32 = 3;
/// How often the leases of its instances are renewed.
const BEAT: Duration = Duration::from_secs(10);
/// How long a service that does not change is waited for at once.
const WAIT: Duration = Duration::from_secs(600);
/// The same where rights may change meanwhile.
const LOOK: Duration = Duration::from_secs(30);
/// When it is looked again whether a service is known that was not.
const AGAIN: Duration = Duration::from_secs(2);
/// What is later than this was not done in time.
const PAUSE: Duration = Duration::from_secs(1);
/// How many services one connection may subscribe to.
pub(super) const MAX_TOPICS: usize = 50_000;

/// A service of a tenant.
pub(super) type Topic = (TenantId, ServiceKey);

/// What the task is told.
#[derive(Debug)]
pub(super) enum Order {
    /// This is where pushes go.
    Stream(mpsc::Sender<Payload>),
    /// Push this (no matter of services).
    Say(Payload),
    /// Push what is there now, and whatever changes.
    Subscribe(Wanted, ServiceKey),
    /// No more.
    Unsubscribe(Topic),
    /// The push of this id has come.
    Acknowledged(String),
    /// The client ended the stream.
    Ended,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It never said who it is.
    NeverSetUp,
    /// It ended its stream.
    Left,
    /// It does not answer.
    Silent,
    /// What it showed does not count any more.
    Credential,
}

impl End {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NeverSetUp => "it never said who it is",
            Self::Left => "it ended its stream",
            Self::Silent => "it does not answer",
            Self::Credential => "its credential has ended",
        }
    }
}

/// Who subscribes, and to what of a service.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) asker: Asker,
    /// As the client names it.
    pub(super) namespace: String,
    /// These; all where none is named.
    pub(super) clusters: Vec<String>,
}

#[derive(Debug)]
struct Subscription {
    wanted: Wanted,
    /// Which subscription to the service it is: what was begun for an earlier one counts no more.
    number: u64,
    /// The revision that was pushed last; `None`: none yet.
    seen: Option<i64>,
    state: State,
    /// Ends the wait that is under way.
    wait: Option<AbortHandle>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(wait) = &self.wait {
            wait.abort();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A change of it is waited for.
    Waiting,
    /// It is pushed as soon as there is room, in this order; so many times this was done in vain.
    Queued { place: u64, tries: u32 },
    /// It was pushed, under this number.
    Pushed { id: u64, tries: u32 },
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// A change since what was pushed.
    Changed,
    /// A while.
    Again,
}

struct Pushes {
    connection: Arc<Connection>,
    stream: Option<mpsc::Sender<Payload>>,
    topics: HashMap<Topic, Subscription>,
    waits: FuturesUnordered<Abortable<BoxFuture<'static, (Topic, u64)>>>,
    queue: BTreeMap<u64, Topic>,
    /// What was pushed, in that order, and until when it is to be acknowledged.
    pushed: VecDeque<(Instant, u64, Topic)>,
    next: u64,
    set_up_by: Instant,
    beat_at: Instant,
    asked: Option<Instant>,
}

/// Tends the connection until it is over.
pub(super) async fn tend(connection: Arc<Connection>, mut orders: mpsc::Receiver<Order>) -> End {
    let mut pushes = Pushes {
        connection,
        stream: None,
        topics: HashMap::new(),
        waits: FuturesUnordered::new(),
        queue: BTreeMap::new(),
        pushed: VecDeque::new(),
        next: 0,
        set_up_by: Instant::now() + SET_UP,
        beat_at: Instant::now() + BEAT,
        asked: None,
    };
    loop {
        let stream = pushes.stream.clone();
        let has_room = async {
            match stream {
                Some(stream) => stream.reserve_owned().await.ok(),
                None => std::future::pending().await,
            }
        };
        let due = pushes.due();
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Ended) | None => return End::Left,
                Some(order) => pushes.take(order),
            },
            Some(ended) = pushes.waits.next() => {
                if let Ok((topic, number)) = ended {
                    pushes.changed(topic, number);
                }
            }
            permit = has_room, if !pushes.queue.is_empty() => match permit {
                Some(permit) => pushes.push(permit),
                None => return End::Left,
            },
            () = sleep_until(due) => {
                if let Some(end) = pushes.on_time() {
                    return end;
                }
            }
        }
    }
}

impl Pushes {
    /// When something is to be done without being told to.
    fn due(&self) -> Instant {
        let detection = match self.asked {
            Some(asked) => asked + DETECTION,
            None => self.connection.last_heard() + SILENCE,
        };
        let acknowledged = self.pushed.front().map(|(at, ..)| *at);
        // That it said who it is comes without an order: it is asked about when it should have.
        let set_up_by = Some(self.set_up_by).filter(|_| !self.connection.is_set_up());
        let others = [acknowledged, set_up_by, Some(self.beat_at)];
        others.into_iter().flatten().fold(detection, Instant::min)
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Stream(stream) => self.stream = Some(stream),
            Order::Say(payload) => self.say(payload),
            Order::Subscribe(wanted, service) => self.subscribe(wanted, service),
            Order::Unsubscribe(topic) => {
                self.forget(&topic);
                self.count();
            }
            Order::Acknowledged(id) => self.acknowledged(&id),
            Order::Ended => {}
        }
    }

    /// A client that has no room for what is no matter of services has no need of it either.
    fn say(&self, payload: Payload) {
        if let Some(stream) = &self.stream {
            stream.try_send(payload).ok();
        }
    }

    fn subscribe(&mut self, wanted: Wanted, service: ServiceKey) {
        let topic = (wanted.asker.tenant().clone(), service);
        self.forget(&topic);
        self.next += 1;
        let (number, state) = (self.next, State::Waiting);
        let new = Subscription { wanted, number, seen: None, state, wait: None };
        self.topics.insert(topic.clone(), new);
        self.enqueue(topic, 0);
        self.count();
    }

    /// Nothing is left of a subscription.
    fn forget(&mut self, topic: &Topic) {
        if let Some(old) = self.topics.remove(topic)
            && let State::Queued { place, .. } = old.state
        {
            self.queue.remove(&place);
        }
    }

    fn count(&self) {
        self.connection.subscriptions.store(self.topics.len(), Ordering::Relaxed);
    }

    fn enqueue(&mut self, topic: Topic, tries: u32) {
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        self.next += 1;
        subscription.state = State::Queued { place: self.next, tries };
        self.queue.insert(self.next, topic);
    }

    fn acknowledged(&mut self, id: &str) {
        let Ok(id) = id.parse::<u64>() else { return };
        let Some(place) = self.pushed.iter().position(|(_, pushed, _)| *pushed == id) else {
            return;
        };
        let Some((_, _, topic)) = self.pushed.remove(place) else { return };
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        if matches!(subscription.state, State::Pushed { id: pushed, .. } if pushed == id) {
            self.connection.face.metrics.nacos.pushed(Pushed::Acknowledged);
            self.wait(topic, Until::Changed);
        }
    }

    /// Waits until the service is to be looked at again.
    fn wait(&mut self, topic: Topic, until: Until) {
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        subscription.state = State::Waiting;
        let (number, seen) = (subscription.number, subscription.seen);
        let caller = &subscription.wanted.asker.caller;
        let visible = self.connection.face.native.visible(caller);
        // That it may see a group, or no more, is no change of a service.
        let longest = if caller.is_unlimited() { WAIT } else { LOOK };
        let view = self.connection.face.view.clone();
        let wait: BoxFuture<'static, _> = Box::pin(async move {
            match (until, seen) {
                (Until::Changed, Some(seen)) => {
                    let (tenant, service) = &topic;
                    let group = GroupChoice::Named(service.group.clone());
                    view.wait(tenant, &service.name, (&group, &visible), seen, longest).await;
                }
                // What is not known may have changed since, and be none the more known.
                _ => tokio::time::sleep(AGAIN).await,
            }
            (topic, number)
        });
        let (wait, ends) = abortable(wait);
        subscription.wait = Some(ends);
        self.waits.push(wait);
    }

    /// A wait has ended.
    fn changed(&mut self, topic: Topic, number: u64) {
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        if subscription.number == number && subscription.state == State::Waiting {
            self.enqueue(topic, 0);
        }
    }

    /// There is room for the next of the queue.
    fn push(&mut self, permit: mpsc::OwnedPermit<Payload>) {
        let Some((_, topic)) = self.queue.pop_first() else { return };
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        let State::Queued { tries, .. } = subscription.state else { return };
        let service = &topic.1;
        let face = &self.connection.face;
        // Not known whether it is there: the client keeps what it has.
        let caller = &subscription.wanted.asker.caller;
        let Ok(found) = face.find(caller, service) else {
            return self.wait(topic, Until::Again);
        };
        if tries == 0 && subscription.seen == Some(found.revision) {
            return self.wait(topic, Until::Changed);
        }
        let hosts = face.hosts(caller, service, &found);
        let clusters: Vec<_> = subscription.wanted.clusters.iter().map(String::as_str).collect();
        if found.is_whole(&clusters).is_err() {
            return self.wait(topic, Until::Again);
        }
        self.next += 1;
        let id = self.next;
        let push = Push {
            request_id: &id.to_string(),
            headers: Nothing {},
            module: "naming",
            namespace: &subscription.wanted.namespace,
            group_name: service.group.as_str(),
            service_name: service.name.as_str(),
            service_info: &hosts.info(&clusters, false, self.connection.is_told_carried()),
        };
        permit.send(push.payload());
        subscription.seen = Some(found.revision);
        subscription.state = State::Pushed { id, tries: tries + 1 };
        self.pushed.push_back((Instant::now() + ACKNOWLEDGED, id, topic));
    }

    /// Does what is due.
    fn on_time(&mut self) -> Option<End> {
        let now = Instant::now();
        while let Some((at, id, topic)) = self.pushed.front().cloned()
            && at <= now
        {
            self.pushed.pop_front();
            self.unanswered(id, topic);
        }
        if !self.connection.is_set_up() && self.set_up_by <= now {
            return Some(End::NeverSetUp);
        }
        if self.beat_at <= now {
            self.beat_at = now + BEAT;
            let askers = self.topics.values().map(|one| &one.wanted.asker);
            if !self.connection.knows_all(askers) || !self.connection.beat() {
                return Some(End::Credential);
            }
            if self.set_up_by <= now && self.connection.is_in_the_way() {
                return Some(End::NeverSetUp);
            }
        }
        let silent = self.connection.last_heard() + SILENCE <= now;
        match self.asked {
            _ if !silent => self.asked = None,
            Some(asked) if now < asked + DETECTION => {}
            Some(asked) if now < asked + DETECTION + PAUSE => return Some(End::Silent),
            // This process was stopped meanwhile, and its answer may wait to be read.
            None | Some(_) => {
                self.asked = Some(now);
                self.next += 1;
                self.say(message::detection(&self.next.to_string()));
            }
        }
        None
    }

    fn unanswered(&mut self, id: u64, topic: Topic) {
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        let State::Pushed { id: pushed, tries } = subscription.state else { return };
        if pushed != id {
            return;
        }
        if tries < TRIES {
            self.connection.face.metrics.nacos.pushed(Pushed::Repeated);
            self.enqueue(topic, tries);
        } else {
            self.connection.face.metrics.nacos.pushed(Pushed::Unanswered);
            self.wait(topic, Until::Changed);
        }
    }
}
