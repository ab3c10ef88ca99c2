//! The HTTP API of Consul.

use std::process::Stdio;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::scenario::{self, Side};
use crate::hub::{Hub, free_port};

const SCENARIOS: [&str; 2] =
    ["tests/scenarios/consul/life.yaml", "tests/scenarios/consul/checks.yaml"];

pub(super) async fn put(hub: &Hub, path: &str, body: &Value) -> StatusCode {
    hub.client.put(hub.url(path)).json(body).send().await.unwrap().status()
}

async fn get(hub: &Hub, path: &str) -> Response {
    hub.client.get(hub.url(path)).send().await.unwrap()
}

pub(super) async fn read(hub: &Hub, path: &str) -> Value {
    let answer = get(hub, path).await;
    assert_eq!(answer.status(), 200, "{path}");
    answer.json().await.unwrap()
}

fn index(answer: &Response) -> u64 {
    let headers = answer.headers();
    assert_eq!(headers["x-consul-lastcontact"], "0");
    headers["x-consul-index"].to_str().unwrap().parse().unwrap()
}

/// A service that is up and that nobody checks.
async fn plain(hub: &Hub, name: &str, port: u16) {
    let id = format!("{name}-{port}");
    let body = json!({ "ID": id, "Name": name, "Address": "10.5.0.1", "Port": port });
    assert_eq!(put(hub, "/v1/agent/service/register", &body).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_service_is_that_at_a_real_consul() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let port = free_port();
    let hub = Hub::with_config(&format!("facades:\n  consul:\n    port: {port}\n")).await;
    let steps: Vec<_> = SCENARIOS.into_iter().flat_map(scenario::steps).collect();
    for base in [hub.url("/v1"), format!("http://127.0.0.1:{port}/v1")] {
        let wrong = scenario::run(&steps, &base, Side::Hub).await;
        assert!(wrong.is_empty(), "the hub at {base}:\n{}", wrong.join("\n"));
    }
    // Its own port has nothing else.
    let url = format!("http://127.0.0.1:{port}/api/v1/services");
    assert_eq!(hub.client.get(url).send().await.unwrap().status(), 404);
    let wrong = scenario::run(&steps, &format!("{}/v1", real.base_url()), Side::Real).await;
    assert!(wrong.is_empty(), "the real server:\n{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_is_woken_by_its_own_service_and_by_nothing_else() {
    let hub = Hub::start().await;
    plain(&hub, "watched", 80).await;
    plain(&hub, "other", 80).await;
    let path = "/v1/health/service/watched";
    let now = index(&get(&hub, path).await);
    let ask = |index: u64, wait: &str| get_owned(&hub, format!("{path}?index={index}&wait={wait}"));
    // Another service's changes do not wake it; at the end it is told the same.
    let started = Instant::now();
    let waiting = tokio::spawn(ask(now, "1s"));
    plain(&hub, "other", 81).await;
    let answer = waiting.await.unwrap();
    assert_eq!(index(&answer), now);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(3), "{took:?}");
    // Its own do, at once.
    let waiting = tokio::spawn(ask(now, "60s"));
    tokio::task::yield_now().await;
    plain(&hub, "watched", 81).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    let next = index(&answer);
    assert!(next > now);
    assert_eq!(answer.json::<Value>().await.unwrap().as_array().unwrap().len(), 2);
    // Its end is a change too, and the index goes on.
    let waiting = tokio::spawn(ask(next, "60s"));
    for port in [80, 81] {
        let gone = format!("/v1/agent/service/deregister/watched-{port}");
        assert_eq!(put(&hub, &gone, &Value::Null).await, 200);
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert!(index(&answer) > next);
    // Before it is there, and from the future.
    let unknown = get_owned(&hub, "/v1/health/service/later?index=1&wait=60s".to_owned());
    let waiting = tokio::spawn(unknown);
    plain(&hub, "later", 80).await;
    assert_eq!(waiting.await.unwrap().status(), 200);
    let started = Instant::now();
    let answer = ask(u64::MAX, "2s").await;
    assert!(index(&answer) < 1 << 53 && started.elapsed() < Duration::from_secs(5));
}

fn get_owned(hub: &Hub, path: String) -> impl Future<Output = Response> + Send + 'static {
    let request = hub.client.get(hub.url(&path));
    async move { request.send().await.unwrap() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_names_wakes_for_names_and_tags_only() {
    let hub = Hub::start().await;
    plain(&hub, "a", 80).await;
    let path = "/v1/catalog/services";
    let now = index(&get(&hub, path).await);
    let waiting = tokio::spawn(get_owned(&hub, format!("{path}?index={now}&wait=1s")));
    plain(&hub, "a", 81).await;
    assert_eq!(index(&waiting.await.unwrap()), now, "one more of a name that is there");
    let waiting = tokio::spawn(get_owned(&hub, format!("{path}?index={now}&wait=60s")));
    plain(&hub, "b", 80).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    let next = index(&answer);
    assert!(next > now);
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({ "a": [], "b": [] }));
    let waiting = tokio::spawn(get_owned(&hub, format!("{path}?index={next}&wait=60s")));
    let tagged =
        json!({ "ID": "b-80", "Name": "b", "Address": "10.5.0.1", "Port": 80, "Tags": ["t"] });
    assert_eq!(put(&hub, "/v1/agent/service/register", &tagged).await, 200);
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["b"], json!(["t"]));
}

/// A failure that Consul has for a client's mistake is none of the hub's.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_clients_are_no_errors_in_the_log() {
    let hub = Hub::start().await;
    for (method, path) in [
        (Method::PUT, "/v1/agent/check/pass/nobody"),
        (Method::GET, "/v1/catalog/services?dc=elsewhere"),
        (Method::GET, "/nacos/v1/ns/instance?serviceName=nobody&ip=10.5.0.1&port=80"),
    ] {
        let answer = hub.client.request(method, hub.url(path)).send().await.unwrap();
        assert!(!answer.status().is_success(), "{path}");
    }
    let deaf =
        json!({ "configName": "deaf", "registryType": "NACOS", "serverAddress": "127.0.0.1:1" });
    assert_eq!(hub.post("/api/v1/external/configs", &deaf).await.0, 201);
    for path in [
        "/v1/catalog/services",
        "/nacos/v1/ns/instance/list?serviceName=nobody",
        "/nacos/v1/ns/instance?serviceName=nobody&ip=10.5.0.1&port=80",
    ] {
        assert_eq!(get(&hub, path).await.status(), 500, "{path}");
    }
    assert!(!hub.log().contains("ERROR"), "{}", hub.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ttl_that_runs_out_is_critical_and_its_service_stays() {
    let mut hub = Hub::start().await;
    let body = json!({
        "ID": "ttl", "Name": "ttl", "Address": "10.5.0.2", "Port": 80,
        "Check": { "TTL": "1s", "CheckID": "mine", "Status": "passing" },
    });
    assert_eq!(put(&hub, "/v1/agent/service/register", &body).await, 200);
    let passing = "/v1/health/service/ttl?passing";
    assert_eq!(read(&hub, passing).await.as_array().unwrap().len(), 1);
    until(&hub, passing, 0).await;
    let checks = read(&hub, "/v1/health/checks/ttl").await;
    assert_eq!((&checks[0]["CheckID"], &checks[0]["Status"]), (&json!("mine"), &json!("critical")));
    // It comes back with its next word, also after the hub was killed, which forgets no id.
    hub.kill().await;
    hub.run().await;
    assert_eq!(put(&hub, "/v1/agent/check/pass/mine", &Value::Null).await, 200);
    assert_eq!(read(&hub, passing).await.as_array().unwrap().len(), 1);
    // Longer than three leases: Consul removes nobody who does not ask for it.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let all = read(&hub, "/v1/health/service/ttl").await;
    assert_eq!(all[0]["Checks"][0]["Status"], "critical");
    assert_eq!(
        put(&hub, "/v1/agent/check/pass/service:ttl", &Value::Null).await,
        500,
        "its id is another"
    );
}

async fn until(hub: &Hub, path: &str, count: usize) {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        // A registry that was not heard yet may know it.
        let answer: Value = get(hub, path).await.json().await.unwrap_or_default();
        if answer.as_array().is_some_and(|all| all.len() == count) {
            return;
        }
        assert!(Instant::now() < end, "{path}: {answer}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_service_of_a_group_hears_of_it_and_keeps_no_one_from_stopping() {
    let mut hub = Hub::start().await;
    let path = "/v1/health/service/later--web?index=1&wait=60s";
    let waiting = tokio::spawn(get_owned(&hub, path.to_owned()));
    let body = json!({
        "groupName": "later", "serviceName": "web", "hostAddress": "10.5.0.7", "portNumber": 80,
        "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &body).await.0, 201);
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    let next = index(&answer);
    assert_eq!(answer.json::<Value>().await.unwrap().as_array().unwrap().len(), 1);
    for path in ["health/service/later--web", "catalog/services", "health/state/any"] {
        tokio::spawn(get_owned(&hub, format!("/v1/{path}?index={next}&wait=60s")));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    assert_eq!(hub.terminate().await, Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn http_and_tcp_checks_are_run_by_the_hub() {
    let hub = Hub::start().await;
    let closed = free_port();
    let page = hub.url("/health");
    let http = |name: &str, url: &str| {
        json!({
            "ID": name, "Name": name, "Address": "10.5.0.3", "Port": 80,
            "Check": { "HTTP": url, "Interval": "1s", "Timeout": "1s" },
        })
    };
    let good = http("good", &page);
    let bad = http("bad", &format!("http://127.0.0.1:{closed}/"));
    let tcp = json!({
        "ID": "tcp", "Name": "tcp", "Address": "10.5.0.3", "Port": 80,
        "Check": { "TCP": format!("127.0.0.1:{}", hub.port), "Interval": "1s" },
    });
    for body in [&good, &bad, &tcp] {
        assert_eq!(put(&hub, "/v1/agent/service/register", body).await, 200);
    }
    for name in ["good", "tcp"] {
        until(&hub, &format!("/v1/health/service/{name}?passing"), 1).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(read(&hub, "/v1/health/service/bad?passing").await, json!([]));
    for check in [
        json!({ "GRPC": "127.0.0.1:1", "TCP": "127.0.0.1:1", "Interval": "1s" }),
        json!({ "Args": ["rm"], "Interval": "1s" }),
        json!({ "HTTP": page, "TTL": "1s", "Interval": "1s" }),
        json!({ "HTTP": page }),
        json!({ "HTTP": page, "Interval": "1s", "Method": "B AD" }),
        json!({ "HTTP": page, "Interval": "1s", "Method": "CONNECT" }),
        json!({ "HTTP": page, "Interval": "1s", "Header": { "a b": ["c"] } }),
        json!({ "HTTP": page, "Interval": "1s", "Header": { "a": ["b\nc"] } }),
        json!({ "HTTP": page, "Interval": "1s", "Header": { "Content-Length": ["1"] } }),
        json!({ "HTTP": page, "Interval": "1s", "Header": { "a": ["x".repeat(20_000)] } }),
        json!({ "AliasService": "good" }),
        json!({ "TTL": "soon" }),
        json!({ "TTL": "1s", "Status": "sick" }),
    ] {
        let body = json!({ "Name": "odd", "Address": "10.5.0.3", "Port": 80, "Check": check });
        assert_eq!(put(&hub, "/v1/agent/service/register", &body).await, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_checks_are_run_by_the_hub() {
    let Some(installed) = servers::require_library("nacos-grpc-clients") else { return };
    let hub = Hub::start().await;
    let port = free_port();
    let mut command = Command::new(installed.join("nacos-grpc-clients/python/bin/python"));
    command.args(["tests/clients/health/server.py", &port.to_string()]);
    let server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn();
    let mut server = server.unwrap();
    let ready = BufReader::new(server.stdout.take().unwrap()).lines().next_line().await.unwrap();
    assert_eq!(ready.as_deref(), Some("{\"ready\":true}"));
    let web = hub.port;
    for (name, grpc) in [
        ("whole", format!("127.0.0.1:{port}")),
        ("well", format!("127.0.0.1:{port}/well")),
        ("sick", format!("127.0.0.1:{port}/sick")),
        ("unknown", format!("127.0.0.1:{port}/other")),
        // It speaks another language, and hangs up.
        ("web", format!("127.0.0.1:{web}")),
    ] {
        let check =
            json!({ "GRPC": grpc, "Interval": "1s", "Timeout": "1s", "Status": "critical" });
        let body = json!({ "Name": name, "Address": "10.5.0.9", "Port": 80, "Check": check });
        assert_eq!(put(&hub, "/v1/agent/service/register", &body).await, 200, "{name}");
    }
    for name in ["whole", "well"] {
        until(&hub, &format!("/v1/health/service/{name}?passing"), 1).await;
    }
    // By the hub's own API: at the address of the instance.
    let own = json!({
        "serviceName": "own", "hostAddress": "127.0.0.1", "portNumber": port, "healthCheckType": "GRPC",
    });
    assert_eq!(hub.post("/api/v1/instances", &own).await.0, 201);
    until(&hub, "/v1/health/service/own?passing", 1).await;
    for (name, says) in [
        ("sick", "gRPC: NOT_SERVING"),
        ("unknown", "gRPC: NOT_FOUND"),
        ("web", "connection closed before the answer"),
    ] {
        let path = format!("/api/v1/services/{name}/instances");
        let (_, body) = hub.get(&path).await;
        let id = body["instances"][0]["instanceId"].as_str().unwrap();
        assert_eq!(body["instances"][0]["healthStatus"], "UNHEALTHY", "{name}: {body}");
        let path = format!("/api/v1/instances/{id}");
        let said = |_: StatusCode, body: &Value| body.to_string().contains(says);
        hub.until(&path, Duration::from_secs(10), said).await;
    }
    // It dies.
    server.kill().await.unwrap();
    until(&hub, "/v1/health/service/well?passing", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_is_read_by_clients_of_consul_and_the_reverse() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let real = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    let hub = Hub::start().await;
    let far = json!({
        "ID": "far-1", "Name": "far", "Address": "10.5.0.4", "Port": 80, "Tags": ["x"],
        "Meta": { "a": "b" }, "Weights": { "Passing": 3, "Warning": 1 },
        "Check": { "TTL": "1h", "Status": "warning" },
    });
    let url = format!("{}/v1/agent/service/register", real.base_url());
    assert_eq!(hub.client.put(url).json(&far).send().await.unwrap().status(), 200);
    let config = json!({
        "configName": "real", "registryType": "CONSUL",
        "serverAddress": format!("127.0.0.1:{}", real.http_port()),
    });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    until(&hub, "/v1/health/service/far", 1).await;
    let url = format!("{}/v1/health/service/far", real.base_url());
    let there: Value = hub.client.get(url).send().await.unwrap().json().await.unwrap();
    let here = read(&hub, "/v1/health/service/far").await;
    for key in ["ID", "Service", "Tags", "Address", "Port", "Meta", "Weights", "EnableTagOverride"]
    {
        assert_eq!(here[0]["Service"][key], there[0]["Service"][key], "{key}");
    }
    assert_eq!(here[0]["Node"]["Node"], there[0]["Node"]["Node"]);
    assert_eq!(here[0]["Checks"][0]["Status"], "warning");
    let native = json!({
        "serviceName": "near", "hostAddress": "10.5.0.5", "portNumber": 81, "weightValue": 250,
        "tags": ["y"], "metadata": { "a.b": "c" }, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &native).await.0, 201);
    let near = read(&hub, "/v1/health/service/near?passing").await;
    let service = &near[0]["Service"];
    assert_eq!((&service["Tags"], &service["Meta"]), (&json!(["y"]), &json!({ "a.b": "c" })));
    assert_eq!(service["Weights"]["Passing"], 3, "rounded");
    let eureka: Value = hub
        .client
        .get(hub.url("/eureka/apps/FAR"))
        .header("accept", "application/json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(eureka["application"]["instance"][0]["metadata"]["a"], "b");
    plain(&hub, "mine", 90).await;
    let (_, answer) = hub.get("/api/v1/services/mine/instances").await;
    assert_eq!(answer["instances"][0]["hostAddress"], "10.5.0.1", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_registry_was_never_heard_nothing_is_said_to_be_all() {
    let hub = Hub::start().await;
    plain(&hub, "known", 80).await;
    let config =
        json!({ "configName": "deaf", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1" });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    // One that the hub itself has, without instances, may have some elsewhere.
    assert_eq!(hub.post("/api/v1/services", &json!({ "serviceName": "bare" })).await.0, 201);
    for path in [
        "catalog/services",
        "catalog/nodes",
        "health/state/any",
        "health/service/unknown",
        "health/service/bare",
    ] {
        let answer = get(&hub, &format!("/v1/{path}")).await;
        assert_eq!(answer.status(), 500, "{path}");
        assert!(answer.text().await.unwrap().contains("No cluster leader"), "{path}");
    }
    let answer = get(&hub, "/v1/health/service/known").await;
    assert_eq!(
        (answer.status(), &answer.headers()["x-consul-knownleader"]),
        (StatusCode::OK, &"false".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_those_of_the_token_whichever_way_it_is_shown() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let token = hub.command(&["token", "create", "--user", "me", "--role", "reader"]).await;
    let url = hub.url("/v1/catalog/services");
    assert_eq!(hub.client.get(&url).send().await.unwrap().status(), 403);
    let wrong = hub.client.get(&url).header("x-consul-token", "wrong").send().await.unwrap();
    assert_eq!(
        (wrong.status(), wrong.text().await.unwrap()),
        (StatusCode::FORBIDDEN, "ACL not found".to_owned())
    );
    for good in [
        hub.client.get(&url).header("x-consul-token", &token),
        hub.client.get(&url).bearer_auth(&token),
        hub.client.get(format!("{url}?token={token}")),
    ] {
        assert_eq!(good.send().await.unwrap().status(), 200);
    }
    // What is not served is not there, for whom it lets in; what is the hub's own is still its own.
    for path in ["/v1/acl/tokens", "/v1/session/list", "/v1/agent/nothing"] {
        let url = hub.url(path);
        let answer = hub.client.get(&url).header("x-consul-token", &token).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        assert_eq!(hub.client.get(&url).send().await.unwrap().status(), 403, "{path}");
    }
    let own = hub.client.get(hub.url("/api/v1/services")).bearer_auth(&token);
    assert_eq!(own.send().await.unwrap().status(), 200);
    let body = json!({ "Name": "x", "Port": 80 });
    let write = hub.client.put(hub.url("/v1/agent/service/register")).json(&body);
    assert_eq!(write.header("x-consul-token", &token).send().await.unwrap().status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_a_clear_answer_and_changes_nothing() {
    let hub = Hub::start().await;
    let register =
        |body: String| hub.client.put(hub.url("/v1/agent/service/register")).body(body).send();
    let nested = format!("{{\"Name\":{}", "[".repeat(100_000));
    let many: Vec<_> = (0..65).map(|n| format!("\"k{n}\":\"\"")).collect();
    let many = format!("{{\"Name\":\"x\",\"Port\":80,\"Meta\":{{{}}}}}", many.join(","));
    for (body, status) in [
        (nested, 400),
        (many, 400),
        ("[]".to_owned(), 400),
        (String::new(), 400),
        (json!({ "Name": "x" }).to_string(), 400),
        (json!({ "Name": "x", "Port": 70_000 }).to_string(), 400),
        (json!({ "Name": "x", "Port": "80" }).to_string(), 400),
        (json!({ "Name": "a b", "Port": 80 }).to_string(), 400),
        (json!({ "Name": "x", "Port": 80, "Address": "a b" }).to_string(), 400),
        (json!({ "Name": "x", "Port": 80, "Meta": { "consul-x": "" } }).to_string(), 400),
        (json!({ "Name": "x", "Port": 80, "Meta": { "x": "y".repeat(513) } }).to_string(), 400),
        (json!({ "Name": "x", "Port": 80, "Tags": ["x".repeat(11 << 20)] }).to_string(), 413),
    ] {
        let start: String = body.chars().take(60).collect();
        let answer = register(body).await.unwrap();
        assert_eq!(answer.status(), status, "{start}");
        assert!(!answer.text().await.unwrap().is_empty(), "{start}");
    }
    for (path, status) in [
        ("health/service/%ff", 400),
        ("health/service/x?passing=maybe", 400),
        ("health/state/sick", 400),
        ("health/service/x?index=-1", 400),
        ("health/service/x?index=99999999999999999999999", 400),
        ("health/service/x?index=1&wait=-5s", 400),
        ("nothing", 404),
    ] {
        assert_eq!(get(&hub, &format!("/v1/{path}")).await.status(), status, "{path}");
    }
    let answer = hub.client.request(Method::POST, hub.url("/v1/kv/a")).send().await.unwrap();
    assert_eq!(answer.status(), 405);
    assert_eq!(read(&hub, "/v1/catalog/services").await, json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_it_is_not_there() {
    let hub = Hub::with_config("facades:\n  consul:\n    enabled: false\n").await;
    assert_eq!(get(&hub, "/v1/catalog/services").await.status(), 404);
}
