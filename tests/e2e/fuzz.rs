//! Requests made up from a seed: whatever comes, an answer in our shape, and a server that lives.

use fastrand::Rng;
use hub_registry_testkit::stub::consul::StubConsul;
use serde_json::{Map, Value, json};

use crate::hub::Hub;
use crate::input::{check_shape, raw, routes};

/// Set `FUZZ_SEED` to try another one, `FUZZ_ROUNDS` for more.
const SEED: u64 = 20_261_123;
const ROUNDS: usize = 4000;

const FIELDS: &[&str] = &[
    "groupName",
    "serviceName",
    "hostAddress",
    "portNumber",
    "protocolType",
    "contextPath",
    "instanceStatus",
    "healthStatus",
    "weightValue",
    "metadata",
    "metadataJson",
    "tags",
    "tagsJson",
    "leaseSeconds",
    "ephemeral",
    "healthCheckType",
    "noteText",
    "extProperty",
    "groupType",
    "adminUserIds",
    "accessControlEnabled",
    "loadBalanceStrategy",
    "currentVersion",
    "connections",
    "instances",
    "instanceIds",
    "configName",
    "registryType",
    "specificConfig",
    "authEnabled",
    "healthCheckUrl",
    "defaultProtocolType",
    "tenantId",
    "instanceId",
];
const WORDS: &[&str] = &[
    "",
    "web",
    "team",
    "DEFAULT_GROUP",
    "10.0.0.1",
    "::1",
    "UP",
    "HEALTHY",
    "Y",
    "N",
    "TEST",
    "HTTP",
    "RANDOM",
    "CONSUL",
    "HEARTBEAT",
    "{}",
    "[]",
    "{\"a\":\"b\"}",
    "'; DROP TABLE x; --",
    "\0",
    "ä🦀",
    "../..",
    "default",
    "*",
    "***",
    "null",
    "-1",
    "1e9",
    "\u{202e}",
    "x.y:z",
];
const PARAMS: &[&str] = &[
    "groupName",
    "serviceName",
    "status",
    "health",
    "source",
    "host",
    "tag",
    "meta.a",
    "zone",
    "strategy",
    "key",
    "limit",
    "maxStaleness",
    "onPartial",
    "name",
    "healthyOnly",
    "page",
    "pageSize",
    "sort",
    "force",
    "groupType",
    "tenantId",
    "userId",
    "nonsense",
];
const PARTS: &[&str] = &[
    "web",
    "team",
    "DEFAULT_GROUP",
    "none",
    "%00",
    "%2F",
    "%2e%2e",
    "%ff",
    "%",
    "a%20b",
    "*",
    "batch",
    "test",
    "00000000000000000000000000000000",
    "%F0%9F%A6%80",
    "'",
    "\"",
    "..;",
    "a?b",
];

fn one<'a>(rng: &mut Rng, list: &[&'a str]) -> &'a str {
    list[rng.usize(..list.len())]
}

fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..if depth > 3 { 7 } else { 10 }) {
        0 => Value::Null,
        1 => json!(rng.bool()),
        2 => json!(rng.i64(-10..100_000)),
        3 => json!(rng.f64() * 1e6),
        4 => json!([i64::MIN, i64::MAX, 0, -1][rng.usize(..4)]),
        5 => json!(one(rng, WORDS).repeat(rng.usize(1..4))),
        6 => json!(one(rng, WORDS)),
        7 => (0..rng.usize(..4)).map(|_| value(rng, depth + 1)).collect(),
        _ => Value::Object(object(rng, depth + 1)),
    }
}

fn object(rng: &mut Rng, depth: usize) -> Map<String, Value> {
    (0..rng.usize(..5)).map(|_| (one(rng, FIELDS).to_owned(), value(rng, depth))).collect()
}

/// Close to something good, so that some of it gets through.
fn body(rng: &mut Rng) -> Vec<u8> {
    let mut body = match rng.u8(..6) {
        0 => json!({ "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": rng.u8(1..9) }),
        1 => json!({ "groupName": one(rng, &["team", "other"]) }),
        2 => json!({ "serviceName": one(rng, &["web", "api"]) }),
        3 => json!({ "instances": [value(rng, 0), { "serviceName": "web" }] }),
        4 => json!({ "name": one(rng, WORDS), "from": "native", "to": "other" }),
        _ => json!({}),
    };
    if rng.bool()
        && let Some(fields) = body.as_object_mut()
    {
        fields.extend(object(rng, 0));
    }
    // A server out there is not to be called by chance.
    if body.get("registryType").is_some() {
        body["serverAddress"] = json!("127.0.0.1:1");
        body["activeFlag"] = json!("N");
    }
    let mut bytes = body.to_string().into_bytes();
    match rng.u8(..12) {
        0 => bytes.truncate(rng.usize(..bytes.len().max(1))),
        1 if !bytes.is_empty() => {
            let place = rng.usize(..bytes.len());
            bytes[place] = rng.u8(..);
        }
        2 => bytes = (0..rng.usize(..64)).map(|_| rng.u8(..)).collect(),
        3 => bytes = "[{".repeat(rng.usize(..5000)).into_bytes(),
        _ => {}
    }
    bytes
}

