//! Secrets are planted everywhere a secret can come in, and looked for everywhere something goes out.

use std::time::Duration;

use hub_registry_testkit::stub::consul::StubConsul;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;
use crate::wire::Wire;

/// Whatever is secret has this in it, or is a token that the hub made.
const CANARY: &str = "c4n4ry-5ecret";
const FILE: (&str, &str) = ("REGISTRY__LOG__FILE__PATH", "logs/registry.log");
const SOON: Duration = Duration::from_secs(30);

fn secret(what: &str) -> String {
    format!("{CANARY}-{what}")
}

/// Everything that a person or a program may read later.
struct Told {
    texts: Vec<(String, String)>,
    tokens: Vec<String>,
}

impl Told {
    fn hear(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.texts.push((place.into(), text.into()));
    }

    fn check(&self) {
        assert!(self.texts.len() > 20);
        // As it is, in base64 (as basic authentication has it) and percent-encoded.
        let basic = "YzRuNHJ5LTVlY3JldA";
        for (place, text) in &self.texts {
            let line = |word: &str| {
                text.lines().find(|line| line.contains(word)).unwrap_or_default().to_owned()
            };
            for word in [CANARY, basic, "c4n4ry%2D5ecret"] {
                assert!(!text.contains(word), "{place} tells {word}: {}", line(word));
            }
            for token in &self.tokens {
                assert!(!text.contains(token.as_str()), "{place} tells a token: {}", line(token));
            }
        }
    }
}

