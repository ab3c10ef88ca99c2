//! Secrets of external registries at rest, with a real Consul that asks for its token.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hub_registry_testkit::servers::{self, Login, Server, ServerKind, ServerOptions};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::hub::Hub;

const SOON: Duration = Duration::from_secs(20);
const POLL: &str = "external:\n  pollInterval: 300ms\n";
const STATUS: &str = "/api/v1/external/configs/c1/status";
const WEB: &str = "/api/v1/services/web/instances";

async fn database(hub: &Hub) -> SqliteConnection {
    let path = hub.dir.path().join("registry.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn sql(hub: &Hub, text: &str) {
    let text = sqlx::AssertSqlSafe(text.to_owned());
    sqlx::query(text).execute(&mut database(hub).await).await.unwrap();
}

async fn column(hub: &Hub) -> String {
    let text = "SELECT accessToken FROM HUB_REGISTRY_EXTERNAL_CONFIG WHERE externalConfigId = 'c1'";
    sqlx::query_scalar(text).fetch_one(&mut database(hub).await).await.unwrap()
}

async fn until_column(hub: &Hub, what: &str, satisfied: impl Fn(&str) -> bool) -> String {
    let end = tokio::time::Instant::now() + SOON;
    loop {
        let text = column(hub).await;
        if satisfied(&text) {
            return text;
        }
        assert!(tokio::time::Instant::now() < end, "{what}: {text}\n{}", hub.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn live(_: reqwest::StatusCode, body: &Value) -> bool {
    body["state"] == "LIVE" && body["connectionStatus"] == "CONNECTED"
}

fn complains(body: &Value, of: &str) -> bool {
    body["connectionStatus"] == "ERROR"
        && body["lastErrorMessage"].as_str().is_some_and(|message| message.contains(of))
}

/// A Consul that wants its token, with one instance of `web`; and its token.
async fn consul() -> Option<(Server, &'static str)> {
    if !servers::require(ServerKind::Consul) {
        return None;
    }
    let server = servers::start(ServerKind::Consul, ServerOptions::default().with_login());
    let (server, token) = (server.await.unwrap(), Login::of(ServerKind::Consul).password);
    let body = json!({ "ID": "w", "Name": "web", "Address": "10.0.0.1", "Port": 80 });
    let url = format!("{}/v1/agent/service/register", server.base_url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = client.put(url).header("X-Consul-Token", token).json(&body);
    assert!(put.send().await.unwrap().status().is_success());
    Some((server, token))
}

async fn insert(hub: &Hub, address: &str, token: &str) {
    sql(
        hub,
        &format!(
            "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG (tenantId, externalConfigId, configName, registryType, \
             serverAddress, authEnabled, accessToken, retryInterval) VALUES \
             ('default', 'c1', 'consul', 'CONSUL', '{address}', 'Y', '{token}', 200)"
        ),
    )
    .await;
}

/// Every file below the folder that holds the text.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_plain_sql_is_sealed_and_never_seen_again() {
    let Some((consul, token)) = consul().await else { return };
    let hub = Hub::with_config(&format!("{POLL}  caDir: .\n")).await;
    insert(&hub, &consul.address().to_string(), token).await;
    hub.until(STATUS, SOON, live).await;
    let sealed = until_column(&hub, "sealed", |text| text.starts_with("sealed:v1:")).await;
    let (_, before) = hub.get(STATUS).await;

    // Nobody sees it: answers, errors of every kind, metrics, the log, the files.
    let mut seen = String::new();
    for path in ["/api/v1/external/configs", "/api/v1/external/configs/c1", STATUS, "/metrics"] {
        seen.push_str(&hub.get(path).await.1.to_string());
    }
    for body in [
        json!({ "serverAddress": "127.0.0.1:1" }),
        json!({ "accessToken": "***", "serverPort": 1, "serverAddress": "x" }),
        json!({ "accessToken": ["x"] }),
        json!({ "accessToken": sealed }),
        json!({ "readTimeout": -1 }),
    ] {
        let (status, answer) = hub.put("/api/v1/external/configs/c1", &body).await;
        assert_eq!(status, 400, "{answer}");
        let (_, tried) = hub.post("/api/v1/external/configs/c1/test", &body).await;
        seen.push_str(&format!("{answer}{tried}"));
    }
    let (status, answer) = hub.post("/api/v1/external/configs/c1/test", &json!({})).await;
    assert_eq!((status.as_u16(), &answer["success"]), (200, &json!(true)), "{answer}");
    let moved = json!({ "serverAddress": "127.0.0.1:1" });
    let (_, answer) = hub.put("/api/v1/external/configs/c1", &moved).await;
    assert_eq!(answer["details"]["code"], "secret_required", "{answer}");
    assert!(!seen.contains(token) && !seen.contains(&sealed), "{seen}");
    assert!(!hub.log().contains(token), "{}", hub.log());
    assert_eq!(holding(hub.dir.path(), token), [""; 0]);

    // What is put back, and what has nothing to do with it, leaves the running source alone.
    let (_, whole) = hub.get("/api/v1/external/configs/c1").await;
    assert_eq!(whole["accessToken"], "***");
    assert_eq!(hub.put("/api/v1/external/configs/c1", &whole).await.0, 200);
    assert_eq!(hub.put("/api/v1/external/configs/c1", &json!({ "noteText": "x" })).await.0, 200);
    assert!(column(&hub).await.starts_with("sealed:v1:"));
    let (_, after) = hub.get(STATUS).await;
    assert_eq!(after["lastConnectTime"], before["lastConnectTime"], "{}", hub.log());
    assert_eq!(hub.log().matches("connecting").count(), 1, "{}", hub.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_pointed_at_another_server_by_plain_sql_gives_nothing_away() {
    let Some((consul, token)) = consul().await else { return };
    let hub = Hub::with_config(POLL).await;
    insert(&hub, &consul.address().to_string(), token).await;
    hub.until(STATUS, SOON, live).await;
    until_column(&hub, "sealed", |text| text.starts_with("sealed:v1:")).await;
    let evil = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = evil.local_addr().unwrap();
    for set in [format!("'{address}'"), format!("serverAddress || ',{address}'")] {
        sql(&hub, &format!("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverAddress = {set}")).await;
        hub.until(STATUS, SOON, |_, body| complains(body, "accessToken was sealed for another"))
            .await;
        let (_, status) = hub.get(STATUS).await;
        assert_eq!(status["state"], "LIVE", "what ran goes on: {status:#}");
        assert_eq!(hub.get(WEB).await.1["count"], 1);
        let tried = hub.post("/api/v1/external/configs/c1/test", &json!({})).await;
        assert_eq!(tried.0, 400, "{tried:?}");
        let back = format!("serverAddress = '{}'", consul.address());
        sql(&hub, &format!("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET {back}")).await;
        hub.until(STATUS, SOON, live).await;
    }
    let knocked = tokio::time::timeout(Duration::from_millis(100), evil.accept()).await;
    assert!(knocked.is_err(), "the other server was asked");
    // Who gives the secret again may lead it elsewhere.
    let set = format!("serverAddress = '{address}', accessToken = 'another-token'");
    sql(&hub, &format!("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET {set}")).await;
    tokio::time::timeout(SOON, evil.accept()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_hub_follows_a_rotation_and_a_lost_key_is_said() {
    let Some((consul, token)) = consul().await else { return };
    let mut hub = Hub::with_config(POLL).await;
    let body = json!({
        "configName": "consul", "registryType": "CONSUL", "serverAddress": consul.address().to_string(),
        "authEnabled": "Y", "accessToken": token, "retryInterval": 200,
    });
    let (status, answer) = hub.post("/api/v1/external/configs", &body).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["configId"].as_str().unwrap();
    let rename = format!(
        "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET externalConfigId = 'c1' WHERE \
        externalConfigId = '{id}'"
    );
    // An id of a fixed form for the rest; the secret does not come along, and is given again.
    sql(&hub, &rename).await;
    hub.until(STATUS, SOON, |_, body| complains(body, "accessToken")).await;
    let put = hub.put("/api/v1/external/configs/c1", &json!({ "accessToken": token })).await;
    assert_eq!(put.0, 200, "{put:?}");
    hub.until(STATUS, SOON, live).await;

    let list = hub.command(&["secrets", "list"]).await;
    assert!(list.contains("seals and opens  1 secrets"), "{list}");
    let (old, connected) = (column(&hub).await, hub.log().matches("connecting").count());
    let said = hub.command(&["secrets", "rotate"]).await;
    assert!(said.contains("1 configurations sealed anew"), "{said}");
    assert!(said.contains("nothing needs it any more"), "{said}");
    let new = column(&hub).await;
    assert_ne!(old[..18], new[..18], "another key");
    // The running hub opens it with a key it did not start with, and seals with it.
    let put = hub.put("/api/v1/external/configs/c1", &json!({ "noteText": "x" })).await;
    assert_eq!(put.0, 200, "{put:?}");
    assert_eq!(column(&hub).await[..18], new[..18]);
    tokio::time::sleep(Duration::from_millis(700)).await;
    hub.until(STATUS, SOON, live).await;
    assert_eq!(hub.log().matches("connecting").count(), connected, "{}", hub.log());

    // The key gets lost: what runs goes on, and goes on after it is back.
    let file = hub.dir.path().join("secrets.key");
    let keys = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    hub.terminate().await;
    hub.run().await;
    assert!(hub.log().contains("THE KEY OF THE SECRETS IS NOT HERE"), "{}", hub.log());
    assert!(!file.exists(), "no other key is made over it");
    hub.until(STATUS, SOON, |_, body| complains(body, "accessToken is sealed with the key")).await;
    let second = json!({ "configName": "b", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1",
        "accessToken": "t" });
    let (status, answer) = hub.post("/api/v1/external/configs", &second).await;
    assert_eq!(status, 503, "{answer}");
    std::fs::write(&file, &keys).unwrap();
    hub.until(STATUS, SOON, live).await;
    // Another key in its place while it runs.
    let other = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    std::fs::write(&file, other).unwrap();
    sql(&hub, "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET retryInterval = 300").await;
    hub.until(STATUS, SOON, live).await;
    let keys_and_other = format!("{other}\n{}", String::from_utf8(keys).unwrap());
    std::fs::write(&file, keys_and_other).unwrap();
    let said = hub.command(&["secrets", "rewrap"]).await;
    assert!(said.contains("1 configurations sealed anew, all with the key 3d400cba"), "{said}");
    hub.terminate().await;
    hub.run().await;
    hub.until(STATUS, SOON, live).await;
}

/// Wherever a rotation ends, every secret opens, and the next rotation goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_may_be_killed_at_any_moment() {
    let hub = Hub::with_config(POLL).await;
    for number in 0..40 {
        let body = json!({
            "configName": format!("c{number}"), "registryType": "CONSUL", "serverAddress": "127.0.0.1:1",
            "activeFlag": "N", "password": format!("p{number}"),
        });
        assert_eq!(hub.post("/api/v1/external/configs", &body).await.0, 201);
    }
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut half_way = 0;
    for round in 0..25 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_registry-server"))
            .arg("--config")
            .arg(hub.dir.path().join("registry.yaml"))
            .args(["secrets", "rotate"])
            .current_dir(hub.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(random.u64(5..250))).await;
        child.kill().await.unwrap();
        let list = hub.command(&["secrets", "list"]).await;
        let counts = list.lines().filter(|line| line.ends_with(" secrets"));
        let counts: Vec<usize> = counts
            .map(|line| line.split_whitespace().rev().nth(1).unwrap().parse().unwrap())
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), 40, "round {round}: {list}");
        assert!(!list.contains("configuration") && !list.contains("NOT HERE"), "{list}");
        half_way += usize::from(counts.iter().filter(|count| **count > 0).count() > 1);
        // The running hub is in the way, and not hindered.
        let (_, all) = hub.get("/api/v1/external/configs?pageSize=1").await;
        let id = all["configs"][0]["configId"].as_str().unwrap();
        let path = format!("/api/v1/external/configs/{id}");
        let put = hub.put(&path, &json!({ "noteText": format!("{round}") })).await;
        assert_eq!(put.0, 200, "{put:?}");
    }
    println!("{half_way} of 25 rotations ended half-way");
    hub.command(&["secrets", "rotate"]).await;
    let list = hub.command(&["secrets", "list"]).await;
    assert!(list.contains("seals and opens  40 secrets") && list.lines().count() == 1, "{list}");
    let left = std::fs::read_dir(hub.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left = left.filter(|name| name.to_string_lossy().starts_with("secrets.key."));
    assert_eq!(left.count(), 0, "what killed rotations left is cleared away");
}
