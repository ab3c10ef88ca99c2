//! Names of services by DNS, asked of a real Consul and of the hub, whose clients registered the same.

use std::collections::BTreeSet;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::hub::{Hub, free_port};

/// What of an answer both are to have: a time to live of 0, and a weight of 1 where nobody said one,
/// are Consul's own (docs/faces.md).
#[derive(Debug, PartialEq)]
struct Said {
    code: ResponseCode,
    addresses: BTreeSet<String>,
    /// Address and port.
    services: BTreeSet<String>,
    has_soa: bool,
}

/// Where the hub differs, and why.
const DIFFERENCES: [(&str, &[RecordType], &str); 2] = [
    (
        "0a0f0001.addr.dc1.consul.",
        &[RecordType::AAAA, RecordType::SRV],
        "what is asked for is answered: an address of another kind is none of it",
    ),
    (
        "nonsense.consul.",
        &[RecordType::A, RecordType::AAAA, RecordType::SRV],
        "it may be a group, whose services have names below it: NOERROR with nothing (RFC 8020)",
    ),
];

async fn ask(port: u16, name: &str, kind: RecordType) -> Said {
    let mut question = Message::query();
    question.add_query(Query::query(Name::from_utf8(name).unwrap(), kind));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(&question.to_vec().unwrap(), ("127.0.0.1", port)).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
    let answer = Message::from_vec(&buffer[..length.unwrap().unwrap()]).unwrap();
    let addresses = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(address.to_string()),
        _ => None,
    });
    let of = |target: &Name| {
        let mut more = answer.additionals.iter().filter(|record| record.name == *target);
        more.find_map(|record| match &record.data {
            RData::A(address) => Some(address.to_string()),
            _ => None,
        })
    };
    let services = answer.answers.iter().filter_map(|record| match &record.data {
        RData::SRV(service) => Some(format!("{:?}:{}", of(&service.target), service.port)),
        _ => None,
    });
    Said {
        code: answer.metadata.response_code,
        addresses: addresses.collect(),
        services: services.collect(),
        has_soa: answer.authorities.iter().any(|record| matches!(record.data, RData::SOA(_))),
    }
}

fn services() -> Vec<Value> {
    let service = |id: &str, name: &str, port: u16, tags: &[&str], status: &str| {
        let last = id.rsplit('-').next().unwrap();
        json!({
            "ID": id, "Name": name, "Address": format!("10.15.0.{last}"), "Port": port, "Tags": tags,
            "Check": { "TTL": "1h", "Status": status },
        })
    };
    vec![
        service("web-1", "web", 8001, &["blue"], "passing"),
        service("web-2", "web", 8002, &["green", "new"], "passing"),
        service("web-3", "web", 8003, &["blue"], "warning"),
        service("web-4", "web", 8004, &["blue"], "critical"),
        service("Mixed-5", "Mixed-Case", 8005, &[], "passing"),
        service("sick-6", "sick", 8006, &[], "critical"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn names_mean_what_they_mean_at_a_real_consul() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let (own, other) = (free_port(), free_port());
    let hub = Hub::with_config(&format!("facades:\n  dns:\n    port: {own}\n")).await;
    let options = ServerOptions::default().with_argument(format!("-dns-port={other}"));
    let real = servers::start(ServerKind::Consul, options).await.unwrap();
    for base in [hub.url(""), real.base_url()] {
        for service in services() {
            let put = hub.client.put(format!("{base}/v1/agent/service/register")).json(&service);
            assert_eq!(put.send().await.unwrap().status(), 200, "{base}");
        }
    }
    // A real one shows them in its own time.
    let end = Instant::now() + Duration::from_secs(10);
    while ask(other, "web.service.consul.", RecordType::A).await.addresses.len() < 3
        || ask(other, "mixed-case.service.consul.", RecordType::A).await.addresses.is_empty()
    {
        assert!(Instant::now() < end, "the real one does not know them");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut wrong = Vec::new();
    for name in [
        "web.service.consul.",
        "web.service.dc1.consul.",
        "WEB.Service.Consul.",
        "blue.web.service.consul.",
        "green.web.service.consul.",
        "none.web.service.consul.",
        "_web._tcp.service.consul.",
        "_web._blue.service.consul.",
        "_web._udp.service.consul.",
        "mixed-case.service.consul.",
        "sick.service.consul.",
        "nobody.service.consul.",
        "_nobody._tcp.service.consul.",
        "0a0f0001.addr.dc1.consul.",
        "nonsense.consul.",
    ] {
        for kind in [RecordType::A, RecordType::AAAA, RecordType::SRV] {
            let (ours, theirs) = (ask(own, name, kind).await, ask(other, name, kind).await);
            let is_known =
                DIFFERENCES.iter().any(|(of, kinds, _)| *of == name && kinds.contains(&kind));
            if (ours != theirs) != is_known {
                wrong.push(format!("{name} {kind}: {ours:?}\n  instead of {theirs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
