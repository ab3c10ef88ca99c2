//! kill -9 under writes: what was acknowledged is there, and nothing is there by half.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Row;

use crate::hub::Hub;
use crate::proofs::{rounds, seed};

/// What a client knows of one instance of its own. A weight: it is there; `None`: it is not.
#[derive(Debug)]
struct Entry {
    host: String,
    id: Option<String>,
    acknowledged: Option<i64>,
    /// Asked for, and never answered.
    asked: Option<Option<i64>>,
}

/// One keep-alive client that registers, changes and removes until the server is gone.
struct Client {
    name: String,
    http: reqwest::Client,
    url: String,
    random: fastrand::Rng,
    ledger: Vec<Entry>,
    answers: usize,
}

impl Client {
    fn new(number: usize, hub: &Hub, random: &mut fastrand::Rng) -> Self {
        Self {
            name: format!("client-{number}"),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: hub.url("/api/v1/instances"),
            random: random.fork(),
            ledger: Vec::new(),
            answers: 0,
        }
    }

    async fn run(mut self) -> Self {
        while self.step().await {
            self.answers += 1;
        }
        self
    }

    /// One request; whether it was answered.
    async fn step(&mut self) -> bool {
        let known: Vec<_> = (0..self.ledger.len())
            .filter(|i| self.ledger[*i].acknowledged.is_some() && self.ledger[*i].id.is_some())
            .collect();
        let old = (!known.is_empty() && self.random.u8(..10) >= 5)
            .then(|| known[self.random.usize(..known.len())]);
        let weight = self.random.i64(1..1000);
        let (at, wanted, request) = match old {
            None => {
                let host = format!("{}-{}", self.name, self.ledger.len());
                let body = json!({
                    "serviceName": format!("s{}", self.random.u8(..20)), "hostAddress": host,
                    "portNumber": 80, "leaseSeconds": 86400, "weightValue": weight,
                });
                let entry = Entry { host, id: None, acknowledged: None, asked: None };
                self.ledger.push(entry);
                let request = self.http.post(&self.url).json(&body);
                (self.ledger.len() - 1, Some(weight), request)
            }
            Some(at) => {
                let url = format!("{}/{}", self.url, self.ledger[at].id.as_ref().unwrap());
                if self.random.u8(..10) < 6 {
                    let body = json!({ "weightValue": weight });
                    (at, Some(weight), self.http.put(url).json(&body))
                } else {
                    (at, None, self.http.delete(url))
                }
            }
        };
        let entry = &mut self.ledger[at];
        entry.asked = Some(wanted);
        let Ok(answer) = request.send().await else {
            return false;
        };
        // From its status on an answer counts, even if its body got lost in the crash.
        let status = answer.status();
        assert!(matches!(status, StatusCode::CREATED | StatusCode::OK), "{status}");
        (entry.acknowledged, entry.asked) = (wanted, None);
        let Ok(body) = answer.json::<Value>().await else {
            return false;
        };
        if let Some(id) = body["instanceId"].as_str() {
            entry.id = Some(id.to_owned());
        }
        true
    }
}

/// What the events told so far make of each instance.
#[derive(Default)]
struct Replay {
    seen: i64,
    weights: BTreeMap<String, i64>,
    services: BTreeSet<String>,
}

impl Replay {
    fn take(&mut self, kind: &str, service: &str, host: &str, data: &Value) {
        match kind {
            "SERVICE_CREATE" => {
                assert!(self.services.insert(service.to_owned()), "{service} twice")
            }
            "INSTANCE_REGISTER" => {
                assert!(self.services.contains(service), "{host} before its service {service}");
                let weight = data["weightValue"].as_i64().unwrap();
                let before = self.weights.insert(host.to_owned(), weight);
                assert_eq!(before, None, "{host} was told twice");
            }
            "INSTANCE_UPDATE" => {
                let known = self.weights.get_mut(host).unwrap();
                assert_eq!(data["weightValue"]["old"], *known, "an event of {host} is missing");
                *known = data["weightValue"]["new"].as_i64().unwrap();
            }
            "INSTANCE_DEREGISTER" => {
                assert!(self.weights.remove(host).is_some(), "{host} was not there");
            }
            "GROUP_CREATE" => {}
            other => panic!("unexpected {other} of {host}"),
        }
    }
}

