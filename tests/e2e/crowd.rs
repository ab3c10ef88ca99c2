//! Thousands of subscribers on one server: each is given its part of the log, and how soon.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::events::{log_since, register};
use crate::hub::Hub;
use crate::proofs::{rounds, seed};
use crate::slow::Crawler;
use crate::subscriber::{Id, Kind, Subscriber, id_of};

/// So many instances has a service at most.
const PORTS: u16 = 5;
/// Everybody has everything so long after the last change.
const SETTLED: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
struct Scale {
    services: usize,
    filtered: usize,
    full: usize,
    rate: u32,
    seconds: u32,
}

impl Scale {
    fn now() -> Self {
        let many = |sample, full| rounds(sample, full) as usize;
        Self {
            services: many(20, 500),
            filtered: many(200, 5000),
            full: many(4, 20),
            rate: rounds(100, 200),
            seconds: rounds(5, 60),
        }
    }
}

fn name(service: usize) -> String {
    format!("svc-{service}")
}

/// What the writers did: when each change was sent.
#[derive(Debug, Default)]
struct Writes {
    sent: Mutex<HashMap<u64, Instant>>,
    ids: Mutex<HashMap<(usize, u16), String>>,
    refused: AtomicUsize,
}

impl Writes {
    /// One change: an instance is registered, changed, or leaves.
    async fn one(&self, client: &reqwest::Client, url: &str, number: u64, service: usize) {
        let port = 1 + (number / 7) as u16 % PORTS;
        let gone = (number % 20 == 7).then(|| self.ids.lock().remove(&(service, port))).flatten();
        let start = Instant::now();
        let request = match &gone {
            Some(id) => client.delete(format!("{url}/{id}")),
            None => client.post(url).json(&json!({
                "serviceName": name(service), "hostAddress": "10.0.0.1", "portNumber": port,
                "leaseSeconds": 86400, "metadata": { "n": number.to_string() },
            })),
        };
        let answer = match request.send().await {
            Ok(answer) if answer.status().is_success() => answer.json::<Value>().await,
            Ok(answer) if answer.status() == 404 => return,
            _ => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if let (None, Ok(body)) = (gone, answer) {
            self.sent.lock().insert(number, start);
            let id = body["instanceId"].as_str().unwrap().to_owned();
            self.ids.lock().insert((service, port), id);
        }
    }
}

/// Those who write.
#[derive(Clone)]
struct Load {
    scale: Scale,
    client: reqwest::Client,
    url: String,
    writes: Arc<Writes>,
}

impl Load {
    /// So many changes a second, whether or not the server keeps pace; how many.
    async fn churn(self, seconds: u32, first: u64) -> u64 {
        let places = Arc::new(Semaphore::new(64));
        let mut random = fastrand::Rng::with_seed(seed());
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / self.scale.rate);
        let mut under_way = JoinSet::new();
        let count = u64::from(self.scale.rate * seconds);
        for number in first..first + count {
            ticks.tick().await;
            let (load, places) = (self.clone(), Arc::clone(&places));
            let service = random.usize(..self.scale.services);
            under_way.spawn(async move {
                let _place = places.acquire().await;
                load.writes.one(&load.client, &load.url, number, service).await;
            });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
        count
    }
}

fn subscribers(hub: &Hub, scale: Scale) -> Vec<Arc<Subscriber>> {
    let of_one = (0..scale.filtered).map(|number| {
        let kind = [Kind::Sse, Kind::WebSocket, Kind::LongPoll][number % 3];
        Subscriber::new(hub, kind, Some(name(number % scale.services)))
    });
    let of_all = (0..scale.full)
        .map(|number| Subscriber::new(hub, [Kind::Sse, Kind::WebSocket][number % 2], None));
    of_one.chain(of_all).map(Arc::new).collect()
}

fn status(hub: &Hub) -> String {
    format!("/proc/{}/status", hub.id())
}

/// Resident memory, in MB.
fn resident(status: &str) -> Option<usize> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<usize>().ok()? / 1024)
}

/// The log as what each service's subscribers were to be given.
struct Told {
    all: Vec<Id>,
    of: BTreeMap<String, Vec<Id>>,
    /// The same, whole.
    events: HashMap<String, Vec<Value>>,
    /// The event of each change.
    changes: HashMap<u64, Id>,
}

