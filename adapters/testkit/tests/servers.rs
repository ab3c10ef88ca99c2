//! The real servers start, answer, die, and come back on the same ports.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::path::Path;
use std::time::Duration;

use hub_registry_testkit::contract::eventually;
use hub_registry_testkit::servers::{self, Data, EurekaOptions, Server, ServerKind, ServerOptions};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

/// The machine may be busy.
fn client() -> Client {
    Client::builder().timeout(SOON).build().unwrap()
}

/// Sends it and gives the status and the body, which is null if it is not JSON.
async fn ask(request: RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body = answer.text().await.unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// What every kind of server does when it is killed, restarted, paused and dropped. `stays`: what
/// was registered is still there after a restart that keeps the data.
async fn lives_and_dies(
    mut server: Server,
    register: impl Fn(&Client, &Server) -> RequestBuilder,
    list: impl Fn(&Client, &Server) -> RequestBuilder,
    count: impl Fn(&Value) -> usize + Copy,
    stays: bool,
) {
    let client = client();
    let has = async |server: &Server, expected: usize| {
        let ask = || async { ask(list(&client, server)).await.1 };
        let what = format!("{} lists {expected} instances", server.kind());
        eventually(&what, SOON, ask, |answer| count(answer) == expected).await;
    };
    let status = ask(register(&client, &server)).await.0;
    assert!(status.is_success(), "{status}");
    has(&server, 1).await;

    server.pause().await;
    let silent = list(&client, &server).timeout(Duration::from_millis(300));
    let error = silent.send().await.unwrap_err();
    assert!(error.is_timeout(), "a paused server is silent: {error:?}");
    server.resume();
    has(&server, 1).await;

    let (port, id) = (server.http_port(), server.process_id().unwrap());
    server.kill().await;
    assert_eq!(server.process_id(), None);
    assert!(!runs(id), "{id}");
    let error = list(&client, &server).send().await.unwrap_err();
    assert!(error.is_connect(), "a killed server refuses: {error:?}");

    server.restart(Data::Kept).await.unwrap();
    assert_eq!(server.http_port(), port);
    has(&server, usize::from(stays)).await;
    server.restart(Data::Wiped).await.unwrap();
    has(&server, 0).await;
    assert!(!server.log_tail(5).is_empty());

    let (id, folder) = (server.process_id().unwrap(), server.data_dir().to_owned());
    drop(server);
    assert!(!runs(id) && !folder.exists(), "nothing is left of it");
}

fn runs(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[tokio::test]
async fn consul() {
    let kind = ServerKind::Consul;
    if !servers::require(kind) {
        return;
    }
    let server = servers::start(kind, ServerOptions::default()).await.unwrap();
    let register = |client: &Client, server: &Server| {
        let url = format!("{}/v1/agent/service/register", server.base_url());
        client.put(url).json(&json!({"Name": "web", "Port": 80}))
    };
    let list = |client: &Client, server: &Server| {
        client.get(format!("{}/v1/health/service/web", server.base_url()))
    };
    let count = |answer: &Value| answer.as_array().map_or(9, Vec::len);
    lives_and_dies(server, register, list, count, true).await;
}

#[tokio::test]
async fn consul_with_login() {
    let kind = ServerKind::Consul;
    if !servers::require(kind) {
        return;
    }
    let options = ServerOptions::default().with_login();
    let server = servers::start(kind, options).await.unwrap();
    let url = format!("{}/v1/catalog/services", server.base_url());
    let token = server.login().unwrap().password;
    let get = || client().get(&url);
    // Without a token an empty list, which is not the truth.
    assert_eq!(ask(get()).await, (StatusCode::OK, json!({})));
    let known = ask(get().header("X-Consul-Token", token)).await;
    assert_eq!(known, (StatusCode::OK, json!({"consul": []})));
    let unknown = ask(get().header("X-Consul-Token", "wrong")).await;
    assert_eq!(unknown.0, StatusCode::FORBIDDEN);
}

fn eureka_apps(client: &Client, server: &Server) -> RequestBuilder {
    let url = format!("{}/apps", server.base_url());
    client.get(url).header("Accept", "application/json")
}

#[tokio::test]
async fn eureka() {
    let kind = ServerKind::Eureka;
    if !servers::require(kind) {
        return;
    }
    let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
    let server = servers::start(kind, options).await.unwrap();
    let register = |client: &Client, server: &Server| {
        client.post(format!("{}/apps/WEB", server.base_url())).json(&json!({"instance": {
            "instanceId": "one", "app": "WEB", "hostName": "host", "ipAddr": "10.0.0.1",
            "status": "UP", "port": {"$": 80, "@enabled": "true"},
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn",
            },
        }}))
    };
    let count = |answer: &Value| {
        let apps = answer["applications"]["application"].as_array();
        apps.map_or(9, Vec::len)
    };
    lives_and_dies(server, register, eureka_apps, count, false).await;
}

#[tokio::test]
async fn eureka_with_login_and_warm_up() {
    let kind = ServerKind::Eureka;
    if !servers::require(kind) {
        return;
    }
    let warm_up =
        EurekaOptions { warm_up: Some(Duration::from_secs(600)), ..EurekaOptions::default() };
    let options = ServerOptions::default().with_login().with_eureka(warm_up);
    let server = servers::start(kind, options).await.unwrap();
    let login = server.login().unwrap();
    let apps = || eureka_apps(&client(), &server);
    assert_eq!(ask(apps()).await.0, StatusCode::UNAUTHORIZED);
    let wrong = apps().basic_auth(login.user, Some("wrong"));
    assert_eq!(ask(wrong).await.0, StatusCode::UNAUTHORIZED);
    let known = apps().basic_auth(login.user, Some(login.password));
    assert_eq!(ask(known).await.0, StatusCode::FORBIDDEN, "it warms up");
}

#[tokio::test]
async fn nacos() {
    let kind = ServerKind::Nacos;
    if !servers::require(kind) {
        return;
    }
    let server = servers::start(kind, ServerOptions::default()).await.unwrap();
    // A persistent instance: it goes through Raft to the disk.
    let register = |client: &Client, server: &Server| {
        let url = format!("{}/v1/ns/instance", server.base_url());
        let instance = [("serviceName", "web"), ("ip", "10.0.0.1"), ("port", "80")];
        client.post(url).query(&instance).query(&[("ephemeral", "false")])
    };
    let list = |client: &Client, server: &Server| {
        let url = format!("{}/v1/ns/instance/list", server.base_url());
        client.get(url).query(&[("serviceName", "web")])
    };
    let count = |answer: &Value| answer["hosts"].as_array().map_or(9, Vec::len);
    lives_and_dies(server, register, list, count, true).await;
}

#[tokio::test]
async fn nacos_with_login() {
    let kind = ServerKind::Nacos;
    if !servers::require(kind) {
        return;
    }
    let options = ServerOptions::default().with_login();
    let server = servers::start(kind, options).await.unwrap();
    let (base, login) = (server.base_url(), server.login().unwrap());
    let client = client();
    let list = |token: &str| {
        let query = [("serviceName", "web"), ("accessToken", token)];
        client.get(format!("{base}/v1/ns/instance/list")).query(&query)
    };
    let log_in = |password: &str| {
        let form = [("username", login.user), ("password", password)];
        client.post(format!("{base}/v1/auth/login")).form(&form)
    };
    assert_eq!(ask(list("")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(list("wrong")).await.0, StatusCode::FORBIDDEN);
    assert_eq!(ask(log_in("wrong")).await.0, StatusCode::FORBIDDEN);
    let (status, answer) = ask(log_in(login.password)).await;
    assert_eq!(status, StatusCode::OK);
    let token = answer["accessToken"].as_str().unwrap();
    assert_eq!(ask(list(token)).await.0, StatusCode::OK);
}

/// A database server takes queries when it is ready, refuses others than its user, and has on disk
/// what was written before it was killed.
async fn database(kind: ServerKind, client: &str, arguments: impl Fn(&Server) -> Vec<String>) {
    if !servers::require(kind) {
        return;
    }
    let mut server = servers::start(kind, ServerOptions::default()).await.unwrap();
    assert!(
        server.dsn().contains(&format!("127.0.0.1:{}", server.http_port())),
        "{}",
        server.dsn()
    );
    let run = async |server: &Server, sql: &str| {
        let mut command = tokio::process::Command::new(client);
        command.args(arguments(server)).arg(sql).kill_on_drop(true);
        let login = server.login().unwrap();
        command.env("PGPASSWORD", login.password).env("MYSQL_PWD", login.password);
        tokio::time::timeout(Duration::from_secs(2), command.output()).await
    };
    let good = async |server: &Server, sql: &str| {
        let output = run(server, sql).await.expect("an answer in time").unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    good(&server, "CREATE TABLE t (x INT)").await;
    good(&server, "INSERT INTO t VALUES (42)").await;
    server.kill().await;
    let refused = run(&server, "SELECT x FROM t").await.unwrap().unwrap();
    assert!(!refused.status.success(), "a killed server refuses");
    server.restart(Data::Kept).await.unwrap();
    assert_eq!(good(&server, "SELECT x FROM t").await, "42");
    server.pause().await;
    assert!(run(&server, "SELECT x FROM t").await.is_err(), "a paused server is silent");
    server.resume();
    assert_eq!(good(&server, "SELECT x FROM t").await, "42");
    server.restart(Data::Wiped).await.unwrap();
    let gone = run(&server, "SELECT x FROM t").await.unwrap().unwrap();
    assert!(!gone.status.success(), "nothing is left after a wipe");
    let (id, folder) = (server.process_id().unwrap(), server.data_dir().to_owned());
    drop(server);
    assert!(!runs(id) && !folder.exists(), "nothing is left of it");
}

#[tokio::test]
async fn postgresql() {
    database(ServerKind::Postgres, "psql", |server| {
        let (port, user) = (server.http_port(), server.login().unwrap().user);
        let words = format!("-X -A -t -h 127.0.0.1 -p {port} -U {user} -d registry -c");
        words.split(' ').map(str::to_owned).collect()
    })
    .await;
}

#[tokio::test]
async fn mariadb() {
    database(ServerKind::MariaDb, "mariadb", |server| {
        let (port, user) = (server.http_port(), server.login().unwrap().user);
        let words = format!("--no-defaults -N -B -h 127.0.0.1 -P {port} -u {user} -D registry -e");
        words.split(' ').map(str::to_owned).collect()
    })
    .await;
}

/// What a test that keeps its server until it ends leaves behind; run by the test below.
#[tokio::test]
#[ignore = "ends with a server that nobody drops"]
async fn a_server_that_is_never_dropped() {
    let server = servers::start(ServerKind::Consul, ServerOptions::default()).await.unwrap();
    println!("left {} {}", server.process_id().unwrap(), server.data_dir().display());
    std::mem::forget(server);
}

#[tokio::test]
async fn nothing_is_left_of_a_server_that_is_never_dropped() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let test = std::env::current_exe().unwrap();
    let arguments = ["--ignored", "--exact", "a_server_that_is_never_dropped", "--nocapture"];
    let output = tokio::process::Command::new(test).args(arguments).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let left = text.lines().find_map(|line| line.split_once("left ")).expect(&text).1;
    let (id, folder) = left.split_once(' ').unwrap();
    let (id, folder) = (id.parse().unwrap(), Path::new(folder).parent().unwrap());
    let look = || async { runs(id) || folder.exists() };
    eventually("its process and its folder are gone", SOON, look, |left| !left).await;
}
