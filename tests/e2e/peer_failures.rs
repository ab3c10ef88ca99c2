//! What other products were reported to get wrong, each by the report it is from.

use std::collections::BTreeSet;
use std::time::Duration;

use hub_registry_testkit::servers::{Data, ServerKind};
use hub_registry_testkit::stub::consul::StubConsul;
use hub_registry_testkit::stub::eureka::EurekaStub;
use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use hub_registry_testkit::stub::nacos::NacosStub;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::listener::Listener;
use crate::proofs::rounds;
use crate::registries::Writer;
use crate::scenes::{AT_ONCE, PORT, Scene, WEB, all, host, shown};
use crate::usage::{median, quantile};

const INSTANCES: &str = "/api/v1/services/web/instances";

async fn with_stub(stub: &StubConsul) -> Scene {
    let address = stub.address().to_string();
    let writer = Writer::new("CONSUL", format!("http://{address}"));
    Scene::of(ServerKind::Consul, writer, address, json!({})).await
}

/// nacos-sync#295, #224: one that left and came back was never seen again.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_leaves_and_returns_a_hundred_times_is_there_each_time() {
    let Some((scene, _server)) = Scene::with_server(ServerKind::Consul, json!({})).await else {
        return;
    };
    scene.come(WEB, 0..3, PORT).await;
    for _ in 0..100 {
        scene.go(WEB, 2..3, PORT).await;
        scene.follow(WEB, &all(0..2, PORT), AT_ONCE).await;
        scene.come(WEB, 2..3, PORT).await;
    }
    scene.follow(WEB, &all(0..3, PORT), AT_ONCE).await;
}

/// nacos-sync#243: what was connected to a registry was used on after its restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_restarted_again_and_again_is_followed_each_time() {
    let Some((scene, mut server)) = Scene::with_server(ServerKind::Consul, json!({})).await else {
        return;
    };
    scene.come(WEB, 0..5, PORT).await;
    let count = rounds(3, 50);
    let mut longest = Duration::ZERO;
    for round in 1..=count {
        server.restart(Data::Wiped).await.unwrap();
        let start = Instant::now();
        // Its clients return; one more comes each time, which only a new connection can show.
        scene.come(WEB, 0..5, PORT).await;
        scene.come("rounds", round..round + 1, PORT).await;
        longest = longest.max(start.elapsed());
        let (_, body) = scene.hub.get(INSTANCES).await;
        assert_eq!(shown(&body).len(), 5, "{body:#}");
    }
    println!("{count} restarts, followed again within {longest:.1?}");
}

/// higress#4390: all instances were unhealthy, and the old ones were answered for ever.
#[tokio::test(flavor = "multi_thread")]
async fn all_unhealthy_is_told_at_once_and_nobody_is_called_healthy() {
    let Some((scene, server)) = Scene::with_server(ServerKind::Consul, json!({})).await else {
        return;
    };
    scene.come(WEB, 0..12, PORT).await;
    for number in 0..12 {
        let id = format!("service:{WEB}-{}-{PORT}", host(number));
        let url = format!("{}/v1/agent/check/fail/{id}", server.base_url());
        assert!(scene.hub.client.put(url).send().await.unwrap().status().is_success());
    }
    let healthy = format!("{INSTANCES}?health=HEALTHY");
    let took = scene.hub.until(&healthy, AT_ONCE, |_, body| body["count"] == 0).await;
    println!("all unhealthy, seen after {took:.1?}");
    let (status, body) = scene.hub.get(INSTANCES).await;
    assert_eq!((status.as_u16(), &body["count"]), (200, &json!(12)), "{body:#}");
    let all = body["instances"].as_array().unwrap();
    assert!(all.iter().all(|row| row["healthStatus"] == "UNHEALTHY"), "{body:#}");
    assert!(all.iter().all(|row| row["held"] == false), "{body:#}");
}

