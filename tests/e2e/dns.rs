//! The view by DNS: what is asked is encoded by a library, and by `dig`.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use hickory_proto::op::{Edns, Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hub_registry_testkit::servers;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::process::Command;

use crate::hub::{Hub, free_port};

const ANSWER: Duration = Duration::from_secs(10);
const SEED: u64 = 20_261_127;

struct Asker {
    hub: Hub,
    port: u16,
}

impl Asker {
    async fn start(more: &str) -> Self {
        let port = free_port();
        let config = format!("facades:\n  dns:\n    port: {port}\n{more}");
        Self { hub: Hub::with_config(&config).await, port }
    }

    async fn register(&self, more: Value) {
        let mut body = json!({
            "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "leaseSeconds": 3600,
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (status, answer) = self.hub.post("/api/v1/instances", &body).await;
        assert!(status == 201 || status == 200, "{answer}");
    }

    async fn datagram(&self, bytes: &[u8], within: Duration) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", self.port)).await.unwrap();
        socket.send(bytes).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let length = tokio::time::timeout(within, socket.recv(&mut buffer)).await.ok()?.unwrap();
        buffer.truncate(length);
        Some(buffer)
    }

    async fn ask_with(&self, message: &Message) -> Message {
        let answer = self.datagram(&message.to_vec().unwrap(), ANSWER).await;
        let answer = answer.unwrap_or_else(|| panic!("no answer: {}", self.hub.log_end()));
        let answer = Message::from_vec(&answer).unwrap();
        assert_eq!(answer.metadata.id, message.metadata.id);
        answer
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.ask_with(&question(name, kind)).await
    }

    async fn ask_by_tcp(&self, name: &str, kind: RecordType) -> Message {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        // Two on one connection.
        for _ in 0..2 {
            let bytes = question(name, kind).to_vec().unwrap();
            stream.write_all(&(bytes.len() as u16).to_be_bytes()).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut answer).await.unwrap();
            if let Ok(message) = Message::from_vec(&answer)
                && message.metadata.id == 7
            {
                return message;
            }
        }
        panic!("no answer by TCP")
    }

    async fn addresses(&self, name: &str) -> BTreeSet<String> {
        hosts(&self.ask(name, RecordType::ANY).await)
    }

