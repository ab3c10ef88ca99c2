//! A stub Eureka: its API without its caches, with its rules and moods.
//!
//! What it keeps of the real one (Spring Cloud 2023.0.6, eureka-core 2.0.5): 204 for a
//! registration, 404 for what it does not know, JSON only for an `Accept` that names it, a delta
//! with `DELETED` instances and the hash of the whole registry. What it leaves out: leases, peers,
//! XML content, and the 30 s of its response cache: every change is visible at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
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
}

/// How long a change stays in the delta.
const DELTA_REACH: Duration = Duration::from_secs(180);

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
    let instance = put(heartbeat).delete(cancel).get(one);
    let router = Router::new()
        .route("/apps", get(full))
        .route("/apps/", get(full))
        .route("/apps/delta", get(delta))
        .route("/apps/{app}", post(register).get(app))
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

    fn hash(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in self.apps.values().flat_map(BTreeMap::values) {
            let status = instance["status"].as_str().unwrap_or("UNKNOWN");
            *counts.entry(status).or_default() += 1;
        }
        let parts = counts.iter();
        parts.map(|(word, n)| format!("{word}_{n}_")).collect()
    }

    fn list(&self, mut list: Vec<Value>) -> Value {
        match list.len() {
            1 if self.moods.single_objects => list.remove(0),
            _ => Value::Array(list),
        }
    }

    fn applications(&self, apps: BTreeMap<String, Vec<Value>>, hash: Option<String>) -> Value {
        let apps = apps.into_iter();
        let apps = apps.map(|(name, all)| json!({"name": name, "instance": self.list(all)}));
        let list = self.list(apps.collect());
        let mut body = json!({"versions__delta": self.version.to_string(), "application": list});
        if let Some(hash) = hash {
            body["apps__hashcode"] = json!(hash);
        }
        json!({ "applications": body })
    }
}

fn id_of(instance: &Value) -> &str {
    let id = instance["instanceId"].as_str().filter(|id| !id.is_empty());
    id.or_else(|| instance["hostName"].as_str()).unwrap_or("")
}

fn overridden(instance: &Value) -> &str {
    instance["overriddenStatus"].as_str().unwrap_or("UNKNOWN")
}

/// The answer in the form asked for.
fn negotiated(headers: &HeaderMap, body: Value) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("json")) {
        return Json(body).into_response();
    }
    let xml = [(header::CONTENT_TYPE, "application/xml")];
    (xml, "<applications></applications>").into_response()
}

async fn full(State(data): Shared, headers: HeaderMap) -> Response {
    let mut data = lock(&data);
    data.asked.full += 1;
    if data.moods.warming_up {
        return StatusCode::FORBIDDEN.into_response();
    }
    let apps = data.apps.iter();
    let apps = apps.map(|(name, all)| (name.clone(), all.values().cloned().collect()));
    let body = data.applications(apps.collect(), Some(data.hash()));
    negotiated(&headers, body)
}

async fn delta(State(data): Shared, headers: HeaderMap) -> Response {
    let mut data = lock(&data);
    data.asked.delta += 1;
    if data.moods.warming_up || data.moods.no_delta {
        return StatusCode::FORBIDDEN.into_response();
    }
    if data.moods.forgetful {
        data.recent.clear();
    }
    data.recent.retain(|(at, _)| at.elapsed() < DELTA_REACH);
    let mut apps: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (_, instance) in &data.recent {
        let app = instance["app"].as_str().unwrap_or_default().to_owned();
        apps.entry(app).or_default().push(instance.clone());
    }
    let hash = match data.moods {
        Moods { no_hash: true, .. } => None,
        Moods { wrong_hash: true, .. } => Some("UP_999_".to_owned()),
        _ => Some(data.hash()),
    };
    negotiated(&headers, data.applications(apps, hash))
}

async fn app(State(data): Shared, Path(app): Path<String>, headers: HeaderMap) -> Response {
    let data = lock(&data);
    if data.moods.warming_up {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(all) = data.apps.get(&app.to_uppercase()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let list = data.list(all.values().cloned().collect());
    let body = json!({"application": {"name": app.to_uppercase(), "instance": list}});
    negotiated(&headers, body)
}

async fn one(
    State(data): Shared,
    Path((app, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let data = lock(&data);
    let found = data.apps.get(&app.to_uppercase());
    match found.and_then(|all| all.get(&id)) {
        Some(instance) => negotiated(&headers, json!({ "instance": instance })),
        None => StatusCode::NOT_FOUND.into_response(),
    }
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
