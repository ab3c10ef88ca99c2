//! Pushes by UDP to clients of Nacos 1.x: who asks for a list and names a port is told of changes
//! there, for as long as it goes on asking. A datagram may be lost: clients ask every ten seconds all
//! the same. As `com.alibaba.nacos.naming.push.UdpPushService`.

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hub_registry_core::{ServiceKey, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Face;
use crate::access::Caller;
use crate::catalog::GroupChoice;
use crate::task::TaskGroup;

/// Who did not ask for so long wants no more: clients ask every ten seconds.
const KEPT: Duration = Duration::from_secs(30);
/// A push is acknowledged within this time, else it is sent once more.
const ACKNOWLEDGED: Duration = Duration::from_secs(2);
/// How many are told of changes, services times clients.
const MAX_SUBSCRIBERS: usize = 20_000;
/// How many orders wait.
const ORDERS: usize = 1024;
/// Longer ones are compressed, and what is longer than a datagram is not sent.
const PLAIN: usize = 1024;
const LONGEST: usize = 60_000;

/// Who wants to be told of what, where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    address: SocketAddr,
    tenant: TenantId,
    service: ServiceKey,
}

#[derive(Debug)]
pub(super) struct Order {
    place: Place,
    caller: Caller,
    clusters: Vec<String>,
    /// What the list had that it was answered.
    seen: i64,
}

/// Where who asks is put down.
#[derive(Clone, Debug)]
pub(super) struct Subscribers(mpsc::Sender<Order>);

impl Subscribers {
    /// A sender, and what the task takes.
    pub(super) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (orders, taken) = mpsc::channel(ORDERS);
        (Self(orders), taken)
    }

    /// Somebody asked for a list. Only where it asked from is it told: nobody can have others told.
    pub(super) fn put(
        &self,
        caller: &Caller,
        service: &ServiceKey,
        clusters: &[&str],
        (peer, port): (IpAddr, u16),
        seen: i64,
    ) {
        let (tenant, service) = (caller.tenant().clone(), service.clone());
        let place = Place { address: SocketAddr::new(peer, port), tenant, service };
        let clusters = clusters.iter().map(|name| (*name).to_owned()).collect();
        // No room, or nobody sends: it asks again.
        self.0.try_send(Order { place, caller: caller.clone(), clusters, seen }).ok();
    }
}

#[derive(Debug)]
struct Subscriber {
    caller: Caller,
    clusters: Vec<String>,
    until: Instant,
    seen: i64,
    wait: AbortHandle,
    /// What was not acknowledged yet, when it was sent, and whether that was once more.
    sent: Option<Sent>,
}

#[derive(Debug)]
struct Sent {
    number: i64,
    at: Instant,
    datagram: Vec<u8>,
    again: bool,
}

impl Subscriber {
    fn number(&self) -> Option<i64> {
        self.sent.as_ref().map(|sent| sent.number)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.wait.abort();
    }
}

struct Pusher {
    face: Arc<Face>,
    socket: UdpSocket,
    all: HashMap<Place, Subscriber>,
    /// Whom what was not acknowledged yet was sent to, by number.
    sent: HashMap<i64, Place>,
    waits: FuturesUnordered<Abortable<BoxFuture<'static, Place>>>,
    next: i64,
}

/// What a client answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acknowledgement {
    last_ref_time: Value,
}

/// The number that is acknowledged: it is one, or a text of one.
pub(super) fn acknowledged(bytes: &[u8]) -> Option<i64> {
    match serde_json::from_slice::<Acknowledgement>(bytes).ok()?.last_ref_time {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

/// Pushes until the group stops.
pub(super) async fn run(
    face: Arc<Face>,
    host: String,
    mut orders: mpsc::Receiver<Order>,
    tasks: &TaskGroup,
) {
    let socket = match UdpSocket::bind((host.as_str(), 0)).await {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, host, "clients of Nacos 1.x are not told of changes: they ask");
            return;
        }
    };
    let next = face.clock.now_ms();
    let waits = FuturesUnordered::new();
    let mut pusher =
        Pusher { face, socket, all: HashMap::new(), sent: HashMap::new(), waits, next };
    let mut ticks = interval(ACKNOWLEDGED / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut buffer, stop) = (vec![0; 2048], tasks.stop_signal());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            order = orders.recv() => match order {
                Some(order) => pusher.take(order),
                None => return,
            },
            Some(ended) = pusher.waits.next() => {
                if let Ok(place) = ended {
                    pusher.changed(place).await;
                }
            }
            Ok((length, from)) = pusher.socket.recv_from(&mut buffer) => {
                pusher.acknowledged(&buffer[..length], from);
            }
            _ = ticks.tick() => pusher.tick().await,
        }
    }
}

