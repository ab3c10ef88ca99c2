//! A subscriber of a crowd: reads no more than what names an event, and comes back when it is cut
//! off.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::hub::Hub;

/// An event, by revision and place.
pub(crate) type Id = (i64, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sse,
    WebSocket,
    LongPoll,
}

pub(crate) struct Subscriber {
    pub kind: Kind,
    pub service: Option<String>,
    base: String,
    client: reqwest::Client,
    /// From where it goes on.
    place: Mutex<Option<String>>,
    told: Mutex<Vec<(Id, Instant)>>,
    answers: Mutex<Vec<(i64, bytes::Bytes)>>,
    resyncs: AtomicUsize,
    connects: AtomicUsize,
}

/// `REVISION-PLACE`; `None`: a bookmark's.
pub(crate) fn id_of(text: &str) -> Option<Id> {
    let (revision, place) = text.split_once('-')?;
    Some((revision.parse().unwrap(), place.parse().unwrap()))
}

fn index(headers: &reqwest::header::HeaderMap) -> Option<String> {
    Some(headers.get("x-registry-index")?.to_str().unwrap().to_owned())
}

impl Subscriber {
    pub(crate) fn new(hub: &Hub, kind: Kind, service: Option<String>) -> Self {
        Self {
            kind,
            service,
            base: hub.url(""),
            client: hub.client.clone(),
            place: Mutex::default(),
            told: Mutex::default(),
            answers: Mutex::default(),
            resyncs: AtomicUsize::new(0),
            connects: AtomicUsize::new(0),
        }
    }

    /// Follows for ever.
    pub(crate) async fn run(self: std::sync::Arc<Self>) {
        loop {
            match self.kind {
                Kind::Sse => self.sse().await,
                Kind::WebSocket => self.websocket().await,
                Kind::LongPoll => self.long_poll().await,
            };
            tokio::time::sleep(Duration::from_millis(fastrand::u64(20..500))).await;
        }
    }

    fn path(&self) -> String {
        let service = self.service.as_ref().map(|name| format!("serviceName={name}"));
        let since = self.place.lock().as_ref().map(|place| format!("since={place}"));
        let query: Vec<_> = service.into_iter().chain(since).collect();
        format!("{}/api/v1/events/subscribe?{}", self.base, query.join("&"))
    }

    fn connected(&self, index: Option<String>) {
        self.place.lock().get_or_insert(index.expect("the revision after which it begins"));
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self, id: &str) {
        let now = Instant::now();
        *self.place.lock() = Some(id.to_owned());
        if let Some(id) = id_of(id) {
            self.told.lock().push((id, now));
        }
    }

    async fn sse(&self) -> Option<()> {
        let request = self.client.get(self.path()).header("accept", "text/event-stream");
        let answer = request.send().await.ok().filter(|answer| answer.status() == 200)?;
        self.connected(index(answer.headers()));
        let (mut bytes, mut text) = (answer.bytes_stream(), String::new());
        loop {
            text.push_str(std::str::from_utf8(&bytes.next().await?.ok()?).unwrap());
            while let Some(end) = text.find("\n\n") {
                let block: String = text.drain(..end + 2).collect();
                if block.contains("\ndata: {\"eventType\":\"RESYNC\"") {
                    self.resyncs.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(id) = block.strip_prefix("id: ") {
                    self.take(id.lines().next().unwrap());
                }
            }
        }
    }

    async fn websocket(&self) -> Option<()> {
        let url = self.path().replacen("http", "ws", 1);
        let (mut socket, answer) = tokio_tungstenite::connect_async(url).await.ok()?;
        self.connected(index(answer.headers()));
        loop {
            let Message::Text(text) = socket.next().await?.ok()? else { continue };
            match text.strip_prefix("{\"id\":\"") {
                Some(rest) => self.take(rest.split('"').next().unwrap()),
                None if text.contains("\"RESYNC\"") => {
                    self.resyncs.fetch_add(1, Ordering::Relaxed);
                }
                None => {}
            }
        }
    }

    async fn long_poll(&self) -> Option<()> {
        let service = self.service.as_ref().unwrap();
        let url = format!("{}/api/v1/services/{service}/instances", self.base);
        let mut last: Option<String> = None;
        loop {
            let mut request = self.client.get(&url);
            if let Some(last) = &last {
                request = request.query(&[("index", last)]).query(&[("wait", "50s")]);
            }
            let answer = request.send().await.ok().filter(|answer| answer.status() == 200)?;
            let revision: i64 = index(answer.headers()).unwrap().parse().unwrap();
            let body = answer.bytes().await.ok()?;
            if last.replace(revision.to_string()) != Some(revision.to_string()) {
                self.told.lock().push(((revision, i64::MAX), Instant::now()));
                self.answers.lock().push((revision, body));
            }
            self.connects.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn connects(&self) -> usize {
        self.connects.load(Ordering::Relaxed)
    }

    pub(crate) fn resyncs(&self) -> usize {
        self.resyncs.load(Ordering::Relaxed)
    }

    /// Whether it was given this event, or a state after it.
    pub(crate) fn has(&self, last: Option<&Id>) -> bool {
        last.is_none_or(|last| self.told.lock().last().is_some_and(|(id, _)| id >= last))
    }

    pub(crate) fn ids(&self) -> Vec<Id> {
        self.told.lock().iter().map(|(id, _)| *id).collect()
    }

    pub(crate) fn came(&self) -> Vec<(Id, Instant)> {
        self.told.lock().clone()
    }

    /// What blocking queries answered.
    pub(crate) fn answers(&self) -> Vec<(i64, Value)> {
        let answers = self.answers.lock();
        answers.iter().map(|(at, body)| (*at, serde_json::from_slice(body).unwrap())).collect()
    }
}
