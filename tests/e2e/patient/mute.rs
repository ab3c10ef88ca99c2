//! Clients of Nacos' gRPC that keep their connection open and are not there any more: they are asked,
//! and let go with what they registered, in their time. Who answers stays.

use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::faces::grpc::client::Client;
use crate::hub::Hub;

/// After so long a silence a client is asked, and has so long to answer.
const SILENCE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);
/// Its clock is read in whole milliseconds.
const READ: Duration = Duration::from_millis(10);
/// What it may take besides.
const SLACK: Duration = Duration::from_secs(4);

async fn count(hub: &Hub, service: &str) -> usize {
    let list = hub.url(&format!("/nacos/v1/ns/instance/list?serviceName={service}"));
    let list: Value = hub.client.get(list).send().await.unwrap().json().await.unwrap();
    list["hosts"].as_array().unwrap().len()
}

/// A client whose process stands still as soon as it has registered, with its connection open: on a
/// thread of its own, which does nothing else until it is told to.
fn frozen(port: u16, service: &'static str) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (tell, registered) = mpsc::channel();
    let (thaw, thawed) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut client = Client::start(port).await;
            client.register(service, "10.21.0.3", &json!({})).await;
            client
        });
        tell.send(()).unwrap();
        // Nobody drives the connection meanwhile; the system keeps it open.
        thawed.recv().ok();
        drop(client);
    });
    (registered, thaw)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_is_let_go_with_what_it_has() {
    let hub = Hub::start().await;
    let port = hub.port + 1000;
    let mut well = Client::start(port).await;
    well.register("well", "10.21.0.1", &json!({})).await;
    let (registered, thaw) = frozen(port, "frozen");
    tokio::task::spawn_blocking(move || registered.recv().unwrap()).await.unwrap();
    // It takes what it is told, and answers nothing.
    let mut mute = Client::connect(port, false).await;
    mute.set_up().await;
    let before = Instant::now();
    mute.register("mute", "10.21.0.2", &json!({})).await;
    let started = Instant::now();
    let asked = timeout(SILENCE + SLACK, mute.next()).await.expect("it is never asked");
    let (kind, body) = asked.unwrap();
    assert_eq!(kind, "ClientDetectionRequest", "{body}");
    assert!(before.elapsed() + READ >= SILENCE, "asked after {:?}", started.elapsed());
    // Until its time is over all is as it was; then it is gone, and it alone.
    let (mut mute_left, mut frozen_left) = (None, None);
    let end = started + SILENCE + ANSWER + SLACK;
    while mute_left.is_none() || frozen_left.is_none() {
        assert!(Instant::now() < end, "mute: {mute_left:?}, frozen: {frozen_left:?}");
        for (service, left) in [("mute", &mut mute_left), ("frozen", &mut frozen_left)] {
            if left.is_none() && count(&hub, service).await == 0 {
                *left = Some(before.elapsed());
            }
        }
        assert_eq!(count(&hub, "well").await, 1);
        sleep(Duration::from_millis(50)).await;
    }
    let took = mute_left.unwrap();
    assert!(took + READ >= SILENCE + ANSWER, "{took:?}");
    assert!(mute.is_let_go(Duration::from_secs(5)).await, "its connection is still open");
    let open = "hub_registry_facade_nacos_connections";
    assert!(hub.metric(open).await < 1.5, "{} are open", hub.metric(open).await);
    // Who answers was asked too, and stays.
    let (kind, body) = timeout(SILENCE, well.next()).await.unwrap().unwrap();
    assert_eq!(kind, "ClientDetectionRequest", "{body}");
    let end = Instant::now() + ANSWER + SLACK;
    while Instant::now() < end {
        assert_eq!(count(&hub, "well").await, 1);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(well.ask("HealthCheckRequest", json!({})).await.0, "HealthCheckResponse");
    thaw.send(()).unwrap();
}
