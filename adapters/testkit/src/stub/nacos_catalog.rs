//! The lists of the Nacos stub, in the three ways Nacos writes them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::nacos::{Shared, State as Data, Version, cluster_of};
use super::nacos_http::{Nacos, Parameters, key};

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/ns/catalog/services", get(services))
        .route("/v1/ns/catalog/service", get(clusters))
        .route("/v1/ns/catalog/instances", get(instances_of_cluster))
        .route("/v2/ns/catalog/instances", get(instances))
        .route("/v3/admin/ns/service/list", get(services_v3))
        .route("/v3/admin/ns/service", get(clusters_v3))
        .route("/v3/admin/ns/instance/list", get(instances_v3))
}

type Parameter = HashMap<String, String>;

fn page<T: Clone>(all: &[T], query: &Parameter, cap: Option<usize>) -> Vec<T> {
    let number = |name: &str| query.get(name).and_then(|v| v.parse::<usize>().ok());
    let size = number("pageSize").unwrap_or(20);
    let size = cap.map_or(size, |cap| size.min(cap));
    let start = (number("pageNo").unwrap_or(1).max(1) - 1) * size;
    all.iter().skip(start).take(size).cloned().collect()
}

/// The services whose name holds the pattern, in which a dot is any character. Who lists them
/// looks at them.
fn views(state: &mut Data, query: &Parameter) -> Vec<Value> {
    let pattern = query.get("serviceNameParam").map_or("", String::as_str);
    let pattern: Vec<char> = pattern.chars().collect();
    let is_like = |name: &str| {
        let name: Vec<char> = name.chars().collect();
        let same = |(a, b): (&char, &char)| *b == '.' || a == b;
        pattern.is_empty()
            || name.windows(pattern.len()).any(|part| part.iter().zip(&pattern).all(same))
    };
    let keys: Vec<_> = state.services.keys().filter(|key| is_like(&key.1)).cloned().collect();
    let view = |key| {
        let hosts = state.hosts(&key);
        let healthy = hosts.iter().filter(|host| host["healthy"] == true).count();
        let clusters = state.clusters(&key).map_or(0, |clusters| clusters.len());
        state.see(&key);
        json!({
            "name": key.1, "groupName": key.0, "clusterCount": clusters, "ipCount": hosts.len(),
            "healthyInstanceCount": healthy, "triggerFlag": "false",
        })
    };
    keys.into_iter().map(view).collect()
}

async fn services(State(nacos): Nacos, Query(query): Parameters) -> Json<Value> {
    let mut state = nacos.lock();
    let all = views(&mut state, &query);
    let list = page(&all, &query, state.page_cap);
    Json(json!({"count": all.len(), "serviceList": list}))
}

async fn services_v3(State(nacos): Nacos, Query(query): Parameters) -> Json<Value> {
    let mut state = nacos.lock();
    let all = views(&mut state, &query);
    let list = page(&all, &query, state.page_cap);
    success(json!({"totalCount": all.len(), "pageNumber": 1, "pagesAvailable": 1,
        "pageItems": list}))
}

fn success(data: Value) -> Json<Value> {
    Json(json!({"code": 0, "message": "success", "data": data}))
}

/// As 2.2.4: `groupName` is not looked at, the group is in the name or is the default one.
async fn instances(State(nacos): Nacos, Query(mut query): Parameters) -> Json<Value> {
    query.remove("groupName");
    let mut state = nacos.lock();
    let key = key(&query);
    state.see(&key);
    let hosts = state.hosts(&key);
    let mut data = json!({"count": hosts.len()});
    if !hosts.is_empty() {
        data["instances"] = json!(page(&hosts, &query, state.page_cap));
    }
    success(data)
}

async fn clusters(State(nacos): Nacos, Query(query): Parameters) -> Response {
    let (key, state) = (key(&query), nacos.lock());
    let Some(clusters) = state.clusters(&key) else {
        let problem = format!("service {}@@{} is not found!", key.0, key.1);
        return not_found(state.version, problem);
    };
    let clusters: Vec<_> = clusters.iter().map(|name| json!({"name": name})).collect();
    Json(json!({"service": {"name": key.1, "groupName": key.0}, "clusters": clusters}))
        .into_response()
}

async fn clusters_v3(State(nacos): Nacos, Query(query): Parameters) -> Response {
    let key = key(&query);
    let Some(clusters) = nacos.lock().clusters(&key) else {
        let body = json!({"code": 21_008, "message": "service not exist",
            "data": "service not found"});
        return (StatusCode::BAD_REQUEST, Json(body)).into_response();
    };
    let named = |name: String| (name.clone(), json!({"clusterName": name, "hosts": null}));
    let map: Map<String, Value> = clusters.into_iter().map(named).collect();
    success(json!({"serviceName": key.1, "groupName": key.0, "clusterMap": map})).into_response()
}

/// The hosts of one cluster, or why there are none.
fn cluster(state: &mut Data, query: &Parameter, name: &str) -> Result<Vec<Value>, String> {
    let key = key(query);
    let Some(clusters) = state.clusters(&key) else {
        return Err(format!("service {}@@{} is not found!", key.0, key.1));
    };
    if !clusters.contains(name) {
        return Err(format!("cluster {name} is not found!"));
    }
    let mut hosts = state.hosts(&key);
    hosts.retain(|host| cluster_of(host) == name);
    state.move_host();
    Ok(hosts)
}

async fn instances_of_cluster(State(nacos): Nacos, Query(query): Parameters) -> Response {
    let Some(name) = query.get("clusterName") else {
        let problem = "Parameter 'clusterName' is missing";
        return (StatusCode::BAD_REQUEST, problem).into_response();
    };
    let mut state = nacos.lock();
    match cluster(&mut state, &query, name) {
        Ok(hosts) => {
            let list = page(&hosts, &query, state.page_cap);
            Json(json!({"list": list, "count": hosts.len()})).into_response()
        }
        Err(problem) => not_found(state.version, problem),
    }
}

/// 1.4 says the same words with another status.
fn not_found(version: Version, problem: String) -> Response {
    match version {
        Version::V1_4 => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("caused: {problem};")).into_response()
        }
        _ => (StatusCode::NOT_FOUND, problem).into_response(),
    }
}

/// Not in pages. From 3.2 on no name means all clusters.
async fn instances_v3(State(nacos): Nacos, Query(query): Parameters) -> Response {
    let mut state = nacos.lock();
    let named = query.get("clusterName").filter(|name| !name.is_empty());
    let key = key(&query);
    let is_whole = named.is_none() && state.version == Version::V3_2;
    let hosts = if is_whole && state.services.contains_key(&key) {
        state.see(&key);
        Ok(state.hosts(&key))
    } else {
        cluster(&mut state, &query, named.map_or("DEFAULT", String::as_str))
    };
    match hosts {
        Ok(hosts) => success(json!(hosts)).into_response(),
        Err(problem) => {
            let body = json!({"code": 30_000, "message": "server error", "data": problem});
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    }
}
