//! Subscribers who read slowly, or not at all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::events::{SOON, log, log_since, register};
use crate::hub::Hub;
use crate::listener::{Listener, Word};
use crate::subscriber::{Id, id_of};

const FOLLOW: &str = "/api/v1/events/subscribe";

/// A connection whose kernel takes next to nothing on its own.
pub(crate) async fn narrow(hub: &Hub) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(([127, 0, 0, 1], hub.port).into()).await.unwrap()
}

/// Asks for a stream of server-sent events and reads nothing.
pub(crate) async fn stuck(hub: &Hub, since: &str) -> TcpStream {
    let mut stream = narrow(hub).await;
    let head = format!(
        "GET {FOLLOW}?since={since} HTTP/1.1\r\nhost: hub\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads a byte a second.
pub(crate) struct Crawler {
    since: String,
    bytes: Arc<Mutex<Vec<u8>>>,
    hurry: CancellationToken,
    task: JoinHandle<()>,
}

/// What it was told in the end.
pub(crate) struct Crawled {
    words: Vec<Told>,
    read_slowly: usize,
    log: Vec<Value>,
}

#[derive(Debug)]
enum Told {
    Event(Id),
    Resync(i64),
}

impl Crawler {
    pub(crate) async fn start(hub: &Hub, since: &str) -> Self {
        let mut stream = stuck(hub, since).await;
        let (bytes, hurry) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let (read, hurried) = (Arc::clone(&bytes), hurry.clone());
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65536];
            loop {
                let size = if hurried.is_cancelled() { buffer.len() } else { 1 };
                match stream.read(&mut buffer[..size]).await {
                    Ok(count @ 1..) => read.lock().extend_from_slice(&buffer[..count]),
                    Ok(0) | Err(_) => return,
                }
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = hurried.cancelled() => {}
                }
            }
        });
        Self { since: since.to_owned(), bytes, hurry, task }
    }

    /// Reads all there is, up to something that happens now.
    pub(crate) async fn end(self, hub: &Hub) -> Crawled {
        let read_slowly = self.bytes.lock().len();
        self.hurry.cancel();
        let end = Instant::now() + Duration::from_secs(60);
        let marker = |number: u32| format!("\"serviceName\":\"marker-{number}\"");
        // Once it is up to date it is told what happens then.
        for number in 0.. {
            register(hub, &format!("marker-{number}"), 1).await;
            let (soon, marker) = (Instant::now() + Duration::from_secs(2), marker(number));
            let has = || {
                let text = self.bytes.lock();
                let tail = text.len().saturating_sub(20_000);
                String::from_utf8_lossy(&text[tail..]).contains(&marker)
            };
            while !has() && Instant::now() < soon {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if has() {
                break;
            }
            assert!(Instant::now() < end && !self.task.is_finished(), "{}", hub.log());
        }
        // The second of the two events of a registration may still be on its way.
        let log = log_since(hub, &self.since).await;
        let last = log.last().unwrap()["id"].as_str().unwrap().to_owned();
        let words = loop {
            let words = words(&self.bytes.lock());
            let Some(Told::Event((revision, place))) = words.last() else { panic!("{words:?}") };
            if format!("{revision}-{place}") == last {
                break words;
            }
            assert!(Instant::now() < end, "{:?} is not {last}", words.last());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.task.abort();
        Crawled { words, read_slowly, log }
    }
}

impl Crawled {
    /// All of the log in order, once, but for what it was told is missing.
    pub(crate) fn is_whole_or_told(&self, must_be_told: bool) {
        let log: Vec<Id> =
            self.log.iter().map(|event| id_of(event["id"].as_str().unwrap()).unwrap()).collect();
        let (mut next, mut resyncs, mut missed) = (0, 0, 0);
        for word in &self.words {
            match word {
                Told::Event(id) => {
                    assert_eq!(Some(id), log.get(next), "a silent gap, or twice");
                    next += 1;
                }
                Told::Resync(revision) => {
                    let to = log.partition_point(|(of, _)| of <= revision);
                    assert!(to >= next, "RESYNC goes back");
                    (missed, next, resyncs) = (missed + to - next, to, resyncs + 1);
                }
            }
        }
        assert_eq!(next, log.len());
        assert!(resyncs > 0 || !must_be_told, "nothing was missed");
        println!(
            "a byte a second ({} of them): RESYNC {resyncs} times for {missed} of {} events",
            self.read_slowly,
            log.len()
        );
    }
}

/// From the bytes of the connection: head, chunks, blocks.
fn words(bytes: &[u8]) -> Vec<Told> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let (mut rest, mut body) = (&bytes[end..], Vec::new());
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let Some(chunk) = rest.get(line + 2..line + 2 + size) else { break };
        body.extend_from_slice(chunk);
        rest = rest.get(line + size + 4..).unwrap_or_default();
    }
    let text = String::from_utf8(body).unwrap();
    let blocks = text.split("\n\n");
    blocks
        .filter_map(|block| {
            let id = block.strip_prefix("id: ")?.lines().next()?;
            match id_of(id) {
                Some(id) => Some(Told::Event(id)),
                None if block.contains("RESYNC") => Some(Told::Resync(id.parse().unwrap())),
                None => None,
            }
        })
        .collect()
}

