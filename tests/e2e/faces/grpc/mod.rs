//! Nacos' gRPC.

use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use self::client::{Client, Payload};
use crate::hub::Hub;

pub(crate) mod client;
mod hostile;
mod scenario;
mod setup;

pub(super) fn port(hub: &Hub) -> u16 {
    hub.port + 1000
}

async fn hosts(hub: &Hub, service: &str) -> Value {
    let list = hub.url(&format!("/nacos/v1/ns/instance/list?serviceName={service}"));
    let list: Value = hub.client.get(list).send().await.unwrap().json().await.unwrap();
    list["hosts"].clone()
}

async fn until(hub: &Hub, service: &str, within: Duration, expected: impl Fn(&[Value]) -> bool) {
    let end = Instant::now() + within;
    loop {
        let found = hosts(hub, service).await;
        if expected(found.as_array().unwrap()) {
            return;
        }
        assert!(Instant::now() < end, "{service}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_connection_is_that_at_a_real_nacos() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let real = servers::start(ServerKind::Nacos, ServerOptions::default()).await.unwrap();
    let hub = Hub::start().await;
    let steps = scenario::steps("tests/scenarios/nacos/grpc.yaml");
    let wrong = scenario::run(&steps, port(&hub), true).await;
    assert!(wrong.is_empty(), "the hub:\n{}", wrong.join("\n"));
    let wrong = scenario::run(&steps, real.http_port() + 1000, false).await;
    assert!(wrong.is_empty(), "the real server:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_connection_has_leaves_with_it_and_nothing_else() {
    let hub = Hub::start().await;
    let mut old = Client::start(port(&hub)).await;
    let mut new = Client::start(port(&hub)).await;
    old.register("moved", "10.8.0.1", &json!({})).await;
    // It lost its connection, has another, and the server does not know of the loss yet.
    new.register("moved", "10.8.0.1", &json!({ "metadata": { "by": "new" } })).await;
    old.register("alone", "10.8.0.2", &json!({})).await;
    let mut watcher = Client::start(port(&hub)).await;
    assert_eq!(watcher.subscribe("alone").await.as_array().unwrap().len(), 1);
    drop(old);
    let gone = watcher.pushed(|_, body| body["serviceInfo"]["hosts"] == json!([])).await;
    assert!(gone.is_ok(), "{gone:?}");
    let left = hosts(&hub, "moved").await;
    assert_eq!(left[0]["metadata"], json!({ "by": "new" }), "{left}");
    // Whose it is can be read.
    let (_, answer) = hub.get("/api/v1/services/moved/instances").await;
    let path =
        format!("/api/v1/instances/{}", answer["instances"][0]["instanceId"].as_str().unwrap());
    let (_, answer) = hub.get(&path).await;
    let client = answer["clientId"].as_str().unwrap_or_default().to_owned();
    let id = new.ask("ServerCheckRequest", json!({})).await.1["connectionId"].clone();
    assert_eq!(json!(client), id, "{answer}");
    drop(new);
    until(&hub, "moved", Duration::from_secs(5), <[Value]>::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_hub_loses_nobody() {
    let mut hub = Hub::start().await;
    let mut client = Client::start(port(&hub)).await;
    client.register("kept", "10.8.1.1", &json!({})).await;
    hub.kill().await;
    assert!(client.is_let_go(Duration::from_secs(5)).await);
    hub.run().await;
    // It is there before its client is back, and when it is back nothing has changed.
    assert_eq!(hosts(&hub, "kept").await[0]["healthy"], true);
    let mut again = Client::start(port(&hub)).await;
    let mut watcher = Client::start(port(&hub)).await;
    watcher.subscribe("kept").await;
    assert_eq!(watcher.hosts("kept").await, ["10.8.1.1"]);
    again.register("kept", "10.8.1.1", &json!({})).await;
    // A restart in order lets nobody go either.
    assert_eq!(hub.terminate().await, Some(0));
    assert!(again.is_let_go(Duration::from_secs(5)).await);
    hub.run().await;
    assert_eq!(hosts(&hub, "kept").await.as_array().unwrap().len(), 1);
}

/// SIGSTOP, and SIGCONT when its clients gave it up.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_stood_still_takes_nobody_for_gone() {
    let hub = Hub::start().await;
    let mut client = Client::start(port(&hub)).await;
    client.register("firm", "10.8.11.1", &json!({})).await;
    hub.signal("-STOP").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    drop(client);
    hub.signal("-CONT").await;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        let hosts = hosts(&hub, "firm").await;
        assert_eq!(hosts.as_array().unwrap().len(), 1, "{}", hub.log_end());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(hub.log().contains("the process was paused: clients of Nacos"), "{}", hub.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_is_told_again_and_the_newest_only() {
    let hub = Hub::start().await;
    let mut deaf = Client::connect(port(&hub), false).await;
    deaf.set_up().await;
    deaf.subscribe("busy").await;
    assert!(deaf.hosts("busy").await.is_empty());
    let mut writer = Client::start(port(&hub)).await;
    for weight in 1..=5 {
        writer.register("busy", "10.8.2.1", &json!({ "weight": weight })).await;
    }
    // Until the first is acknowledged nothing else comes but, after five seconds, the newest.
    assert!(deaf.is_told_nothing(Duration::from_secs(2)).await);
    let again = deaf.pushed(|_, _| true).await.unwrap();
    assert_eq!(again["serviceInfo"]["hosts"][0]["weight"], 5.0, "{again}");
    deaf.say(
        "NotifySubscriberResponse",
        &json!({ "resultCode": 200, "requestId": again["requestId"] }),
    );
    assert!(deaf.is_told_nothing(Duration::from_secs(1)).await);
    writer.register("busy", "10.8.2.1", &json!({ "weight": 6 })).await;
    let next = deaf.pushed(|_, _| true).await.unwrap();
    assert_eq!(next["serviceInfo"]["hosts"][0]["weight"], 6.0, "{next}");
    let time = |body: &Value| body["serviceInfo"]["lastRefTime"].as_i64().unwrap();
    assert!(time(&next) > time(&again));
    let metrics = hub.client.get(hub.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("hub_registry_facade_nacos_pushes_total{outcome=\"repeated\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("hub_registry_facade_nacos_connections 2"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_pushed_wherever_it_comes_from() {
    let hub = Hub::start().await;
    let mut watcher = Client::start(port(&hub)).await;
    watcher.subscribe("mixed").await;
    assert!(watcher.hosts("mixed").await.is_empty());
    let native = json!({ "serviceName": "mixed", "hostAddress": "10.8.3.1", "portNumber": 80 });
    let (_, made) = hub.post("/api/v1/instances", &native).await;
    assert_eq!(watcher.hosts("mixed").await, ["10.8.3.1"]);
    let consul = json!({ "ID": "m", "Name": "mixed", "Address": "10.8.3.2", "Port": 81 });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&consul);
    assert_eq!(put.send().await.unwrap().status(), 200);
    assert_eq!(watcher.hosts("mixed").await, ["10.8.3.1", "10.8.3.2"]);
    let path = format!("/api/v1/instances/{}", made["instanceId"].as_str().unwrap());
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200);
    assert_eq!(watcher.hosts("mixed").await, ["10.8.3.2"]);
    // What stays without a connection, and is removed by whoever wants to.
    let persistent = |what: &str| {
        json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "mixed", "type": what,
            "instance": { "ip": "10.8.3.3", "port": 82, "ephemeral": false, "healthy": true },
        })
    };
    let mut writer = Client::start(port(&hub)).await;
    let (kind, _) = writer.ask("PersistentInstanceRequest", persistent("registerInstance")).await;
    assert_eq!(kind, "InstanceResponse");
    drop(writer);
    assert_eq!(watcher.hosts("mixed").await, ["10.8.3.2", "10.8.3.3"]);
    assert!(watcher.is_told_nothing(Duration::from_millis(500)).await);
    watcher.ask("PersistentInstanceRequest", persistent("deregisterInstance")).await;
    assert_eq!(watcher.hosts("mixed").await, ["10.8.3.2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_was_never_heard_is_no_empty_list() {
    let hub = Hub::start().await;
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let (_, made) = hub.post("/api/v1/external/configs", &config).await;
    let mut client = Client::start(port(&hub)).await;
    let body = json!({
        "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "unknown", "subscribe": true,
    });
    for kind in ["SubscribeServiceRequest", "ServiceQueryRequest", "ServiceListRequest"] {
        let (kind, answer) = client.ask(kind, body.clone()).await;
        assert_eq!((&*kind, &answer["resultCode"]), ("ErrorResponse", &json!(500)));
        assert!(answer["message"].as_str().unwrap().contains("deaf"), "{answer}");
    }
    assert!(client.is_told_nothing(Duration::from_secs(3)).await);
    // When all is known, it is told.
    let path = format!("/api/v1/external/configs/{}", made["configId"].as_str().unwrap());
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200);
    assert!(client.hosts("unknown").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_and_what_hangs_on_them_ends_with_them() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let writer = hub.command(&["token", "create", "--user", "it", "--role", "writer"]).await;
    let reader = hub.command(&["token", "create", "--user", "other", "--role", "reader"]).await;
    let mut client = Client::start(port(&hub)).await;
    let body = |kind: &str| {
        json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "safe", "type": kind,
            "instance": { "ip": "10.8.4.1", "port": 80 }, "subscribe": true,
        })
    };
    for (token, answered) in [(None, 403), (Some("wrong".to_owned()), 403), (Some(reader), 403)] {
        client.token = token;
        let (kind, answer) = client.ask("InstanceRequest", body("registerInstance")).await;
        assert_eq!(
            (&*kind, &answer["errorCode"]),
            ("InstanceResponse", &json!(answered)),
            "{answer}"
        );
    }
    let (kind, _) = client.ask("SubscribeServiceRequest", body("")).await;
    assert_eq!(kind, "SubscribeServiceResponse");
    client.token = Some(writer.clone());
    let (_, answer) = client.ask("InstanceRequest", body("registerInstance")).await;
    assert_eq!(answer["resultCode"], 200, "{answer}");
    let foreign =
        json!({ "namespace": "other", "groupName": "DEFAULT_GROUP", "serviceName": "safe" });
    let (_, answer) = client.ask("ServiceQueryRequest", foreign).await;
    assert_eq!(answer["errorCode"], 403, "{answer}");
    let listed = hub.command(&["token", "list"]).await;
    let line = listed.lines().find(|line| line.contains(" it ")).unwrap_or_default().to_owned();
    let id = line.split_whitespace().next().unwrap().to_owned();
    hub.command(&["token", "revoke", &id]).await;
    assert!(client.is_let_go(Duration::from_secs(30)).await, "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer_and_changes_nothing() {
    let hub = Hub::start().await;
    let mut client = Client::start(port(&hub)).await;
    let of = |service: &str, instance: Value| {
        json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service,
            "type": "registerInstance", "instance": instance,
        })
    };
    let long = "x".repeat(2000);
    for (body, part) in [
        (of("bad", json!({ "ip": "10.0.0.1", "port": 0 })), "port"),
        (of("bad", json!({ "ip": "10.0.0.1", "port": 65_536 })), "port"),
        (of("bad", json!({ "ip": "10.0.0.1" })), "port"),
        (of("bad", json!({ "port": 80 })), "ip"),
        (of("bad", json!({ "ip": "a b", "port": 80 })), "ip"),
        (of("bad", json!({ "ip": "10.0.0.1", "port": 80, "weight": -1 })), "weight"),
        (of("bad", json!({ "ip": "10.0.0.1", "port": 80, "weight": 10_001 })), "weight"),
        (
            of(
                "bad",
                json!({ "ip": "10.0.0.1", "port": 80, "metadata": { "x".repeat(70_000): "x" } }),
            ),
            "metadata",
        ),
        (of("bad", json!({ "ip": "10.0.0.1", "port": 80, "metadata": [] })), "JSON"),
        (of("bad", json!("text")), "JSON"),
        (of("bad", Value::Null), "instance"),
        (of("", json!({ "ip": "10.0.0.1", "port": 80 })), "serviceName"),
        (of("a b", json!({ "ip": "10.0.0.1", "port": 80 })), "serviceName"),
        (of(&long, json!({ "ip": "10.0.0.1", "port": 80 })), "serviceName"),
        (of("@@x", json!({ "ip": "10.0.0.1", "port": 80 })), "roup"),
    ] {
        let (kind, answer) = client.ask("InstanceRequest", body).await;
        assert_eq!((&*kind, &answer["errorCode"]), ("ErrorResponse", &json!(400)), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains(part), "{part}: {answer}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in
        [deep.into_bytes(), b"{".to_vec(), b"\xff\xfe".to_vec(), b"null".to_vec(), Vec::new()]
    {
        let (_, answer) = client.send(Payload::new("InstanceRequest", body)).await.unwrap();
        assert_eq!(answer["resultCode"], 500, "{answer}");
    }
    // Nothing at all, and more than anybody needs.
    let (kind, answer) = client.send(Payload::default()).await.unwrap();
    assert_eq!((&*kind, &answer["errorCode"]), ("ErrorResponse", &json!(302)));
    let huge = client.send(Payload::new("InstanceRequest", vec![b' '; 11 << 20])).await;
    assert!(huge.is_err(), "{huge:?}");
    // The connection lives on.
    assert_eq!(client.ask("HealthCheckRequest", json!({})).await.0, "HealthCheckResponse");
    assert_eq!(hosts(&hub, "bad").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_registers_an_address_last_has_the_say_until_they_go() {
    let hub = Hub::start().await;
    let mut first = Client::start(port(&hub)).await;
    let mut second = Client::start(port(&hub)).await;
    let mut watcher = Client::start(port(&hub)).await;
    let by = |who: &str| json!({ "metadata": { "by": who } });
    first.register("shared", "10.8.5.1", &by("first")).await;
    watcher.subscribe("shared").await;
    assert_eq!(watcher.hosts("shared").await, ["10.8.5.1"]);
    second.register("shared", "10.8.5.1", &by("second")).await;
    drop(second);
    // It is the first one's again, and was there all the time.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|by| *by != json!("first")) || seen.len() < 2 {
        let pushed = watcher.pushed(|_, _| true).await.unwrap();
        let hosts = pushed["serviceInfo"]["hosts"].as_array().unwrap();
        assert_eq!(hosts.len(), 1, "{pushed}");
        seen.push(hosts[0]["metadata"]["by"].clone());
    }
    assert_eq!(hosts(&hub, "shared").await[0]["metadata"], json!({ "by": "first" }));
    // What others register at its address stays when it goes.
    let [consul, eureka, rest] = ["by-consul", "by-eureka", "by-rest"];
    for (number, name) in [consul, eureka, rest].into_iter().enumerate() {
        first.register(name, &format!("10.8.6.{number}"), &json!({})).await;
    }
    let service = json!({ "ID": "x", "Name": consul, "Address": "10.8.6.0", "Port": 8080 });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&service).send().await;
    assert_eq!(put.unwrap().status(), 200);
    let instance = json!({ "instance": {
        "instanceId": "x", "hostName": "x", "ipAddr": "10.8.6.1", "app": "BY-EUREKA",
        "vipAddress": eureka, "status": "UP", "port": { "$": 8080, "@enabled": "true" },
        "dataCenterInfo": {
            "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
        },
    }});
    let post = hub.client.post(hub.url("/eureka/apps/BY-EUREKA")).json(&instance).send().await;
    assert_eq!(post.unwrap().status(), 204);
    let body = json!({ "serviceName": rest, "hostAddress": "10.8.6.2", "portNumber": 8080 });
    assert!(hub.post("/api/v1/instances", &body).await.0.is_success());
    first.register("own", "10.8.6.9", &json!({})).await;
    drop(first);
    until(&hub, "own", Duration::from_secs(5), <[Value]>::is_empty).await;
    for name in [consul, eureka, rest] {
        assert_eq!(hosts(&hub, name).await.as_array().unwrap().len(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_there_as_long_as_its_connection_whoever_removes_it() {
    let hub = Hub::start().await;
    let mut client = Client::start(port(&hub)).await;
    client.register("firm", "10.8.7.1", &json!({ "metadata": { "k": "v" } })).await;
    // By Nacos' HTTP it is not for others to remove.
    let path = "/nacos/v1/ns/instance?serviceName=firm&ip=10.8.7.1&port=8080";
    assert_eq!(hub.client.delete(hub.url(path)).send().await.unwrap().status(), 200);
    assert_eq!(hosts(&hub, "firm").await.as_array().unwrap().len(), 1);
    // Who may do everything may; its client does not know, and is connected.
    let (_, answer) = hub.get("/api/v1/services/firm/instances").await;
    let id = answer["instances"][0]["instanceId"].as_str().unwrap();
    let gone = hub.send(Method::DELETE, &format!("/api/v1/instances/{id}"), None).await.0;
    assert!(gone.is_success());
    assert_eq!(hosts(&hub, "firm").await, json!([]));
    until(&hub, "firm", Duration::from_secs(15), |hosts| {
        hosts.len() == 1 && hosts[0]["metadata"] == json!({ "k": "v" })
    })
    .await;
    assert!(hub.log().contains("it is registered again"), "{}", hub.log_end());
    // A batch that says no list is no empty list.
    let body = json!({
        "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "firm",
        "type": "batchRegisterInstance",
    });
    let (_, answer) = client.ask("BatchInstanceRequest", body.clone()).await;
    assert_eq!(answer["errorCode"], 400, "{answer}");
    assert_eq!(hosts(&hub, "firm").await.as_array().unwrap().len(), 1);
    let mut empty = body;
    empty["instances"] = json!([]);
    let (_, answer) = client.ask("BatchInstanceRequest", empty).await;
    assert_eq!(answer["resultCode"], 200, "{answer}");
    assert_eq!(hosts(&hub, "firm").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_a_group_finds_nobody_and_hides_nobody() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let token = async |user: &str, groups: &[&str]| {
        let mut arguments = vec!["token", "create", "--user", user, "--role", "writer"];
        for group in groups {
            arguments.extend(["--group", group]);
        }
        hub.command(&arguments).await
    };
    let (all, other) = (token("all", &[]).await, token("other", &["open"]).await);
    let mut owner = Client::start(port(&hub)).await;
    owner.token = Some(all.clone());
    let body = |group: &str, kind: &str| {
        json!({
            "namespace": "public", "groupName": group, "serviceName": "x", "type": kind,
            "instance": { "ip": "10.8.8.1", "port": 80 }, "subscribe": true,
        })
    };
    for group in ["secret", "open", "gone"] {
        let (_, answer) = owner.ask("InstanceRequest", body(group, "registerInstance")).await;
        assert_eq!(answer["resultCode"], 200, "{answer}");
    }
    // A group of the name left after the secret one changed last.
    owner.ask("InstanceRequest", body("gone", "deregisterInstance")).await;
    let remove = hub.client.delete(hub.url("/api/v1/services/x?groupName=gone")).bearer_auth(&all);
    assert!(remove.send().await.unwrap().status().is_success());
    let mut stranger = Client::start(port(&hub)).await;
    stranger.token = Some(other);
    for _ in 0..2 {
        for kind in ["ServiceQueryRequest", "SubscribeServiceRequest"] {
            let (_, answer) = owner.ask(kind, body("secret", "")).await;
            assert_eq!(answer["serviceInfo"]["hosts"][0]["ip"], "10.8.8.1", "{answer}");
            let (_, answer) = stranger.ask(kind, body("secret", "")).await;
            assert_eq!(answer["serviceInfo"]["hosts"], json!([]), "{answer}");
            let (_, answer) = stranger.ask(kind, body("open", "")).await;
            assert_eq!(answer["serviceInfo"]["hosts"][0]["ip"], "10.8.8.1", "{answer}");
        }
    }
    let leaks = |_: &str, body: &Value| {
        body["groupName"] == "secret" && body["serviceInfo"]["hosts"] != json!([])
    };
    let told = tokio::time::timeout(Duration::from_secs(1), stranger.pushed(leaks)).await;
    assert!(told.is_err(), "{told:?}");
    // Nor may it register there.
    let (_, answer) = stranger.ask("InstanceRequest", body("secret", "registerInstance")).await;
    assert_ne!(answer["resultCode"], 200, "{answer}");
}

/// How long the hub was busy, in hundredths of a second.
fn busy(hub: &Hub) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", hub.id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_any_more_is_waited_for_and_not_asked_about_all_the_time() {
    let hub = Hub::start().await;
    let body = json!({ "serviceName": "known", "hostAddress": "10.8.9.1", "portNumber": 80 });
    let (_, made) = hub.post("/api/v1/instances", &body).await;
    let mut watcher = Client::start(port(&hub)).await;
    watcher.subscribe("known").await;
    assert_eq!(watcher.hosts("known").await, ["10.8.9.1"]);
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let (_, config) = hub.post("/api/v1/external/configs", &config).await;
    let path = format!("/api/v1/instances/{}", made["instanceId"].as_str().unwrap());
    assert!(hub.send(Method::DELETE, &path, None).await.0.is_success());
    let before = busy(&hub);
    assert!(watcher.is_told_nothing(Duration::from_secs(3)).await);
    let took = busy(&hub) - before;
    assert!(took < 100, "{took} hundredths of a second for three of waiting");
    let path = format!("/api/v1/external/configs/{}", config["configId"].as_str().unwrap());
    assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200);
    assert!(watcher.hosts("known").await.is_empty());
    // Subscribing again and again leaves one wait, and the last word leaves none.
    for _ in 0..1000 {
        watcher.subscribe("known").await;
    }
    let waiting = "hub_registry_view_waited_services";
    let end = Instant::now() + Duration::from_secs(10);
    while hub.metric(waiting).await > 1.5 {
        assert!(Instant::now() < end, "{}", hub.metric(waiting).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let body = json!({
        "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "known", "subscribe": false,
    });
    watcher.ask("SubscribeServiceRequest", body).await;
    while hub.metric(waiting).await > 0.5 {
        assert!(Instant::now() < end, "{}", hub.metric(waiting).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
