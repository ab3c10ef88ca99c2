//! The configuration table is a management interface: what plain SQL changes takes effect.

use std::time::Duration;

use hub_registry_testkit::stub::consul::StubConsul;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::hub::Hub;

/// Well above the poll interval of a second that the suite sets.
const SOON: Duration = Duration::from_secs(10);
const WEB: &str = "/api/v1/services/web/instances";

async fn database(hub: &Hub) -> SqliteConnection {
    let path = hub.dir.path().join("registry.db");
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn run(database: &mut SqliteConnection, sql: &'static str, values: &[&str]) {
    let mut query = sqlx::query(sql);
    for value in values {
        query = query.bind(*value);
    }
    query.execute(database).await.unwrap();
}

/// A stub Consul with one instance of `web`.
async fn consul(host: &str) -> StubConsul {
    let stub = StubConsul::start().await;
    let body = json!({ "ID": format!("web-{host}"), "Name": "web", "Address": host, "Port": 80 });
    let url = format!("http://{}/v1/agent/service/register", stub.address());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(client.put(url).json(&body).send().await.unwrap().status().is_success());
    stub
}

fn hosts(body: &Value) -> Vec<&str> {
    body["instances"].as_array().map_or_else(Vec::new, |rows| {
        rows.iter().map(|row| row["hostAddress"].as_str().unwrap()).collect()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_changed_by_plain_sql_take_effect() {
    let hub = Hub::with_config("external:\n  pollInterval: 1s\n").await;
    let (one, two) = (consul("10.0.0.1").await, consul("10.0.0.2").await);
    let mut database = database(&hub).await;
    let insert = "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG \
        (tenantId, externalConfigId, configName, registryType, serverAddress) VALUES ('default', 'c1', 'one', 'CONSUL', ?)";
    run(&mut database, insert, &[&one.address().to_string()]).await;
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.1"]).await;

    // A row that breaks a rule keeps what ran, and says so.
    run(&mut database, "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverPort = 'many'", &[]).await;
    let status = "/api/v1/external/configs/c1/status";
    let complains = |_, body: &Value| {
        body["lastErrorMessage"].as_str().is_some_and(|m| m.contains("serverPort"))
    };
    hub.until(status, SOON, complains).await;
    assert_eq!(hosts(&hub.get(WEB).await.1), ["10.0.0.1"]);
    run(&mut database, "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverPort = NULL", &[]).await;

    // Another address is another registry: its first full read replaces everything at once.
    let update = "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverAddress = ?";
    run(&mut database, update, &[&two.address().to_string()]).await;
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.2"]).await;

    // A note touches nothing: not one connection more at the registry.
    let (_, before) = hub.get(status).await;
    run(
        &mut database,
        "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET noteText = 'x', currentVersion = 9",
        &[],
    )
    .await;
    let second = "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG \
        (tenantId, configName, registryType, serverAddress) VALUES ('default', 'two', 'CONSUL', ?)";
    run(&mut database, second, &[&one.address().to_string()]).await;
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.1", "10.0.0.2"]).await;
    let (_, after) = hub.get(status).await;
    assert_eq!(after["lastConnectTime"], before["lastConnectTime"], "a note made it connect anew");

    let off =
        "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET activeFlag = 'N' WHERE externalConfigId = 'c1'";
    run(&mut database, off, &[]).await;
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.1"]).await;
    hub.until(status, SOON, |_, body| body["state"] == "DISCONNECTED").await;
    tokio::time::timeout(SOON, async {
        while row_of(&mut database).await != "DISCONNECTED" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    run(&mut database, "DELETE FROM HUB_REGISTRY_EXTERNAL_CONFIG", &[]).await;
    hub.until(WEB, SOON, |status, _| status == 404).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn native_rows_changed_by_plain_sql_take_effect() {
    let hub = Hub::with_config("external:\n  pollInterval: 200ms\n").await;
    let one = json!({"serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "leaseSeconds": 3600});
    assert_eq!(hub.post("/api/v1/instances", &one).await.0, 201);
    let mut database = database(&hub).await;
    let insert = "INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE \
        (tenantId, groupName, serviceName, hostAddress, portNumber, weightValue) VALUES ('default', 'DEFAULT_GROUP', 'web', '10.0.0.2', 80, ?)";
    run(&mut database, insert, &["7"]).await;
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.1", "10.0.0.2"]).await;
    let (_, body) = hub.get(WEB).await;
    assert_eq!(body["instances"][1]["weightValue"], 7);
    let id = body["instances"][1]["instanceId"].as_str().unwrap().to_owned();
    let beat = hub.put(&format!("/api/v1/instances/{id}/heartbeat"), &json!({})).await;
    assert_eq!(beat.0, 200, "{}", beat.1);
    let events = "/api/v1/events?serviceName=web&eventType=INSTANCE_REGISTER";
    hub.until(events, SOON, |_, body| body["count"] == 2).await;

    let off =
        "UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET activeFlag = 'N' WHERE hostAddress = '10.0.0.1'";
    run(&mut database, off, &[]).await;
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.2"]).await;
    run(&mut database, "DELETE FROM HUB_REGISTRY_SERVICE_INSTANCE", &[]).await;
    hub.until(WEB, SOON, |_, body| hosts(body).is_empty() && body["count"] == 0).await;
    run(&mut database, "DELETE FROM HUB_REGISTRY_SERVICE", &[]).await;
    hub.until(WEB, SOON, |status, _| status == 404).await;
    let removed = "hub_registry_native_outside_rows_total{change=\"removed\",row=\"instance\"}";
    assert!(hub.metric(removed).await > 1.5);
    assert!(hub.log().contains("native rows that others wrote took effect"), "{}", hub.log());
    assert_eq!(hub.post("/api/v1/instances", &one).await.0, 201);
    hub.until(WEB, SOON, |_, body| hosts(body) == ["10.0.0.1"]).await;
}

async fn row_of(database: &mut SqliteConnection) -> String {
    sqlx::query_scalar(
        "SELECT connectionStatus FROM HUB_REGISTRY_EXTERNAL_STATUS WHERE externalConfigId = 'c1'",
    )
    .fetch_one(database)
    .await
    .unwrap()
}