    async fn dig(&self, arguments: &[&str]) -> String {
        let program = servers::require_client("dig").unwrap();
        let server =
            ["@127.0.0.1", "-p", &self.port.to_string(), "+time=5", "+tries=1"].map(str::to_owned);
        let output = Command::new(program).args(server).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 7;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn hosts(answer: &Message) -> BTreeSet<String> {
    answer
        .answers
        .iter()
        .map(|record| match &record.data {
            RData::A(address) => address.0.to_string(),
            RData::AAAA(address) => address.0.to_string(),
            RData::CNAME(name) => name.0.to_ascii(),
            RData::SRV(service) => format!("{}:{}", service.target, service.port),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn set(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|&one| one.to_owned()).collect()
}

/// No answer of its own, and the zone's record: how long that holds.
fn is_none(answer: &Message, code: ResponseCode) -> bool {
    let soa = answer.authorities.first().is_some_and(|one| one.record_type() == RecordType::SOA);
    answer.answers.is_empty() && answer.metadata.response_code == code && soa
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_services_have_their_addresses_and_ports() {
    let asker = Asker::start("").await;
    asker.register(json!({ "tags": ["blue"], "weightValue": 300 })).await;
    asker.register(json!({ "hostAddress": "10.0.0.2", "portNumber": 81 })).await;
    asker.register(json!({ "hostAddress": "10.0.0.2", "portNumber": 82 })).await;
    asker.register(json!({ "hostAddress": "2001:db8::7" })).await;
    asker.register(json!({ "hostAddress": "10.0.0.8", "instanceStatus": "DOWN" })).await;
    asker.register(json!({ "hostAddress": "10.0.0.9", "healthStatus": "UNHEALTHY" })).await;
    asker.register(json!({ "serviceName": "Mixed.Case", "hostAddress": "10.0.1.1" })).await;
    asker.register(json!({ "serviceName": "named", "hostAddress": "db.example.org" })).await;
    asker.register(json!({ "groupName": "prod", "hostAddress": "10.0.2.1" })).await;
    let night = json!({ "serviceName": "late", "groupName": "night", "hostAddress": "10.0.3.1" });
    asker.register(night).await;

    let all = set(&["10.0.0.1", "10.0.0.2", "2001:db8::7"]);
    for name in [
        "web.service.consul.",
        "web.service.dc1.consul.",
        "WEB.Service.CONSUL.",
        "web.default_group.consul.",
    ] {
        assert_eq!(asker.addresses(name).await, all, "{name}");
    }
    let four = asker.ask("web.service.consul.", RecordType::A).await;
    assert_eq!(hosts(&four), set(&["10.0.0.1", "10.0.0.2"]));
    assert!(four.metadata.authoritative && !four.metadata.truncation);
    assert!(four.answers.iter().all(|record| record.ttl == 1));
    let six = asker.ask("web.service.consul.", RecordType::AAAA).await;
    assert_eq!(hosts(&six), set(&["2001:db8::7"]));
    for (name, expected) in [
        ("blue.web.service.consul.", "10.0.0.1"),
        ("_web._BLUE.service.consul.", "10.0.0.1"),
        ("web.prod.consul.", "10.0.2.1"),
        ("late.service.consul.", "10.0.3.1"),
        ("mixed.case.service.consul.", "10.0.1.1"),
        ("Mixed.Case.service.consul.", "10.0.1.1"),
        ("named.service.consul.", "db.example.org."),
        ("0a000001.addr.dc1.consul.", "10.0.0.1"),
    ] {
        assert_eq!(asker.addresses(name).await, set(&[expected]), "{name}");
    }

    let services = asker.ask("_web._tcp.service.consul.", RecordType::SRV).await;
    let v6 = "20010db8000000000000000000000007.addr.dc1.consul.:80";
    let expected = [
        "0a000001.addr.dc1.consul.:80",
        "0a000002.addr.dc1.consul.:81",
        "0a000002.addr.dc1.consul.:82",
        v6,
    ];
    assert_eq!(hosts(&services), set(&expected));
    let weights = services.answers.iter().map(|record| match &record.data {
        RData::SRV(service) => (service.port, service.weight),
        other => panic!("{other:?}"),
    });
    let weights = weights.collect::<BTreeSet<_>>();
    assert_eq!(weights, BTreeSet::from([(80, 100), (80, 300), (81, 100), (82, 100)]));
    assert_eq!(services.additionals.len(), 3, "an address for each target");

    assert!(is_none(
        &asker.ask("late.service.consul.", RecordType::AAAA).await,
        ResponseCode::NoError
    ));
    assert!(is_none(
        &asker.ask("web.service.consul.", RecordType::TXT).await,
        ResponseCode::NoError
    ));
    for name in ["nobody.service.consul.", "red.web.service.consul.", "web.service.dc2.consul."] {
        assert!(is_none(&asker.ask(name, RecordType::A).await, ResponseCode::NXDomain), "{name}");
    }
    for name in
        ["consul.", "service.consul.", "dc1.consul.", "prod.consul.", "_tcp.service.consul."]
    {
        assert!(is_none(&asker.ask(name, RecordType::A).await, ResponseCode::NoError), "{name}");
    }
    let alias = &asker.ask("named.service.consul.", RecordType::A).await.answers[0];
    assert_eq!((alias.record_type(), alias.ttl), (RecordType::CNAME, 0));
    let soa = asker.ask("consul.", RecordType::SOA).await;
    assert_eq!(soa.answers.len(), 1);
    let elsewhere = asker.ask("web.example.org.", RecordType::A).await;
    assert_eq!(elsewhere.metadata.response_code, ResponseCode::Refused);
    let mut update = question("web.service.consul.", RecordType::A);
    update.metadata.op_code = OpCode::Status;
    assert_eq!(asker.ask_with(&update).await.metadata.response_code, ResponseCode::NotImp);

    // What changes is answered at once.
    let (_, list) = asker.hub.get("/api/v1/services/late/instances").await;
    let path =
        format!("/api/v1/instances/{}", list["instances"][0]["instanceId"].as_str().unwrap());
    assert_eq!(asker.hub.send(Method::DELETE, &path, None).await.0, 200);
    assert!(is_none(
        &asker.ask("late.service.consul.", RecordType::A).await,
        ResponseCode::NXDomain
    ));
    let counted = r#"hub_registry_dns_questions_total{code="NXDOMAIN",type="A"}"#;
    assert_eq!(asker.hub.metric(counted).await, 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_for_certain_is_no_there_is_none() {
    let asker = Asker::start("").await;
    asker.register(json!({})).await;
    asker.register(json!({ "serviceName": "twice", "groupName": "a" })).await;
    asker.register(json!({ "serviceName": "twice", "groupName": "b" })).await;
    let code =
        async |name: &'static str| asker.ask(name, RecordType::A).await.metadata.response_code;
    assert_eq!(code("twice.service.consul.").await, ResponseCode::ServFail, "in two groups");
    assert_eq!(code("twice.a.consul.").await, ResponseCode::NoError);
    assert_eq!(code("nobody.service.consul.").await, ResponseCode::NXDomain);
    let deaf =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let down = json!({ "serviceName": "sleeps", "instanceStatus": "DOWN", "tags": ["blue"] });
    asker.register(down).await;
    assert_eq!(code("sleeps.service.consul.").await, ResponseCode::NXDomain);
    assert_eq!(asker.hub.post("/api/v1/external/configs", &deaf).await.0, 201);
    // It may know some that are up, or have the tag.
    assert_eq!(code("sleeps.service.consul.").await, ResponseCode::ServFail);
    assert_eq!(code("red.web.service.consul.").await, ResponseCode::ServFail);
    assert_eq!(code("nobody.service.consul.").await, ResponseCode::ServFail);
    assert_eq!(code("web.service.consul.").await, ResponseCode::NoError);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_too_few_are_well_the_sick_are_told_too() {
    let asker = Asker::start("").await;
    let service = json!({ "serviceName": "web", "metadata": { "protectThreshold": "0.5" } });
    assert_eq!(asker.hub.post("/api/v1/services", &service).await.0, 201);
    for number in 1..=4 {
        let host = format!("10.0.0.{number}");
        asker.register(json!({ "hostAddress": host, "healthCheckType": "NONE" })).await;
    }
    let (_, list) = asker.hub.get("/api/v1/services/web/instances").await;
    // That nobody knows how they are is no reason.
    for (sick, told) in [(0, 4), (1, 3), (2, 2), (3, 4)] {
        if sick > 0 {
            let id = list["instances"][sick - 1]["instanceId"].as_str().unwrap();
            let path = format!("/api/v1/instances/{id}/health");
            let health = json!({ "healthStatus": "UNHEALTHY" });
            assert_eq!(asker.hub.put(&path, &health).await.0, 200);
        }
        assert_eq!(asker.addresses("web.service.consul.").await.len(), told, "{sick} are sick");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_is_cut_and_whole_by_tcp() {
    let asker = Asker::start("").await;
    let instance = |n: u32| {
        json!({
            "serviceName": "wide", "hostAddress": format!("10.1.{}.{}", n / 250, n % 250 + 1),
            "portNumber": 80, "leaseSeconds": 3600,
        })
    };
    let batch = json!({ "instances": (0..1000).map(instance).collect::<Vec<_>>() });
    assert_eq!(asker.hub.post("/api/v1/instances/batch", &batch).await.0, 200);
    let name = "wide.service.consul.";
    let short =
        asker.datagram(&question(name, RecordType::A).to_vec().unwrap(), ANSWER).await.unwrap();
    assert!(short.len() <= 512, "{}", short.len());
    let cut = Message::from_vec(&short).unwrap();
    assert!(
        cut.metadata.truncation && (20..40).contains(&cut.answers.len()),
        "{}",
        cut.answers.len()
    );
    let mut extended = question(name, RecordType::A);
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    extended.edns = Some(edns);
    let long = asker.datagram(&extended.to_vec().unwrap(), ANSWER).await.unwrap();
    assert!((513..=1232).contains(&long.len()), "{}", long.len());
    let long = Message::from_vec(&long).unwrap();
    assert!(long.edns.is_some() && long.metadata.truncation);
    let whole = asker.ask_by_tcp(name, RecordType::A).await;
    assert_eq!((hosts(&whole).len(), whole.metadata.truncation), (1000, false));
    let whole = asker.ask_by_tcp(name, RecordType::SRV).await;
    assert!((700..=1000).contains(&whole.answers.len()), "{}", whole.answers.len());
    assert!(!whole.metadata.truncation, "there is nobody to ask for the rest");
    // Each is the first in its turn.
    let mut first = BTreeSet::new();
    for _ in 0..20 {
        first.insert(format!("{:?}", asker.ask(name, RecordType::A).await.answers[0].data));
    }
    assert!(first.len() > 10, "{first:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_comes_it_goes_on() {
    let asker = Asker::start("").await;
    asker.register(json!({})).await;
    println!("seed {SEED}");
    let mut random = Rng::with_seed(SEED);
    let good = question("web.service.consul.", RecordType::A).to_vec().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.1", asker.port)).await.unwrap();
    for round in 0..3000 {
        let mut bytes = match round % 3 {
            0 => (0..random.usize(..600)).map(|_| random.u8(..)).collect(),
            _ => good.clone(),
        };
        for _ in 0..random.usize(..4) {
            if !bytes.is_empty() {
                let place = random.usize(..bytes.len());
                bytes[place] = random.u8(..);
            }
        }
        if round % 5 == 0 {
            bytes.truncate(random.usize(..=bytes.len()));
        }
        socket.send(&bytes).await.unwrap();
        if round % 50 == 0 {
            // So that the socket's buffer does not swallow them.
            assert_eq!(asker.addresses("web.service.consul.").await, set(&["10.0.0.1"]), "{round}");
        }
    }
    // An answer is none to answer, and half a header is nothing at all.
    let mut response = good.clone();
    response[2] |= 0x80;
    let soon = Duration::from_millis(200);
    assert_eq!(asker.datagram(&response, soon).await, None);
    assert_eq!(asker.datagram(&good[..11], soon).await, None);
    let mut many = good[..12].to_vec();
    many[4..6].copy_from_slice(&[0xff, 0xff]);
    let none = asker.datagram(&many, ANSWER).await.unwrap();
    assert_eq!(Message::from_vec(&none).unwrap().metadata.response_code, ResponseCode::FormErr);
    let broken = asker.datagram(&good[..20], ANSWER).await.unwrap();
    assert_eq!(Message::from_vec(&broken).unwrap().metadata.response_code, ResponseCode::FormErr);
    // Connections that say nothing keep nobody out for long.
    let mut idle = Vec::new();
    for _ in 0..300 {
        idle.push(TcpStream::connect(("127.0.0.1", asker.port)).await.unwrap());
    }
    assert_eq!(asker.addresses("web.service.consul.").await, set(&["10.0.0.1"]));
    drop(idle);
    assert_eq!(hosts(&asker.ask_by_tcp("web.service.consul.", RecordType::A).await).len(), 1);
    assert!(!asker.hub.log().contains("panicked"), "{}", asker.hub.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_with_lists_are_not_told_to_everybody() {
    let more = "    domain: hub.example\n    datacenter: here\n    tenant: acme\n    ttl: 0s\nsecurity:\n  enabled: true\n";
    let asker = Asker::start(more).await;
    let token = asker
        .hub
        .command(&["token", "create", "--role", "admin", "--user", "me", "--tenant", "acme"])
        .await;
    let post = async |path: &str, body: Value| {
        let request = asker.hub.client.post(asker.hub.url(path)).bearer_auth(&token).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
    };
    post("/api/v1/groups", json!({ "groupName": "closed", "accessControlEnabled": "Y" })).await;
    for (group, name) in [("closed", "web"), ("open", "Web")] {
        let body = json!({ "serviceName": name, "groupName": group, "hostAddress": "10.0.0.1", "portNumber": 80 });
        post("/api/v1/instances", body).await;
    }
    assert_eq!(asker.addresses("web.open.hub.example.").await, set(&["10.0.0.1"]));
    assert_eq!(
        asker.addresses("web.service.here.hub.example.").await,
        set(&["10.0.0.1"]),
        "the one that is seen"
    );
    assert!(is_none(
        &asker.ask("web.closed.hub.example.", RecordType::A).await,
        ResponseCode::NXDomain
    ));
    let record = &asker.ask("web.open.hub.example.", RecordType::A).await.answers[0];
    assert_eq!(record.ttl, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dig_understands_it() {
    if servers::require_client("dig").is_none() {
        return;
    }
    let asker = Asker::start("").await;
    asker.register(json!({ "hostAddress": "10.0.0.1" })).await;
    asker.register(json!({ "hostAddress": "10.0.0.2" })).await;
    for way in ["+notcp", "+tcp"] {
        let text = asker.dig(&["+short", way, "web.service.consul", "A"]).await;
        let lines: BTreeSet<_> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines, set(&["10.0.0.1", "10.0.0.2"]), "{way}");
    }
    let text = asker.dig(&["+short", "_web._tcp.service.consul", "SRV"]).await;
    let lines: BTreeSet<_> = text.lines().map(str::to_owned).collect();
    let expected = ["1 100 80 0a000001.addr.dc1.consul.", "1 100 80 0a000002.addr.dc1.consul."];
    assert_eq!(lines, set(&expected));
    let whole = asker.dig(&["wEb.SeRvIcE.consul", "A"]).await;
    assert!(whole.contains("status: NOERROR") && whole.contains("wEb.SeRvIcE.consul."), "{whole}");
    let none = asker.dig(&["nobody.service.consul", "A"]).await;
    assert!(none.contains("status: NXDOMAIN") && none.contains("SOA"), "{none}");
    let version = asker.dig(&["+edns=1", "+noednsnegotiation", "web.service.consul"]).await;
    assert!(version.contains("status: BADVERS"), "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_port_nobody_listens_and_a_bad_one_stops_the_start() {
    let hub = Hub::start().await;
    assert!(!hub.log().contains("questions by DNS"), "{}", hub.log_end());
    for (key, value) in [
        ("domain", "a..b"),
        ("domain", "\"\""),
        ("datacenter", "a.b"),
        ("tenant", "\"\""),
        ("port", "65536"),
        ("ttl", "2h"),
    ] {
        let file = hub.dir.path().join("wrong.yaml");
        std::fs::write(&file, format!("facades:\n  dns:\n    {key}: {value}\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_registry-server"))
            .args(["--config", &file.to_string_lossy(), "check-config"])
            .output()
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(&format!("facades.dns.{key}")),
            "{key}: {said}"
        );
    }
}
