//! Every write route with every bad value of every field: made from lists, not by hand.

use std::time::Duration;

use hub_registry::api::{ApiSettings, Route, route_table};
use hub_registry::config::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::hub::Hub;

/// The shape every error has, and no more than a sane amount of it.
pub(crate) fn check_shape(status: u16, text: &str, what: &str) -> Value {
    let body: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{what}: {text}"));
    assert_eq!(body["status"], status, "{what}: {body}");
    assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {body}");
    chrono::DateTime::parse_from_rfc3339(body["time"].as_str().unwrap()).unwrap();
    assert!(text.len() < 4096, "{what}: an error of {} bytes", text.len());
    for word in ["SELECT ", "INSERT ", "panicked", "sqlx", "axum", "src/", "serde"] {
        assert!(!text.contains(word), "{what}: tells {word}: {text}");
    }
    body
}

pub(crate) fn routes() -> Vec<Route> {
    route_table(&ApiSettings::from(&Config::default()))
}

/// One request, byte by byte: a client library would tidy it up.
pub(crate) async fn raw(hub: &Hub, head: &str, body: &[u8]) -> (u16, String, String) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", hub.port)).await.unwrap();
    let head = format!("{head}\r\nhost: x\r\nconnection: close\r\n");
    let length = format!("content-length: {}\r\n\r\n", body.len());
    let sent = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(length.as_bytes()).await?;
        stream.write_all(body).await
    };
    // A server that has heard enough may close before all is sent.
    sent.await.ok();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap().ok();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, head.to_ascii_lowercase(), body.to_owned())
}

/// What a field takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text(usize),
    Name,
    Host,
    Word(&'static str),
    Whole(i64, i64),
    Object,
    Metadata,
    Tags,
    Users,
}
use Kind::{Host, Metadata, Name, Object, Tags, Text, Users, Whole, Word};

const YES_NO: Kind = Word("Y");
const SECONDS: Kind = Whole(1, 86_400);

const INSTANCE: &[(&str, Kind)] = &[
    ("groupName", Name),
    ("serviceName", Name),
    ("hostAddress", Host),
    ("portNumber", Whole(1, 65_535)),
    ("protocolType", Word("HTTP")),
    ("contextPath", Text(200)),
    ("instanceStatus", Word("UP")),
    ("healthStatus", Word("HEALTHY")),
    ("weightValue", Whole(0, 1_000_000)),
    ("clientId", Text(100)),
    ("clientVersion", Text(50)),
    ("clientType", Word("SERVICE")),
    ("metadata", Metadata),
    ("metadataJson", Metadata),
    ("tags", Tags),
    ("tagsJson", Tags),
    ("healthCheckType", Word("HEARTBEAT")),
    ("leaseSeconds", SECONDS),
    ("ephemeral", YES_NO),
    ("noteText", Text(500)),
    ("extProperty", Object),
];
const INSTANCE_PUT: &[&str] = &[
    "instanceStatus",
    "weightValue",
    "contextPath",
    "metadata",
    "metadataJson",
    "tags",
    "tagsJson",
    "noteText",
    "extProperty",
];
const SERVICE: &[(&str, Kind)] = &[
    ("groupName", Name),
    ("serviceName", Name),
    ("serviceDescription", Text(500)),
    ("protocolType", Word("HTTP")),
    ("contextPath", Text(200)),
    ("loadBalanceStrategy", Word("RANDOM")),
    ("healthCheckUrl", Text(500)),
    ("healthCheckIntervalSeconds", SECONDS),
    ("healthCheckTimeoutSeconds", SECONDS),
    ("metadata", Metadata),
    ("metadataJson", Metadata),
    ("tags", Tags),
    ("tagsJson", Tags),
    ("noteText", Text(500)),
    ("extProperty", Object),
];
const GROUP: &[(&str, Kind)] = &[
    ("groupName", Name),
    ("groupDescription", Text(500)),
    ("groupType", Word("TEST")),
    ("ownerUserId", Text(32)),
    ("adminUserIds", Users),
    ("readUserIds", Users),
    ("accessControlEnabled", YES_NO),
    ("defaultProtocolType", Word("HTTP")),
    ("defaultLoadBalanceStrategy", Word("RANDOM")),
    ("defaultHealthCheckUrl", Text(500)),
    ("defaultHealthCheckIntervalSeconds", SECONDS),
    ("noteText", Text(500)),
    ("extProperty", Object),
];
const CONFIG: &[(&str, Kind)] = &[
    ("configName", Text(100)),
    ("configDescription", Text(500)),
    ("registryType", Word("CONSUL")),
    ("environmentName", Text(50)),
    ("serverAddress", Text(500)),
    ("serverPort", Whole(1, 65_535)),
    ("serverPath", Text(200)),
    ("serverScheme", Word("http")),
    ("authEnabled", YES_NO),
    ("username", Text(100)),
    ("password", Text(500)),
    ("accessToken", Text(2000)),
    ("secretKey", Text(500)),
    ("connectionTimeout", Whole(1, 600_000)),
    ("readTimeout", Whole(1, 600_000)),
    ("maxRetries", Whole(0, 100)),
    ("retryInterval", Whole(1, 600_000)),
    ("specificConfig", Object),
    ("failoverEnabled", YES_NO),
    ("failoverStrategy", Word("AUTO")),
    ("syncEnabled", YES_NO),
    ("conflictResolution", Word("merge")),
    ("activeFlag", YES_NO),
    ("noteText", Text(500)),
    ("extProperty", Object),
];

