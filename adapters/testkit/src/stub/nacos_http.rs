//! The HTTP half of the Nacos stub.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::nacos::{Key, Shared};

type Nacos = State<Arc<Shared>>;
type Parameters = Query<HashMap<String, String>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(&shared), guard);
    let guarded = Router::new()
        .route("/v1/ns/catalog/services", get(services))
        .route("/v2/ns/catalog/instances", get(instances))
        .route("/v1/ns/instance/list", get(list))
        .route("/v1/ns/instance", post(register).put(register).delete(deregister))
        .layer(guard);
    let open = Router::new()
        .route("/v1/auth/users/login", post(login))
        .route("/v1/ns/operator/metrics", get(metrics));
    Router::new().nest("/nacos", guarded.merge(open)).with_state(shared)
}

async fn guard(State(nacos): Nacos, headers: HeaderMap, request: Request, next: Next) -> Response {
    nacos.calls.fetch_add(1, Ordering::Relaxed);
    let allowed = {
        let state = nacos.lock();
        let token = headers.get("accesstoken").and_then(|v| v.to_str().ok());
        state.login.is_none() || token.is_some_and(|token| state.tokens.contains(token))
    };
    if allowed {
        return next.run(request).await;
    }
    let body = json!({"status": 403, "error": "Forbidden", "message": "token invalid!"});
    (StatusCode::FORBIDDEN, Json(body)).into_response()
}

async fn login(State(nacos): Nacos, form: String) -> Response {
    // A form is written as a query string is.
    let uri: Uri = format!("/?{form}").parse().unwrap_or_default();
    let form = Query::<HashMap<String, String>>::try_from_uri(&uri);
    let form = form.map(|Query(form)| form).unwrap_or_default();
    let mut state = nacos.lock();
    let given = (form.get("username"), form.get("password"));
    let right = |(username, password)| given == (Some(username), Some(password));
    if !state.login.as_ref().is_some_and(|(u, p)| right((u, p))) {
        return (StatusCode::FORBIDDEN, "user not found!").into_response();
    }
    let token = state.issue();
    Json(json!({"accessToken": token, "tokenTtl": 18_000, "globalAdmin": true})).into_response()
}

async fn metrics() -> Json<Value> {
    Json(json!({"status": "UP"}))
}

fn page<T: Clone>(all: &[T], query: &HashMap<String, String>, cap: Option<usize>) -> Vec<T> {
    let number = |name: &str| query.get(name).and_then(|v| v.parse::<usize>().ok());
    let size = number("pageSize").unwrap_or(20);
    let size = cap.map_or(size, |cap| size.min(cap));
    let start = (number("pageNo").unwrap_or(1).max(1) - 1) * size;
    all.iter().skip(start).take(size).cloned().collect()
}

async fn services(State(nacos): Nacos, Query(query): Parameters) -> Json<Value> {
    let state = nacos.lock();
    let all: Vec<_> = state
        .services
        .keys()
        .map(|key| {
            let hosts = state.hosts(key);
            let healthy = hosts.iter().filter(|host| host["healthy"] == true).count();
            json!({
                "name": key.1, "groupName": key.0, "clusterCount": 1, "ipCount": hosts.len(),
                "healthyInstanceCount": healthy, "triggerFlag": "false",
            })
        })
        .collect();
    let list = page(&all, &query, state.page_cap);
    Json(json!({"count": all.len(), "serviceList": list}))
}

/// As 2.2.4: `groupName` is not looked at, the group is in the name or is the default one.
async fn instances(State(nacos): Nacos, Query(mut query): Parameters) -> Json<Value> {
    query.remove("groupName");
    let state = nacos.lock();
    let hosts = state.hosts(&key(&query));
    let mut data = json!({"count": hosts.len()});
    if !hosts.is_empty() {
        data["instances"] = json!(page(&hosts, &query, state.page_cap));
    }
    Json(json!({"code": 0, "message": "success", "data": data}))
}

async fn list(State(nacos): Nacos, Query(query): Parameters) -> Json<Value> {
    Json(nacos.lock().service_info(&key(&query)))
}

async fn register(State(nacos): Nacos, Query(query): Parameters) -> &'static str {
    let (group, name) = key(&query);
    let text = |name: &str, default: &str| {
        let value = query.get(name).map_or(default, String::as_str);
        value.to_owned()
    };
    let (ip, port) = (text("ip", ""), text("port", "0"));
    let cluster = text("clusterName", "DEFAULT");
    let metadata: Value = serde_json::from_str(&text("metadata", "{}")).unwrap_or_default();
    let host = json!({
        "instanceId": format!("{ip}#{port}#{cluster}#{group}@@{name}"),
        "ip": ip, "port": port.parse::<u16>().unwrap_or_default(),
        "weight": text("weight", "1").parse::<f64>().unwrap_or(1.0),
        "healthy": text("healthy", "true") == "true",
        "enabled": text("enabled", "true") == "true",
        "ephemeral": true, "clusterName": cluster, "serviceName": format!("{group}@@{name}"),
        "metadata": metadata, "instanceHeartBeatInterval": 5000,
        "instanceHeartBeatTimeOut": 15_000, "ipDeleteTimeout": 30_000,
    });
    // Over HTTP each address is a client of its own, with one entry per service: another cluster
    // replaces the first.
    nacos.publish((group, name), &format!("{ip}:{port}"), vec![host]);
    "ok"
}

async fn deregister(State(nacos): Nacos, Query(query): Parameters) -> &'static str {
    let text = |name: &str, default| query.get(name).map_or(default, String::as_str);
    let client = format!("{}:{}", text("ip", ""), text("port", "0"));
    nacos.publish(key(&query), &client, Vec::new());
    "ok"
}

/// `group@@name`, or a name and a `groupName`.
fn key(query: &HashMap<String, String>) -> Key {
    let name = query.get("serviceName").map_or("", String::as_str);
    if let Some((group, name)) = name.split_once("@@") {
        return (group.to_owned(), name.to_owned());
    }
    let group = query.get("groupName").map_or("DEFAULT_GROUP", String::as_str);
    (group.to_owned(), name.to_owned())
}
