//! A stub Eureka: its API without its caches, with its rules and moods.
//!
//! What it keeps of the real one (Spring Cloud 2023.0.6, eureka-core 2.0.5): 204 for a
//! registration, 404 for what it does not know, JSON only for an `Accept` that names it, a delta
//! with `DELETED` instances and the hash of the whole registry. What it leaves out: leases, peers,
//! XML content, and the 30 s of its response cache: every change is visible at once.

mod lists;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::fault::{Fault, FaultProxy};

/// How the stub misbehaves; by default it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moods {
    /// Deltas are switched off: 403.
    pub no_delta: bool,
    /// It warms up: every read is 403.
    pub warming_up: bool,
    /// The hash of a delta is not that of the registry.
    pub wrong_hash: bool,
    /// A delta has no hash.
    pub no_hash: bool,
    /// A list of one is written as the one.
    pub single_objects: bool,
    /// Changes leave the delta at once, as if three minutes had gone by.
    pub forgetful: bool,
    /// Lists are from before anybody registered; one instance is looked up when it is asked for.
    pub stale_lists: bool,
    /// A remote region could not be loaded yet: 403 for who asks for any.
    pub region_missing: bool,
}

/// How often it was asked for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `GET apps`.
    pub full: usize,
    /// `GET apps/delta`.
    pub delta: usize,
}

#[derive(Debug, Default)]
struct Data {
    apps: BTreeMap<String, BTreeMap<String, Value>>,
    // The last change of each instance, oldest first.
    recent: Vec<(Instant, Value)>,
    version: u64,
    clock: u64,
    moods: Moods,
    asked: Asked,
    // Remote regions by name, in the order they are looked through.
    regions: Vec<(String, Arc<Mutex<Self>>)>,
}

/// A running stub; it ends when it is dropped.
#[derive(Debug)]
pub struct EurekaStub {
    data: Arc<Mutex<Data>>,
    proxy: FaultProxy,
    serving: JoinHandle<()>,
}

impl EurekaStub {
    /// Starts an empty one on a free loopback port.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy = FaultProxy::start(listener.local_addr().unwrap()).await;
        let data = Arc::new(Mutex::new(Data::default()));
        let router = router(Arc::clone(&data));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { data, proxy, serving }
    }

    /// The port it listens on, always the same.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.proxy.port()
    }

    /// `http://127.0.0.1:port/eureka`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}/eureka", self.port())
    }

    /// The proxy in front of it, for other faults.
    #[must_use]
    pub fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    /// From now on that one is a remote region of this one, under this name. The real server has a
    /// copy that is renewed every 30 s; here it is the same at once.
    ///
    /// # Panics
    /// When it is the same stub.
    pub fn add_region(&self, name: &str, region: &Self) {
        assert!(!Arc::ptr_eq(&self.data, &region.data), "no region of itself");
        lock(&self.data).regions.push((name.to_owned(), Arc::clone(&region.data)));
    }

    /// Changes its moods.
    pub fn moods(&self, change: impl FnOnce(&mut Moods)) {
        change(&mut lock(&self.data).moods);
    }

    /// How often it was asked for what.
    #[must_use]
    pub fn asked(&self) -> Asked {
        lock(&self.data).asked
    }

    /// Crashes it, with or without its data.
    pub async fn down(&self, keep_data: bool) {
        self.proxy.set(Fault::Refuse).await;
        if !keep_data {
            let mut data = lock(&self.data);
            data.apps.clear();
            data.recent.clear();
        }
    }

    /// Brings it back.
    pub async fn up(&self) {
        self.proxy.set(Fault::None).await;
    }
}

impl Drop for EurekaStub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(data: &Mutex<Data>) -> MutexGuard<'_, Data> {
    data.lock().unwrap_or_else(PoisonError::into_inner)
}

type Shared = State<Arc<Mutex<Data>>>;

fn router(data: Arc<Mutex<Data>>) -> Router {
    let instance = put(heartbeat).delete(cancel);
    let router = lists::router()
        .route("/apps/{app}", post(register))
        .route("/apps/{app}/{id}", instance)
        .route("/apps/{app}/{id}/status", put(set_status).delete(clear_status))
        .with_state(data);
    Router::new().nest("/eureka", router)
}

impl Data {
    fn changed(&mut self, app: &str, id: &str, action: &str) {
        self.clock += 1;
        self.version += 1;
        let stamp = (1_700_000_000_000 + self.clock).to_string();
        let Some(instance) = self.apps.get_mut(app).and_then(|all| all.get_mut(id)) else {
            return;
        };
        instance["actionType"] = json!(action);
        instance["lastUpdatedTimestamp"] = json!(stamp);
        let instance = instance.clone();
        self.recent.retain(|(_, one)| one["app"] != app || id_of(one) != id);
        self.recent.push((Instant::now(), instance));
    }
}

