//! Connections that say nothing, or say it very slowly, on each port: they end, they cost little, and
//! everybody else is answered meanwhile.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::faces::grpc::client::Client;
use crate::hub::{Hub, free_port};
use crate::proofs::rounds;

/// The longest that any of them is kept: a head by HTTP has 75 s.
const LONGEST: Duration = Duration::from_secs(90);

async fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Sends a byte every two seconds; how long it takes until the other side ends it.
async fn slowly(port: u16, bytes: &'static [u8]) -> Duration {
    let start = Instant::now();
    let (mut from, mut to) = connect(port).await.into_split();
    let writes = async {
        for byte in bytes.iter().cycle() {
            if to.write_all(&[*byte]).await.is_err() {
                return;
            }
            sleep(Duration::from_secs(2)).await;
        }
    };
    let reads = async {
        let mut buffer = [0; 1024];
        while from.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    let ends = async {
        tokio::select! {
            () = writes => {}
            () = reads => {}
        }
    };
    timeout(LONGEST, ends).await.unwrap_or_else(|_| panic!("port {port} keeps a slow one"));
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_ended_on_each_port_and_hinders_nobody() {
    let (consul, nacos, dns) = (free_port(), free_port(), free_port());
    let hub = Hub::with_config(&format!(
        "facades:\n  consul:\n    port: {consul}\n  nacos:\n    port: {nacos}\n  dns:\n    port: {dns}\n"
    ))
    .await;
    let head = b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0";
    let mut slow = JoinSet::new();
    for _ in 0..20 {
        for (name, port, bytes) in [
            ("main", hub.port, &head[..]),
            ("Consul's", consul, head),
            ("Nacos'", nacos, head),
            ("Nacos' gRPC", nacos + 1000, preface),
            ("DNS", dns, &[0, 200]),
        ] {
            slow.spawn(async move { (name, slowly(port, bytes).await) });
        }
    }
    let mut client = Client::start(nacos + 1000).await;
    let mut longest = std::collections::BTreeMap::new();
    let mut asked = tokio::time::interval(Duration::from_millis(200));
    while !slow.is_empty() {
        tokio::select! {
            Some(ended) = slow.join_next() => {
                let (name, took) = ended.unwrap();
                let most = longest.entry(name).or_insert(took);
                *most = took.max(*most);
            }
            _ = asked.tick() => {
                let soon = Duration::from_secs(5);
                for port in [hub.port, consul] {
                    let url = format!("http://127.0.0.1:{port}/v1/status/leader");
                    let answer = timeout(soon, hub.client.get(url).send()).await.unwrap().unwrap();
                    assert_eq!(answer.status(), 200);
                }
                let url = format!("http://127.0.0.1:{nacos}/nacos/v1/ns/operator/metrics");
                let answer = timeout(soon, hub.client.get(url).send()).await.unwrap().unwrap();
                assert_eq!(answer.status(), 200);
                let healthy = client.ask("HealthCheckRequest", json!({}));
                assert_eq!(timeout(soon, healthy).await.unwrap().0, "HealthCheckResponse");
            }
        }
    }
    println!("{longest:?}");
    assert_eq!(longest.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_say_nothing_by_grpc_cost_little_and_end() {
    let count = rounds(1000, 10_000) as usize;
    let hub = Hub::with_environment(&[("REGISTRY__SERVER__HTTP__MAXCONNECTIONS", "12000")]).await;
    let memory = async || hub.metric("process_resident_memory_bytes").await;
    let mut watcher = Client::start(hub.port + 1000).await;
    let before = memory().await;
    let mut idle = Vec::new();
    for number in 0..count {
        let mut stream = connect(hub.port + 1000).await;
        // Some say that they speak HTTP/2, and nothing else.
        if number % 2 == 0 {
            stream
                .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
                .await
                .unwrap();
        }
        idle.push(stream);
    }
    let open = "hub_registry_facade_nacos_connections";
    let end = Instant::now() + Duration::from_secs(10);
    while hub.metric(open).await < (count + 1) as f64 - 0.5 {
        assert!(Instant::now() < end, "{} are open", hub.metric(open).await);
        sleep(Duration::from_millis(50)).await;
    }
    let each = (memory().await - before) / count as f64;
    println!("{count} connections that say nothing: {each:.0} bytes each");
    assert!(each < 60_000.0, "{each} bytes each");
    // Others are served as if they were not there.
    watcher.subscribe("busy").await;
    assert!(watcher.hosts("busy").await.is_empty());
    let mut writer = timeout(Duration::from_secs(5), Client::start(hub.port + 1000)).await.unwrap();
    writer.register("busy", "10.13.0.1", &json!({})).await;
    assert_eq!(watcher.hosts("busy").await, ["10.13.0.1"]);
    // Who never says who it is goes.
    let end = Instant::now() + Duration::from_secs(60);
    while hub.metric(open).await > 2.5 {
        assert!(Instant::now() < end, "{} are open", hub.metric(open).await);
        sleep(Duration::from_millis(100)).await;
    }
    drop(idle);
    assert_eq!(writer.ask("HealthCheckRequest", json!({})).await.0, "HealthCheckResponse");
}
