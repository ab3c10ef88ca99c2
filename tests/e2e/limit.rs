//! Reads of the hub beside those of a server that does nothing but hand out the same bytes: on a busy
//! machine both are slow. What it really takes is measured by `cargo bench --bench peers`.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::hub::{Hub, free_port};
use crate::proofs::rounds;

/// Far under what it is (docs/performance.md), far over what it would be if an answer were made anew.
const FLOOR: f64 = 0.5;
const PATH: &str = "/api/v1/services/web/instances?status=UP&health=HEALTHY";
const CONNECTIONS: u32 = 8;
const TURN: Duration = Duration::from_millis(400);

/// What the bare server is told by: its port, and the file of the head and the body of its answers.
const PORT: &str = "HUB_REGISTRY_LIMIT_PORT";
const ANSWER: &str = "HUB_REGISTRY_LIMIT_ANSWER";

/// A bare server: a process of its own, as the hub is, since one that shares the threads of those
/// who ask need not wait for its turn.
struct Limit {
    address: SocketAddr,
    _child: tokio::process::Child,
    _folder: tempfile::TempDir,
}

impl Limit {
    async fn start(headers: &HeaderMap, body: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answer");
        let lines =
            headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
        let head: String = lines.collect();
        std::fs::write(&file, [head.as_bytes(), b"\n", body].concat()).unwrap();
        let port = free_port();
        let child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "limit::is_the_bare_server"])
            .env(PORT, port.to_string())
            .env(ANSWER, &file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < end, "the bare server does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { address, _child: child, _folder: folder }
    }
}

/// Answers everything with what it is told, until it is ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is a server for the test below"]
async fn is_the_bare_server() {
    let Ok(port) = std::env::var(PORT) else { return };
    let answer = std::fs::read(std::env::var_os(ANSWER).unwrap()).unwrap();
    let end = answer.windows(2).position(|two| two == b"\n\n").unwrap();
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let headers: HeaderMap = head
        .lines()
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        })
        .collect();
    let body = Bytes::copy_from_slice(&answer[end + 2..]);
    let listener = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).await.unwrap();
    let router = Router::new().fallback(move || {
        let answer = (headers.clone(), body.clone());
        async move { answer }
    });
    axum::serve(listener, router).await.unwrap();
}

/// Answers a second.
async fn rate(address: SocketAddr, length: usize) -> f64 {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    let start = Instant::now();
    for _ in 0..CONNECTIONS {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        clients.spawn(async move {
            let request = format!("GET {PATH} HTTP/1.1\r\nhost: hub\r\n\r\n");
            let mut buffer = vec![0; 64 * 1024];
            while !stop.load(Ordering::Relaxed) {
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut filled = 0;
                // Heads have no body of their own: an answer is whole with its last byte.
                loop {
                    let read = stream.read(&mut buffer[filled..]).await.unwrap();
                    assert!(read > 0, "the server hung up");
                    filled += read;
                    let head = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n");
                    if head.is_some_and(|head| filled >= head + 4 + length) {
                        break;
                    }
                }
                assert!(buffer.starts_with(b"HTTP/1.1 200"));
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tokio::time::sleep(TURN).await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_not_far_from_those_of_a_bare_server() {
    let hub = Hub::start().await;
    for number in 0..10 {
        let body = json!({
            "serviceName": "web", "hostAddress": format!("10.0.0.{number}"), "portNumber": 80,
            "leaseSeconds": 3600, "metadata": { "version": "1.4.2" },
        });
        assert_eq!(hub.post("/api/v1/instances", &body).await.0, 201);
    }
    let answer = hub.client.get(hub.url(PATH)).send().await.unwrap();
    let mut headers = answer.headers().clone();
    for own in ["date", "content-length"] {
        headers.remove(own);
    }
    let body = answer.bytes().await.unwrap();
    let length = body.len();
    let limit = Limit::start(&headers, &body).await;
    let hub_address = SocketAddr::from(([127, 0, 0, 1], hub.port));
    let mut shares = Vec::new();
    // A machine that others use as well is slow for a second or two, now to one of them, now to the other.
    for round in 0..rounds(15, 21) {
        let (most, own) = match round % 2 {
            0 => {
                let most = rate(limit.address, length).await;
                (most, rate(hub_address, length).await)
            }
            _ => {
                let own = rate(hub_address, length).await;
                (rate(limit.address, length).await, own)
            }
        };
        shares.push(own / most);
    }
    shares.sort_by(f64::total_cmp);
    let median = shares[shares.len() / 2];
    println!("of a bare server's reads: {median:.2}, of {shares:.2?}");
    assert!(median >= FLOOR, "{shares:.2?}");
}
