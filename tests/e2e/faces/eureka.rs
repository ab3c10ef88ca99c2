//! The protocol of Eureka.

use std::time::Duration;

use hub_registry_testkit::servers::{self, EurekaOptions, ServerKind, ServerOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::scenario::{self, Side};
use crate::hub::Hub;

const LIFE: &str = "tests/scenarios/eureka/life.yaml";
const ODD: &str = "tests/scenarios/eureka/odd.yaml";

/// An instance as a client of Eureka sends it.
fn instance(app: &str, number: u16) -> Value {
    json!({ "instance": {
        "instanceId": format!("{app}-{number}"), "hostName": format!("10.4.0.{number}"),
        "ipAddr": format!("10.4.0.{number}"), "app": app.to_uppercase(), "status": "UP",
        "port": { "$": 80, "@enabled": "true" }, "vipAddress": app,
        "dataCenterInfo": { "name": "MyOwn" }, "leaseInfo": { "durationInSecs": 3600 },
        "lastDirtyTimestamp": "1700000000000",
    } })
}

async fn register(hub: &Hub, base: &str, app: &str, number: u16) -> StatusCode {
    let url = hub.url(&format!("{base}/apps/{}", app.to_uppercase()));
    hub.client.post(url).json(&instance(app, number)).send().await.unwrap().status()
}

/// A GET, in JSON.
async fn read(hub: &Hub, path: &str) -> (StatusCode, Value) {
    let request = hub.client.get(hub.url(path)).header("accept", "application/json");
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

async fn send(hub: &Hub, method: Method, path: &str) -> StatusCode {
    hub.client.request(method, hub.url(path)).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_an_instance_is_that_at_a_real_eureka() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let real = servers::start(ServerKind::Eureka, options).await.unwrap();
    let hub = Hub::start().await;
    let steps = scenario::steps(LIFE);
    // Each its own tenant, since a delta tells for three minutes of what left it.
    for base in ["/eureka", "/eureka/t/a", "/eureka/t/b/v2"] {
        let wrong = scenario::run(&steps, &hub.url(base), Side::Hub).await;
        assert!(wrong.is_empty(), "the hub at {base}:\n{}", wrong.join("\n"));
    }
    let wrong = scenario::run(&steps, &real.base_url(), Side::Real).await;
    assert!(wrong.is_empty(), "the real server:\n{}", wrong.join("\n"));
    let odd = scenario::steps(ODD);
    for (base, side) in [(hub.url("/eureka"), Side::Hub), (real.base_url(), Side::Real)] {
        let wrong = scenario::run(&odd, &base, side).await;
        assert!(wrong.is_empty(), "{base}:\n{}", wrong.join("\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_face_writes_the_others_read() {
    let hub = Hub::start().await;
    assert_eq!(register(&hub, "/eureka", "Orders", 1).await, 204);
    let (status, answer) = hub.get("/api/v1/services/Orders/instances").await;
    let row = &answer["instances"][0];
    assert_eq!((status.as_u16(), &row["hostAddress"]), (200, &json!("10.4.0.1")), "{answer}");
    assert_eq!((&row["instanceStatus"], &row["healthStatus"]), (&json!("UP"), &json!("HEALTHY")));
    // What has no place in a row is nobody's business there.
    assert!(!answer.to_string().contains("Orders-1"), "{answer}");
    // One that another client registered is in the same application.
    let native = json!({
        "serviceName": "Orders", "hostAddress": "10.4.0.2", "portNumber": 81, "contextPath": "/api",
        "metadata": { "zone": "z9", "fed-tags": "x" }, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    let (_, app) = read(&hub, "/eureka/apps/ORDERS").await;
    let all = app["application"]["instance"].as_array().unwrap();
    assert_eq!(all.len(), 2, "{app}");
    assert_eq!(all[1]["instanceId"], "10.4.0.2:Orders:81");
    assert_eq!(all[1]["homePageUrl"], "http://10.4.0.2:81/api/");
    assert_eq!(all[1]["metadata"], json!({ "zone": "z9" }), "what hubs carry is not shown");
    assert_eq!(all[1]["vipAddress"], "Orders");
    // Of another group it has a name of its own.
    let grouped = json!({
        "groupName": "team", "serviceName": "Orders", "hostAddress": "10.4.0.3", "portNumber": 82,
        "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/groups", &json!({ "groupName": "team" })).await.0, 201);
    assert_eq!(hub.post("/api/v1/instances", &grouped).await.0, 201);
    let (_, app) = read(&hub, "/eureka/apps/team--orders").await;
    assert_eq!(app["application"]["instance"][0]["vipAddress"], "team--Orders", "{app}");
    assert_eq!(register(&hub, "/eureka", "team--Orders", 4).await, 204);
    let (_, answer) = hub.get("/api/v1/services/Orders/instances?groupName=team").await;
    assert_eq!(answer["count"], 2, "{answer}");
    // One that comes back under a new address has left the old one.
    let mut moved = instance("Orders", 1);
    moved["instance"]["port"]["$"] = json!(90);
    moved["instance"]["lastDirtyTimestamp"] = json!("1700000000001");
    let answer = hub.client.post(hub.url("/eureka/apps/ORDERS")).json(&moved).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let (_, answer) = hub.get("/api/v1/services/Orders/instances?groupName=DEFAULT_GROUP").await;
    let ports: Vec<_> =
        answer["instances"].as_array().unwrap().iter().map(|row| &row["portNumber"]).collect();
    assert_eq!(ports, [90, 81], "{answer}");
    // A state that Consul has no word for.
    let mut starting = instance("starter", 5);
    starting["instance"]["status"] = json!("STARTING");
    let answer = hub.client.post(hub.url("/eureka/apps/STARTER")).json(&starting).send().await;
    assert_eq!(answer.unwrap().status(), 204);
    let (_, answer) = hub.get("/v1/health/service/starter").await;
    let check = &answer[0]["Checks"][0];
    assert_eq!((&check["Status"], &check["Notes"]), (&json!("critical"), &json!("starting")));
}

/// Clients apply the changes of a delta by id, in the order they are told.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_moves_is_not_told_to_be_gone() {
    let hub = Hub::start().await;
    let changes = async || {
        let (_, delta) = read(&hub, "/eureka/apps/delta").await;
        let app = delta["applications"]["application"][0]["instance"].clone();
        let all = app.as_array().unwrap().iter();
        let shown = |one: &Value| format!("{} {}", one["actionType"], one["port"]["$"]);
        all.map(|one| shown(one).replace('"', "")).collect::<Vec<_>>()
    };
    for (step, port) in [80, 90, 70, 80].into_iter().enumerate() {
        let mut moved = instance("mover", 1);
        moved["instance"]["port"]["$"] = json!(port);
        moved["instance"]["lastDirtyTimestamp"] = json!(format!("170000000000{step}"));
        let answer = hub.client.post(hub.url("/eureka/apps/MOVER")).json(&moved).send().await;
        assert_eq!(answer.unwrap().status(), 204);
        let action = if step == 0 { "ADDED" } else { "MODIFIED" };
        assert_eq!(changes().await, [format!("{action} {port}")]);
    }
    assert_eq!(send(&hub, Method::DELETE, "/eureka/apps/MOVER/mover-1").await, 200);
    assert_eq!(changes().await, ["DELETED 80"]);
    assert_eq!(register(&hub, "/eureka", "mover", 1).await, 204);
    assert_eq!(changes().await, ["ADDED 80"]);
    // With nobody who looks in between.
    assert_eq!(send(&hub, Method::DELETE, "/eureka/apps/MOVER/mover-1").await, 200);
    let mut moved = instance("mover", 1);
    moved["instance"]["port"]["$"] = json!(60);
    let answer = hub.client.post(hub.url("/eureka/apps/MOVER")).json(&moved).send().await;
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(changes().await, ["MODIFIED 60"]);
    // One that comes back with another id, and one of another protocol, take its address.
    moved["instance"]["instanceId"] = json!("other");
    let answer = hub.client.post(hub.url("/eureka/apps/MOVER")).json(&moved).send().await;
    assert_eq!(answer.unwrap().status(), 204);
    assert_eq!(changes().await, ["DELETED 60", "ADDED 60"]);
    let body = json!({ "ID": "c", "Name": "mover", "Address": "10.4.0.1", "Port": 60 });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
    assert_eq!(put.send().await.unwrap().status(), 200);
    let mut told = changes().await;
    told.sort();
    assert_eq!(told, ["ADDED 60", "DELETED 60", "DELETED 60"]);
}

/// A vip is found as it was registered, and no other is.
#[tokio::test(flavor = "multi_thread")]
async fn a_vip_is_spelled_as_its_client_spells_it() {
    let hub = Hub::start().await;
    let native = json!({
        "serviceName": "Spelled", "hostAddress": "10.4.1.9", "portNumber": 80, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    for (number, vip) in [(1, "spelled"), (2, "SPELLED"), (3, "Spelled,other"), (4, "Spelled")] {
        let mut one = instance("spelled", number);
        one["instance"]["vipAddress"] = json!(vip);
        one["instance"]["secureVipAddress"] = json!(vip);
        let answer = hub.client.post(hub.url("/eureka/apps/SPELLED")).json(&one).send().await;
        assert_eq!(answer.unwrap().status(), 204);
    }
    for (vip, hosts) in [
        ("spelled", &["10.4.0.1"][..]),
        ("SPELLED", &["10.4.0.2"]),
        ("Spelled", &["10.4.0.3", "10.4.0.4", "10.4.1.9"]),
        ("other", &["10.4.0.3"]),
        ("sPELLED", &[]),
    ] {
        for kind in ["vips", "svips"] {
            let (_, found) = read(&hub, &format!("/eureka/{kind}/{vip}")).await;
            let all = found["applications"]["application"][0]["instance"].as_array();
            let mut all: Vec<_> = all.into_iter().flatten().map(|one| &one["ipAddr"]).collect();
            all.sort_by_key(|host| host.to_string());
            assert_eq!(json!(all), json!(hosts), "{kind}/{vip}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_registered_is_there_after_a_crash_and_beats_on() {
    let mut hub = Hub::start().await;
    for number in 1..=3 {
        assert_eq!(register(&hub, "/eureka", "crash", number).await, 204);
    }
    let down = "/eureka/apps/CRASH/crash-2/status?value=OUT_OF_SERVICE";
    assert_eq!(send(&hub, Method::PUT, down).await, 200);
    let (_, before) = read(&hub, "/eureka/apps/CRASH").await;
    hub.kill().await;
    hub.run().await;
    let (_, after) = read(&hub, "/eureka/apps/CRASH").await;
    let plain = |mut app: Value| {
        for one in app["application"]["instance"].as_array_mut().unwrap() {
            // When the hub last saw a change begins anew with it.
            one.as_object_mut().unwrap().remove("lastUpdatedTimestamp");
            one["leaseInfo"].as_object_mut().unwrap().remove("lastRenewalTimestamp");
        }
        app
    };
    assert_eq!(plain(after), plain(before));
    let beat = "/eureka/apps/CRASH/crash-1?status=UP&lastDirtyTimestamp=1700000000000";
    assert_eq!(send(&hub, Method::PUT, beat).await, 200);
    // Everything is news to who knew what was before: the delta has it all.
    let (_, delta) = read(&hub, "/eureka/apps/delta").await;
    let apps = &delta["applications"];
    assert_eq!(apps["application"][0]["instance"].as_array().unwrap().len(), 3, "{delta}");
    assert_eq!(apps["apps__hashcode"], "OUT_OF_SERVICE_1_UP_2_");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_registry_was_never_heard_no_list_is_short() {
    let hub = Hub::start().await;
    assert_eq!(register(&hub, "/eureka", "known", 1).await, 204);
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    let (status, body) = hub.post("/api/v1/external/configs", &config).await;
    assert_eq!(status, 201, "{body}");
    for list in ["apps", "apps/delta", "vips/known", "svips/known"] {
        let path = format!("/eureka/{list}");
        assert_eq!(send(&hub, Method::GET, &path).await, 403, "{path}");
    }
    assert_eq!(read(&hub, "/eureka/apps/KNOWN").await.0, 200, "what is known is told");
    for unknown in ["apps/OTHER", "apps/KNOWN/other", "instances/other"] {
        let answer = hub.client.get(hub.url(&format!("/eureka/{unknown}"))).send().await.unwrap();
        assert_eq!(answer.status(), 503, "{unknown}");
        assert!(answer.text().await.unwrap().contains("deaf"));
    }
    // Clients beat, register and leave all the same.
    let beat = "/eureka/apps/KNOWN/known-1?status=UP";
    assert_eq!(send(&hub, Method::PUT, beat).await, 200);
    assert_eq!(send(&hub, Method::PUT, "/eureka/apps/KNOWN/known-2").await, 404);
    assert_eq!(register(&hub, "/eureka", "known", 2).await, 204);
    assert_eq!(send(&hub, Method::DELETE, "/eureka/apps/KNOWN/known-1").await, 200);
    let id = body["configId"].as_str().unwrap();
    hub.send(Method::DELETE, &format!("/api/v1/external/configs/{id}"), None).await;
    assert_eq!(read(&hub, "/eureka/apps").await.0, 200);
    assert_eq!(read(&hub, "/eureka/apps/OTHER").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_of_a_real_eureka_are_shown_as_they_are_there() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let real = servers::start(ServerKind::Eureka, options).await.unwrap();
    let hub = Hub::start().await;
    let url = format!("{}/apps/FAR", real.base_url());
    let mut body = instance("far", 1);
    let more = json!({
        "hostName": "far.example", "statusPageUrl": "http://far.example/info", "appGroupName": "OUTER",
        "securePort": { "$": 8443, "@enabled": "true" }, "countryId": 1, "metadata": { "a_b": "c" },
        "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn" },
    });
    body["instance"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    assert_eq!(hub.client.post(&url).json(&body).send().await.unwrap().status(), 204);
    // One of which nobody knows how it is, which is a word of Eureka's alone.
    let mut unknown = instance("far", 2);
    unknown["instance"]["status"] = json!("UNKNOWN");
    unknown["instance"]["dataCenterInfo"] = more["dataCenterInfo"].clone();
    assert_eq!(hub.client.post(&url).json(&unknown).send().await.unwrap().status(), 204);
    let config = json!({
        "configName": "real", "registryType": "EUREKA",
        "serverAddress": format!("127.0.0.1:{}", real.http_port()),
    });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let end = Instant::now() + Duration::from_secs(20);
    let seen = loop {
        let (status, seen) = read(&hub, "/eureka/apps/FAR/far-1").await;
        if status == 200 {
            break seen;
        }
        assert!(Instant::now() < end, "{status}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let request = hub.client.get(format!("{url}/far-1")).header("accept", "application/json");
    let there: Value = request.send().await.unwrap().json().await.unwrap();
    let (seen, there) = (&seen["instance"], &there["instance"]);
    let kept = [
        "instanceId",
        "hostName",
        "app",
        "appGroupName",
        "ipAddr",
        "status",
        "overriddenStatus",
        "port",
        "securePort",
        "countryId",
        "dataCenterInfo",
        "metadata",
        "statusPageUrl",
        "vipAddress",
        "isCoordinatingDiscoveryServer",
    ];
    for key in kept {
        assert_eq!(seen[key], there[key], "{key}");
    }
    let (_, seen) = read(&hub, "/eureka/apps/FAR/far-2").await;
    assert_eq!(seen["instance"]["status"], "UNKNOWN");
    assert_eq!(seen["instance"]["metadata"]["eureka-status"], Value::Null, "{seen}");
    let (_, list) = read(&hub, "/eureka/apps").await;
    assert_eq!(list["applications"]["apps__hashcode"], "UNKNOWN_1_UP_1_");
    // Clients of others are told so in their way.
    let (_, answer) = hub.get("/v1/catalog/service/far").await;
    let of = |address: &str| {
        let mut all = answer.as_array().unwrap().iter();
        all.find(|one| one["ServiceAddress"] == address).unwrap()["ServiceMeta"].clone()
    };
    assert_eq!(of("10.4.0.1")["eureka-secure-port"], "8443");
    assert_eq!(of("10.4.0.2")["eureka-status"], "UNKNOWN");
    // It is changed where it lives; its heartbeat here brings it here.
    assert_eq!(send(&hub, Method::DELETE, "/eureka/apps/FAR/far-1").await, 409);
    assert_eq!(send(&hub, Method::PUT, "/eureka/apps/FAR/far-1").await, 404);
    assert_eq!(register(&hub, "/eureka", "far", 1).await, 204);
    assert_eq!(send(&hub, Method::PUT, "/eureka/apps/FAR/far-1").await, 200);
    let (_, answer) = hub.get("/api/v1/services/far/instances").await;
    assert_eq!(answer["instances"][0]["sources"].as_array().unwrap().len(), 2, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer_and_changes_nothing() {
    let hub = Hub::start().await;
    let post = |body: String, kind: &'static str| {
        hub.client.post(hub.url("/eureka/apps/BAD")).header("content-type", kind).body(body).send()
    };
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><instance><app>&b;</app></instance>";
    let deep = "<instance>".repeat(100_000);
    let nested = format!("{{\"instance\":{}", "[".repeat(100_000));
    let huge = format!("{{\"instance\":{{\"app\":\"{}\"}}}}", "x".repeat(11 << 20));
    for (body, kind, status) in [
        (bomb.to_owned(), "application/xml", 400),
        (deep, "application/xml", 400),
        ("<instance><app>\u{1}</app></instance>".to_owned(), "text/xml", 400),
        (nested, "application/json", 400),
        ("[]".to_owned(), "application/json", 400),
        ("\u{feff}{}".to_owned(), "application/json", 400),
        (String::new(), "application/json", 400),
        (huge, "application/json", 413),
        ("{}".to_owned(), "application/x-www-form-urlencoded", 415),
    ] {
        let start: String = body.chars().take(40).collect();
        let answer = post(body, kind).await.unwrap();
        assert_eq!(answer.status(), status, "{start}");
        assert!(!answer.text().await.unwrap().is_empty(), "{start}");
    }
    for (field, value) in [
        ("port", json!({ "$": 0, "@enabled": "true" })),
        ("port", json!({ "$": 65_536, "@enabled": "true" })),
        ("ipAddr", json!("no address")),
        ("status", json!("SICK")),
        ("app", json!("a/b")),
        ("metadata", json!({ "k": "x".repeat(100_000) })),
        ("statusPageUrl", json!("x".repeat(20_000))),
        ("dataCenterInfo", json!({ "name": "AWS" })),
        ("securePort", json!({ "$": 99_999_999_999_u64, "@enabled": "false" })),
    ] {
        let mut body = instance("bad", 1);
        body["instance"]["hostName"] = json!("-");
        body["instance"][field] = value;
        let answer = post(body.to_string(), "application/json").await.unwrap();
        assert_eq!(answer.status(), 400, "{field}");
        // What it was, if it is short enough to be said again.
        let wrong = ["65536", "SICK", "no address", "AWS", "99999999999"];
        let said = wrong.iter().find(|wrong| body["instance"][field].to_string().contains(**wrong));
        let text = answer.text().await.unwrap();
        assert!(said.is_none_or(|said| text.contains(said)), "{field}: {text}");
    }
    for path in ["apps/%ff", "t/a%2fb/apps", "t/%00/apps"] {
        assert_eq!(send(&hub, Method::GET, &format!("/eureka/{path}")).await, 400, "{path}");
    }
    assert_eq!(send(&hub, Method::GET, "/eureka/apps/%e5%90%8d").await, 404);
    assert_eq!(send(&hub, Method::GET, "/eureka/nothing").await, 404);
    assert_eq!(send(&hub, Method::PATCH, "/eureka/apps").await, 405);
    let (_, list) = read(&hub, "/eureka/apps").await;
    assert_eq!(list["applications"]["application"], json!([]));
}

/// A client in Java that cannot read one instance reads nothing of the list.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_client_could_read_is_not_written() {
    let hub = Hub::start().await;
    let mut odd = instance("odd", 1);
    odd["instance"]["dataCenterInfo"] = json!({ "@class": "x.Y", "name": "Amazon" });
    odd["instance"]["leaseInfo"] = json!({ "renewalIntervalInSecs": 99_999_999_999_u64, "durationInSecs": -7_000_000_000_i64 });
    let answer = hub.client.post(hub.url("/eureka/apps/ODD")).json(&odd).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let (_, list) = read(&hub, "/eureka/apps").await;
    let shown = &list["applications"]["application"][0]["instance"][0];
    let usual = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo";
    let center = json!({ "@class": usual, "name": "Amazon", "metadata": {} });
    assert_eq!(shown["dataCenterInfo"], center, "{shown}");
    let lease = ["renewalIntervalInSecs", "durationInSecs"].map(|key| &shown["leaseInfo"][key]);
    assert_eq!(lease, [30, 90]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_list_is_the_same() {
    let hub = Hub::start().await;
    for number in 1..=5 {
        assert_eq!(register(&hub, "/eureka", "zip", number).await, 204);
        assert_eq!(register(&hub, "/eureka", "zap", number).await, 204);
    }
    for (accept, path) in [
        ("application/json", "apps"),
        ("application/xml", "apps"),
        ("application/json", "apps/ZIP"),
    ] {
        let ask = |encoding: &'static str| {
            let request = hub.client.get(hub.url(&format!("/eureka/{path}")));
            request.header("accept", accept).header("accept-encoding", encoding).send()
        };
        let plain = ask("identity").await.unwrap();
        assert!(!plain.headers().contains_key("content-encoding"));
        let plain = plain.bytes().await.unwrap();
        let packed = ask("br, gzip;q=0.5").await.unwrap();
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        let packed = packed.bytes().await.unwrap();
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed), &mut read).unwrap();
        assert_eq!(read, plain, "{path}");
        assert!(packed.len() < plain.len() / 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_those_of_the_token_whichever_way_it_is_shown() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let writer = hub.command(&["token", "create", "--user", "it", "--role", "writer"]).await;
    let writer = writer.split_whitespace().last().unwrap().to_owned();
    let reader = hub.command(&["token", "create", "--user", "me", "--role", "reader"]).await;
    let reader = reader.split_whitespace().last().unwrap().to_owned();
    let url = hub.url("/eureka/apps/SAFE");
    let answer = hub.client.post(&url).json(&instance("safe", 1)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let post = |token: &str| {
        hub.client.post(&url).basic_auth("eureka", Some(token)).json(&instance("safe", 1)).send()
    };
    assert_eq!(post("wrong").await.unwrap().status(), 401);
    assert_eq!(post(&reader).await.unwrap().status(), 403);
    assert_eq!(post(&writer).await.unwrap().status(), 204);
    let get = hub.client.get(&url);
    assert_eq!(get.try_clone().unwrap().bearer_auth(&reader).send().await.unwrap().status(), 200);
    assert_eq!(get.basic_auth("x", Some(&reader)).send().await.unwrap().status(), 200);
    let other = hub.client.get(hub.url("/eureka/t/other/apps")).basic_auth("x", Some(&reader));
    assert_eq!(other.send().await.unwrap().status(), 403, "a token is of one tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_not_there() {
    let hub = Hub::with_config("facades:\n  eureka:\n    enabled: false\n").await;
    assert_eq!(send(&hub, Method::GET, "/eureka/apps").await, 404);
}