/// The file as the crash left it: the rows, checked against the events and each other.
async fn on_disk(hub: &Hub, replay: &mut Replay) -> BTreeMap<String, i64> {
    let url = format!("sqlite://{}", hub.dir.path().join("registry.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let events = "SELECT serviceEventId, eventType, COALESCE(serviceName, ''), \
                  COALESCE(hostAddress, ''), eventDataJson FROM HUB_REGISTRY_SERVICE_EVENT \
                  WHERE serviceEventId > ? ORDER BY serviceEventId";
    for row in sqlx::query(events).bind(replay.seen).fetch_all(&pool).await.unwrap() {
        replay.seen = row.get(0);
        let data = row.get::<Option<String>, _>(4);
        let data = data.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        replay.take(row.get(1), row.get(2), row.get(3), &data);
    }
    let orphans = "SELECT COUNT(*) FROM HUB_REGISTRY_SERVICE_INSTANCE i WHERE NOT EXISTS (\
                   SELECT 1 FROM HUB_REGISTRY_SERVICE s JOIN HUB_REGISTRY_SERVICE_GROUP g \
                   ON g.tenantId = s.tenantId AND g.groupName = s.groupName WHERE \
                   s.tenantId = i.tenantId AND s.groupName = i.groupName \
                   AND s.serviceName = i.serviceName)";
    let orphans: i64 = sqlx::query_scalar(orphans).fetch_one(&pool).await.unwrap();
    assert_eq!(orphans, 0, "instances without their service");
    let rows = "SELECT hostAddress, weightValue, serviceInstanceId \
                FROM HUB_REGISTRY_SERVICE_INSTANCE";
    let rows = sqlx::query(rows).fetch_all(&pool).await.unwrap();
    let ids: BTreeSet<String> = rows.iter().map(|row| row.get(2)).collect();
    assert_eq!(ids.len(), rows.len(), "an id is there twice");
    let weights = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    pool.close().await;
    weights
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_loses_nothing_and_leaves_no_half() {
    let mut random = fastrand::Rng::with_seed(seed());
    let mut hub = Hub::start().await;
    let mut clients: Vec<_> = (0..16).map(|i| Client::new(i, &hub, &mut random)).collect();
    let (mut replay, mut answers, mut undecided) = (Replay::default(), 0, 0);
    let count = rounds(20, 1000);
    for round in 0..count {
        let running: Vec<_> = clients.drain(..).map(|one| tokio::spawn(one.run())).collect();
        // Not to wait for something: the moment of the crash is the test's input.
        tokio::time::sleep(Duration::from_millis(random.u64(20..500))).await;
        hub.kill().await;
        for one in running {
            clients.push(one.await.unwrap());
        }
        let disk = on_disk(&hub, &mut replay).await;
        assert_eq!(disk, replay.weights, "round {round}: rows and events differ");
        hub.run().await;
        let mut expected = BTreeMap::new();
        for entry in clients.iter_mut().flat_map(|client| &mut client.ledger) {
            let found = disk.get(&entry.host).copied();
            let may = found == entry.acknowledged || entry.asked == Some(found);
            assert!(may, "round {round}: {entry:?}, but on disk is {found:?}");
            undecided += usize::from(entry.asked.take().is_some());
            entry.acknowledged = found;
            expected.extend(found.map(|weight| (entry.host.clone(), weight)));
        }
        assert_eq!(disk, expected, "round {round}: something nobody asked for");
        // And the restarted server shows it.
        let mut shown = 0;
        for service in 0..20 {
            let (_, body) = hub.get(&format!("/api/v1/services/s{service}/instances")).await;
            shown += body["count"].as_u64().unwrap_or(0);
        }
        assert_eq!(shown, disk.len() as u64, "round {round}");
    }
    answers += clients.iter().map(|client| client.answers).sum::<usize>();
    assert!(answers > count as usize * 10, "only {answers} answers: this proves nothing");
    println!(
        "{count} kills, {answers} answers, {undecided} requests without one, {} events",
        replay.seen
    );
}
