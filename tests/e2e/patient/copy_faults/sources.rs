//! Sources that do not say the truth, and one that does.

use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use hub_registry_testkit::stub::consul::StubConsul;
use hub_registry_testkit::stub::eureka::EurekaStub;
use hub_registry_testkit::stub::fault::Fault;
use hub_registry_testkit::stub::nacos::NacosStub;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{put_all, rows, together};
use crate::hub::Hub;
use crate::patient::rules::{SOON, add, compare, routes, told, until_shown, with_rule};
use crate::patient::site::{Row, Site};
use crate::proofs::rounds;
use crate::registries::{Writer, word};

/// A source that lies on demand.
enum Stub {
    Consul(StubConsul),
    Nacos(NacosStub),
    Eureka(EurekaStub),
}

impl Stub {
    fn kind(&self) -> ServerKind {
        match self {
            Self::Consul(_) => ServerKind::Consul,
            Self::Nacos(_) => ServerKind::Nacos,
            Self::Eureka(_) => ServerKind::Eureka,
        }
    }

    fn service(&self) -> String {
        format!("lied-{}", self.kind())
    }

    fn writer(&self) -> Writer {
        let base = match self {
            Self::Consul(stub) => format!("http://{}", stub.address()),
            Self::Nacos(stub) => format!("http://127.0.0.1:{}/nacos", stub.port()),
            Self::Eureka(stub) => stub.base(),
        };
        Writer::new(word(self.kind()), base)
    }

    fn config(&self) -> Value {
        let (port, specific) = match self {
            Self::Consul(stub) => (stub.address().port(), json!({})),
            Self::Nacos(stub) => (stub.port(), json!({ "grpcPortOffset": stub.grpc_offset() })),
            Self::Eureka(stub) => (stub.port(), json!({ "pollInterval": "500ms" })),
        };
        let body = json!({
            "configName": self.service(), "registryType": word(self.kind()), "retryInterval": 200,
            "serverAddress": format!("127.0.0.1:{port}"), "specificConfig": specific,
        });
        with_rule(body, "in", &["target"], "lied-*")
    }

    async fn set(&self, fault: Fault) {
        match self {
            Self::Consul(stub) => stub.fault(fault).await,
            Self::Nacos(stub) => {
                let grpc = if fault == Fault::None { Fault::None } else { Fault::Refuse };
                stub.grpc_fault(grpc).await;
                stub.http_fault(fault).await;
            }
            Self::Eureka(stub) => stub.proxy().set(fault).await,
        }
    }

    /// It says, in its own words, that it has nothing.
    async fn empty(&self) {
        let body = match self {
            // What a token without rights is answered, by each of its calls.
            Self::Consul(stub) => return stub.rules(|rules| rules.hide_all = true),
            Self::Nacos(_) => r#"{"count":0,"serviceList":[]}"#,
            Self::Eureka(_) => {
                r#"{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}"#
            }
        };
        self.set(Fault::answer(200, "application/json", body)).await;
    }

    async fn up(&self) {
        if let Self::Consul(stub) = self {
            stub.rules(|rules| rules.hide_all = false);
        }
        self.set(Fault::None).await;
    }
}

async fn state(hub: &Hub, rule: &str) -> String {
    let (_, body) = hub.get(&format!("{rule}/status")).await;
    body["state"].as_str().unwrap_or_default().to_owned()
}