fn id_of(instance: &Value) -> &str {
    let id = instance["instanceId"].as_str().filter(|id| !id.is_empty());
    id.or_else(|| instance["hostName"].as_str()).unwrap_or("")
}

fn overridden(instance: &Value) -> &str {
    instance["overriddenStatus"].as_str().unwrap_or("UNKNOWN")
}

async fn register(
    State(data): Shared,
    Path(app): Path<String>,
    Json(mut body): Json<Value>,
) -> Response {
    let mut instance = body["instance"].take();
    for field in ["hostName", "ipAddr", "app"] {
        if instance[field].as_str().is_none_or(str::is_empty) {
            return (StatusCode::BAD_REQUEST, format!("Missing {field}")).into_response();
        }
    }
    if instance["dataCenterInfo"]["name"].as_str().is_none() {
        return (StatusCode::BAD_REQUEST, "Missing dataCenterInfo").into_response();
    }
    let name = app.to_uppercase();
    if instance["app"] != app.as_str() {
        return (StatusCode::BAD_REQUEST, "Mismatched appName").into_response();
    }
    instance["app"] = json!(name);
    let mut data = lock(&data);
    let now = 1_700_000_000_000_u64 + data.clock;
    instance["leaseInfo"]["registrationTimestamp"] = json!(now);
    instance["leaseInfo"]["lastRenewalTimestamp"] = json!(now);
    let id = id_of(&instance).to_owned();
    let all = data.apps.entry(name.clone()).or_default();
    // An operator's word, and the old state, outlive a new registration that says UP or
    // OUT_OF_SERVICE (OverrideExistsRule, LeaseExistsRule; other states pass: DownOrStartingRule).
    let free = |word: &&str| matches!(*word, "UP" | "OUT_OF_SERVICE");
    let old = all.get(&id);
    let set = old.map_or("UNKNOWN", overridden).to_owned();
    let kept = (set != "UNKNOWN").then_some(set.as_str());
    let kept = kept.or_else(|| old.and_then(|old| old["status"].as_str()).filter(free));
    if let (Some(kept), Some(_)) = (kept, instance["status"].as_str().filter(free)) {
        instance["status"] = json!(kept);
    }
    instance["overriddenStatus"] = json!(set);
    all.insert(id.clone(), instance);
    data.changed(&name, &id, "ADDED");
    StatusCode::NO_CONTENT.into_response()
}

async fn cancel(State(data): Shared, Path((app, id)): Path<(String, String)>) -> StatusCode {
    let (app, mut data) = (app.to_uppercase(), lock(&data));
    if !data.apps.get(&app).is_some_and(|all| all.contains_key(&id)) {
        return StatusCode::NOT_FOUND;
    }
    data.changed(&app, &id, "DELETED");
    let all = data.apps.entry(app.clone()).or_default();
    all.remove(&id);
    if all.is_empty() {
        data.apps.remove(&app);
    }
    StatusCode::OK
}

async fn heartbeat(State(data): Shared, Path((app, id)): Path<(String, String)>) -> StatusCode {
    let mut data = lock(&data);
    let now = 1_700_000_000_000_u64 + data.clock;
    data.clock += 1;
    let found = data.apps.get_mut(&app.to_uppercase());
    let Some(instance) = found.and_then(|all| all.get_mut(&id)) else {
        return StatusCode::NOT_FOUND;
    };
    instance["leaseInfo"]["lastRenewalTimestamp"] = json!(now);
    StatusCode::OK
}

async fn set_status(
    State(data): Shared,
    Path((app, id)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> StatusCode {
    let (app, mut data) = (app.to_uppercase(), lock(&data));
    let Some(value) = query.get("value") else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    let found = data.apps.get_mut(&app).and_then(|all| all.get_mut(&id));
    let Some(instance) = found else {
        return StatusCode::NOT_FOUND;
    };
    // Setting the state it is in sets no override: then nothing can be cleared either.
    if instance["status"] != value.as_str() {
        instance["status"] = json!(value);
        instance["overriddenStatus"] = json!(value);
        data.changed(&app, &id, "MODIFIED");
    }
    StatusCode::OK
}

async fn clear_status(
    State(data): Shared,
    Path((app, id)): Path<(String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> StatusCode {
    let (app, mut data) = (app.to_uppercase(), lock(&data));
    let found = data.apps.get_mut(&app).and_then(|all| all.get_mut(&id));
    let Some(instance) = found else {
        return StatusCode::NOT_FOUND;
    };
    if overridden(instance) != "UNKNOWN" {
        let status = query.get("value").map_or("UNKNOWN", String::as_str);
        instance["status"] = json!(status);
        instance["overriddenStatus"] = json!("UNKNOWN");
        data.changed(&app, &id, "MODIFIED");
    }
    StatusCode::OK
}