impl Told {
    async fn since(hub: &Hub, id: &str) -> Self {
        let (mut all, mut of) = (Vec::new(), BTreeMap::new());
        let (mut events, mut changes) = (HashMap::new(), HashMap::new());
        for event in log_since(hub, id).await {
            let id = id_of(event["id"].as_str().unwrap()).unwrap();
            let service = event["serviceName"].as_str().unwrap_or_default().to_owned();
            let metadata = &event["data"]["metadata"];
            let number = metadata["n"].as_str().or_else(|| metadata["new"]["n"].as_str());
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                changes.insert(number, id);
            }
            all.push(id);
            of.entry(service.clone()).or_insert_with(Vec::new).push(id);
            events.entry(service).or_insert_with(Vec::new).push(event);
        }
        Self { all, of, events, changes }
    }

    fn part(&self, subscriber: &Subscriber) -> &[Id] {
        match &subscriber.service {
            Some(service) => self.of.get(service).map_or(&[], Vec::as_slice),
            None => &self.all,
        }
    }

    /// The instances of a service after this revision: port and the number of its last change.
    fn state(&self, service: &str, revision: i64) -> BTreeMap<i64, String> {
        // What was there before anybody subscribed.
        let mut state = BTreeMap::from([(1, String::new())]);
        let own = self.events.get(service).into_iter().flatten();
        for event in own.take_while(|event| event["revision"].as_i64().unwrap() <= revision) {
            let Some(port) = event["portNumber"].as_i64() else { continue };
            let metadata = &event["data"]["metadata"];
            if event["eventType"] == "INSTANCE_DEREGISTER" {
                state.remove(&port);
            } else if let Some(number) =
                metadata["n"].as_str().or_else(|| metadata["new"]["n"].as_str())
            {
                state.insert(port, number.to_owned());
            }
        }
        state
    }
}

/// Waits until everybody has what the log has for it, and holds it against the log: in order, no
/// gap, nothing twice.
async fn all_have_their_part(told: &Told, subscribers: &[Arc<Subscriber>]) {
    let end = Instant::now() + SETTLED;
    for one in subscribers {
        let part = told.part(one);
        while !one.has(part.last()) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if one.kind == Kind::LongPoll {
            continue;
        }
        let (seen, resyncs) = (one.ids(), one.resyncs());
        assert_eq!(resyncs, 0, "{:?} of {:?} was told RESYNC", one.kind, one.service);
        assert!(seen == part, "{:?} of {:?}: {seen:?} is not {part:?}", one.kind, one.service);
    }
}

/// Each answer of a blocking query is what the log makes of the service at its revision.
fn answers_are_states_of_the_log(
    told: &Told,
    start: i64,
    subscribers: &[Arc<Subscriber>],
) -> usize {
    let mut known: HashMap<(String, i64), BTreeMap<i64, String>> = HashMap::new();
    let mut checked = 0;
    for one in subscribers.iter().filter(|one| one.kind == Kind::LongPoll) {
        let service = one.service.clone().unwrap();
        let mut last = 0;
        for (revision, body) in one.answers() {
            assert!(revision >= last, "{service}: {revision} after {last}");
            last = revision;
            if revision <= start {
                continue;
            }
            let rows = body["instances"].as_array().unwrap().iter();
            let shown: BTreeMap<_, _> = rows
                .map(|row| {
                    let number = row["metadata"]["n"].as_str().unwrap_or_default().to_owned();
                    (row["portNumber"].as_i64().unwrap(), number)
                })
                .collect();
            let state = known
                .entry((service.clone(), revision))
                .or_insert_with(|| told.state(&service, revision));
            assert_eq!(&shown, state, "{service} at {revision}");
            checked += 1;
        }
    }
    checked
}

fn millis(sorted: &[Duration], share: f64) -> f64 {
    let at = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[at].as_secs_f64() * 1000.0
}

/// From the write to each subscriber, and to the last one.
fn latencies(told: &Told, writes: &Writes, subscribers: &[Arc<Subscriber>]) {
    let mut last: HashMap<Id, Instant> = HashMap::new();
    let sent = writes.sent.lock();
    let of_change: HashMap<Id, Instant> =
        told.changes.iter().filter_map(|(number, id)| Some((*id, *sent.get(number)?))).collect();
    let mut each = Vec::new();
    for one in subscribers {
        let came = one.came();
        let mut came = came.iter().peekable();
        for id in told.part(one) {
            let Some(start) = of_change.get(id) else { continue };
            // A blocking query shows what is newest: it has this change from then on.
            while came.next_if(|(of, _)| of < id).is_some() {}
            let (_, at) = came.peek().unwrap();
            each.push(at.duration_since(*start));
            let last = last.entry(*id).or_insert(*at);
            *last = (*last).max(*at);
        }
    }
    let mut whole: Vec<_> = last.iter().map(|(id, at)| at.duration_since(of_change[id])).collect();
    for (what, all) in [("each subscriber", &mut each), ("the last subscriber", &mut whole)] {
        all.sort_unstable();
        println!(
            "from the write to {what}: p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {}",
            millis(all, 0.5),
            millis(all, 0.99),
            millis(all, 1.0),
            all.len()
        );
    }
    assert!(millis(&whole, 1.0) < 20_000.0, "somebody waited");
}