/// Waits until a source is in one of these states; where nobody waits for it, it is tried now.
async fn until_state(hub: &Hub, rule: &str, states: &[&str]) {
    let start = Instant::now();
    while !states.contains(&state(hub, rule).await.as_str()) {
        let late = start.elapsed() > SOON;
        assert!(!late, "{} is not {states:?}\n{}", state(hub, rule).await, told(hub, rule).await);
        if states.contains(&"LIVE") {
            // Refused credentials are not tried again for half a minute by themselves.
            hub.post(&format!("{rule}/connect"), &json!({})).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Killed, refused, moved, broken, and "I have nothing": whatever a source of twelve says instead of
/// its list, no copy leaves for it; then what it says counts again.
#[tokio::test(flavor = "multi_thread")]
async fn no_false_word_of_a_source_removes_a_copy() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let (_target, target) = Site::start(ServerKind::Consul).await;
    let stubs = [
        Stub::Consul(StubConsul::start().await),
        Stub::Nacos(NacosStub::start().await),
        Stub::Eureka(EurekaStub::start().await),
    ];
    let hub = Hub::start().await;
    add(&hub, &target.config("target")).await;
    let (mut rules, mut number) = (Vec::new(), 12);
    for stub in &stubs {
        for row in rows(80, 0..number, "1") {
            stub.writer().register(&stub.service(), &row.host, row.port, "1").await;
        }
        rules.push(add(&hub, &stub.config()).await);
    }
    let all_there = async |number: u32, within: Duration| {
        for (stub, rule) in stubs.iter().zip(&rules) {
            let (service, rows) = (stub.service(), rows(80, 0..number, "1"));
            until_shown(&target, &service, &rows, within, async || told(&hub, rule).await).await;
        }
    };
    all_there(number, SOON).await;
    let html = "<html>moved</html>";
    let faults = [
        ("killed", Some(Fault::Refuse)),
        ("401 without a body", Some(Fault::answer(401, "text/plain", ""))),
        ("403 without a body", Some(Fault::answer(403, "text/plain", ""))),
        ("404 without a body", Some(Fault::answer(404, "text/plain", ""))),
        ("500", Some(Fault::answer(500, "text/plain", "oops"))),
        ("a page", Some(Fault::answer(200, "text/html", html))),
        ("an empty list", None),
    ];
    for (name, fault) in faults {
        for stub in &stubs {
            match &fault {
                Some(fault) => stub.set(fault.clone()).await,
                None => stub.empty().await,
            }
        }
        for rule in &rules {
            until_state(&hub, rule, &["STALE", "PROTECTED"]).await;
            compare(&hub, rule).await;
        }
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            // Not one look misses one.
            all_there(number, Duration::ZERO).await;
        }
        for stub in &stubs {
            stub.up().await;
            let row = &rows(80, number..number + 1, "1")[0];
            stub.writer().register(&stub.service(), &row.host, row.port, "1").await;
        }
        number += 1;
        for rule in &rules {
            until_state(&hub, rule, &["LIVE"]).await;
        }
        all_there(number, SOON).await;
        println!("{name}: all {number} of each are there, and what came meanwhile");
    }
    // One that takes the question and never answers keeps nobody else waiting.
    stubs[0].set(Fault::Hang).await;
    let new = rows(80, number..number + 1, "1");
    for stub in &stubs[1..] {
        stub.writer().register(&stub.service(), &new[0].host, 8080, "1").await;
    }
    for (stub, rule) in stubs.iter().zip(&rules).skip(1) {
        let (service, rows) = (stub.service(), rows(80, 0..number + 1, "1"));
        let took =
            until_shown(&target, &service, &rows, SOON, async || told(&hub, rule).await).await;
        println!("while another source hangs: {service} followed within {took:.1?}");
    }
    let (service, before) = (stubs[0].service(), rows(80, 0..number, "1"));
    until_shown(&target, &service, &before, Duration::ZERO, async || String::new()).await;
    stubs[0].up().await;
    stubs[0].writer().register(&service, &new[0].host, 8080, "1").await;
    all_there(number + 1, SOON).await;
    assert!(!hub.log().contains("panicked"), "{}", hub.log_end());
}

/// All that a registry has is really removed: that is believed when its guard does, and then ten a
/// minute of these few leave the target; what others have there stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_really_emptied_empties_its_copies_within_guard_and_budget() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let ((_a, a), (_b, b)) =
        tokio::join!(Site::start(ServerKind::Consul), Site::start(ServerKind::Consul));
    let (all, own) = (rows(81, 1..13, "1"), rows(82, 1..3, "own"));
    put_all(&a, "emptied", &all).await;
    put_all(&b, "emptied", &own).await;
    let hub = Hub::start().await;
    add(&hub, &b.config("b")).await;
    let mut body = a.config("a");
    // Longer than by itself a few may leave at once.
    let hold = Duration::from_secs(5);
    body["specificConfig"]["removalGuard"] =
        json!({ "emptyHoldSeconds": hold.as_secs(), "holdSeconds": hold.as_secs() });
    let rule = add(&hub, &with_rule(body, "in", &["b"], "emptied")).await;
    let why = async || told(&hub, &rule).await;
    until_shown(&b, "emptied", &together(&all, &own), SOON, why).await;

    let start = Instant::now();
    for row in &all {
        a.remove("emptied", &row.host, row.port).await;
    }
    let copies = async || {
        let seen = b.look("emptied").await.unwrap();
        seen.into_iter().map(|one| one.row).filter(|row| !own.contains(row)).collect::<Vec<Row>>()
    };
    while copies().await.len() > 2 {
        assert!(start.elapsed() < hold + SOON, "{:?}\n{}", copies().await, why().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ten = start.elapsed();
    assert!(ten >= hold, "nine at most may leave at once, the tenth was gone after {ten:.1?}");
    let waits = |_, body: &Value| body["routes"][0]["removalsOverBudget"] == 2;
    hub.until(&format!("{rule}/sync"), SOON, waits).await;
    // Until then two wait for the minute to be over; in the sample they are only seen to wait.
    let end = start + Duration::from_secs(rounds(ten.as_secs() as u32 + 3, 58).into());
    while Instant::now() < end {
        assert_eq!(copies().await.len(), 2, "{}", why().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    if rounds(0, 1) == 1 {
        until_shown(&b, "emptied", &own, Duration::from_secs(90), why).await;
        println!("the last two were gone {:.1?} after all were removed", start.elapsed());
    }
    assert_eq!(routes(&hub, &rule).await[0]["failed"], 0);
    println!("ten of twelve were gone {ten:.1?} after all were removed, held {hold:?}");
}
