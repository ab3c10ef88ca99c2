//! The limit of a write: as little as a server can do that has an instance and its event on disk
//! before it answers. It reads the request, waits for the commit that has it, and answers; it keeps
//! nothing in memory, checks nothing and tells nobody.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, body::Bytes};
use hub_registry::clock::Clock;
use hub_registry::config::{DatabaseConfig, Dsn};
use hub_registry::model::row::CommonColumns;
use hub_registry::storage::{EventRow, InstanceRow, NativeStore, NativeWrite, SqlStore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use crate::hub::free_port;

/// The first argument of the process that is this limit.
pub(crate) const WORD: &str = "--durable-limit";

/// Instances in one commit at most: as the hub's.
const COMMIT: usize = 512;

type Waiting = ([NativeWrite; 2], oneshot::Sender<()>);

/// One that runs; ended with this.
#[derive(Debug)]
pub(crate) struct DurableLimit {
    pub(crate) port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl DurableLimit {
    /// On an empty SQLite file with the hub's tables.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let port = free_port();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([WORD, &port.to_string()])
            .arg(folder.path().join("registry.db"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Self { port, child, _folder: folder };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..500 {
            if client.get(format!("http://127.0.0.1:{port}/")).send().await.is_ok() {
                return limit;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the limit of writes does not start");
    }
}

impl Drop for DurableLimit {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Is the limit, until somebody ends it.
pub(crate) async fn serve(port: u16, database: &Path) {
    let dsn = Dsn::parse(&database.to_string_lossy()).unwrap();
    let config = DatabaseConfig { kind: dsn.database(), dsn, ..DatabaseConfig::default() };
    let store = SqlStore::open(&config).await.unwrap();
    let (sender, queue) = mpsc::channel(4096);
    tokio::spawn(write(store, queue));
    let router = Router::new().route("/api/v1/instances", post(register)).with_state(sender);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn write(store: SqlStore, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::new();
    while queue.recv_many(&mut waiting, COMMIT).await > 0 {
        let (writes, told): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        store.commit(&writes.into_iter().flatten().collect::<Vec<_>>()).await.unwrap();
        // Who is gone needs no answer.
        told.into_iter().for_each(|told| _ = told.send(()));
    }
}

async fn register(State(queue): State<mpsc::Sender<Waiting>>, body: Bytes) -> Response {
    let Ok(said) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (id, writes) = rows(&said);
    let (told, written) = oneshot::channel();
    queue.send((writes, told)).await.unwrap();
    written.await.unwrap();
    let answer = json!({ "instanceId": id, "message": "Instance registered successfully" });
    (StatusCode::CREATED, Json(answer)).into_response()
}

fn rows(said: &Value) -> (String, [NativeWrite; 2]) {
    let now = Clock::System.now();
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    let (service, host) = (text("serviceName"), text("hostAddress"));
    let port = said["portNumber"].as_i64();
    let hash = Sha256::digest(format!("default\0DEFAULT_GROUP\0{service}\0{host}\0{port:?}"));
    let id: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let who = || Some("system".to_owned());
    let instance = NativeWrite::PutInstance(InstanceRow {
        service_instance_id: id.clone(),
        tenant_id: "default".to_owned(),
        group_name: "DEFAULT_GROUP".to_owned(),
        service_name: service.clone(),
        host_address: host.clone(),
        port_number: port,
        instance_status: Some("UP".to_owned()),
        health_status: Some("HEALTHY".to_owned()),
        weight_value: Some(100),
        client_type: Some("SERVICE".to_owned()),
        metadata_json: Some(said["metadata"].to_string()),
        tags_json: Some(said["tags"].to_string()),
        register_time: Some(now),
        last_heartbeat_time: Some(now),
        health_check_type: Some("HEARTBEAT".to_owned()),
        lease_seconds: said["leaseSeconds"].as_i64(),
        ephemeral: Some("Y".to_owned()),
        common: CommonColumns {
            add_time: Some(now),
            add_who: who(),
            edit_time: Some(now),
            edit_who: who(),
            current_version: Some(1),
            active_flag: Some("Y".to_owned()),
            ..CommonColumns::default()
        },
        ..InstanceRow::default()
    });
    let event = NativeWrite::AddEvent(EventRow {
        tenant_id: "default".to_owned(),
        group_name: Some("DEFAULT_GROUP".to_owned()),
        service_name: Some(service),
        host_address: Some(host),
        port_number: port,
        event_type: "INSTANCE_REGISTER".to_owned(),
        event_source: "native".to_owned(),
        event_data_json: Some(r#"{"instanceStatus":"UP","healthStatus":"HEALTHY"}"#.to_owned()),
        event_message: Some("registered".to_owned()),
        event_time: now,
        revision: 1,
        who: "system".to_owned(),
        ..EventRow::default()
    });
    (id, [instance, event])
}
