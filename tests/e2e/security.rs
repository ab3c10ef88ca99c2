//! Who may do what: every route with every role, foreign tenants, forged headers, odd paths.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry::access::{Action, Role};
use hub_registry::api::{ApiSettings, Need, Route, route_table};
use hub_registry::config::Config;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::hub::Hub;

/// A word that only the data of the tenant `acme` has.
const CANARY: &str = "canary-7f3a";

fn routes() -> Vec<Route> {
    route_table(&ApiSettings::from(&Config::default()))
}

/// A server with security on, and tokens of every role in two tenants.
struct Secured {
    hub: Hub,
    tokens: BTreeMap<(&'static str, Role), String>,
}

impl Secured {
    async fn start() -> Self {
        let hub = Hub::with_config("security:\n  enabled: true\n").await;
        let mut tokens = BTreeMap::new();
        for tenant in ["acme", "other"] {
            for role in Role::ALL {
                let user = format!("{role}-{tenant}");
                let line = ["token", "create", "--role", role.as_str(), "--tenant", tenant];
                let token = hub.command(&[&line[..], &["--user", &user]].concat()).await;
                tokens.insert((tenant, *role), token);
            }
        }
        Self { hub, tokens }
    }

    fn token(&self, tenant: &'static str, role: Role) -> &str {
        &self.tokens[&(tenant, role)]
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> (StatusCode, String) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut request = self.hub.client.request(method.clone(), self.hub.url(path)).headers(map);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), format!("{:?}", answer.headers()));
        (status, format!("{headers}\n{}", answer.text().await.unwrap()))
    }

    async fn with_token(
        &self,
        token: &str,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, String) {
        let bearer = format!("Bearer {token}");
        self.ask(method, path, &[("authorization", &bearer)], body).await
    }

    /// Groups, services, instances and a configuration of `acme`, with the canary in all of them.
    async fn seed(&self) -> BTreeMap<&'static str, String> {
        let admin = self.token("acme", Role::Admin);
        let instance = json!({
            "serviceName": CANARY, "hostAddress": "10.9.8.7", "portNumber": 7001,
            "metadata": { "secret": CANARY }, "healthCheckType": "NONE",
        });
        let post = Method::POST;
        let made = self.with_token(admin, &post, "/api/v1/instances", Some(&instance)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let id = field(&made.1, "instanceId");
        let group = json!({ "groupName": CANARY });
        let made = self.with_token(admin, &post, "/api/v1/groups", Some(&group)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let config = json!({
            "configName": CANARY, "registryType": "CONSUL", "serverAddress": "127.0.0.1:9",
            "activeFlag": "N",
        });
        let made = self.with_token(admin, &post, "/api/v1/external/configs", Some(&config)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let config_id = field(&made.1, "configId");
        let other = json!({
            "configName": "other", "registryType": "CONSUL", "serverAddress": "127.0.0.1:9",
        });
        let made = self.with_token(admin, &post, "/api/v1/external/configs", Some(&other)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let other = format!("/api/v1/external/configs/{}", field(&made.1, "configId"));
        let migration = json!({ "name": CANARY, "from": "native", "to": "other" });
        let made = self.with_token(admin, &post, "/api/v1/migrations", Some(&migration)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        // A registry that never answers would keep the server from being ready.
        let off = json!({ "activeFlag": "N" });
        let (status, text) = self.with_token(admin, &Method::PUT, &other, Some(&off)).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        BTreeMap::from([
            ("instanceId", id),
            ("configId", config_id),
            ("migrationId", field(&made.1, "migrationId")),
            ("serviceName", CANARY.to_owned()),
            ("groupName", CANARY.to_owned()),
            ("tokenId", "0".repeat(32)),
        ])
    }
}

fn field(answer: &str, name: &str) -> String {
    let body: Value = serde_json::from_str(answer.split_once('\n').unwrap().1).unwrap();
    body[name].as_str().unwrap().to_owned()
}

fn filled(path: &str, values: &BTreeMap<&'static str, String>) -> String {
    let mut path = path.to_owned();
    for (name, value) in values {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    assert!(!path.contains('{'), "{path}: a variable this test does not know");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_answers_who_shows_no_credential_that_counts() {
    let world = Secured::start().await;
    let values = world.seed().await;
    let wrong = [
        None,
        Some("Bearer "),
        Some("Bearer hubr_0"),
        Some("Basic YWRtaW46YWRtaW4="),
        Some("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."),
    ];
    let routes: Vec<_> = routes().into_iter().filter(|r| r.need != Need::Nothing).collect();
    // Together: a token nobody knows is looked up once a second.
    let asked = routes.iter().flat_map(|route| wrong.map(|shown| (route, shown))).map(
        async |(Route { method, path, .. }, shown)| {
            let path = filled(path, &values);
            let headers: Vec<_> = shown.iter().map(|value| ("authorization", *value)).collect();
            let (status, text) = world.ask(method, &path, &headers, None).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} {shown:?}: {text}");
            assert!(!text.contains(CANARY) && text.contains("www-authenticate"));
        },
    );
    futures_util::future::join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_right_and_keeps_tenants_apart() {
    let world = Secured::start().await;
    let values = world.seed().await;
    let routes = routes();
    assert!(routes.len() > 25, "the table is not empty");
    let mut tried = 0;
    // What removes things comes last, so that the others have something to ask for.
    let mut sorted = routes.clone();
    sorted.sort_by_key(|route| route.method == Method::DELETE);
    for Route { method, path, need } in &sorted {
        let path = &filled(path, &values);
        let write = [Method::POST, Method::PUT].contains(method);
        let body = json!({});
        let body = write.then_some(&body);
        let Need::Right(action) = need else {
            let (status, text) = world.ask(method, path, &[], None).await;
            assert_eq!(status, StatusCode::OK, "{method} {path}");
            assert!(!text.contains(CANARY), "{method} {path} tells strangers: {text}");
            continue;
        };
        for role in Role::ALL {
            // A stranger of another tenant sees, counts and breaks nothing, whatever the role.
            let foreign = world.token("other", *role);
            let (status, text) = world.with_token(foreign, method, path, body).await;
            // The server as a whole is nobody's who has one tenant.
            let fits = role.allows(*action) && !action.concerns_all_tenants();
            assert_eq!(status == StatusCode::FORBIDDEN, !fits, "{method} {path} {role}: {text}");
            let asked = path.contains(CANARY);
            assert!(asked || !text.contains(CANARY), "{method} {path} {role} leaks: {text}");
            assert!(!(asked && status.is_success()), "{method} {path} {role}: {status} {text}");
            for (name, value) in
                [("x-tenant-id", "acme"), ("x-user-id", "admin-acme"), ("x-user-id", "system")]
            {
                let bearer = format!("Bearer {foreign}");
                let headers = [("authorization", bearer.as_str()), (name, value)];
                let (status, text) = world.ask(method, path, &headers, body).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} {role} {name}: {text}");
                assert!(asked || !text.contains(CANARY));
            }
            let query = format!("{path}?tenantId=acme");
            let (status, _) = world.with_token(foreign, method, &query, body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {query} {role}");
            tried += 5;
        }
        // A writer manages the groups it owns, and this one has no owner.
        let may = |role: &&Role| {
            role.allows(*action)
                && !action.concerns_all_tenants()
                && (*action, **role) != (Action::Manage, Role::Writer)
        };
        for role in Role::ALL.iter().filter(|role| !may(role)) {
            let (status, text) =
                world.with_token(world.token("acme", *role), method, path, body).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} {role}: {text}");
            assert!(text.contains("details"), "what is missing is said: {text}");
            tried += 1;
        }
        for role in Role::ALL.iter().filter(may) {
            let removes = *method == Method::DELETE && *role != Role::Admin;
            let path = if removes { format!("{path}-not") } else { path.clone() };
            let (status, text) =
                world.with_token(world.token("acme", *role), method, &path, body).await;
            let refused = [StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED];
            assert!(!refused.contains(&status), "{method} {path} {role}: {status} {text}");
            tried += 1;
        }
    }
    println!("{tried} requests over {} routes", routes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_and_no_header_opens_a_door() {
    let world = Secured::start().await;
    let values = world.seed().await;
    let admin = world.token("acme", Role::Admin).to_owned();
    let reader = world.token("acme", Role::Reader).to_owned();
    let tricks = [
        ("user-agent", "Nacos-Server"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x-original-url", "/health"),
        ("x-rewrite-url", "/health"),
        ("x-http-method-override", "GET"),
        ("host", "localhost"),
        ("x-tenant-id", "acme"),
        ("x-user-id", "admin"),
        ("authorization", ""),
        ("serveridentity", "security"),
        ("x-consul-token", "root"),
        ("cookie", "token=admin"),
    ];
    let before = world.hub.log();
    let routes = routes();
    for route in routes.iter().filter(|route| route.need != Need::Nothing) {
        let Route { method, path, .. } = route;
        let path = filled(path, &values);
        for variant in spellings(&path) {
            let (status, text) = raw(&world.hub, method, &variant, &[]).await;
            assert!(status >= 400 && !text.contains("\"count\""), "{method} {variant}: {text}");
        }
        for trick in tricks {
            let (status, text) = raw(&world.hub, method, &path, &[trick]).await;
            assert_eq!(status, 401, "{method} {path} {trick:?}: {text}");
        }
        // Two credentials are none.
        let (good, bad) = (format!("Bearer {admin}"), "Bearer x".to_owned());
        let twice = [("authorization", good.as_str()), ("authorization", bad.as_str())];
        assert_eq!(raw(&world.hub, method, &path, &twice).await.0, 401, "{method} {path}");
        // A path that takes no such method does nothing, whoever asks.
        for odd in ["PATCH", "TRACE", "OPTIONS", "FOO"] {
            let odd = Method::from_bytes(odd.as_bytes()).unwrap();
            assert_eq!(raw(&world.hub, &odd, &path, &[]).await.0, 401, "{odd} {path}");
            let shown = format!("Bearer {admin}");
            let with = raw(&world.hub, &odd, &path, &[("authorization", &shown)]).await.0;
            assert_eq!(with, 405, "{odd} {path}");
        }
        // HEAD is no way around the right of a GET, and none to what is no GET.
        let shown = format!("Bearer {reader}");
        let reads = routes.iter().any(|other| {
            other.path == route.path && other.method == Method::GET && other.need == READS
        });
        let head = raw(&world.hub, &Method::HEAD, &path, &[("authorization", &shown)]).await.0;
        assert!(reads || [403, 405].contains(&head), "HEAD {path}: {head}");
    }
    assert!(!world.hub.log()[before.len()..].contains("panicked"));
    // All that was asked changed nothing.
    let (_, text) = world.with_token(&admin, &Method::GET, "/api/v1/instances", None).await;
    assert!(text.contains("\"count\":1"), "{text}");
}

const READS: Need = Need::Right(Action::Read);

/// Other ways to write a path, none of which may mean a path that is open.
fn spellings(path: &str) -> Vec<String> {
    let rest = path.trim_start_matches('/');
    vec![
        format!("//{rest}"),
        format!("/./{rest}"),
        format!("/health/../{rest}"),
        format!("/health/%2e%2e/{rest}"),
        format!("/health%2f..%2f{rest}"),
        format!("/health;/{rest}"),
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}%2f"),
        format!("{path}%00"),
        format!("{path};a=b"),
        format!("{path}?x=/health"),
        format!("{path}#/health"),
        path.to_uppercase(),
        path.replace("/api/", "/API/"),
        path.replace("/api/", "/%61pi/"),
        path.replace("/v1/", "//v1/"),
        path.replace("/v1/", "/v1/%2e/"),
        path.replace("/v1/", "\\v1\\"),
        format!("http://other{path}"),
    ]
}

/// One request written by hand, since clients tidy paths up.
async fn raw(hub: &Hub, method: &Method, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", hub.port)).await.unwrap();
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| *name == "host") {
        text += "host: hub\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "content-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
    read.await.expect("an answer in time").ok();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.unwrap_or(400), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lists_of_a_group_hold_on_every_path() {
    let world = Secured::start().await;
    let hub = &world.hub;
    let (owner, reader) = (world.token("acme", Role::Writer), world.token("acme", Role::Reader));
    let line = ["token", "create", "--role", "writer", "--tenant", "acme", "--user"];
    let stranger = hub.command(&[&line[..], &["walt"]].concat()).await;
    let scoped = hub.command(&[&line[..], &["gina", "--group", "elsewhere"]].concat()).await;
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let group = json!({
        "groupName": "closed", "ownerUserId": "writer-acme", "readUserIds": ["reader-acme"],
        "accessControlEnabled": "Y",
    });
    let made = world.with_token(owner, &post, "/api/v1/groups", Some(&group)).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let instance = |group: &str, name: &str| {
        json!({ "serviceName": name, "groupName": group, "hostAddress": "10.0.0.1",
            "portNumber": 80, "healthCheckType": "NONE" })
    };
    let made = world
        .with_token(owner, &post, "/api/v1/instances", Some(&instance("closed", CANARY)))
        .await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    let id = field(&made.1, "instanceId");

    for blind in [stranger.as_str(), scoped.as_str()] {
        for path in [
            "/api/v1/services".to_owned(),
            "/api/v1/services?groupName=*".to_owned(),
            "/api/v1/instances".to_owned(),
            "/api/v1/groups".to_owned(),
            "/api/v1/stats".to_owned(),
            "/api/v1/stats/instances".to_owned(),
            format!("/api/v1/instances/{id}"),
        ] {
            let (status, text) = world.with_token(blind, &get, &path, None).await;
            assert!(!text.contains(CANARY) && !text.contains("closed"), "{path}: {status} {text}");
        }
        for path in ["instances", "select", "explain"] {
            let path = format!("/api/v1/services/{CANARY}/{path}");
            let (status, text) = world.with_token(blind, &get, &path, None).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {text}");
            for group in ["?groupName=closed", "?groupName=*"] {
                let path = format!("{path}{group}");
                let (status, text) = world.with_token(blind, &get, &path, None).await;
                assert!(!status.is_success() && !text.contains("10.0.0.1"), "{path}: {text}");
            }
        }
        let said = instance("closed", "sneaky");
        let (status, _) = world.with_token(blind, &post, "/api/v1/instances", Some(&said)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        let batch = json!({ "instances": [said] });
        let (status, text) =
            world.with_token(blind, &post, "/api/v1/instances/batch", Some(&batch)).await;
        assert!(status == StatusCode::OK && text.contains("\"status\":403"), "{status} {text}");
        for (method, end, body) in [
            (&put, "/heartbeat", json!({})),
            (&put, "/health", json!({ "healthStatus": "UNHEALTHY" })),
            (&put, "/status", json!({ "instanceStatus": "DOWN" })),
            (&put, "", json!({ "weightValue": 1 })),
            (&Method::DELETE, "", json!({})),
        ] {
            let path = format!("/api/v1/instances/{id}{end}");
            let (status, text) = world.with_token(blind, method, &path, Some(&body)).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {text}");
        }
        let beats = json!({ "instanceIds": [id] });
        let (_, text) = world.with_token(blind, &put, "/api/v1/heartbeats", Some(&beats)).await;
        assert!(text.contains("\"renewed\":0"), "{text}");
        let patch = json!({ "accessControlEnabled": "N" });
        let (status, _) =
            world.with_token(blind, &put, "/api/v1/groups/closed", Some(&patch)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    }

    // The listed reader reads and does not write.
    let path = format!("/api/v1/services/{CANARY}/instances?groupName=closed");
    let (status, text) = world.with_token(reader, &get, &path, None).await;
    assert!(status == StatusCode::OK && text.contains("10.0.0.1"), "{status} {text}");
    // A stranger's own group is nobody else's matter.
    let said = instance("open", "fine");
    let (status, text) = world.with_token(&stranger, &post, "/api/v1/instances", Some(&said)).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    // The owner opens it, and everybody may.
    let patch = json!({ "accessControlEnabled": "N" });
    let (status, text) = world.with_token(owner, &put, "/api/v1/groups/closed", Some(&patch)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    let (status, _) = world.with_token(&stranger, &get, &path, None).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_prints_a_token_once_and_it_makes_others() {
    let mut hub = Hub::with_config("security:\n  enabled: true\n").await;
    let printed = |log: &str| -> Vec<String> {
        log.split_whitespace().filter(|word| word.starts_with("hubr_")).map(str::to_owned).collect()
    };
    let tokens = printed(&hub.log());
    assert_eq!(tokens.len(), 1, "{}", hub.log());
    let bearer = format!("Bearer {}", tokens[0]);
    let make = json!({ "userId": "ci", "role": "writer", "tenantId": "acme" });
    let answer = hub.client.post(hub.url("/api/v1/tokens")).header("authorization", &bearer);
    let answer = answer.json(&make).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let made: Value = answer.json().await.unwrap();
    let token = made["token"].as_str().unwrap().to_owned();

    let list = hub.client.get(hub.url("/api/v1/tokens")).header("authorization", &bearer);
    let list = list.send().await.unwrap().text().await.unwrap();
    assert!(list.contains("\"count\":2") && !list.contains(&token[12..]), "{list}");

    hub.kill().await;
    hub.run().await;
    assert_eq!(printed(&hub.log()).len(), 1, "shown once");
    let path = hub.url("/api/v1/services");
    let asked = hub.client.get(&path).bearer_auth(&token).send().await.unwrap();
    assert_eq!(asked.status(), StatusCode::OK);
    // Revoked on the command line, it ends to count within the poll interval.
    hub.command(&["token", "revoke", made["tokenId"].as_str().unwrap()]).await;
    let end = tokio::time::Instant::now() + Duration::from_secs(15);
    loop {
        let asked = hub.client.get(&path).bearer_auth(&token).send().await.unwrap();
        if asked.status() == StatusCode::UNAUTHORIZED {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "a revoked token counts on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let listed = hub.command(&["token", "list"]).await;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(!hub.log().contains(&token[12..]), "no token in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_security_the_plain_lines_work_and_a_proxied_request_does_not() {
    let hub = Hub::start().await;
    assert_eq!(hub.get("/api/v1/services").await.0, StatusCode::OK);
    for header in ["x-forwarded-for", "x-forwarded-host", "forwarded"] {
        let asked = hub.client.get(hub.url("/api/v1/services")).header(header, "for=10.0.0.1");
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        let body: Value = answer.json().await.unwrap();
        assert!(body["details"]["hint"].as_str().unwrap().contains("security.enabled"), "{body}");
    }
    // A key made while there is no lock would open the door once there is one.
    let token = json!({ "userId": "me", "role": "admin", "tenantId": "*" });
    let (status, body) = hub.post("/api/v1/tokens", &token).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    // Access lists are kept, and nobody is held to them.
    let group = json!({ "groupName": "g", "ownerUserId": "o", "accessControlEnabled": "Y" });
    assert_eq!(hub.post("/api/v1/groups", &group).await.0, StatusCode::CREATED);
    let instance = json!({ "serviceName": "s", "groupName": "g", "hostAddress": "10.0.0.1",
        "portNumber": 80 });
    assert_eq!(hub.post("/api/v1/instances", &instance).await.0, StatusCode::CREATED);
    let (_, kept) = hub.get("/api/v1/groups/g").await;
    assert_eq!(kept["accessControlEnabled"], "Y");
}

#[tokio::test(flavor = "multi_thread")]
async fn reachable_from_elsewhere_means_security_unless_it_is_said_that_it_is_off() {
    let open = |more: &'static str| [("REGISTRY__SERVER__HTTP__HOST", "0.0.0.0"), ("X", more)];
    let hub = Hub::with_environment(&open("")).await;
    assert_eq!(hub.get("/api/v1/services").await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(hub.get("/health").await.0, StatusCode::OK);
    let (status, ready) = hub.get("/ready").await;
    assert_eq!((status, ready), (StatusCode::OK, json!({ "status": "UP" })));
    let loud =
        [("REGISTRY__SERVER__HTTP__HOST", "0.0.0.0"), ("REGISTRY__SECURITY__ENABLED", "false")];
    let hub = Hub::with_environment(&loud).await;
    assert_eq!(hub.get("/api/v1/services").await.0, StatusCode::OK);
    assert!(hub.log().contains("SECURITY IS OFF"), "{}", hub.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_read_does_not_open_its_group() {
    let mut world = Secured::start().await;
    let (get, post) = (Method::GET, Method::POST);
    let admin = world.token("acme", Role::Admin).to_owned();
    let (writer, reader) = (
        world.token("acme", Role::Writer).to_owned(),
        world.token("acme", Role::Reader).to_owned(),
    );
    let instance = |group: &str, port: u16| {
        json!({ "serviceName": CANARY, "groupName": group, "hostAddress": "10.0.0.1",
            "portNumber": port, "healthCheckType": "NONE" })
    };
    for name in ["spoilt", "off"] {
        let group =
            json!({ "groupName": name, "ownerUserId": "boss", "accessControlEnabled": "Y" });
        let made = world.with_token(&admin, &post, "/api/v1/groups", Some(&group)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
        let said = instance(name, 80);
        let made = world.with_token(&admin, &post, "/api/v1/instances", Some(&said)).await;
        assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    }
    let file = world.hub.dir.path().join("registry.db");
    let sql = async |text: &'static str| {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let rows = sqlx::query_as::<_, (String, Option<String>, String)>(text);
        let rows = rows.fetch_all(&pool).await.unwrap();
        pool.close().await;
        rows
    };
    const LISTS: &str = "SELECT groupName, ownerUserId, accessControlEnabled \
        FROM HUB_REGISTRY_SERVICE_GROUP WHERE groupName IN ('off', 'spoilt') ORDER BY groupName";
    sql("UPDATE HUB_REGISTRY_SERVICE_GROUP SET defaultHealthCheckIntervalSeconds = 'x' \
        WHERE groupName = 'spoilt' RETURNING groupName, ownerUserId, accessControlEnabled")
    .await;
    sql("UPDATE HUB_REGISTRY_SERVICE_GROUP SET activeFlag = 'N' \
        WHERE groupName = 'off' RETURNING groupName, ownerUserId, accessControlEnabled")
    .await;
    let before = sql(LISTS).await;
    assert_eq!(before.len(), 2);
    for _ in 0..2 {
        assert_eq!(world.hub.terminate().await, Some(0));
        world.hub.run().await;
        for group in ["spoilt", "off"] {
            let path = format!("/api/v1/services/{CANARY}/instances?groupName={group}");
            for token in [&reader, &writer] {
                let (status, text) = world.with_token(token, &get, &path, None).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{group}: {text}");
            }
            let said = instance(group, 81);
            let path = "/api/v1/instances";
            let (status, text) = world.with_token(&writer, &post, path, Some(&said)).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{group}: {text}");
            let (status, text) = world.with_token(&admin, &post, path, Some(&said)).await;
            assert_eq!(status, StatusCode::CONFLICT, "{group}: {text}");
        }
        assert_eq!(sql(LISTS).await, before, "the rows are as they were");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_others_use_is_not_for_the_taking() {
    let world = Secured::start().await;
    let (post, writer) = (Method::POST, world.token("acme", Role::Writer));
    let group = json!({ "groupName": "DEFAULT_GROUP", "ownerUserId": "writer-acme",
        "accessControlEnabled": "Y" });
    let (status, text) = world.with_token(writer, &post, "/api/v1/groups", Some(&group)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{text}");
    // One that only this writer makes is its own.
    let group = json!({ "groupName": "mine" });
    let (status, text) = world.with_token(writer, &post, "/api/v1/groups", Some(&group)).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let patch = json!({ "groupDescription": "ours" });
    let path = "/api/v1/groups/mine";
    let (status, text) = world.with_token(writer, &Method::PUT, path, Some(&patch)).await;
    assert_eq!(status, StatusCode::OK, "{text}");
}
