//! Bodies, methods, paths and heads that are none.

use std::collections::BTreeSet;

use hub_registry::api::Route;
use reqwest::Method;
use serde_json::json;

use crate::hub::Hub;
use crate::input::{check_shape, raw, routes};

/// Routes whose body, if any, means nothing.
fn bodiless(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let of_registries = ["connect", "disconnect", "failover", "failback", "sync"];
    let of_migrations = ["advance", "rollback", "pause", "resume"];
    last == "heartbeat" || of_registries.contains(&last) || of_migrations.contains(&last)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_body_is_refused_on_every_write_route() {
    let hub = Hub::start().await;
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let json_type = "content-type: application/json";
    let mut cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (json_type, b"".to_vec(), 400, "is empty"),
        (json_type, b"{".to_vec(), 400, "ends too early"),
        (json_type, b"{}x".to_vec(), 400, "stops being JSON"),
        (json_type, b"[]".to_vec(), 400, "JSON object"),
        (json_type, b"null".to_vec(), 400, "JSON object"),
        (json_type, b"\"x\"".to_vec(), 400, "JSON object"),
        (json_type, b"{\"a\":NaN}".to_vec(), 400, "stops being JSON"),
        (json_type, b"{\"a\":1e999}".to_vec(), 400, "too large"),
        (json_type, b"{\"a\":1,\"a\":1}".to_vec(), 400, "given once"),
        (json_type, b"{\"a\":{\"b\":[{\"c\":1,\"c\":2}]}}".to_vec(), 400, "a.b[0].c"),
        (json_type, b"{\"a\":\"\\ud800\"}".to_vec(), 400, "surrogate"),
        (json_type, b"{\"a\":\"\\ud800\\u0041\"}".to_vec(), 400, "surrogate"),
        (json_type, b"{\"a\":\"\xff\"}".to_vec(), 400, "UTF-8"),
        (json_type, b"{\"a\":\"\\u0000\"}".to_vec(), 400, "U+0000"),
        (json_type, b"{\"\\u0000\":1}".to_vec(), 400, "U+0000"),
        (json_type, nested(32).into_bytes(), 400, "deeper than 32"),
        (json_type, nested(100_000).into_bytes(), 400, "deeper than 32"),
        ("content-type: text/plain", b"{}".to_vec(), 415, "application/json"),
        ("content-type: application/x-www-form-urlencoded", b"a=b".to_vec(), 415, "json"),
        ("content-type: application/json; charset=latin1", b"{}".to_vec(), 415, "UTF-8"),
        (
            "content-type: application/json\r\ncontent-encoding: gzip",
            b"{}".to_vec(),
            415,
            "compressed",
        ),
        (json_type, [b"{\"a\":\"", &vec![b'x'; 10 << 20][..], b"\"}"].concat(), 413, "at most"),
    ];
    let mut tried = 0;
    let writes = [Method::POST, Method::PUT];
    let routes = routes();
    for Route { method, path, .. } in routes.iter().filter(|route| writes.contains(&route.method)) {
        if bodiless(path) {
            continue;
        }
        // One that exists, where it is looked for first.
        let config = json!({
            "configName": "c", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1",
            "activeFlag": "N", "configDescription": path, "environmentName": format!("e{tried}"),
        });
        let made = hub.post("/api/v1/external/configs", &config).await.1;
        let path = path.replace("{configId}", made["configId"].as_str().unwrap());
        let path = path.replace(['{', '}'], "");
        for (header, body, expected, words) in &cases {
            let head = format!("{method} {path} HTTP/1.1\r\n{header}");
            let (status, _, text) = raw(&hub, &head, body).await;
            let what =
                format!("{method} {path} {}", String::from_utf8_lossy(&body[..body.len().min(40)]));
            assert_eq!(status, *expected, "{what}: {text}");
            check_shape(status, &text, &what);
            assert!(text.contains(words), "{what}: {text}");
            tried += 1;
        }
        cases.truncate(24);
    }
    println!("{tried} bad bodies");
    assert_eq!(hub.get("/health").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_are_told_the_right_ones() {
    let hub = Hub::start().await;
    let routes = routes();
    let all = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
    for path in routes.iter().map(|route| route.path).collect::<BTreeSet<_>>() {
        let taken: Vec<_> =
            routes.iter().filter(|r| r.path == path).map(|r| r.method.clone()).collect();
        for method in all.iter().filter(|method| !taken.contains(method)) {
            let head = format!("{method} {} HTTP/1.1", path.replace(['{', '}'], ""));
            let (status, head, text) = raw(&hub, &head, b"").await;
            assert_eq!(status, 405, "{method} {path}: {text}");
            check_shape(405, &text, path);
            let allow = head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or("");
            for right in &taken {
                let right = right.as_str().to_ascii_lowercase();
                assert!(allow.contains(&right), "{method} {path}: allow: {allow}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_and_heads_are_answered_cleanly() {
    let hub = Hub::start().await;
    let long = "x".repeat(600);
    let names = [
        "%00",
        "%2F",
        "%2e%2e",
        "..%2f..%2fetc",
        "%ff",
        "%c3%28",
        "%",
        "%zz",
        "a%20b",
        "%F0%9F%A6%80",
        &long,
    ];
    for name in names {
        for path in [
            format!("/api/v1/services/{name}"),
            format!("/api/v1/services/{name}/instances"),
            format!("/api/v1/services/{name}/select"),
            format!("/api/v1/services/{name}/explain"),
            format!("/api/v1/groups/{name}"),
            format!("/api/v1/groups/{name}/services"),
            format!("/api/v1/instances/{name}"),
            format!("/api/v1/external/configs/{name}"),
            format!("/api/v1/external/configs/{name}/status"),
        ] {
            for method in ["GET", "DELETE"] {
                let (status, _, text) = raw(&hub, &format!("{method} {path} HTTP/1.1"), b"").await;
                assert!([400, 404, 405].contains(&status), "{method} {path}: {status} {text}");
                check_shape(status, &text, &path);
            }
        }
        let list = format!("GET /api/v1/services?groupName={name}&name={name} HTTP/1.1");
        let (status, _, text) = raw(&hub, &list, b"").await;
        assert!([200, 400].contains(&status), "{name}: {status} {text}");
    }
    let queries = [
        "/api/v1/instances?sort=nonsense",
        "/api/v1/instances?sort='; DROP TABLE x",
        "/api/v1/services?sort=serviceName,down",
        "/api/v1/groups?groupType=OTHER",
        "/api/v1/groups?page=1&page=2",
        "/api/v1/external/configs?sort=password",
        "/api/v1/stats?x=1",
        "/api/v1/services/a/select?strategy=CONSISTENT_HASH",
        "/api/v1/services/a/explain?groupName=*",
    ];
    for query in queries {
        let (status, _, text) =
            raw(&hub, &format!("GET {} HTTP/1.1", query.replace(' ', "+")), b"").await;
        assert_eq!(status, 400, "{query}: {text}");
        let body = check_shape(400, &text, query);
        assert!(body["details"]["field"].is_string(), "{query}: {body}");
    }
    let huge = "x".repeat(100_000);
    let (status, ..) = raw(&hub, &format!("GET /api/v1/services?name={huge} HTTP/1.1"), b"").await;
    assert_eq!(status, 414);
    let many: String = (0..200).map(|n| format!("\r\nx-{n}: {n}")).collect();
    let (status, ..) = raw(&hub, &format!("GET /health HTTP/1.1{many}"), b"").await;
    assert_eq!(status, 431);
    let long = format!("GET /health HTTP/1.1\r\nx-long: {}", "x".repeat(1 << 20));
    assert_eq!(raw(&hub, &long, b"").await.0, 431);
    assert_eq!(raw(&hub, "NONSENSE", b"").await.0, 400);
    assert_eq!(hub.get("/health").await.0, 200);
}
