//! How the server ends, and what the ones around it are told of its life.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::wire::Wire;

const LONG: Duration = Duration::from_secs(40);
const WEB: &str = "/api/v1/services/web/instances";

fn instance(number: usize) -> String {
    let host = format!("10.0.{}.{}", number / 250, number % 250 + 1);
    json!({ "serviceName": "web", "hostAddress": host, "portNumber": 80 }).to_string()
}

/// What one client saw until the server told it to go.
#[derive(Debug, Default)]
struct Seen {
    answers: usize,
    registered: Vec<usize>,
    failed: Vec<String>,
}

/// Reads and registers over one connection, without a pause, until the server closes it.
async fn client(port: u16, number: usize) -> Seen {
    let mut seen = Seen::default();
    let mut wire = Wire::connect(port).await.unwrap();
    for round in 0..100_000 {
        let (method, path, body) = if round % 4 == 0 {
            ("POST", "/api/v1/instances", instance(number * 1000 + round / 4))
        } else {
            ("GET", WEB, String::new())
        };
        match wire.ask(method, path, &body).await {
            Ok(answer) if answer.status < 300 => {
                seen.answers += 1;
                if method == "POST" {
                    seen.registered.push(number * 1000 + round / 4);
                }
                if answer.closes() {
                    break;
                }
            }
            Ok(answer) => seen.failed.push(format!("{method}: {} {}", answer.status, answer.body)),
            Err(error) => {
                seen.failed.push(format!("{method}: {error}"));
                break;
            }
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_fails_no_request() {
    let mut hub = Hub::start().await;
    let (status, first) =
        hub.post("/api/v1/instances", &serde_json::from_str(&instance(0)).unwrap()).await;
    assert_eq!(status, 201, "{first}");
    let (_, listed) = hub.get(WEB).await;

    let clients: Vec<_> = (1..=12).map(|number| tokio::spawn(client(hub.port, number))).collect();
    // One waits for a change that will not come, to a service nobody touches.
    let (_, other) = hub.post("/api/v1/services", &json!({ "serviceName": "quiet" })).await;
    assert!(other["message"].is_string(), "{other}");
    let mut waiting = Wire::connect(hub.port).await.unwrap();
    let index = listed["revision"].as_i64().unwrap() + 1_000_000_000;
    let query = format!("/api/v1/services/absent-{index}/instances?index=1&wait=60s");
    waiting.send(&format!("GET {query} HTTP/1.1\r\nhost: hub\r\n\r\n")).await.unwrap();
    // One is in the middle of sending.
    let mut slow = Wire::connect(hub.port).await.unwrap();
    let body = instance(999_999 % 60_000);
    let (head, tail) = body.split_at(body.len() / 2);
    let length = body.len();
    let first =
        format!("POST /api/v1/instances HTTP/1.1\r\nhost: hub\r\ncontent-length: {length}\r\n");
    slow.send(&format!("{first}content-type: application/json\r\n\r\n{head}")).await.unwrap();
    // One is connected and says nothing until the server is leaving.
    let mut idle = Wire::connect(hub.port).await.unwrap();
    hub.until("/metrics", LONG, |_, text| {
        let line = "hub_registry_http_requests_total{method=\"POST\",route=\"/api/v1/instances\",status=\"2xx\"} ";
        let text = text.as_str().unwrap();
        let count = text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or("0");
        count.parse::<f64>().unwrap() > 200.0
    })
    .await;

    let asked = Instant::now();
    hub.signal("-TERM").await;
    let ready = idle.ask("GET", "/ready", "").await.unwrap();
    assert!(ready.status == 200 || ready.status == 503, "{ready:?}");
    slow.send(tail).await.unwrap();
    let slow = slow.answer().await.unwrap();
    assert_eq!(slow.status, 201, "{slow:?}");
    let waited = waiting.answer().await.expect("a blocking query is answered");
    assert!(waited.closes() && waited.head.contains("x-registry-index"), "{waited:?}");
    let (mut answers, mut registered) = (0, vec![999_999 % 60_000]);
    for client in clients {
        let seen = client.await.unwrap();
        assert_eq!(seen.failed, [""; 0], "after {} answers", seen.answers);
        answers += seen.answers;
        registered.extend(seen.registered);
    }
    assert_eq!(hub.ended(LONG).await, Some(0), "{}", hub.log());
    println!("{answers} answers, ended {:?} after SIGTERM", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());

    // And every 201 is on disk.
    hub.run().await;
    let (_, listed) = hub.get(WEB).await;
    let hosts: Vec<&str> = listed["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["hostAddress"].as_str().unwrap())
        .collect();
    for number in registered {
        let wanted: Value = serde_json::from_str(&instance(number)).unwrap();
        assert!(hosts.contains(&wanted["hostAddress"].as_str().unwrap()), "{number} is lost");
    }
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_says_so_and_still_answers() {
    let mut hub = Hub::with_environment(&[("REGISTRY__SERVER__HTTP__SHUTDOWNDELAY", "5s")]).await;
    let mut known = Wire::connect(hub.port).await.unwrap();
    let answer = known.ask("GET", "/ready", "").await.unwrap();
    assert!(answer.status == 200 && !answer.closes(), "{answer:?}");
    hub.signal("-TERM").await;
    let left = hub.until("/readyz", LONG, |status, _| status == 503).await;
    assert!(left < Duration::from_secs(4), "{left:?}");
    // Connections that are there, and new ones.
    let mut new = Wire::connect(hub.port).await.unwrap();
    for wire in [&mut known, &mut new] {
        let answer = wire.ask("GET", "/livez", "").await.unwrap();
        assert!(answer.status == 200 && answer.closes(), "{answer:?}");
    }
    assert_eq!(hub.ended(LONG).await, Some(0));
}

/// A request whose body never comes.
async fn hang(hub: &Hub) -> Wire {
    let mut wire = Wire::connect(hub.port).await.unwrap();
    let head = "POST /api/v1/instances HTTP/1.1\r\nhost: hub\r\ncontent-length: 100\r\n";
    wire.send(&format!("{head}content-type: application/json\r\n\r\n{{")).await.unwrap();
    hub.until("/metrics", LONG, |_, text| {
        text.as_str().unwrap().contains("hub_registry_http_requests_in_flight 2\n")
    })
    .await;
    wire
}

#[tokio::test]
async fn who_never_ends_is_waited_for_no_longer_than_said() {
    let mut hub = Hub::with_environment(&[("REGISTRY__SERVER__HTTP__SHUTDOWNTIMEOUT", "1s")]).await;
    let _hanging = hang(&hub).await;
    let asked = Instant::now();
    assert_eq!(hub.terminate().await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert!(hub.log().contains("stopped in_time=false"), "{}", hub.log());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    for (second, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut hub = Hub::start().await;
        let _hanging = hang(&hub).await;
        hub.signal("-TERM").await;
        let end = Instant::now() + LONG;
        while !hub.log().contains("a second signal ends at once") {
            assert!(Instant::now() < end, "{}", hub.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let asked = Instant::now();
        hub.signal(second).await;
        assert_eq!(hub.ended(LONG).await, Some(code));
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert!(hub.log().contains("ended at once"), "{}", hub.log());
    }
}

#[tokio::test]
async fn the_service_manager_knows_how_the_server_fares() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    // The environment of a test server is made of constants.
    let named: &'static str = Box::leak(path.to_str().unwrap().to_owned().into_boxed_str());
    let mut hub = Hub::with_environment(&[
        ("NOTIFY_SOCKET", named),
        ("WATCHDOG_USEC", "500000"),
        ("REGISTRY__SERVER__HTTP__SHUTDOWNDELAY", "0s"),
    ])
    .await;
    let mut told: Vec<String> = Vec::new();
    let listen = |told: &mut Vec<String>| {
        let mut message = [0; 200];
        while let Ok(length) = manager.recv(&mut message) {
            told.push(String::from_utf8_lossy(&message[..length]).into_owned());
        }
    };
    let end = Instant::now() + LONG;
    let signs = |told: &[String]| told.iter().filter(|m| m.as_str() == "WATCHDOG=1").count();
    while signs(&told) < 3 {
        assert!(Instant::now() < end, "{told:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        listen(&mut told);
    }
    assert_eq!(told.iter().filter(|message| message.starts_with("READY=1")).count(), 1, "{told:?}");

    // A process that does not run gives no sign.
    hub.signal("-STOP").await;
    let state = format!("/proc/{}/stat", hub.id());
    while !std::fs::read_to_string(&state).unwrap().contains(") T ") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    listen(&mut told);
    let before = signs(&told);
    tokio::time::sleep(Duration::from_secs(1)).await;
    listen(&mut told);
    assert_eq!(signs(&told), before);
    hub.signal("-CONT").await;
    while signs(&told) == before {
        assert!(Instant::now() < end, "{told:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        listen(&mut told);
    }
    assert_eq!(hub.terminate().await, Some(0));
    listen(&mut told);
    assert!(told.iter().any(|message| message.starts_with("STOPPING=1")), "{told:?}");
}

/// Runs the binary in an empty folder; exit code and what it said on standard error.
async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_registry-server"))
        .args(arguments)
        .current_dir(folder.path())
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LONG, run).await.expect("it ends by itself").unwrap();
    let said = [output.stderr, output.stdout].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn exit_codes_say_what_a_script_can_do() {
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let closed = closed.local_addr().unwrap().port();
    let away = format!("postgres://hub:hunter2@127.0.0.1:{closed}/registry");
    let away = ("REGISTRY_DB_DSN", away.as_str());
    let nobody = closed.to_string();
    let nobody = ("REGISTRY_HTTP_PORT", nobody.as_str());
    let listening = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let busy = listening.local_addr().unwrap().port().to_string();
    let busy = ("REGISTRY_HTTP_PORT", busy.as_str());
    let id = "0123456789abcdef0123456789abcdef";
    for (arguments, variables, code) in [
        (&["--version"][..], &[][..], 0),
        (&["migrate"], &[], 0),
        (&["token", "list"], &[], 0),
        (&["--colour"], &[], 2),
        (&[], &[("REGISTRY_LOG_LEVEL", "loud")], 2),
        (&["--config", "absent.yaml"], &[], 2),
        (&[], &[busy], 1),
        (&["token", "create", "--user", "a", "--role", "king"], &[], 1),
        (&["token", "revoke", id], &[], 3),
        (&["health"], &[nobody], 4),
        (&["migrate"], &[away], 4),
        (&["token", "list"], &[away], 4),
    ] {
        let (ended, said) = run(arguments, variables).await;
        assert_eq!(ended, Some(code), "{arguments:?} {variables:?}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