/// traefik#3944: one 500 ended the watch, and nobody was told.
#[tokio::test(flavor = "multi_thread")]
async fn one_500_does_not_end_the_watch_and_is_counted() {
    let stub = StubConsul::start().await;
    let scene = with_stub(&stub).await;
    scene.come(WEB, 0..3, PORT).await;
    stub.fault(Fault::answer(500, "text/plain", "oops")).await;
    scene.until_state("STALE", Duration::from_secs(8)).await;
    let line = |text: &Value, name: &str, label: &str| -> f64 {
        let of = |line: &&str| line.starts_with(name) && line.contains(label);
        let line = text.as_str().unwrap().lines().find(of);
        line.unwrap_or_else(|| panic!("no {name}")).rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    // The first error is that of the connection that was cut.
    let counted = |_, text: &Value| {
        line(text, "hub_registry_source_errors_total", "code=\"server_error\"") >= 1.0
    };
    scene.hub.until("/metrics", Duration::from_secs(10), counted).await;
    let (_, text) = scene.hub.get("/metrics").await;
    assert!(line(&text, "hub_registry_source_up", "source=\"scene\"") < 0.5, "{text}");
    stub.up().await;
    scene.until_state("LIVE", Duration::from_secs(20)).await;
    scene.come(WEB, 3..4, PORT).await;
}

/// nacos#13261: a connection that is open at one end only was believed for ever. Three registries
/// fall silent; each is noticed within 30 s, and nothing of the dead connections is left.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_are_noticed_within_30_s_and_leave_nothing_behind() {
    let (consul, nacos, eureka) =
        tokio::join!(StubConsul::start(), NacosStub::start(), EurekaStub::start());
    let scene = with_stub(&consul).await;
    let mut statuses = vec![format!("{}/status", scene.config)];
    for (kind, port, specific) in [
        ("NACOS", nacos.port(), json!({ "grpcPortOffset": nacos.grpc_offset() })),
        ("EUREKA", eureka.port(), json!({ "pollInterval": "1s" })),
    ] {
        let body = json!({
            "configName": kind.to_lowercase(), "registryType": kind, "retryInterval": 200,
            "serverAddress": format!("127.0.0.1:{port}"), "specificConfig": specific,
        });
        let (status, answer) = scene.hub.post("/api/v1/external/configs", &body).await;
        assert_eq!(status, 201, "{answer}");
        let id = answer["configId"].as_str().unwrap();
        statuses.push(format!("/api/v1/external/configs/{id}/status"));
    }
    let all_are = async |state: &str, within: u64| {
        for status in &statuses {
            let is = |_, body: &Value| body["state"] == state;
            let took = scene.hub.until(status, Duration::from_secs(within), is).await;
            println!("{state} after {took:.1?}: {status}");
        }
    };
    let open = || {
        let files = std::fs::read_dir(format!("/proc/{}/fd", scene.hub.id()));
        files.map_or(0, Iterator::count)
    };
    all_are("LIVE", 20).await;
    let before = open();
    let start = Instant::now();
    consul.fault(Fault::Hang).await;
    nacos.http_fault(Fault::Hang).await;
    nacos.grpc_fault(Fault::Hang).await;
    eureka.proxy().set(Fault::Hang).await;
    all_are("STALE", 30).await;
    assert!(start.elapsed() < Duration::from_secs(33), "{:?}", start.elapsed());
    // Some more attempts into the dark.
    tokio::time::sleep(Duration::from_secs(5)).await;
    consul.up().await;
    nacos.http_fault(Fault::None).await;
    nacos.grpc_fault(Fault::None).await;
    eureka.up().await;
    all_are("LIVE", 60).await;
    let end = Instant::now() + Duration::from_secs(20);
    while open() > before + 8 {
        assert!(Instant::now() < end, "{before} files were open, {} are", open());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// How long reads, and changes of the quick registry, took.
#[derive(Default)]
struct Times {
    reads: Vec<Duration>,
    changes: Vec<Duration>,
}

/// nacos-sync hung with its source. One registry answers five seconds late; reads and the changes
/// of another are as quick as ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_registry_delays_nobody_else() {
    let (quick, slow) = (StubConsul::start().await, StubConsul::start().await);
    let scene = with_stub(&quick).await;
    let proxy = FaultProxy::start(slow.address()).await;
    let body = json!({
        "configName": "slow", "registryType": "CONSUL", "serverAddress": proxy.address().to_string(),
        "readTimeout": 8000,
    });
    let writer = Writer::new("CONSUL", format!("http://{}", slow.address()));
    writer.register("other", &host(0), PORT, "1").await;
    assert_eq!(scene.hub.post("/api/v1/external/configs", &body).await.0, 201);
    let other = "/api/v1/services/other/instances";
    scene.hub.until(other, Duration::from_secs(20), |_, body| body["count"] == 1).await;
    let mut told = Listener::sse(&scene.hub, "?serviceName=web", None).await;
    let (count, reads) = (10, rounds(1, 50));
    let mut measure = async |first: u32| {
        let mut times = Times::default();
        for number in first..first + count {
            let start = Instant::now();
            scene.writer.register(WEB, &host(number), PORT, "1").await;
            // The first brings its service with it.
            told.events(if number == 0 { 2 } else { 1 }, AT_ONCE).await;
            times.changes.push(start.elapsed());
            for path in [INSTANCES, other].repeat(reads as usize) {
                let start = Instant::now();
                let answer = scene.hub.client.get(scene.hub.url(path)).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answer.bytes().await.unwrap();
                times.reads.push(start.elapsed());
            }
        }
        times
    };
    let (mut ratios, mut next) = ([Vec::new(), Vec::new(), Vec::new()], 0);
    for round in 0..rounds(1, 5) {
        let mut times = [Times::default(), Times::default()];
        for turn in 0..2 {
            let is_slow = (round + turn) % 2;
            let fault = [Fault::None, Fault::Delay(Duration::from_secs(5))];
            proxy.set(fault[is_slow as usize].clone()).await;
            times[is_slow as usize] = measure(next).await;
            next += count;
        }
        let [before, during] = &times;
        let slowest = [during.reads.iter().max().unwrap(), during.changes.iter().max().unwrap()];
        assert!(*slowest[0] < Duration::from_secs(1), "a read waited: {slowest:?}");
        assert!(*slowest[1] < Duration::from_secs(3), "a change waited: {slowest:?}");
        let reads = [before, during].map(|times| quantile(&times.reads, 0.99));
        let half = [before, during].map(|times| quantile(&times.changes, 0.5));
        let most = [before, during].map(|times| quantile(&times.changes, 1.0));
        for (ratios, [before, during]) in ratios.iter_mut().zip([reads, half, most]) {
            ratios.push(during.as_secs_f64() / before.as_secs_f64());
        }
        println!(
            "before, and while one registry is slow: reads p99 {reads:.2?}, changes p50 {half:.2?}, \
             slowest {most:.2?}"
        );
    }
    let [reads, half, slowest] = ratios.map(|all| median(&all));
    println!(
        "median of the ratios: reads p99 {reads:.2}, changes p50 {half:.2}, slowest {slowest:.2}"
    );
    let (_, body) = scene.hub.get(INSTANCES).await;
    let names: BTreeSet<_> = shown(&body).into_keys().collect();
    assert_eq!(names, all(0..next, PORT));
}
