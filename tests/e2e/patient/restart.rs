//! The hub goes and comes back under clients of each protocol: nobody is lost, and nobody is told
//! that somebody was.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use reqwest::{Client as Http, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::faces::grpc::client::Client;
use crate::hub::Hub;
use crate::proofs::rounds;

/// How often each says that it lives, and asks who does.
const EVERY: Duration = Duration::from_secs(1);
/// What is there from the start to the end, by nobody of them: registered here, and with a Consul.
const STABLE: [&str; 2] = ["here", "abroad"];

/// What the clients went through.
#[derive(Default)]
struct Told {
    /// Lists without an instance.
    empty: AtomicUsize,
    lists: AtomicUsize,
    /// How many registered anew, since their connection ended or they were told to.
    again: AtomicUsize,
}

impl Told {
    fn list(&self, instances: usize) {
        self.lists.fetch_add(1, Ordering::Relaxed);
        if instances == 0 {
            self.empty.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn registers(&self) {
        self.again.fetch_add(1, Ordering::Relaxed);
    }
}

async fn eureka(http: Http, base: String, number: usize, told: Arc<Told>) {
    let (host, id) = (format!("10.12.1.{number}"), format!("e{number}"));
    let instance = json!({ "instance": {
        "instanceId": id, "hostName": host, "ipAddr": host, "app": "BY-EUREKA", "vipAddress": "by-eureka",
        "status": "UP", "port": { "$": 80, "@enabled": "true" },
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
        },
        "leaseInfo": { "renewalIntervalInSecs": 1, "durationInSecs": 30 },
    }});
    let mut is_known = false;
    loop {
        if !is_known {
            let post =
                http.post(format!("{base}/eureka/apps/BY-EUREKA")).json(&instance).send().await;
            is_known = post.is_ok_and(|answer| answer.status() == StatusCode::NO_CONTENT);
            told.registers();
        }
        let beat = http.put(format!("{base}/eureka/apps/BY-EUREKA/{id}?status=UP")).send().await;
        if beat.is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND) {
            is_known = false;
        }
        for name in STABLE {
            let get = http.get(format!("{base}/eureka/vips/{name}"));
            if let Ok(answer) = get.header("accept", "application/json").send().await
                && answer.status() == StatusCode::OK
                && let Ok(body) = answer.json::<Value>().await
            {
                told.list(body["applications"]["application"].as_array().map_or(0, Vec::len));
            }
        }
        sleep(EVERY).await;
    }
}

async fn consul(http: Http, base: String, number: usize, told: Arc<Told>) {
    let id = format!("c{number}");
    let service = json!({
        "ID": id, "Name": "by-consul", "Address": format!("10.12.2.{number}"), "Port": 80,
        "Check": { "TTL": "30s", "Status": "passing" },
    });
    let mut is_known = false;
    let mut indexes = STABLE.map(|_| "1".to_owned());
    loop {
        if !is_known {
            let put =
                http.put(format!("{base}/v1/agent/service/register")).json(&service).send().await;
            is_known = put.is_ok_and(|answer| answer.status() == StatusCode::OK);
            told.registers();
        }
        let pass = http.put(format!("{base}/v1/agent/check/pass/service:{id}")).send().await;
        if pass.is_ok_and(|answer| answer.status() == StatusCode::INTERNAL_SERVER_ERROR) {
            is_known = false;
        }
        for (name, index) in STABLE.into_iter().zip(&mut indexes) {
            let url = format!("{base}/v1/health/service/{name}?passing&index={index}&wait=500ms");
            let Ok(answer) = http.get(url).send().await else {
                sleep(EVERY).await;
                continue;
            };
            if answer.status() == StatusCode::OK {
                answer.headers()["x-consul-index"].to_str().unwrap().clone_into(index);
                if let Ok(body) = answer.json::<Value>().await {
                    told.list(body.as_array().map_or(0, Vec::len));
                }
            }
        }
    }
}