fn bad_values(kind: Kind) -> Vec<Value> {
    let long = |length: usize| json!("x".repeat(length));
    let mut bad = vec![json!(true)];
    match kind {
        Text(max) => bad.extend([
            json!(7),
            json!([]),
            json!({}),
            long(max + 1),
            json!("a\nb"),
            json!("a\0b"),
            json!("a\u{1b}[31m"),
        ]),
        Name => bad.extend([
            json!(7),
            json!([]),
            json!("a b"),
            json!("a/b"),
            json!("ä"),
            json!("'; DROP TABLE HUB_REGISTRY_SERVICE; --"),
            json!("a\0"),
            json!("../x"),
            long(101),
            long(900_000),
        ]),
        Host => bad.extend([
            json!(7),
            json!(""),
            json!("http://x"),
            json!("10.0.0.1:80"),
            json!("a b"),
            json!("' OR 1=1"),
            json!("a\0"),
            long(101),
        ]),
        Word(good) => bad.extend([
            json!(7),
            json!([]),
            json!(format!("{good}X")),
            json!(if good == "http" { "HTTP".to_owned() } else { good.to_lowercase() + "?" }),
            json!(format!("{good}' --")),
            long(900_000),
        ]),
        Whole(low, high) => {
            bad.extend([json!("1"), json!(1.5), json!(2.0), json!(1e300), json!(-7), json!([])]);
            bad.extend([json!(low - 1), json!(high + 1), json!(u64::MAX), json!(i64::MIN)]);
        }
        Object => bad.extend([
            json!(7),
            json!([1]),
            json!("{"),
            json!("[]"),
            json!("{\"a\":1,\"a\":2}"),
            json!("[".repeat(100_000)),
        ]),
        Metadata => {
            let many: serde_json::Map<_, _> =
                (0..129).map(|n| (n.to_string(), json!(""))).collect();
            bad.extend([json!(7), json!([]), json!("x"), json!({ "a": 1 }), json!({ "a": null })]);
            bad.extend([json!({ "": "x" }), json!({ "a": { "b": "c" } }), json!({ "a\u{7}": "" })]);
            bad.extend([json!(many), json!({ "a": "x".repeat(65_536) }), json!({ "a": "\0" })]);
        }
        Tags => bad.extend([
            json!(7),
            json!({ "a": 1 }),
            json!("a"),
            json!([1]),
            json!([""]),
            json!(["a\0"]),
            json!([["a"]]),
            json!(["x".repeat(256)]),
            json!(vec!["t"; 65]),
        ]),
        Users => bad.extend([json!(7), json!({}), json!([1]), json!("me"), json!("[1]")]),
    }
    bad
}

