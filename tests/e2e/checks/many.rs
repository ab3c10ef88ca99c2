//! Many checks, on time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::proofs::rounds;

type Arrivals = Arc<Mutex<HashMap<IpAddr, Vec<Instant>>>>;

/// A service at every address of 127/8, so that no connection waits for the port of another one
/// that ended: it notes who was asked when.
async fn everywhere() -> (u16, Arrivals) {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (port, arrivals) = (listener.local_addr().unwrap().port(), Arrivals::default());
    let noted = Arc::clone(&arrivals);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let host = stream.local_addr().unwrap().ip();
            noted.lock().entry(host).or_default().push(Instant::now());
            tokio::spawn(answer(stream));
        }
    });
    (port, arrivals)
}

async fn answer(mut stream: TcpStream) {
    let mut request = [0; 1024];
    // Nothing comes from a check that only connects.
    if stream.read(&mut request).await.is_ok_and(|read| read > 0) {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.ok();
    }
}

fn host(number: usize) -> Ipv4Addr {
    let part = |number: usize| (number % 250 + 1) as u8;
    Ipv4Addr::new(127, part(number / 62_500), part(number / 250), part(number))
}

/// The share of sorted times.
fn at(times: &[Duration], share: f64) -> Duration {
    times[((times.len() - 1) as f64 * share) as usize]
}

#[tokio::test(flavor = "multi_thread")]
async fn many_checks_begin_on_time() {
    let instances = rounds(2_000, 20_000) as usize;
    let (interval, places) = (u64::from(rounds(3, 30)), rounds(100, 500));
    let (port, arrivals) = everywhere().await;
    let config = format!(
        "healthCheck:\n  interval: {interval}s\n  timeout: 2s\n  concurrentChecks: {places}\n"
    );
    let mut hub = Hub::with_config(&config).await;
    let numbers: Vec<_> = (0..instances).collect();
    for some in numbers.chunks(1000) {
        let instance = |number: &usize| {
            json!({
                "serviceName": format!("s{}", number / 100), "hostAddress": host(*number),
                "portNumber": port, "healthCheckType": if number.is_multiple_of(2) { "HTTP" } else { "TCP" },
            })
        };
        let all: Vec<_> = some.iter().map(instance).collect();
        let (status, body) =
            hub.post("/api/v1/instances/batch", &json!({ "instances": all })).await;
        assert_eq!(status, 200, "{body}");
    }
    // After a start each is checked in its slot.
    hub.terminate().await;
    arrivals.lock().clear();
    hub.run().await;
    let interval = Duration::from_secs(interval);
    tokio::time::sleep(interval * 4).await;

    let (_, stats) = hub.get("/api/v1/stats/health").await;
    let checker = &stats["checks"]["checker"];
    let cpu = hub.metric("process_cpu_seconds_total").await;
    let memory = hub.metric("process_resident_memory_bytes").await / 1e6;
    println!("{instances} instances, {interval:?}, {places} places: {:#}", stats["checks"]);
    println!("{cpu:.1} s of processor in {:?}, {memory:.0} MB", interval * 4);

    // Seen from outside: how far from where the first arrival and the interval put it each other
    // one is, beyond the twentieth to each side that checks are moved by.
    let (mut off, mut missed, mut counted) = (Vec::new(), 0, 0);
    for times in arrivals.lock().values() {
        counted += times.len();
        for time in times {
            let since = *time - times[0];
            let slots = (since.as_secs_f64() / interval.as_secs_f64()).round() as u32;
            let slot = interval * slots;
            let from = since.abs_diff(slot);
            off.push(from.saturating_sub(interval / 20 * 2));
        }
        let last = *times.last().unwrap() - times[0];
        let slots = (last.as_secs_f64() / interval.as_secs_f64()).round() as usize + 1;
        missed += slots.saturating_sub(times.len());
    }
    off.sort();
    let (p50, p99, max) = (at(&off, 0.5), at(&off, 0.99), at(&off, 1.0));
    println!(
        "{counted} arrivals: off by {p50:?} (p50), {p99:?} (p99), {max:?} (max); {missed} missed"
    );

    assert_eq!(arrivals.lock().len(), instances, "everybody has a turn");
    assert!((instances * 3..=instances * 5).contains(&counted), "{counted}");
    assert_eq!(checker["enough"], true, "{checker}");
    assert_eq!(missed, 0);
    // The machine is shared: what it really takes is printed.
    let late = checker["lateMs"]["p99"].as_f64().unwrap();
    assert!(late < 1000.0 && p99 < Duration::from_secs(1), "{checker} {p99:?}");
    assert_eq!(stats["checks"]["successRate"], 1.0, "{}", stats["checks"]);
    assert_eq!(stats["healthy"], instances);
}