/// Everybody connects, or comes back; who they are now.
async fn connect(hub: &Hub, crowd: &[Arc<Subscriber>]) -> JoinSet<()> {
    let (mut tasks, began) = (JoinSet::new(), Instant::now());
    for one in crowd {
        let before = one.connects();
        tasks.spawn(Arc::clone(one).run());
        // One after the other: this is about events, not about the queue of connections.
        while one.connects() == before {
            assert!(began.elapsed() < Duration::from_secs(180), "{}", hub.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    println!("{} subscribers connected in {:?}", crowd.len(), began.elapsed());
    tasks
}

async fn disconnect(hub: &Hub, mut tasks: JoinSet<()>) {
    tasks.shutdown().await;
    hub.until("/metrics", SETTLED, |_, text| {
        let line = "hub_registry_event_subscribers{transport=";
        let text = text.as_str().unwrap();
        ["sse", "websocket"].iter().all(|kind| text.contains(&format!("{line}\"{kind}\"}} 0\n")))
    })
    .await;
}

/// The highest resident memory while it runs.
fn watch(hub: &Hub) -> (Arc<AtomicUsize>, AbortHandle) {
    let (highest, path) = (Arc::new(AtomicUsize::new(0)), status(hub));
    let seen = Arc::clone(&highest);
    let task = tokio::spawn(async move {
        loop {
            seen.fetch_max(resident(&path).unwrap_or(0), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    (highest, task.abort_handle())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_given_its_part_of_the_log_and_a_kill_changes_nothing() {
    let scale = Scale::now();
    let mut hub = Hub::start().await;
    for service in 0..scale.services {
        register(&hub, &name(service), 1).await;
    }
    println!("{scale:?}");
    let path = status(&hub);
    let before = resident(&path).unwrap();
    let crowd = subscribers(&hub, scale);
    let tasks = connect(&hub, &crowd).await;
    let start = last_id(&hub).await;
    let crawler = Crawler::start(&hub, &start).await;
    let (client, url) = (hub.client.clone(), hub.url("/api/v1/instances"));
    let load = Load { scale, client, url, writes: Arc::default() };
    let writes = Arc::clone(&load.writes);

    let ((highest, watching), began) = (watch(&hub), Instant::now());
    let next = load.clone().churn(scale.seconds, 0).await;
    println!("{next} changes in {:?}", began.elapsed());
    let told = Told::since(&hub, &start).await;
    all_have_their_part(&told, &crowd).await;
    let first = id_of(&start).unwrap().0;
    let answers = answers_are_states_of_the_log(&told, first, &crowd);
    assert_eq!(writes.refused.load(Ordering::Relaxed), 0);
    println!("{} events, {answers} answers of blocking queries: all as the log", told.all.len());
    latencies(&told, &writes, &crowd);
    watching.abort();
    crawler.end(&hub).await.is_whole_or_told(scale.seconds >= 60);
    disconnect(&hub, tasks).await;
    let (during, after) = (highest.load(Ordering::Relaxed), resident(&path).unwrap());
    println!("RSS of the server: {before} MB before, {during} MB at most, {after} MB after");
    assert!(during < before + 1000, "{during} MB");

    // SIGKILL while they are there again and writes are under way.
    let _tasks = connect(&hub, &crowd).await;
    println!("RSS with all of them there again: {} MB", resident(&path).unwrap());
    let there: Vec<_> = crowd.iter().map(|one| one.connects()).collect();
    let seconds = scale.seconds.min(10);
    let writing = tokio::spawn(load.clone().churn(seconds, next));
    tokio::time::sleep(Duration::from_secs(u64::from(seconds)) / 2).await;
    hub.kill().await;
    let killed = Instant::now();
    hub.run().await;
    writing.await.unwrap();
    let told = Told::since(&hub, &start).await;
    all_have_their_part(&told, &crowd).await;
    let back = crowd.iter().zip(there).filter(|(one, before)| one.connects() > *before).count();
    assert_eq!(back, crowd.len(), "not all came back");
    let refused = writes.refused.load(Ordering::Relaxed);
    println!(
        "SIGKILL ({refused} writes without an answer): all {back} came back to {} events without \
         a gap within {:?}",
        told.all.len(),
        killed.elapsed()
    );
}

async fn last_id(hub: &Hub) -> String {
    let (_, body) = hub.get("/api/v1/events?limit=1").await;
    body["events"][0]["id"].as_str().unwrap().to_owned()
}
