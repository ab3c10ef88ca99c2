//! The HTTP API of Nacos.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use super::scenario::{self, Side};
use crate::hub::{Hub, free_port};

const LIFE: &str = "tests/scenarios/nacos/life.yaml";

async fn send(hub: &Hub, method: Method, path: &str) -> (StatusCode, String) {
    let answer =
        hub.client.request(method, hub.url(&format!("/nacos{path}"))).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn read(hub: &Hub, path: &str) -> Value {
    let (status, text) = send(hub, Method::GET, path).await;
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn register(hub: &Hub, of: &str) {
    let done = send(hub, Method::POST, &format!("/v1/ns/instance?{of}")).await;
    assert_eq!(done, (StatusCode::OK, "ok".to_owned()), "{of}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_an_instance_is_that_at_a_real_nacos() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let real = servers::start(ServerKind::Nacos, ServerOptions::default()).await.unwrap();
    let port = free_port();
    let hub = Hub::with_config(&format!("facades:\n  nacos:\n    port: {port}\n")).await;
    let steps = scenario::steps(LIFE);
    for base in [hub.url("/nacos"), format!("http://127.0.0.1:{port}/nacos")] {
        let wrong = scenario::run(&steps, &base, Side::Hub).await;
        assert!(wrong.is_empty(), "the hub at {base}:\n{}", wrong.join("\n"));
    }
    let real = format!("http://127.0.0.1:{}/nacos", real.http_port());
    let wrong = scenario::run(&steps, &real, Side::Real).await;
    assert!(wrong.is_empty(), "the real server:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_silent_is_unhealthy_and_then_gone() {
    let mut hub = Hub::start().await;
    let metadata = "metadata=%7B%22preserved.heart.beat.timeout%22%3A%221000%22%7D";
    register(&hub, &format!("serviceName=silent&ip=10.7.0.1&port=80&{metadata}")).await;
    register(&hub, "serviceName=silent&ip=10.7.0.2&port=80&ephemeral=false&healthy=false").await;
    let list = "/v1/ns/instance/list?serviceName=silent";
    let before = read(&hub, list).await["lastRefTime"].as_i64().unwrap();
    let until = async |hub: &Hub, expected: &dyn Fn(&Value) -> bool| {
        let end = Instant::now() + Duration::from_secs(15);
        loop {
            let seen = read(hub, list).await;
            if expected(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "{seen}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = until(&hub, &|seen| seen["hosts"][0]["healthy"] == false).await;
    assert!(seen["lastRefTime"].as_i64().unwrap() > before, "{seen}");
    let seen = until(&hub, &|seen| seen["hosts"].as_array().unwrap().len() == 1).await;
    let host = &seen["hosts"][0];
    assert_eq!(
        (&host["ip"], &host["ephemeral"], &host["healthy"]),
        (&json!("10.7.0.2"), &json!(false), &json!(false))
    );
    // Who is gone is told so, and time goes on over a crash.
    let (_, told) =
        send(&hub, Method::PUT, "/v1/ns/instance/beat?serviceName=silent&ip=10.7.0.1&port=80")
            .await;
    assert!(told.contains("20404"), "{told}");
    hub.kill().await;
    hub.run().await;
    let after = read(&hub, list).await;
    assert!(after["lastRefTime"].as_i64() > seen["lastRefTime"].as_i64(), "{after}");
    assert_eq!(after["hosts"], seen["hosts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_write_null_and_texts_for_numbers_are_understood() {
    let hub = Hub::start().await;
    let of = "serviceName=loose&ip=10.7.0.8&port=80";
    register(&hub, &format!("{of}&metadata=null")).await;
    let change = format!("/v1/ns/instance?{of}&metadata=null&weight=3");
    assert_eq!(send(&hub, Method::PUT, &change).await.1, "ok");
    let beat = "%7B%22ip%22%3A%2210.7.0.9%22%2C%22port%22%3A%2280%22%2C%22weight%22%3A1%2C%22cluster%22%3Anull%2C%22metadata%22%3Anull%7D";
    let beat = format!("/v1/ns/instance/beat?serviceName=loose&beat={beat}");
    let (_, told) = send(&hub, Method::PUT, &beat).await;
    assert!(told.contains("10200"), "{told}");
    let list = read(&hub, "/v1/ns/instance/list?serviceName=loose").await;
    let hosts = list["hosts"].as_array().unwrap().iter();
    let hosts: Vec<_> = hosts.map(|host| (&host["ip"], &host["weight"])).collect();
    assert_eq!(hosts, [(&json!("10.7.0.8"), &json!(3.0)), (&json!("10.7.0.9"), &json!(1.0))]);
    // A client beats as often as its metadata say.
    register(&hub, &format!("{of}&metadata=preserved.heart.beat.interval%3D1000")).await;
    let (_, told) = send(&hub, Method::PUT, &format!("/v1/ns/instance/beat?{of}")).await;
    assert_eq!(serde_json::from_str::<Value>(&told).unwrap()["clientBeatInterval"], 1000);
    // An update is no heartbeat, and makes nothing that is gone.
    let (_, answer) = hub.get("/api/v1/services/loose/instances").await;
    let id = answer["instances"][0]["instanceId"].as_str().unwrap();
    let (sick, health) =
        (json!({ "healthStatus": "UNHEALTHY" }), format!("/api/v1/instances/{id}/health"));
    assert_eq!(hub.send(Method::PUT, &health, Some(&sick)).await.0, 200);
    let change = format!("/v1/ns/instance?{of}&weight=4");
    assert_eq!(send(&hub, Method::PUT, &change).await.0, 200);
    let list = read(&hub, "/v1/ns/instance/list?serviceName=loose").await;
    let host = &list["hosts"][0];
    assert_eq!((&host["healthy"], &host["weight"]), (&json!(false), &json!(4.0)));
    send(&hub, Method::DELETE, &format!("/v1/ns/instance?{of}")).await;
    assert_eq!(send(&hub, Method::PUT, &change).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_face_writes_the_others_read() {
    let hub = Hub::start().await;
    register(&hub, "serviceName=shared&ip=10.7.0.3&port=80&weight=2&metadata=a_b%3D1").await;
    let eureka =
        hub.client.get(hub.url("/eureka/apps/SHARED")).header("accept", "application/json");
    let eureka: Value = eureka.send().await.unwrap().json().await.unwrap();
    let instance = &eureka["application"]["instance"][0];
    assert_eq!(
        (&instance["ipAddr"], &instance["metadata"]["a_b"]),
        (&json!("10.7.0.3"), &json!("1"))
    );
    let consul = hub.client.get(hub.url("/v1/health/service/shared?passing"));
    let consul: Value = consul.send().await.unwrap().json().await.unwrap();
    assert_eq!(consul[0]["Service"]["Weights"]["Passing"], 2, "{consul}");
    let other = json!({
        "ID": "c", "Name": "team--shared", "Address": "10.7.0.4", "Port": 81, "Tags": ["t"], "Meta": { "k": "v" },
    });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&other);
    assert_eq!(put.send().await.unwrap().status(), 200);
    let list = read(&hub, "/v1/ns/instance/list?serviceName=team%40%40shared").await;
    let host = &list["hosts"][0];
    assert_eq!(
        (&host["ip"], &host["healthy"], &host["metadata"]),
        (&json!("10.7.0.4"), &json!(true), &json!({ "k": "v" }))
    );
    // A namespace is a tenant.
    register(&hub, "serviceName=shared&namespaceId=other&ip=10.7.0.5&port=80").await;
    assert_eq!(
        read(&hub, "/v1/ns/instance/list?serviceName=shared&namespaceId=public").await["hosts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let there = read(&hub, "/v1/ns/instance/list?serviceName=shared&namespaceId=other").await;
    assert_eq!(there["hosts"][0]["ip"], "10.7.0.5");
    let (status, _) = hub.get("/api/v1/services/shared/instances?tenantId=other").await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_registry_was_never_heard_nothing_is_said_to_be_all() {
    let hub = Hub::start().await;
    register(&hub, "serviceName=known&ip=10.7.0.6&port=80").await;
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    assert_eq!(hub.post("/api/v1/services", &json!({ "serviceName": "bare" })).await.0, 201);
    for path in [
        "/v1/ns/instance/list?serviceName=bare",
        "/v1/ns/service/list?pageNo=1&pageSize=10",
        "/v1/ns/catalog/services?pageNo=1&pageSize=10",
        "/v1/ns/instance/list?serviceName=unknown",
        "/v2/ns/instance/list?serviceName=unknown",
    ] {
        let (status, text) = send(&hub, Method::GET, path).await;
        assert_eq!(status, 500, "{path}");
        assert!(text.contains("deaf"), "{path}: {text}");
    }
    let count = async |query: &str| {
        let list = read(&hub, &format!("/v1/ns/instance/list?serviceName=known{query}")).await;
        list["hosts"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 1);
    // Nor that nobody is in a cluster, or at an address.
    for path in [
        "/v1/ns/instance/list?serviceName=known&clusters=elsewhere",
        "/v1/ns/instance?serviceName=known&ip=10.7.0.9&port=80",
        "/v1/ns/instance?serviceName=known&ip=10.7.0.6&port=80&clusterName=elsewhere",
    ] {
        assert_eq!(send(&hub, Method::GET, path).await.0, 500, "{path}");
    }
    // That one is out of use is known, and told.
    let out = "/v1/ns/instance?serviceName=known&ip=10.7.0.6&port=80&enabled=false";
    assert_eq!(send(&hub, Method::PUT, out).await.0, 200);
    assert_eq!((count("").await, count("&clusters=DEFAULT&healthyOnly=true").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_the_password_and_what_it_buys() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let writer = hub.command(&["token", "create", "--user", "it", "--role", "writer"]).await;
    let login = async |path: &str, password: &str| {
        let form = [("username", "nacos"), ("password", password)];
        hub.client.post(hub.url(&format!("/nacos{path}"))).form(&form).send().await.unwrap()
    };
    let mut token = String::new();
    for path in ["/v1/auth/login", "/v1/auth/users/login", "/v3/auth/user/login"] {
        assert_eq!(login(path, "nacos").await.status(), 403, "{path}");
        let bought: Value = login(path, &writer).await.json().await.unwrap();
        let said = (&bought["tokenTtl"], &bought["username"], &bought["globalAdmin"]);
        assert_eq!(said, (&json!(18_000), &json!("nacos"), &json!(false)), "{path}");
        token = bought["accessToken"].as_str().unwrap().to_owned();
    }
    let token = token.as_str();
    let post = hub.url("/nacos/v1/ns/instance?serviceName=safe&ip=10.7.0.7&port=80");
    assert_eq!(hub.client.post(&post).send().await.unwrap().status(), 403);
    assert_eq!(
        hub.client.post(format!("{post}&accessToken={token}")).send().await.unwrap().status(),
        200
    );
    let get = hub.client.get(hub.url("/nacos/v1/ns/instance/list?serviceName=safe"));
    assert_eq!(get.header("accessToken", token).send().await.unwrap().status(), 200);
    let other =
        hub.url(&format!("/nacos/v1/ns/service/list?namespaceId=other&accessToken={token}"));
    assert_eq!(hub.client.get(other).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer_and_changes_nothing() {
    let hub = Hub::start().await;
    let long = "x".repeat(1000);
    for (method, path, status) in [
        (Method::POST, "/v1/ns/instance?serviceName=x&ip=10.0.0.1&port=0".to_owned(), 400),
        (Method::POST, "/v1/ns/instance?serviceName=x&ip=10.0.0.1&port=65536".to_owned(), 400),
        (Method::POST, "/v1/ns/instance?serviceName=x&ip=a%20b&port=80".to_owned(), 400),
        (Method::POST, "/v1/ns/instance?serviceName=a%20b&ip=10.0.0.1&port=80".to_owned(), 400),
        (Method::POST, format!("/v1/ns/instance?serviceName={long}&ip=10.0.0.1&port=80"), 400),
        (Method::POST, "/v1/ns/instance?serviceName=%40%40x&ip=10.0.0.1&port=80".to_owned(), 400),
        (
            Method::POST,
            "/v1/ns/instance?serviceName=x&ip=10.0.0.1&port=80&weight=-1".to_owned(),
            400,
        ),
        (
            Method::POST,
            "/v1/ns/instance?serviceName=x&ip=10.0.0.1&port=80&weight=NaN".to_owned(),
            400,
        ),
        (
            Method::POST,
            "/v1/ns/instance?serviceName=x&ip=10.0.0.1&port=80&metadata=%7B".to_owned(),
            400,
        ),
        (Method::POST, "/v2/ns/instance?serviceName=x&ip=10.0.0.1&port=none".to_owned(), 400),
        (Method::PUT, "/v1/ns/instance/beat?serviceName=x&beat=%7B".to_owned(), 400),
        (Method::PUT, "/v1/ns/instance?serviceName=x&ip=10.0.0.1&port=80".to_owned(), 404),
        (Method::GET, "/v1/ns/instance/list".to_owned(), 400),
        (Method::GET, "/v1/ns/instance/list?serviceName=x&namespaceId=a%2Fb".to_owned(), 400),
        (Method::GET, "/v1/ns/service/list?pageNo=x".to_owned(), 400),
        (Method::GET, "/v1/cs/configs?dataId=a&group=b".to_owned(), 404),
        (Method::GET, "/v1/ns/nothing".to_owned(), 404),
    ] {
        let (got, text) = send(&hub, method, &path).await;
        let start: String = path.chars().take(90).collect();
        assert_eq!(got, status, "{start}: {text}");
        assert!(!text.is_empty(), "{start}");
    }
    let body = format!("metadata={}", "x".repeat(11 << 20));
    let post = hub.client.post(hub.url("/nacos/v1/ns/instance"));
    let post = post.header("content-type", "application/x-www-form-urlencoded").body(body);
    assert_eq!(post.send().await.unwrap().status(), 413);
    let far = "/v1/ns/service/list?pageNo=18446744073709551615&pageSize=18446744073709551615";
    assert_eq!(read(&hub, far).await, json!({ "count": 0, "doms": [] }));
}

/// What clients of 3.x ask by HTTP (`InstanceOpenApiController`): a heartbeat is a registration that says so.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_3_register_beat_and_list() {
    let hub = Hub::start().await;
    let of = "/v3/client/ns/instance?serviceName=three&ip=10.7.3.1&port=80";
    let ask = async |method: Method, path: &str| -> (StatusCode, Value) {
        let (status, text) = send(&hub, method, path).await;
        (status, serde_json::from_str(&text).unwrap())
    };
    let beat = format!("{of}&heartBeat=true");
    let (status, answer) = ask(Method::POST, &beat).await;
    // It is told to register, and nothing went wrong.
    assert_eq!((status.as_u16(), &answer["code"]), (200, &json!(21003)), "{answer}");
    let ok = json!({ "code": 0, "message": "success", "data": "ok" });
    assert_eq!(ask(Method::POST, &format!("{of}&weight=2&metadata=a%3Db")).await.1, ok);
    assert_eq!(ask(Method::POST, &beat).await.1, ok);
    let list = "/v3/client/ns/instance/list?serviceName=three";
    let (_, found) = ask(Method::GET, list).await;
    let all = found["data"].as_array().unwrap();
    assert_eq!((all.len(), &all[0]["ip"], &all[0]["weight"]), (1, &json!("10.7.3.1"), &json!(2.0)));
    assert_eq!(all[0]["metadata"], json!({ "a": "b" }));
    // It asks for one cluster, and is told of the sick.
    let other = "/v3/client/ns/instance?serviceName=three&ip=10.7.3.2&port=80&clusterName=c";
    let sick = format!("{other}&ephemeral=false&healthy=false");
    assert_eq!(ask(Method::POST, &sick).await.1, ok);
    assert_eq!(ask(Method::GET, list).await.1["data"].as_array().unwrap().len(), 1);
    let (_, found) = ask(Method::GET, &format!("{list}&clusterName=c&healthyOnly=true")).await;
    assert_eq!(found["data"][0]["ip"], "10.7.3.2", "{found}");
    assert_eq!(ask(Method::DELETE, of).await.1, ok);
    assert_eq!(ask(Method::GET, list).await.1["data"], json!([]));
    let (status, answer) = ask(Method::GET, "/v3/client/ns/nothing").await;
    assert_eq!((status.as_u16(), &answer["code"]), (404, &json!(20004)), "{answer}");
}

/// The hub keeps no configurations; a client of 1.x that waits for a change of one asks again at once.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_configuration_waits() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let real = servers::start(ServerKind::Nacos, ServerOptions::default()).await.unwrap();
    // It waits for longer than other requests may take.
    let mut hub = Hub::with_environment(&[("REGISTRY__SERVER__HTTP__REQUESTTIMEOUT", "2s")]).await;
    let client = hub.client.clone();
    let ask = async |base: &str, timeout: &str, no_hangup: &str, has: &str| {
        let request = client.post(format!("{base}/nacos/v1/cs/configs/listener"));
        let request = request.header("Long-Pulling-Timeout", timeout.to_owned());
        let request = request.header("Long-Pulling-Timeout-No-Hangup", no_hangup.to_owned());
        let asked = Instant::now();
        let answer = request.form(&[("Listening-Configs", has)]).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap(), asked.elapsed())
    };
    let (none, some) = ("a\u{2}g\u{2}\u{2}t\u{1}", "a\u{2}g\u{2}abc\u{2}t\u{1}b\u{2}g\u{2}\u{1}");
    let bases = [hub.url(""), format!("http://127.0.0.1:{}", real.http_port())];
    let soon = Duration::from_secs(5);
    for base in &bases {
        let (status, text, took) = ask(base, "30000", "true", none).await;
        assert_eq!((status, text.as_str(), took < soon), (200, "", true), "{base}");
        // Who has what is not there reads it again.
        let (status, text, took) = ask(base, "30000", "false", some).await;
        assert_eq!((status, text.trim(), took < soon), (200, "a%02g%02t%01", true), "{base}");
        assert_eq!(ask(base, "30000", "false", "a\u{1}").await.0, 400, "{base}");
    }
    let (here, there) =
        tokio::join!(ask(&bases[0], "1", "false", none), ask(&bases[1], "1", "false", none));
    for (base, (status, text, took)) in bases.iter().zip([here, there]) {
        assert_eq!((status, text.as_str()), (200, ""), "{base}");
        assert!(
            took > Duration::from_secs(9) && took < Duration::from_secs(15),
            "{base}: {took:?}"
        );
    }
    // A server that stops lets nobody wait.
    let waiting = ask(&bases[0], "30000", "false", none);
    let stopping = async {
        // By then the one beside it is sent, and waits: of that nothing else tells.
        tokio::time::sleep(Duration::from_secs(1)).await;
        hub.terminate().await
    };
    let ((status, _, took), code) = tokio::join!(waiting, stopping);
    assert_eq!((status, code), (200, Some(0)));
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(9), "{took:?}");
}

/// The next push of a service that a client of 1.x is told by UDP, and where it came from.
async fn datagram(socket: &UdpSocket) -> (Value, Value, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let received = timeout(Duration::from_secs(15), socket.recv_from(&mut buffer)).await;
    let (length, from) = received.expect("nothing is pushed").unwrap();
    let mut text = String::new();
    let bytes = &buffer[..length];
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    } else {
        text.push_str(std::str::from_utf8(bytes).unwrap());
    }
    let packet: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(packet["type"], "dom", "{packet}");
    let data = serde_json::from_str(packet["data"].as_str().unwrap()).unwrap();
    (packet, data, from)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_pushed_by_udp_as_by_a_real_nacos() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let real = servers::start(ServerKind::Nacos, ServerOptions::default()).await.unwrap();
    let hub = Hub::start().await;
    let client = &hub.client;
    for (is_hub, base) in [
        (true, hub.url("/nacos/v1/ns")),
        (false, format!("http://127.0.0.1:{}/nacos/v1/ns", real.http_port())),
    ] {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let list = format!(
            "{base}/instance/list?serviceName=pushed&clusters=&udpPort={port}&clientIP=127.0.0.1&healthyOnly=false"
        );
        let ask = client.get(&list).header("user-agent", "Nacos-Java-Client:v1.4.1");
        assert_eq!(ask.send().await.unwrap().status(), 200);
        let metadata = format!("a%3D{}", "x".repeat(900));
        for (ip, more) in [("10.7.1.1", ""), ("10.7.1.2", metadata.as_str())] {
            let url = format!("{base}/instance?serviceName=pushed&ip={ip}&port=80&metadata={more}");
            assert_eq!(client.post(url).send().await.unwrap().text().await.unwrap(), "ok");
            // A real one may push twice, and what it has not yet.
            loop {
                let (packet, data, from) = datagram(&socket).await;
                assert_eq!(data["name"], "DEFAULT_GROUP@@pushed", "{packet}");
                let ack = json!({
                    "type": "push-ack", "lastRefTime": packet["lastRefTime"].to_string(), "data": "",
                });
                socket.send_to(ack.to_string().as_bytes(), from).await.unwrap();
                let hosts = data["hosts"].as_array().unwrap();
                if hosts.iter().any(|host| host["ip"] == ip) {
                    break;
                }
            }
        }
        if !is_hub {
            continue;
        }
        let mut buffer = [0; 2048];
        let more = timeout(Duration::from_secs(4), socket.recv_from(&mut buffer)).await;
        assert!(more.is_err(), "what was acknowledged is sent again");
        // What is not is sent once more, and then no more.
        let url = format!("{base}/instance?serviceName=pushed&ip=10.7.1.2&port=80");
        assert_eq!(client.delete(url).send().await.unwrap().status(), 200);
        let (first, ..) = datagram(&socket).await;
        let (second, data, _) = datagram(&socket).await;
        assert_eq!((first, data["hosts"].as_array().unwrap().len()), (second, 1));
        let more = timeout(Duration::from_secs(4), socket.recv_from(&mut buffer)).await;
        assert!(more.is_err(), "it goes on and on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_list_moves_with_changes_and_not_with_questions() {
    let hub = Hub::start().await;
    register(&hub, "serviceName=asked&ip=10.7.2.1&port=80").await;
    let first = read(&hub, "/v1/ns/instance/list?serviceName=asked").await;
    for _ in 0..300 {
        let again = read(&hub, "/v1/ns/instance/list?serviceName=asked").await;
        assert_eq!(again["lastRefTime"], first["lastRefTime"]);
        read(&hub, "/v1/ns/instance/list?serviceName=nobody").await;
    }
    register(&hub, "serviceName=asked&ip=10.7.2.2&port=80").await;
    let next = read(&hub, "/v1/ns/instance/list?serviceName=asked").await;
    let time = next["lastRefTime"].as_i64().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(time > first["lastRefTime"].as_i64().unwrap() && time <= now.as_millis() as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_not_there() {
    let hub = Hub::with_config("facades:\n  nacos:\n    enabled: false\n").await;
    assert_eq!(send(&hub, Method::GET, "/v1/ns/operator/metrics").await.0, 404);
}