fn configs(consul: &str, closed: &str) -> Vec<Value> {
    let base = |name: &str, kind: &str, address: &str| {
        json!({
            "configName": name, "registryType": kind, "serverAddress": address, "authEnabled": "Y",
            "username": "hub", "password": secret("password"),
            "accessToken": secret("access"), "secretKey": secret("key"),
            "connectionTimeout": 500, "readTimeout": 500, "maxRetries": 1, "retryInterval": 100,
        })
    };
    vec![
        base("consul-a", "CONSUL", consul),
        base("consul-b", "CONSUL", closed),
        base("nacos-a", "NACOS", closed),
        base("eureka-a", "EUREKA", closed),
        base("eureka-b", "EUREKA", consul),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_the_hub_whatever_the_level() {
    let consul = StubConsul::start().await;
    let closed = crate::hub::free_port();
    let environment = [FILE, ("REGISTRY_LOG_LEVEL", "trace"), ("REGISTRY__LOG__ACCESS", "true")];
    let hub = Hub::with("security:\n  enabled: true\n", &environment).await;
    let line = ["token", "create", "--user", "root", "--role", "admin", "--tenant", "*"];
    let admin = hub.command(&line).await;
    let mut told = Told { texts: Vec::new(), tokens: vec![admin.clone()] };
    let bearer = format!("Bearer {admin}");
    let ask = async |method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]| {
        let mut request = hub.client.request(method, hub.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let head = format!("{} {:?}", answer.status(), answer.headers());
        (head, answer.text().await.unwrap())
    };
    let known = [("authorization", bearer.as_str())];

    let mut ids = Vec::new();
    for body in configs(&consul.address().to_string(), &format!("127.0.0.1:{closed}")) {
        let (head, text) = ask(Method::POST, "/api/v1/external/configs", Some(&body), &known).await;
        assert!(head.starts_with("201"), "{head} {text}");
        let made: Value = serde_json::from_str(&text).unwrap();
        ids.push(made["configId"].as_str().unwrap().to_owned());
        told.hear("create", text);
        // Rejected as a whole, with every secret in it.
        let mut wrong = body.clone();
        wrong["registryType"] = json!(secret("kind-is-echoed")[..2]);
        wrong["connectionTimeout"] = json!("soon");
        let (_, text) = ask(Method::POST, "/api/v1/external/configs", Some(&wrong), &known).await;
        told.hear("refused create", text);
        let (_, text) =
            ask(Method::POST, "/api/v1/external/configs/test", Some(&body), &known).await;
        told.hear("test", text);
    }
    let (_, text) = ask(
        Method::POST,
        "/api/v1/tokens",
        Some(&json!({ "userId": "ci", "role": "writer" })),
        &known,
    )
    .await;
    let made: Value = serde_json::from_str(&text).unwrap();
    told.tokens.push(made["token"].as_str().unwrap().to_owned());

    // Credentials that do not count, and secrets where none belong.
    let jwt = format!("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{}", secret("jwt"));
    let unknown = format!("Bearer {}", secret("bearer"));
    let basic = format!("Basic {}{}", "YzRuNHJ5LTVlY3JldA", "OnB3");
    let cookie = format!("session={}", secret("cookie"));
    for headers in [
        &[("authorization", jwt.as_str())][..],
        &[("authorization", unknown.as_str())],
        &[("authorization", basic.as_str())],
        &[("cookie", cookie.as_str())],
        &[
            ("authorization", bearer.as_str()),
            ("cookie", cookie.as_str()),
            ("x-consul-token", &cookie),
        ],
    ] {
        for path in ["/api/v1/services", "/ready", "/metrics", "/nowhere"] {
            let query = format!("{path}?accessToken={}&token={}", secret("query"), secret("query"));
            let (head, text) = ask(Method::GET, &query, None, headers).await;
            told.hear(format!("GET {path}"), head + &text);
        }
    }
    let userinfo = format!("http://hub:{}@127.0.0.1:{}/api/v1/services", secret("url"), hub.port);
    let mut wire = Wire::connect(hub.port).await.unwrap();
    wire.send(&format!("GET {userinfo} HTTP/1.1\r\nhost: hub\r\nauthorization: {bearer}\r\n\r\n"))
        .await
        .unwrap();
    let answer = wire.answer().await.unwrap();
    told.hear("userinfo", answer.head + &answer.body);

    // All have been tried, and all have failed or been read.
    let end = Instant::now() + SOON;
    loop {
        let mut tried = 0;
        for id in &ids {
            let path = format!("/api/v1/external/configs/{id}/status");
            let (_, text) = ask(Method::GET, &path, None, &known).await;
            let status: Value = serde_json::from_str(&text).unwrap();
            tried += usize::from(["LIVE", "DOWN"].contains(&status["state"].as_str().unwrap()));
            told.hear("status", text);
        }
        if tried == ids.len() {
            break;
        }
        assert!(Instant::now() < end, "{}", hub.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for path in [
        "/api/v1/external/configs",
        "/api/v1/stats",
        "/api/v1/tokens",
        "/ready",
        "/health",
        "/metrics",
        "/api/v1/groups",
        "/api/v1/instances",
        "/api/v1/ops/log-level",
    ] {
        let (head, text) = ask(Method::GET, path, None, &known).await;
        // Sources that were never read keep it from being ready.
        assert!(head.starts_with("200") || path == "/ready", "{path} {head} {text}");
        told.hear(path, head + &text);
    }
    for id in &ids {
        let path = format!("/api/v1/external/configs/{id}");
        let (_, text) = ask(Method::GET, &path, None, &known).await;
        assert!(text.contains("\"***\""), "{text}");
        told.hear("config", text);
    }

    let file = hub.dir.path().join("logs/registry.log");
    let until = Instant::now() + SOON;
    let seen = || std::fs::read_to_string(&file).unwrap_or_default();
    while !(seen().contains("route=/api/v1/ops/log-level") && seen().contains("source failed")) {
        assert!(Instant::now() < until, "{}", seen());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    told.hear("log file", seen());
    told.hear("log", hub.log());
    told.check();
}

#[tokio::test]
async fn the_password_of_the_database_is_not_told_by_one_that_fails() {
    let mut told = String::new();
    let port = crate::hub::free_port();
    for dsn in [
        format!("postgres://hub:{}@127.0.0.1:{port}/registry", secret("dsn")),
        format!("hub:{}@tcp(127.0.0.1:{port})/registry?parseTime=True", secret("dsn")),
        format!("postgres://hub:{}@127.0.0.1:{port}/registry?sslmode=odd", secret("dsn")),
        format!("mysql://hub:{}@[::1/registry", secret("dsn")),
    ] {
        for arguments in [&["migrate"][..], &["token", "list"]] {
            let run = tokio::process::Command::new(env!("CARGO_BIN_EXE_registry-server"))
                .args(arguments)
                .env("REGISTRY_DB_DSN", &dsn)
                .env("REGISTRY_LOG_LEVEL", "trace")
                .kill_on_drop(true)
                .output();
            let output = tokio::time::timeout(SOON * 2, run).await.unwrap().unwrap();
            assert!(!output.status.success());
            told.push_str(&String::from_utf8_lossy(&output.stdout));
            told.push_str(&String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(!told.contains(CANARY), "{told}");
    assert!(told.contains("127.0.0.1"), "{told}");
}