/// Registers many large instances at once.
pub(crate) async fn flood(hub: &Hub, round: usize) {
    // Each time another, so that the events of updates are large as well.
    let fat = char::from(b'a' + (round % 26) as u8).to_string().repeat(1800);
    let instance = |number: usize| {
        json!({
            "serviceName": format!("fat-{}", number % 10), "hostAddress": "10.0.0.1",
            "portNumber": 1 + number, "leaseSeconds": 86400,
            "metadata": { "fat": fat },
        })
    };
    let body = json!({ "instances": (0..150).map(instance).collect::<Vec<_>>() });
    let (status, answer) = hub.post("/api/v1/instances/batch", &body).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_a_byte_a_second_harms_nobody_and_is_told() {
    let hub = Hub::with_config("event:\n  bufferSize: 3000\n").await;
    register(&hub, "s", 1).await;
    let start = log(&hub, "").await.last().unwrap()["id"].as_str().unwrap().to_owned();
    let crawler = Crawler::start(&hub, &start).await;
    let url = format!("ws://127.0.0.1:{}{FOLLOW}?since={start}", hub.port);
    let (mut asleep, _) = tokio_tungstenite::client_async(url, narrow(&hub).await).await.unwrap();
    let mut quick = Listener::sse(&hub, &format!("?since={start}"), None).await;
    let (began, mut round, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    // More than kernels keep, and for longer than a storm may last.
    while round < 40 || began.elapsed() < Duration::from_secs(7) {
        let sent = Instant::now();
        flood(&hub, round).await;
        let events = quick.events(if round == 0 { 160 } else { 150 }, SOON).await;
        slowest = slowest.max(sent.elapsed());
        assert!(events.iter().all(|event| event["id"].is_string()));
        round += 1;
    }
    println!("{round} batches of 150; the quick one had each within {slowest:?}");
    crawler.end(&hub).await.is_whole_or_told(true);
    // The same over a WebSocket.
    let reading = async {
        let mut last = id_of(&start).unwrap();
        loop {
            let Message::Text(text) = asleep.next().await.unwrap().unwrap() else { continue };
            match Word::read(&text) {
                Word::Event(event) => {
                    let id = id_of(event["id"].as_str().unwrap()).unwrap();
                    let follows =
                        (id.0, id.1) == (last.0, last.1 + 1) || (id.0 > last.0 && id.1 == 0);
                    assert!(follows, "{id:?} after {last:?}");
                    last = id;
                }
                Word::Resync(revision) => return revision,
                Word::Bookmark(_) => {}
            }
        }
    };
    let revision = tokio::time::timeout(SOON, reading).await.expect("RESYNC");
    assert!(revision > id_of(&start).unwrap().0);
    assert!(hub.metric("hub_registry_event_resyncs_total{reason=\"slow\"}").await > 1.5);
}

/// Whoever resumes and takes nothing leaves the log to others.
#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_slowly_keeps_nobody_from_resuming() {
    let hub = Hub::with_config("event:\n  bufferSize: 10\n  workerCount: 1\n").await;
    register(&hub, "s", 1).await;
    for round in 0..12 {
        flood(&hub, round).await;
    }
    let mut slow = Vec::new();
    for _ in 0..5 {
        slow.push(stuck(&hub, "0").await);
    }
    hub.until("/metrics", SOON, |_, text| {
        text.as_str().unwrap().contains("hub_registry_event_subscribers{transport=\"sse\"} 5\n")
    })
    .await;
    let whole = log_since(&hub, "0").await;
    let mut quick = Listener::sse(&hub, "?since=0", None).await;
    assert_eq!(quick.events(whole.len(), Duration::from_secs(30)).await, whole);
}

/// A peer that goes without a word, half or whole, gives its seat back.
#[tokio::test(flavor = "multi_thread")]
async fn half_closed_and_broken_connections_give_their_seats_back() {
    let hub = Hub::start().await;
    let seats = |count: usize| {
        move |_, text: &Value| {
            let line = format!("hub_registry_event_subscribers{{transport=\"sse\"}} {count}\n");
            text.as_str().unwrap().contains(&line)
        }
    };
    let mut lines = Vec::new();
    for _ in 0..20 {
        lines.push(stuck(&hub, "0").await);
    }
    hub.until("/metrics", SOON, seats(20)).await;
    for (number, line) in lines.iter_mut().enumerate() {
        if number % 2 == 0 {
            line.shutdown().await.unwrap();
        } else {
            line.set_zero_linger().unwrap();
        }
    }
    // Those of even numbers have closed one direction only.
    let broken: Vec<_> = (0..20).rev().filter(|n| n % 2 == 1).map(|n| lines.remove(n)).collect();
    drop(broken);
    hub.until("/metrics", SOON, seats(0)).await;
    drop(lines);
}