impl Pusher {
    fn take(&mut self, order: Order) {
        let until = Instant::now() + KEPT;
        let Order { place, caller, clusters, seen } = order;
        let is_full = self.all.len() >= MAX_SUBSCRIBERS;
        match self.all.get_mut(&place) {
            Some(known) => {
                (known.caller, known.clusters, known.until) = (caller, clusters, until);
            }
            None if is_full => {}
            None => {
                let wait = self.wait(&place, &caller, seen);
                let new = Subscriber { caller, clusters, until, seen, wait, sent: None };
                self.all.insert(place, new);
            }
        }
    }

    fn wait(&self, place: &Place, caller: &Caller, seen: i64) -> AbortHandle {
        let (place, view) = (place.clone(), self.face.view.clone());
        let visible = self.face.native.visible(caller);
        let waits: BoxFuture<'static, _> = Box::pin(async move {
            let group = GroupChoice::Named(place.service.group.clone());
            let name = &place.service.name;
            view.wait(&place.tenant, name, (&group, &visible), seen, KEPT).await;
            place
        });
        let (waits, ends) = abortable(waits);
        self.waits.push(waits);
        ends
    }

    async fn changed(&mut self, place: Place) {
        let Some(subscriber) = self.all.get(&place) else { return };
        // What is not known is not told: it goes on asking, and is put down anew when it is.
        let Ok(found) = self.face.find(&subscriber.caller, &place.service) else {
            self.all.remove(&place);
            return;
        };
        let is_news = found.revision > subscriber.seen;
        let hosts = self.face.hosts(&subscriber.caller, &place.service, &found);
        let clusters: Vec<_> = subscriber.clusters.iter().map(String::as_str).collect();
        let is_whole = found.is_whole(&clusters).is_ok();
        let data = (is_news && is_whole).then(|| hosts.value(&clusters, false, false).to_string());
        let wait = self.wait(&place, &subscriber.caller, found.revision);
        let Some(subscriber) = self.all.get_mut(&place) else { return };
        subscriber.wait = wait;
        subscriber.seen = found.revision;
        let Some(data) = data else { return };
        self.next += 1;
        let number = self.next;
        let body = json!({ "type": "dom", "data": data, "lastRefTime": number });
        let Some(datagram) = written(body.to_string().into_bytes()) else { return };
        self.socket.send_to(&datagram, place.address).await.ok();
        let at = Instant::now();
        subscriber.sent = Some(Sent { number, at, datagram, again: false });
        self.sent.insert(number, place);
    }

    fn acknowledged(&mut self, bytes: &[u8], from: SocketAddr) {
        let said = acknowledged(bytes);
        let Some(place) = said.and_then(|number| self.sent.get(&number)) else { return };
        let known = self.all.get_mut(place).filter(|_| place.address == from);
        if let Some(subscriber) = known.filter(|one| one.number() == said) {
            subscriber.sent = None;
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.all.retain(|_, subscriber| subscriber.until > now);
        let all = &self.all;
        self.sent.retain(|number, place| {
            all.get(place).is_some_and(|subscriber| subscriber.number() == Some(*number))
        });
        for (place, subscriber) in &mut self.all {
            let Some(sent) = &mut subscriber.sent else { continue };
            if sent.at + ACKNOWLEDGED > now {
                continue;
            }
            if sent.again {
                subscriber.sent = None;
            } else {
                (sent.at, sent.again) = (now, true);
                self.socket.send_to(&sent.datagram, place.address).await.ok();
            }
        }
    }
}

/// As it is sent; `None`: no datagram holds it.
fn written(body: Vec<u8>) -> Option<Vec<u8>> {
    let body = if body.len() < PLAIN { body } else { compressed(&body)? };
    (body.len() <= LONGEST).then_some(body)
}

fn compressed(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