async fn nacos(port: u16, number: usize, told: Arc<Told>) {
    loop {
        // A client whose server is away, or goes while it asks, tries again.
        if nacos_connected(port, number, &told).await.is_none() {
            sleep(EVERY).await;
        }
    }
}

/// As long as its connection lasts; `None`: it did not last until it was registered and told of all.
async fn nacos_connected(port: u16, number: usize, told: &Told) -> Option<()> {
    let mut client = Client::try_start(port).await?;
    client.try_register("by-nacos", &format!("10.12.3.{number}"), &json!({})).await?;
    told.registers();
    for name in STABLE {
        told.list(client.try_subscribe(name).await?.as_array().map_or(0, Vec::len));
    }
    while let Some((_, body)) = client.next().await {
        if let Some(hosts) = body["serviceInfo"]["hosts"].as_array() {
            told.list(hosts.len());
        }
    }
    Some(())
}

/// All are there and well; nobody ever is not, when one can ask.
async fn all_are_there(hub: &Hub, count: usize, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        for name in ["by-eureka", "by-consul", "by-nacos"] {
            let (status, body) =
                hub.get(&format!("/api/v1/services/{name}/instances?health=HEALTHY")).await;
            assert_eq!((status.as_u16(), &body["count"]), (200, &json!(count)), "{name}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_clients_of_each_protocol_loses_nobody() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let count = rounds(20, 200) as usize;
    let mut hub = Hub::start().await;
    let [here, abroad] = STABLE;
    let native = json!({
        "serviceName": here, "hostAddress": "10.12.0.1", "portNumber": 80, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let service = json!({ "Name": abroad, "Address": "10.12.0.2", "Port": 80 });
    let put = hub.client.put(format!("{}/v1/agent/service/register", real.base_url()));
    assert!(put.json(&service).send().await.unwrap().status().is_success());
    let config = json!({
        "configName": "real", "registryType": "CONSUL",
        "serverAddress": format!("127.0.0.1:{}", real.http_port()),
    });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let path = format!("/api/v1/services/{abroad}/instances");
    hub.until(&path, Duration::from_secs(30), |_, body| body["count"] == 1).await;
    let told: [Arc<Told>; 3] = Default::default();
    let mut tasks = JoinSet::new();
    for number in 1..=count {
        let (http, base) = (hub.client.clone(), hub.url(""));
        tasks.spawn(eureka(http.clone(), base.clone(), number, Arc::clone(&told[0])));
        tasks.spawn(consul(http, base, number, Arc::clone(&told[1])));
        tasks.spawn(nacos(hub.port + 1000, number, Arc::clone(&told[2])));
    }
    for name in ["by-eureka", "by-consul", "by-nacos"] {
        let path = format!("/api/v1/services/{name}/instances?health=HEALTHY");
        hub.until(&path, Duration::from_secs(30), |_, body| body["count"] == count).await;
    }
    all_are_there(&hub, count, Duration::from_secs(2)).await;
    // A crash, with some time away; then an orderly restart. Longer than any lease afterwards.
    hub.kill().await;
    sleep(Duration::from_secs(3)).await;
    hub.run().await;
    all_are_there(&hub, count, Duration::from_secs(12)).await;
    // It comes back without the Consul, whose instances are as they were last known.
    assert_eq!(hub.terminate().await, Some(0));
    drop(real);
    hub.run().await;
    all_are_there(&hub, count, Duration::from_secs(65)).await;
    for (name, told) in ["eureka", "consul", "nacos"].into_iter().zip(&told) {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let (empty, lists, again) = (of(&told.empty), of(&told.lists), of(&told.again));
        println!("{name}: {count} clients, {lists} lists, {empty} empty, {again} registrations");
        assert!(lists > count, "{name}");
        assert_eq!(empty, 0, "{name}");
    }
    // Those at connections had to come back, and did: some once more, to a hub that was about to stop.
    let again = told[2].again.load(Ordering::Relaxed);
    assert!(again >= 3 * count, "{again}");
}