fn path(rng: &mut Rng, template: &str, known: &[String]) -> String {
    let mut path = String::new();
    for part in template.split('/').skip(1) {
        path.push('/');
        if !part.starts_with('{') {
            path.push_str(part);
        } else if rng.bool() {
            path.push_str(&known[rng.usize(..known.len())]);
        } else {
            path.push_str(one(rng, PARTS));
        }
    }
    let params = if rng.u8(..3) == 0 { rng.usize(..4) } else { 0 };
    for n in 0..params {
        let joint = if n == 0 && !path.contains('?') { '?' } else { '&' };
        let word = one(rng, WORDS);
        let encoded: String = word.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let number = rng.i32(-2..50).to_string();
        let value = if rng.bool() { &encoded } else { &number };
        path.push_str(&format!("{joint}{}={value}", one(rng, PARAMS)));
    }
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_requests_break_nothing() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("FUZZ_SEED").unwrap_or(SEED);
    let rounds = number("FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds as usize);
    println!("seed {seed}, {rounds} rounds");
    let mut rng = Rng::with_seed(seed);
    let (hub, consul) = (Hub::start().await, StubConsul::start().await);
    let address = consul.address().to_string();
    let other =
        json!({ "configName": "other", "registryType": "CONSUL", "serverAddress": address });
    assert_eq!(hub.post("/api/v1/external/configs", &other).await.0, 201);
    // Those that call other servers, or wait, are no matter of input alone.
    let waits = ["/connect", "/configs/test", "{configId}/test", "/subscribe"];
    let routes: Vec<_> = routes()
        .into_iter()
        .filter(|route| !waits.iter().any(|word| route.path.ends_with(word)))
        .collect();
    let mut known = vec!["web".to_owned(), "team".to_owned()];
    let mut seen = std::collections::BTreeMap::<u16, usize>::new();
    for round in 0..rounds {
        let route = &routes[rng.usize(..routes.len())];
        let method = if rng.u8(..20) == 0 {
            one(&mut rng, &["PATCH", "HEAD", "OPTIONS", "GET", "DELETE", "FOO"])
        } else {
            route.method.as_str()
        };
        let path = path(&mut rng, route.path, &known);
        let kind = match rng.u8(..20) {
            0 => "content-type: text/xml",
            1 => "x-nothing: 1",
            _ => "content-type: application/json",
        };
        let more = match rng.u8(..12) {
            0 => "\r\naccept: application/problem+json",
            1 => "\r\nx-tenant-id: other",
            2 => "\r\nx-tenant-id: a b",
            3 => "\r\naccept-encoding: gzip, zstd",
            _ => "",
        };
        let body = body(&mut rng);
        let head = format!("{method} {path} HTTP/1.1\r\n{kind}{more}");
        let (status, headers, text) = raw(&hub, &head, &body).await;
        let what = format!("seed {seed} round {round}: {head} {}", String::from_utf8_lossy(&body));
        assert!((200..500).contains(&status) || status == 503, "{what}: {status} {text}");
        // "Not now" is said with when, and why.
        assert!(status != 503 || headers.contains("retry-after"), "{what}: {headers} {text}");
        if status == 503 {
            println!("503: {method} {path}: {text}");
        }
        *seen.entry(status).or_default() += 1;
        let plain = !headers.contains("content-encoding") && method != "HEAD";
        if status >= 400 && plain && !more.contains("problem") && !text.is_empty() {
            check_shape(status, &text, &what);
        }
        if (status == 200 || status == 201)
            && let Ok(answer) = serde_json::from_str::<Value>(&text)
        {
            let ids = ["instanceId", "configId", "migrationId"]
                .iter()
                .filter_map(|name| answer[name].as_str());
            known.extend(ids.map(str::to_owned));
        }
    }
    println!("{seen:?}");
    let enough = |status: u16, count: usize| seen.get(&status).is_some_and(|n| *n >= count);
    assert!(enough(200, 50) && enough(201, 5) && enough(400, 50), "{seen:?}");
    assert_eq!(hub.get("/health").await.0, 200);
    assert_eq!(hub.get("/api/v1/services?groupName=*").await.0, 200);
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
}
