//! HTTP and TCP checks by the real server, of a service that behaves in every way.

mod brought;
mod forbidden;
mod many;
mod service;
mod tls;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::hub::Hub;
use service::Service;

const CONFIG: &str = "healthCheck:\n  interval: 600ms\n  timeout: 400ms\n  concurrentChecks: 100\n";
const SOON: Duration = Duration::from_secs(20);

/// An instance, and what is to be found of it.
struct Case {
    name: &'static str,
    check: &'static str,
    at: (&'static str, u16),
    url: String,
    health: &'static str,
    outcome: &'static str,
    output: &'static str,
}

impl Case {
    fn new(
        name: &'static str,
        check: &'static str,
        at: (&'static str, u16),
        health: &'static str,
        outcome: &'static str,
        output: &'static str,
    ) -> Self {
        Self { name, check, at, url: "/ok".to_owned(), health, outcome, output }
    }
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
    let here = ("127.0.0.1", port);
    let page = |name, url: &str, health, outcome, output| Case {
        url: url.to_owned(),
        ..Case::new(name, "HTTP", here, health, outcome, output)
    };
    let well = |name, url: &str| page(name, url, "HEALTHY", "passed", "HTTP 200");
    let ill = |name, url: &str, outcome, output| page(name, url, "UNHEALTHY", outcome, output);
    let not_followed = "HTTP 302: redirects are not followed";
    let tls = "TLS failed: no TLS there, or a certificate not trusted";
    let metadata =
        "not allowed by healthCheck.egress: a cloud's metadata address is not connected to";
    let link_local = "not allowed by healthCheck.egress: a link-local address is not connected to";
    let not_there = ("10.255.255.1", 9);
    let cases = [
        well("ok", "/ok"),
        page("created", "/created", "HEALTHY", "passed", "HTTP 204"),
        page("busy", "/busy", "HEALTHY", "warning", "HTTP 429"),
        ill("s500", "/500", "status", "HTTP 500"),
        ill("s404", "/404", "status", "HTTP 404"),
        ill("redirect", "/redirect", "status", not_followed),
        ill("redirect-metadata", "/redirect-metadata", "status", not_followed),
        well("slow", "/slow"),
        ill("never", "/never", "timeout", "connected, but no answer in time"),
        well("drip", "/drip"),
        ill("reset", "/reset", "reset", "connection closed before the answer"),
        ill("garbage", "/garbage", "protocol", "the answer is no HTTP"),
        ill("head", "/head", "protocol", "the answer is no HTTP"),
        well("flood", "/flood"),
        Case { at: not_there, ..well("whole", &format!("http://localhost:{port}/ok?deep=1")) },
        Case { at: ("127.0.0.1", 9), ..well("managed", &format!("http://{{host}}:{port}/ok")) },
        Case {
            at: ("127.0.0.1", closed),
            ..ill("refused", "/ok", "refused", "connection refused")
        },
        ill("tls", &format!("https://127.0.0.1:{port}/ok"), "tls", tls),
        Case::new("tcp", "TCP", ("localhost", port), "HEALTHY", "passed", "connected"),
        Case::new(
            "tcp-refused",
            "TCP",
            ("127.0.0.1", closed),
            "UNHEALTHY",
            "refused",
            "connection refused",
        ),
        Case::new(
            "name",
            "TCP",
            ("no-such-name.invalid", 80),
            "UNHEALTHY",
            "name",
            "the host name cannot be resolved",
        ),
        Case { at: ("169.254.169.254", 80), ..ill("metadata", "/", "not_allowed", metadata) },
        Case::new("metadata-tcp", "TCP", ("0xa9fea9fe", 80), "UNHEALTHY", "not_allowed", metadata),
        ill("metadata-url", "http://[::ffff:a9fe:a9fe]/", "not_allowed", metadata),
        ill("link-local", "http://2851995649/", "not_allowed", link_local),
    ];
    let mut paths = BTreeMap::new();
    for case in &cases {
        let service = json!({ "serviceName": case.name, "healthCheckUrl": case.url });
        let (host, port) = case.at;
        let instance =
            json!({ "hostAddress": host, "portNumber": port, "healthCheckType": case.check });
        paths.insert(case.name, register(&hub, &service, &instance).await);
    }
    for case in &cases {
        hub.until(&paths[case.name], SOON, |_, body| {
            let last = &body["healthCheck"];
            body["healthStatus"] == case.health
                && last["outcome"] == case.outcome
                && last["output"] == case.output
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
    hub.until("/api/v1/stats/health", SOON, |_, body| {
        body["checks"]["checker"]["instances"] == cases.len()
    })
    .await;
    let (_, stats) = hub.get("/api/v1/stats/health").await;
    let checks = &stats["checks"];
    assert!(checks["checks"].as_u64().unwrap() >= cases.len() as u64, "{checks}");
    let rate = checks["successRate"].as_f64().unwrap();
    assert!((0.2..0.8).contains(&rate), "{checks}");
    let (mean, p99) = (checks["meanMs"].as_f64().unwrap(), checks["p99Ms"].as_f64().unwrap());
    assert!(mean > 0.0 && (350.0..1000.0).contains(&p99), "{checks}");
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
    for Case { name, health, output, .. } in &cases {
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
    // A service that nobody made by hand has what its group says; the rest is the configuration's.
    let group = json!({
        "groupName": "g", "defaultHealthCheckUrl": "/created", "defaultHealthCheckIntervalSeconds": 1,
    });
    assert_eq!(hub.post("/api/v1/groups", &group).await.0, 201);
    let mut of_group = instance.clone();
    (of_group["groupName"], of_group["serviceName"]) = (json!("g"), json!("of-group"));
    let (_, body) = hub.post("/api/v1/instances", &of_group).await;
    let other = format!("/api/v1/instances/{}", body["instanceId"].as_str().unwrap());
    hub.until(&other, SOON, |_, body| {
        let last = &body["healthCheck"];
        let times = (&last["intervalMs"], &last["timeoutMs"]);
        body["healthStatus"] == "HEALTHY"
            && last["output"] == "HTTP 204"
            && times == (&json!(1000), &json!(400))
    })
    .await;
    assert_eq!(hub.send(reqwest::Method::DELETE, &other, None).await.0, 200);
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
    // The log is written beside.
    let line = "healthCheck.concurrentChecks is too small: checks come late";
    hub.until("/health", SOON, |_, _| hub.log().contains(line)).await;
    assert_eq!(hub.log().matches(line).count(), 1, "{}", hub.log());
    assert!(hub.metric("hub_registry_health_check_places_needed").await >= 6.0);
}
