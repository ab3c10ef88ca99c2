//! What a connection is told: the instances of the services that it subscribed to, whenever they
//! change. One task for each connection, which also finds out whether anybody is there.
//!
//! A service is pushed as it is when there is room for it, and not again before the client has
//! acknowledged it: a slow client gets the newest state, not all that were in between.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use hub_registry_core::{ServiceKey, TenantId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::connection::Connection;
use super::message::{self, Nothing, Payload, Push};
use crate::access::Caller;
use crate::catalog::GroupChoice;
use crate::facades::nacos::register::CONNECTED_LEASE;
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
const BEAT: Duration = Duration::from_secs(CONNECTED_LEASE as u64 / 3);
/// How long a service that does not change is waited for at once.
const WAIT: Duration = Duration::from_secs(600);
/// When it is looked again whether a service is known that was not.
const AGAIN: Duration = Duration::from_secs(2);
/// How many services one connection may subscribe to.
const MAX_TOPICS: usize = 50_000;

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
    pub(super) caller: Caller,
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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A change of it is waited for.
    Waiting,
    /// It is pushed as soon as there is room; so many times this was done in vain.
    Queued { tries: u32 },
    /// It was pushed, under this number.
    Pushed { id: u64, tries: u32 },
}

struct Pushes {
    connection: Arc<Connection>,
    stream: Option<mpsc::Sender<Payload>>,
    topics: HashMap<Topic, Subscription>,
    waits: FuturesUnordered<BoxFuture<'static, (Topic, u64)>>,
    queue: VecDeque<Topic>,
    /// What was pushed, in that order, and until when it is to be acknowledged.
    pushed: VecDeque<(Instant, u64, Topic)>,
    next: u64,
    beat_at: Instant,
    asked: Option<Instant>,
}

/// Tends the connection until it is over.
pub(super) async fn tend(connection: Arc<Connection>, mut orders: mpsc::Receiver<Order>) -> End {
    let set_up_by = Instant::now() + SET_UP;
    let mut pushes = Pushes {
        connection,
        stream: None,
        topics: HashMap::new(),
        waits: FuturesUnordered::new(),
        queue: VecDeque::new(),
        pushed: VecDeque::new(),
        next: 0,
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
        let due = pushes.due().min(if pushes.connection.is_set_up() {
            pushes.beat_at
        } else {
            set_up_by
        });
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Ended) | None => return End::Left,
                Some(order) => pushes.take(order),
            },
            Some((topic, number)) = pushes.waits.next() => pushes.changed(topic, number),
            permit = has_room, if !pushes.queue.is_empty() => match permit {
                Some(permit) => pushes.push(permit),
                None => return End::Left,
            },
            () = sleep_until(due) => {
                if !pushes.connection.is_set_up() && Instant::now() >= set_up_by {
                    return End::NeverSetUp;
                }
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
        acknowledged.into_iter().fold(detection, Instant::min)
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Stream(stream) => self.stream = Some(stream),
            Order::Say(payload) => self.say(payload),
            Order::Subscribe(wanted, service) => self.subscribe(wanted, service),
            Order::Unsubscribe(topic) => {
                self.topics.remove(&topic);
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
        let topic = (wanted.caller.tenant().clone(), service);
        if self.topics.len() >= MAX_TOPICS && !self.topics.contains_key(&topic) {
            tracing::warn!(
                client = %self.connection.id, limit = MAX_TOPICS,
                "a client of Nacos subscribes to more services than one may: they are not pushed"
            );
            return;
        }
        self.next += 1;
        let (number, state) = (self.next, State::Queued { tries: 0 });
        let new = Subscription { wanted, number, seen: None, state };
        self.topics.insert(topic.clone(), new);
        self.queue.push_back(topic);
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
            self.wait(topic, WAIT);
        }
    }

    /// Waits for a change of the service.
    fn wait(&mut self, topic: Topic, longest: Duration) {
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        subscription.state = State::Waiting;
        let (number, seen) = (subscription.number, subscription.seen.unwrap_or_default());
        let visible = self.connection.face.native.visible(&subscription.wanted.caller);
        let view = self.connection.face.view.clone();
        self.waits.push(Box::pin(async move {
            if seen == 0 {
                // A wait for anything newer than nothing would end at once.
                tokio::time::sleep(longest).await;
            } else {
                let (tenant, service) = &topic;
                let group = GroupChoice::Named(service.group.clone());
                view.wait(tenant, &service.name, (&group, &visible), seen, longest).await;
            }
            (topic, number)
        }));
    }

    /// A wait has ended.
    fn changed(&mut self, topic: Topic, number: u64) {
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        if subscription.number == number && subscription.state == State::Waiting {
            subscription.state = State::Queued { tries: 0 };
            self.queue.push_back(topic);
        }
    }

    /// There is room for the next of the queue.
    fn push(&mut self, permit: mpsc::OwnedPermit<Payload>) {
        let Some(topic) = self.queue.pop_front() else { return };
        let Some(subscription) = self.topics.get_mut(&topic) else { return };
        let State::Queued { tries } = subscription.state else { return };
        let (tenant, service) = &topic;
        let face = &self.connection.face;
        // Not known whether it is there: the client keeps what it has.
        let Ok((view, revision)) = face.find(&subscription.wanted.caller, service) else {
            return self.wait(topic, AGAIN);
        };
        if tries == 0 && subscription.seen == Some(revision) {
            return self.wait(topic, WAIT);
        }
        self.next += 1;
        let id = self.next;
        let hosts = face.hosts(tenant, service, view.as_ref(), revision);
        let clusters: Vec<_> = subscription.wanted.clusters.iter().map(String::as_str).collect();
        let push = Push {
            request_id: &id.to_string(),
            headers: Nothing {},
            module: "naming",
            namespace: &subscription.wanted.namespace,
            group_name: service.group.as_str(),
            service_name: service.name.as_str(),
            service_info: &hosts.info(&clusters, false),
        };
        permit.send(push.payload());
        subscription.seen = Some(revision);
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
        if self.connection.is_set_up() && self.beat_at <= now {
            self.beat_at = now + BEAT;
            if !self.connection.is_known() {
                return Some(End::Credential);
            }
            self.connection.beat();
        }
        let silent = self.connection.last_heard() + SILENCE <= now;
        match self.asked {
            _ if !silent => self.asked = None,
            None => {
                self.asked = Some(now);
                self.next += 1;
                self.say(message::detection(&self.next.to_string()));
            }
            Some(asked) if asked + DETECTION <= now => return Some(End::Silent),
            Some(_) => {}
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
            subscription.state = State::Queued { tries };
            self.queue.push_back(topic);
        } else {
            self.connection.face.metrics.nacos.pushed(Pushed::Unanswered);
            self.wait(topic, WAIT);
        }
    }
}
