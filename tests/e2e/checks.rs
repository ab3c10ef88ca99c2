//! HTTP and TCP checks by the real server, of a service that behaves in every way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::hub::Hub;

const CONFIG: &str = "healthCheck:\n  interval: 600ms\n  timeout: 400ms\n  concurrentChecks: 100\n";
const SOON: Duration = Duration::from_secs(20);

/// A server whose paths are behaviours.
struct Service {
    port: u16,
    /// What was asked, by path.
    asked: Arc<parking_lot::Mutex<BTreeMap<String, String>>>,
    /// How much of an endless body was taken.
    flooded: Arc<AtomicUsize>,
    /// Connections to where a redirect leads.
    elsewhere: Arc<AtomicUsize>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metadata = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            flooded: Arc::default(),
            elsewhere: Arc::default(),
        };
        let location = format!("http://{}/latest/meta-data", metadata.local_addr().unwrap());
        let count = Arc::clone(&service.elsewhere);
        tokio::spawn(async move {
            while metadata.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (asked, flooded) = (Arc::clone(&service.asked), Arc::clone(&service.flooded));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (asked, flooded) = (Arc::clone(&asked), Arc::clone(&flooded));
                tokio::spawn(answer(stream, asked, flooded, location.clone()));
            }
        });
        service
    }
}

async fn answer(
    mut stream: TcpStream,
    asked: Arc<parking_lot::Mutex<BTreeMap<String, String>>>,
    flooded: Arc<AtomicUsize>,
    location: String,
) {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => head.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().insert(path.clone(), head.clone());
    let status = |line: &str| {
        format!("HTTP/1.1 {line}\r\ncontent-length: 6\r\nset-cookie: a=b\r\n\r\nsecret")
    };
    let text = match path.as_str() {
        "/ok" | "/ok?deep=1" => status("200 OK"),
        "/created" => {
            status("204 No Content").replace("content-length: 6\r\n", "").replace("secret", "")
        }
        "/busy" => status("429 Too Many Requests"),
        "/500" => status("500 Oh No"),
        "/404" => status("404 Not Found"),
        "/redirect" => {
            format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            status("200 OK")
        }
        "/never" => return std::future::pending().await,
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx").await.ok();
            return std::future::pending().await;
        }
        "/reset" => return stream.set_zero_linger().unwrap(),
        "/garbage" => "* OK IMAP4rev1 ready\r\n".to_owned(),
        "/head" => format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000)),
        "/flood" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
            let block = [b'x'; 4096];
            let mut sent = 0;
            while stream.write_all(&block).await.is_ok() {
                sent += block.len();
            }
            flooded.fetch_max(sent, Ordering::Relaxed);
            return;
        }
        other => panic!("{other}"),
    };
    stream.write_all(text.as_bytes()).await.ok();
}

