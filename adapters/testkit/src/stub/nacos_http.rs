//! The HTTP half of the Nacos stub: who may call what, logins, registrations.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Query, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::nacos::{Key, Shared, Version};
use super::nacos_catalog;

pub(super) type Nacos = State<Arc<Shared>>;
pub(super) type Parameters = Query<HashMap<String, String>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(&shared), guard);
    let all = nacos_catalog::router()
        .route("/v1/ns/instance/list", get(list))
        .route("/v1/ns/instance", post(register).put(register).delete(deregister))
        .route("/v1/ns/instance/beat", put(beat))
        .route("/v3/client/ns/instance", post(register).delete(deregister))
        .route("/v1/auth/users/login", post(login))
        .route("/v3/auth/user/login", post(login))
        .route("/v1/ns/operator/metrics", get(metrics))
        .layer(guard);
    Router::new().nest("/nacos", all).with_state(shared)
}

/// Spring's own page for an error.
fn spring(status: u16, message: &str, path: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    let body = json!({"timestamp": "2026-01-01T00:00:00.000+00:00", "status": status.as_u16(),
        "error": reason, "message": message, "path": format!("/nacos{path}")});
    (status, Json(body)).into_response()
}

async fn guard(State(nacos): Nacos, headers: HeaderMap, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let path = uri.path();
    if path == "/v1/ns/operator/metrics" {
        return next.run(request).await;
    }
    let refused = {
        let state = nacos.lock();
        let token = token(state.version, &uri, &headers);
        let is_open = !wants_login(state.version, path)
            || state.login.is_none()
            || token.is_some_and(|token| state.tokens.contains(&token));
        let refusal = || (!is_open).then(|| spring(403, "token invalid!", path));
        missing(state.version, path).or_else(refusal)
    };
    if !path.contains("/auth/") {
        nacos.calls.fetch_add(1, Ordering::Relaxed);
    }
    match refused {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

/// What the version says to a call that it does not have.
fn missing(version: Version, path: &str) -> Option<Response> {
    let of = |generation: &str| path.starts_with(&format!("/{generation}/"));
    let is_list = path.contains("/ns/catalog/");
    let no_api = || spring(501, &format!("no such api:GET:/nacos{path}"), path);
    let nothing = || spring(404, "No message available", path);
    match version {
        Version::V1_4 => (of("v2") || of("v3")).then(nothing),
        Version::V2_0 if of("v2") => Some(no_api()),
        Version::V2_0 | Version::V2_2 => of("v3").then(nothing),
        Version::V3_0 => {
            // `ApiCompatibilityFilter`: what is for its own pages is off by default.
            let message = "{\"code\":40000,\"message\":\"Current API will be deprecated\"}";
            (!of("v3") && is_list).then(|| spring(410, message, path))
        }
        Version::V3_2 => (!of("v3") && path != "/v1/auth/users/login").then(nothing),
    }
}

/// From 3.0 on clients are let in without a login, and nobody else.
fn wants_login(version: Version, path: &str) -> bool {
    match version {
        Version::V3_0 | Version::V3_2 => path.starts_with("/v3/admin/"),
        _ => !path.contains("/auth/"),
    }
}

/// 1.x knows no header of its own for it.
fn token(version: Version, uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let own = header("accesstoken").filter(|_| version != Version::V1_4);
    let query = Query::<HashMap<String, String>>::try_from_uri(uri).ok();
    let query = query.and_then(|Query(mut query)| query.remove("accessToken"));
    bearer.or(own).map(str::to_owned).or(query)
}

/// The pairs of a form, which is written as a query string is.
fn pairs(form: &str) -> HashMap<String, String> {
    let uri: Uri = format!("/?{form}").parse().unwrap_or_default();
    let pairs = Query::<HashMap<String, String>>::try_from_uri(&uri);
    pairs.map(|Query(pairs)| pairs).unwrap_or_default()
}

async fn login(State(nacos): Nacos, uri: Uri, form: String) -> Response {
    let form = pairs(&form);
    let mut state = nacos.lock();
    let (username, password) = (form.get("username"), form.get("password"));
    let login = state.login.clone();
    if login.as_ref().is_none_or(|(u, p)| (username, password) != (Some(u), Some(p))) {
        let is_known = login.is_some_and(|(known, _)| username == Some(&known));
        return match state.version {
            Version::V3_0 | Version::V3_2 if is_known => {
                spring(500, "No message available", uri.path())
            }
            _ => (StatusCode::FORBIDDEN, "user not found!").into_response(),
        };
    }
    let token = state.issue();
    Json(json!({"accessToken": token, "tokenTtl": 18_000, "globalAdmin": true})).into_response()
}

async fn metrics() -> Json<Value> {
    Json(json!({"status": "UP"}))
}

async fn list(State(nacos): Nacos, Query(query): Parameters) -> Json<Value> {
    let mut state = nacos.lock();
    let key = key(&query);
    state.see(&key);
    Json(state.service_info(&key))
}

async fn register(
    State(nacos): Nacos,
    uri: Uri,
    Query(mut query): Parameters,
    form: String,
) -> Response {
    query.extend(pairs(&form));
    if query.get("heartBeat").is_some_and(|beat| beat == "true") {
        return beaten(&nacos, &query, true);
    }
    let (group, name) = key(&query);
    let text = |name: &str, default: &str| {
        let value = query.get(name).map_or(default, String::as_str);
        value.to_owned()
    };
    let (ip, port) = (text("ip", ""), text("port", "0"));
    let cluster = text("clusterName", "DEFAULT");
    let metadata: Value = serde_json::from_str(&text("metadata", "{}")).unwrap_or_default();
    let units = |text: &str| text.encode_utf16().count();
    let pairs = metadata.as_object().into_iter().flatten();
    let size = pairs.map(|(key, value)| units(key) + value.as_str().map_or(0, units));
    if size.sum::<usize>() > 1024 {
        // `ParamCheckRule`
        let problem = "Param 'Metadata' is illegal, the param length should not exceed 1024.";
        return spring(400, problem, uri.path());
    }
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
    ok(&uri)
}

async fn deregister(State(nacos): Nacos, uri: Uri, Query(query): Parameters) -> Response {
    let text = |name: &str, default| query.get(name).map_or(default, String::as_str);
    let client = format!("{}:{}", text("ip", ""), text("port", "0"));
    nacos.publish(key(&query), &client, Vec::new());
    ok(&uri)
}

async fn beat(State(nacos): Nacos, Query(query): Parameters) -> Response {
    beaten(&nacos, &query, false)
}

/// The answer to a heartbeat for an address; it makes it healthy. A whole `beat` in it, which would
/// register an unknown one, is not looked at.
fn beaten(nacos: &Arc<Shared>, query: &HashMap<String, String>, v3: bool) -> Response {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    let client = format!("{}:{}", text("ip"), text("port"));
    let known = {
        let mut state = nacos.lock();
        let service = state.services.get_mut(&key(query));
        let hosts = service.and_then(|service| service.published.get_mut(&client));
        hosts.map(|hosts| hosts.iter_mut().for_each(|host| host["healthy"] = json!(true))).is_some()
    };
    match (v3, known) {
        (false, _) => {
            let code = if known { 10_200 } else { 20_404 };
            let body = json!({"code": code, "clientBeatInterval": 5000, "lightBeatEnabled": true});
            Json(body).into_response()
        }
        (true, true) => {
            Json(json!({"code": 0, "message": "success", "data": "ok"})).into_response()
        }
        (true, false) => {
            let message = "instance not found";
            Json(json!({"code": 21_003, "message": message, "data": null})).into_response()
        }
    }
}

fn ok(uri: &Uri) -> Response {
    if uri.path().starts_with("/v3/") {
        return Json(json!({"code": 0, "message": "success", "data": "ok"})).into_response();
    }
    "ok".into_response()
}

/// `group@@name`, or a name and a `groupName`.
pub(super) fn key(query: &HashMap<String, String>) -> Key {
    let name = query.get("serviceName").map_or("", String::as_str);
    if let Some((group, name)) = name.split_once("@@") {
        return (group.to_owned(), name.to_owned());
    }
    let group = query.get("groupName").map_or("DEFAULT_GROUP", String::as_str);
    (group.to_owned(), name.to_owned())
}