struct Case {
    method: Method,
    path: String,
    base: Value,
    fields: Vec<(&'static str, Kind)>,
}

async fn seed(hub: &Hub) -> Vec<Case> {
    let instance = json!({
        "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "healthCheckType": "NONE",
    });
    let (status, made) = hub.post("/api/v1/instances", &instance).await;
    assert_eq!(status, 201, "{made}");
    let id = made["instanceId"].as_str().unwrap();
    let group = json!({ "groupName": "team" });
    assert_eq!(hub.post("/api/v1/groups", &group).await.0, 201);
    let config = json!({
        "configName": "c", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1",
        "activeFlag": "N", "authEnabled": "N",
    });
    let (status, made) = hub.post("/api/v1/external/configs", &config).await;
    assert_eq!(status, 201, "{made}");
    let config_id = made["configId"].as_str().unwrap();
    let put = |names: &[(&'static str, Kind)], without: &[&str]| {
        names.iter().filter(|(name, _)| !without.contains(name)).copied().collect::<Vec<_>>()
    };
    let case = |method: Method, path: String, base: Value, fields: Vec<(&'static str, Kind)>| {
        Case { method, path, base, fields }
    };
    let of_put: Vec<_> =
        INSTANCE.iter().filter(|(name, _)| INSTANCE_PUT.contains(name)).copied().collect();
    let another = json!({ "serviceName": "other" });
    let one = |name: &'static str, kind: Kind| vec![(name, kind)];
    let mut new_config = config.clone();
    new_config["configName"] = json!("another");
    vec![
        case(Method::POST, "/api/v1/instances".to_owned(), instance.clone(), INSTANCE.to_vec()),
        case(Method::PUT, format!("/api/v1/instances/{id}"), json!({}), of_put),
        case(
            Method::PUT,
            format!("/api/v1/instances/{id}/health"),
            json!({}),
            one("healthStatus", Word("HEALTHY")),
        ),
        case(
            Method::PUT,
            format!("/api/v1/instances/{id}/status"),
            json!({}),
            one("instanceStatus", Word("UP")),
        ),
        case(
            Method::PUT,
            format!("/api/v1/instances/{id}/load"),
            json!({}),
            one("connections", Whole(0, 1_000_000_000)),
        ),
        case(Method::POST, "/api/v1/services".to_owned(), another, SERVICE.to_vec()),
        case(
            Method::PUT,
            "/api/v1/services/web".to_owned(),
            json!({}),
            put(SERVICE, &["groupName", "serviceName"]),
        ),
        case(
            Method::POST,
            "/api/v1/groups".to_owned(),
            json!({ "groupName": "new" }),
            GROUP.to_vec(),
        ),
        case(Method::PUT, "/api/v1/groups/team".to_owned(), json!({}), put(GROUP, &["groupName"])),
        case(Method::POST, "/api/v1/external/configs".to_owned(), new_config, CONFIG.to_vec()),
        case(
            Method::PUT,
            format!("/api/v1/external/configs/{config_id}"),
            json!({}),
            CONFIG.to_vec(),
        ),
        case(Method::POST, "/api/v1/external/configs/test".to_owned(), config, CONFIG.to_vec()),
    ]
}

async fn send(hub: &Hub, method: &Method, path: &str, body: &Value) -> (StatusCode, String) {
    let request = hub.client.request(method.clone(), hub.url(path)).json(body);
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_value_of_every_field_is_refused_by_name() {
    let hub = Hub::start().await;
    let mut tried = 0;
    for Case { method, path, base, fields } in seed(&hub).await {
        for (field, kind) in fields {
            for value in bad_values(kind) {
                let mut body = base.clone();
                body[field] = value.clone();
                // The text forms of the same thing, as text.
                if field.ends_with("Json") && !value.is_string() {
                    body[field] = json!(value.to_string());
                }
                let (status, text) = send(&hub, &method, &path, &body).await;
                let shown: String = body[field].to_string().chars().take(80).collect();
                let what = format!("{method} {path} {field}={shown}");
                assert_eq!(status, 400, "{what}: {text}");
                let answer = check_shape(400, &text, &what);
                let details = &answer["details"];
                let named = details["field"].as_str().unwrap_or_default();
                assert!(named.starts_with(field), "{what}: {answer}");
                assert!(details["rule"].is_string(), "{what}: {answer}");
                tried += 1;
            }
        }
        for field in ["nonsense", "__proto__", "serviceName ", "SERVICENAME", &"k".repeat(90_000)] {
            let mut body = base.clone();
            body[field] = json!(1);
            let (status, text) = send(&hub, &method, &path, &body).await;
            assert_eq!(status, 400, "{method} {path}: {text}");
            check_shape(400, &text, field.get(..9).unwrap_or(field));
        }
    }
    println!("{tried} bad values");
    assert_eq!(hub.get("/api/v1/instances").await.1["count"], 1, "nothing of it was kept");
    assert_eq!(hub.get("/api/v1/services").await.1["count"], 1);
    assert_eq!(hub.get("/api/v1/groups").await.1["count"], 2);
    assert_eq!(hub.get("/api/v1/external/configs").await.1["count"], 1);
}

/// SQL, markup and all kinds of letters are text like any other.
#[tokio::test(flavor = "multi_thread")]
async fn what_fits_is_stored_as_it_is() {
    let hub = Hub::start().await;
    let texts = [
        "'; DROP TABLE HUB_REGISTRY_SERVICE_INSTANCE; --",
        "\" OR \"\"=\"",
        "%s%n${jndi:ldap://x}{{7*7}}",
        "<script>alert(1)</script>",
        "\\u0000 \\' \\\\",
        "ä 漢字 🦀 \u{202e}evil",
    ];
    for text in texts {
        for Case { method, path, base, fields } in seed(&hub).await {
            let is_config = path.contains("external");
            let texts = fields.iter().filter(|(_, kind)| matches!(kind, Text(_)));
            let mut body = base.clone();
            for (field, _) in texts.filter(|_| !is_config) {
                let short = || text.chars().take(8).collect();
                body[*field] = json!(match *field {
                    "ownerUserId" => short(),
                    "healthCheckUrl" | "defaultHealthCheckUrl" => {
                        format!("/{}", text.replace(' ', "+"))
                    }
                    _ => text.to_owned(),
                });
            }
            if fields.iter().any(|(field, _)| *field == "metadata") {
                body["metadata"] = json!({ text: text });
                body["tags"] = json!([text]);
            }
            if body == base {
                continue;
            }
            let (status, answer) = hub.send(method.clone(), &path, Some(&body)).await;
            assert!(status.is_success(), "{method} {path}: {answer}");
            let read = match path.as_str() {
                "/api/v1/instances" => {
                    format!("{path}/{}", answer["instanceId"].as_str().unwrap())
                }
                "/api/v1/services" => format!("{path}/other"),
                "/api/v1/groups" => format!("{path}/new"),
                other => other.to_owned(),
            };
            let (status, now) = hub.get(&read).await;
            assert_eq!(status, 200, "{now}");
            for (field, value) in body.as_object().unwrap() {
                assert_eq!(now[field], *value, "{method} {path} {field}");
            }
        }
        for path in ["/api/v1/instances", "/api/v1/services", "/api/v1/groups"] {
            let (_, list) = hub.get(path).await;
            for row in list[path.rsplit('/').next().unwrap()].as_array().unwrap() {
                let named = |field: &str| row[field].as_str().map(str::to_owned);
                let path = match path {
                    "/api/v1/instances" => format!("{path}/{}", named("instanceId").unwrap()),
                    "/api/v1/services" => {
                        format!("{path}/{}?force=true", named("serviceName").unwrap())
                    }
                    _ => format!("{path}/{}?force=true", named("groupName").unwrap()),
                };
                assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200, "{path}");
            }
        }
        let (_, list) = hub.get("/api/v1/external/configs").await;
        for config in list["configs"].as_array().unwrap() {
            let path = format!("/api/v1/external/configs/{}", config["configId"].as_str().unwrap());
            assert_eq!(hub.send(Method::DELETE, &path, None).await.0, 200, "{path}");
        }
    }
}