async fn register(hub: &Hub, service: &Value, instance: &Value) -> String {
    let (status, body) = hub.post("/api/v1/services", service).await;
    assert_eq!(status, 201, "{body}");
    let mut instance = instance.clone();
    instance["serviceName"] = service["serviceName"].clone();
    let (status, body) = hub.post("/api/v1/instances", &instance).await;
    assert_eq!(status, 201, "{body}");
    format!("/api/v1/instances/{}", body["instanceId"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_behaviour_has_its_state() {
    let (service, mut hub) = (Service::start().await, Hub::with_config(CONFIG).await);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let port = service.port;
    let (healthy, unhealthy) = ("HEALTHY", "UNHEALTHY");
    let redirect = "HTTP 302: redirects are not followed";
    let metadata =
        "not allowed by healthCheck.egress: a cloud's metadata address is not connected to";
    let link_local = "not allowed by healthCheck.egress: a link-local address is not connected to";
    let whole = format!("http://localhost:{port}/ok?deep=1");
    let managed = format!("http://{{host}}:{port}/ok");
    let plain_tls = format!("https://127.0.0.1:{port}/ok");
    // Name, check, URL, host, port, health, outcome, output.
    let cases: Vec<(&str, &str, &str, &str, u16, &str, &str, &str)> = vec![
        ("ok", "HTTP", "/ok", "127.0.0.1", port, healthy, "passed", "HTTP 200"),
        ("created", "HTTP", "/created", "127.0.0.1", port, healthy, "passed", "HTTP 204"),
        ("busy", "HTTP", "/busy", "127.0.0.1", port, healthy, "warning", "HTTP 429"),
        ("s500", "HTTP", "/500", "127.0.0.1", port, unhealthy, "status", "HTTP 500"),
        ("s404", "HTTP", "/404", "127.0.0.1", port, unhealthy, "status", "HTTP 404"),
        ("redirect", "HTTP", "/redirect", "127.0.0.1", port, unhealthy, "status", redirect),
        ("slow", "HTTP", "/slow", "127.0.0.1", port, healthy, "passed", "HTTP 200"),
        (
            "never",
            "HTTP",
            "/never",
            "127.0.0.1",
            port,
            unhealthy,
            "timeout",
            "connected, but no answer in time",
        ),
        ("drip", "HTTP", "/drip", "127.0.0.1", port, healthy, "passed", "HTTP 200"),
        (
            "reset",
            "HTTP",
            "/reset",
            "127.0.0.1",
            port,
            unhealthy,
            "reset",
            "connection closed before the answer",
        ),
        (
            "garbage",
            "HTTP",
            "/garbage",
            "127.0.0.1",
            port,
            unhealthy,
            "protocol",
            "the answer is no HTTP",
        ),
        (
            "head",
            "HTTP",
            "/head",
            "127.0.0.1",
            port,
            unhealthy,
            "protocol",
            "the answer is no HTTP",
        ),
        ("flood", "HTTP", "/flood", "127.0.0.1", port, healthy, "passed", "HTTP 200"),
        ("whole", "HTTP", &whole, "10.255.255.1", 9, healthy, "passed", "HTTP 200"),
        ("managed", "HTTP", &managed, "127.0.0.1", 9, healthy, "passed", "HTTP 200"),
        ("refused", "HTTP", "/ok", "127.0.0.1", closed, unhealthy, "refused", "connection refused"),
        (
            "tls",
            "HTTP",
            &plain_tls,
            "127.0.0.1",
            port,
            unhealthy,
            "tls",
            "TLS failed: no TLS there, or a certificate not trusted",
        ),
        ("tcp", "TCP", "/ok", "localhost", port, healthy, "passed", "connected"),
        (
            "tcp-refused",
            "TCP",
            "/ok",
            "127.0.0.1",
            closed,
            unhealthy,
            "refused",
            "connection refused",
        ),
        (
            "name",
            "TCP",
            "/ok",
            "no-such-name.invalid",
            80,
            unhealthy,
            "name",
            "the host name cannot be resolved",
        ),
        ("metadata", "HTTP", "/", "169.254.169.254", 80, unhealthy, "not_allowed", metadata),
        ("metadata-tcp", "TCP", "/", "0xa9fea9fe", 80, unhealthy, "not_allowed", metadata),
        (
            "metadata-url",
            "HTTP",
            "http://[::ffff:a9fe:a9fe]/",
            "127.0.0.1",
            port,
            unhealthy,
            "not_allowed",
            metadata,
        ),
        (
            "link-local",
            "HTTP",
            "http://2851995649/",
            "127.0.0.1",
            port,
            unhealthy,
            "not_allowed",
            link_local,
        ),
    ];
    let mut paths = BTreeMap::new();
    for (name, check, url, host, port, ..) in &cases {
        let service = json!({ "serviceName": name, "healthCheckUrl": url });
        let instance = json!({ "hostAddress": host, "portNumber": port, "healthCheckType": check });
        paths.insert(*name, register(&hub, &service, &instance).await);
    }
    for (name, .., health, outcome, output) in &cases {
        hub.until(&paths[name], SOON, |_, body| {
            let last = &body["healthCheck"];
            body["healthStatus"] == **health
                && last["outcome"] == **outcome
                && last["output"] == **output
                && body["lastHealthCheckTime"] == last["time"]
        })
        .await;
    }

    // Nothing of an answer is in any answer, redirects lead nowhere, no body is read for ever.
    let flooded = service.flooded.load(Ordering::Relaxed);
    println!("{flooded} bytes of an endless body were sent, socket buffers included");
    assert!((1..8 * 1024 * 1024).contains(&flooded), "{flooded}");
    assert_eq!(service.elsewhere.load(Ordering::Relaxed), 0);
    let (_, explained) = hub.get("/api/v1/services/s500/explain").await;
    let reason = &explained["instances"][0]["healthReason"];
    assert_eq!(reason["reason"], "HTTP: HTTP 500", "{reason}");
    assert_eq!(reason["healthCheck"]["asked"], format!("GET http://127.0.0.1:{port}/500"));
    assert!(!explained.to_string().contains("secret"));
    let asked = service.asked.lock().clone();
    let request = asked["/ok"].to_lowercase();
    assert!(request.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{request}");
    assert!(request.contains("connection: close") && !request.contains("cookie"), "{request}");

    // The numbers add up, and the disk agrees.
    let (_, stats) = hub.get("/api/v1/stats/health").await;
    let checks = &stats["checks"];
    assert!(checks["checks"].as_u64().unwrap() >= cases.len() as u64, "{checks}");
    let rate = checks["successRate"].as_f64().unwrap();
    assert!((0.2..0.8).contains(&rate), "{checks}");
    let (mean, p99) = (checks["meanMs"].as_f64().unwrap(), checks["p99Ms"].as_f64().unwrap());
    assert!(mean > 0.0 && p99 >= 350.0 && p99 < 1000.0, "{checks}");
    assert_eq!(checks["checker"]["instances"], cases.len());
    let counted = "hub_registry_health_checks_total{kind=\"http\",outcome=\"status\"}";
    assert!(hub.metric(counted).await >= 6.0);
    hub.terminate().await;
    let database = hub.dir.path().join("registry.db");
    let pool =
        sqlx::SqlitePool::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
        "SELECT serviceName, healthStatus, CAST(lastHealthCheckTime AS TEXT) \
         FROM HUB_REGISTRY_SERVICE_INSTANCE",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let events: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT serviceName, eventMessage FROM HUB_REGISTRY_SERVICE_EVENT \
         WHERE eventType = 'INSTANCE_HEALTH_CHANGE'",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    pool.close().await;
    for (name, .., health, _, output) in &cases {
        let row = rows.iter().find(|row| row.0 == *name).unwrap();
        assert_eq!(row.1, *health, "{name}");
        assert!(row.2.is_some(), "{name}");
        let told: Vec<_> = events.iter().filter(|event| event.0 == *name).collect();
        assert_eq!(told.len(), 1, "{name}: {told:?}");
        let message = told[0].1.as_ref().unwrap();
        assert!(message.contains(output) && message.contains("in a row"), "{message}");
    }
    hub.run().await;
    let (_, body) = hub.get(&paths["s500"]).await;
    assert_eq!(body["healthStatus"], "UNHEALTHY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_holds_until_the_checks_disagree_and_heartbeats_do_not_count() {
    let (service, hub) = (Service::start().await, Hub::with_config(CONFIG).await);
    let instance = json!({
        "hostAddress": "127.0.0.1", "portNumber": service.port, "healthCheckType": "HTTP",
    });
    let said = json!({ "serviceName": "ok", "healthCheckUrl": "/ok" });
    let path = register(&hub, &said, &instance).await;
    hub.until(&path, SOON, |_, body| body["healthStatus"] == "HEALTHY").await;
    let health = format!("{path}/health");
    let (status, _) = hub.put(&health, &json!({ "healthStatus": "UNHEALTHY" })).await;
    assert_eq!(status, 200);
    let (_, body) = hub.get(&path).await;
    assert_eq!(body["healthStatus"], "UNHEALTHY", "it counts at once");
    assert_eq!(hub.put(&format!("{path}/heartbeat"), &json!({})).await.0, 200);
    let took = hub.until(&path, SOON, |_, body| body["healthStatus"] == "HEALTHY").await;
    // Two checks, between which there is an interval less twice the jitter.
    assert!(took >= Duration::from_millis(400), "after {took:?} already");
    hub.until(&path, SOON, |_, body| body["healthCheck"]["passes"].as_u64() >= Some(2)).await;

    // What is checked, and where, follows the service at once; nothing else is asked any more.
    let (status, body) = hub.put("/api/v1/services/ok", &json!({ "healthCheckUrl": "/500" })).await;
    assert_eq!(status, 200, "{body}");
    hub.until(&path, SOON, |_, body| body["healthStatus"] == "UNHEALTHY").await;
    let (status, body) = hub.put(&health, &json!({ "healthStatus": "HEALTHY" })).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(hub.get(&path).await.1["healthStatus"], "HEALTHY");
    hub.until(&path, SOON, |_, body| body["healthStatus"] == "UNHEALTHY").await;

    for bad in [
        "http://user:secret@127.0.0.1/",
        "http://user@127.0.0.1/",
        "ftp://127.0.0.1/",
        "gopher://x",
        "x",
        "/a b",
        "file:///etc/passwd",
    ] {
        let (status, body) =
            hub.put("/api/v1/services/ok", &json!({ "healthCheckUrl": bad })).await;
        assert_eq!((status.as_u16(), &body["details"]["field"]), (400, &json!("healthCheckUrl")));
    }
    // An answer put back is taken.
    let (_, body) = hub.get(&path).await;
    assert_eq!(hub.put(&path, &body).await.0, 200);
    assert_eq!(hub.send(reqwest::Method::DELETE, &path, None).await.0, 200);
    hub.until("/api/v1/stats/health", SOON, |_, body| body["checks"]["checker"]["instances"] == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_places_are_told_with_the_number_that_is_needed() {
    let service = Service::start().await;
    let hub =
        Hub::with_config("healthCheck:\n  interval: 1s\n  timeout: 900ms\n  concurrentChecks: 2\n")
            .await;
    let said = json!({ "serviceName": "never", "healthCheckUrl": "/never" });
    assert_eq!(hub.post("/api/v1/services", &said).await.0, 201);
    for host in 1..=8 {
        let instance = json!({
            "serviceName": "never", "hostAddress": format!("127.0.0.{host}"),
            "portNumber": service.port, "healthCheckType": "TCP",
        });
        assert_eq!(hub.post("/api/v1/instances", &instance).await.0, 201);
    }
    let instance = |host: u32| {
        json!({
            "serviceName": "never", "hostAddress": "127.0.0.1", "portNumber": service.port,
            "healthCheckType": "HTTP", "metadata": { "n": host.to_string() },
        })
    };
    // The one at the server's own address is asked for a page that never comes; the others refuse.
    assert_eq!(hub.post("/api/v1/instances", &instance(1)).await.0, 200);
    for extra in 0..5 {
        let said = json!({
            "serviceName": format!("never-{extra}"), "healthCheckUrl": "/never",
        });
        assert_eq!(hub.post("/api/v1/services", &said).await.0, 201);
        let instance = json!({
            "serviceName": format!("never-{extra}"), "hostAddress": "127.0.0.1",
            "portNumber": service.port, "healthCheckType": "HTTP",
        });
        assert_eq!(hub.post("/api/v1/instances", &instance).await.0, 201);
    }
    // Six checks of 0.9 s each second: five or six are under way, in four of five places.
    hub.until("/api/v1/stats/health", SOON, |_, body| {
        let checker = &body["checks"]["checker"];
        checker["concurrentChecksNeeded"].as_u64() >= Some(6) && checker["enough"] == false
    })
    .await;
    let line = "healthCheck.concurrentChecks is too small: checks come late";
    assert_eq!(hub.log().matches(line).count(), 1, "{}", hub.log());
    assert!(hub.metric("hub_registry_health_check_places_needed").await >= 6.0);
}
