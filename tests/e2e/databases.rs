//! The server on a database server: what is registered is there after a crash, what plain SQL
//! writes is picked up, and the tables can be made before it starts.

use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use hub_registry_testkit::stub::consul::StubConsul;
use serde_json::json;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};
use tokio::process::Command;

use crate::hub::Hub;

/// Well above the poll interval of five seconds.
const SOON: Duration = Duration::from_secs(15);
const WEB: &str = "/api/v1/services/web/instances";
const CONFIG: &str = "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG \
    (tenantId, configName, registryType, serverAddress) VALUES ('default', 'stub', 'CONSUL', 'ADDRESS')";

async fn plain_sql(server: &Server, sql: String) {
    let login = server.login().unwrap();
    let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
    let port = server.http_port();
    let done = match server.kind() {
        ServerKind::Postgres => {
            let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port);
            let options =
                options.username(login.user).password(login.password).database("registry");
            options.connect().await.unwrap().execute(sql).await.map(drop)
        }
        _ => {
            let options = MySqlConnectOptions::new().host("127.0.0.1").port(port);
            let options =
                options.username(login.user).password(login.password).database("registry");
            options.connect().await.unwrap().execute(sql).await.map(drop)
        }
    };
    done.unwrap();
}

/// `registry-server migrate` with this database: how it ended and what it said.
async fn migrate(dsn: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry-server"));
    command.arg("migrate").args(arguments).env("REGISTRY_DB_DSN", dsn);
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

async fn runs_on(kind: ServerKind, word: &str) {
    if !servers::require(kind) {
        return;
    }
    let mut server = servers::start(kind, ServerOptions::default()).await.unwrap();
    let dsn: &'static str = Box::leak(server.dsn().into_boxed_str());

    let (code, said) = migrate(dsn, &[]).await;
    assert_eq!((code, said.contains("applied 0001 tables")), (Some(0), true), "{said}");
    let (code, said) = migrate(dsn, &[]).await;
    assert_eq!((code, said.contains("0 applied, 6 had been before")), (Some(0), true), "{said}");
    assert!(!said.contains("pass-word"), "{said}");

    let mut hub = Hub::with_environment(&[("REGISTRY_DB_DSN", dsn)]).await;
    let one = json!({"serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "leaseSeconds": 3600});
    let (status, body) = hub.post("/api/v1/instances", &one).await;
    assert_eq!(status, 201, "{body}");
    hub.kill().await;
    hub.run().await;
    let (_, body) = hub.get(WEB).await;
    assert_eq!(body["count"], 1, "{body:#}");
    assert!(hub.log().contains(&format!("kind={word}")) && !hub.log().contains("pass-word"));

    let stub = StubConsul::start().await;
    let body = json!({"ID": "w", "Name": "web", "Address": "10.0.0.2", "Port": 80});
    let url = format!("http://{}/v1/agent/service/register", stub.address());
    assert!(hub.client.put(url).json(&body).send().await.unwrap().status().is_success());
    plain_sql(&server, CONFIG.replace("ADDRESS", &stub.address().to_string())).await;
    hub.until(WEB, SOON, |_, body| body["count"] == 2).await;
    // Whether it is at rest just then or not.
    let idle = hub.metric("hub_registry_database_connections{state=\"idle\"}").await;
    assert!(idle + hub.metric("hub_registry_database_connections{state=\"used\"}").await > 0.5);

    let native = "INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE \
        (tenantId, groupName, serviceName, hostAddress, portNumber, leaseSeconds) VALUES \
        ('default', 'DEFAULT_GROUP', 'hand', '10.0.0.9', 80, 3600)";
    plain_sql(&server, native.to_owned()).await;
    hub.until("/api/v1/services/hand/instances", SOON, |_, body| body["count"] == 1).await;

    // Without its database it goes on reading, refuses writes, and takes them again afterwards.
    server.kill().await;
    let two = json!({"serviceName": "web", "hostAddress": "10.0.0.3", "portNumber": 80, "leaseSeconds": 3600});
    let (status, body) = hub.post("/api/v1/instances", &two).await;
    assert_eq!(status, 503, "{body}");
    assert_eq!(hub.get(WEB).await.1["count"], 2);
    server.restart(Data::Kept).await.unwrap();
    let start = tokio::time::Instant::now();
    while hub.post("/api/v1/instances", &two).await.0 != 201 {
        assert!(start.elapsed() < SOON, "{}", hub.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    hub.until(WEB, SOON, |_, body| body["count"] == 3).await;
    assert_eq!(hub.terminate().await, Some(0), "{}", hub.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_runs_on_postgresql() {
    runs_on(ServerKind::Postgres, "postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_runs_on_mariadb() {
    runs_on(ServerKind::MariaDb, "mysql").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_printed_without_a_database() {
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    for (word, mark) in
        [("sqlite", "randomblob"), ("postgres", "TIMESTAMPTZ"), ("mysql", "ENGINE = InnoDB")]
    {
        let (code, said) = migrate(nowhere, &["--print", word]).await;
        assert_eq!(code, Some(0));
        assert!(said.contains("CREATE TABLE HUB_REGISTRY_SERVICE_INSTANCE"), "{said}");
        assert!(said.contains(mark), "{said}");
    }
    let (code, said) = migrate(nowhere, &[]).await;
    assert_eq!(code, Some(4), "{said}");
}
