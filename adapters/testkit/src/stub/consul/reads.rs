//! The reading half.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_registry_core::duration;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Data, Registered, Shared};

type Params = Query<HashMap<String, String>>;

pub(super) async fn leader(State(data): State<Shared>) -> Response {
    if let Some(refusal) = refusal(&data.borrow()) {
        return refusal;
    }
    let leader = if data.borrow().rules.no_leader { "" } else { "127.0.0.1:8300" };
    Json(leader).into_response()
}

/// What 1.8.7 says of a request without a token: ACLs off, or on and no such token.
pub(super) async fn token(State(data): State<Shared>) -> Response {
    if data.borrow().rules.hide_all {
        return (StatusCode::FORBIDDEN, "ACL not found").into_response();
    }
    (StatusCode::UNAUTHORIZED, "ACL support disabled").into_response()
}

pub(super) async fn services(State(data): State<Shared>, Query(query): Params) -> Response {
    blocking(&data, &query, |data| {
        let mut names = BTreeMap::<&str, BTreeSet<&str>>::new();
        for service in data.services.values() {
            let tags = service.service["Tags"].as_array().into_iter().flatten();
            let known = names.entry(&service.name).or_default();
            known.extend(tags.filter_map(Value::as_str));
        }
        let mut body = json!(names);
        for tags in body.as_object_mut().into_iter().flat_map(|all| all.values_mut()) {
            null_if_empty(data, tags);
        }
        let body = if data.rules.hide_all { json!({}) } else { body };
        (data.names_index, body)
    })
    .await
}

pub(super) async fn health(
    State(data): State<Shared>,
    Path(name): Path<String>,
    Query(query): Params,
) -> Response {
    let passing = query.get("passing").is_some_and(|v| v != "false" && v != "0");
    let tag = query.get("tag").cloned();
    let mut answer = blocking(&data, &query, |data| {
        let all: Vec<_> = data
            .services
            .values()
            .filter(|service| service.name.eq_ignore_ascii_case(&name))
            .collect();
        let index = all.iter().map(|s| s.index).max().unwrap_or(data.extinction);
        let entries: Vec<_> = all
            .iter()
            .map(|service| entry(data, service))
            .filter(|entry| !passing || is_passing(entry))
            .filter(|entry| tag.as_deref().is_none_or(|tag| has_tag(entry, tag)))
            .collect();
        let entries = if data.rules.hide_all { Vec::new() } else { entries };
        (index, json!(entries))
    })
    .await;
    if data.borrow().rules.streaming {
        let headers = answer.headers_mut();
        headers.insert("x-consul-query-backend", "streaming".parse().unwrap());
        headers.insert("x-consul-knownleader", "false".parse().unwrap());
    }
    answer
}

pub(super) async fn checks(State(data): State<Shared>, Query(query): Params) -> Response {
    blocking(&data, &query, |data| {
        let mut all = node_checks(data);
        for service in data.services.values() {
            all.extend(service.checks.values().cloned());
        }
        let all = if data.rules.hide_all { Vec::new() } else { all };
        (data.checks_index, json!(all))
    })
    .await
}

fn entry(data: &Data, service: &Registered) -> Value {
    let mut checks = node_checks(data);
    checks.extend(service.checks.values().cloned());
    let mut entry = json!({
        "Node": {
            "ID": "00000000-0000-0000-0000-000000000001", "Node": "stub", "Address": "127.0.0.1",
            "Datacenter": "dc1", "TaggedAddresses": null, "Meta": null,
        },
        "Service": service.service,
        "Checks": checks,
    });
    for list in ["/Service/Tags", "/Service/Meta", "/Checks"] {
        if let Some(list) = entry.pointer_mut(list) {
            null_if_empty(data, list);
        }
    }
    entry
}

fn node_checks(data: &Data) -> Vec<Value> {
    if data.rules.no_node_check {
        return Vec::new();
    }
    vec![json!({
        "Node": "stub", "CheckID": "serfHealth", "Name": "Serf Health Status",
        "Status": "passing", "Notes": "", "Output": "Agent alive and reachable",
        "ServiceID": "", "ServiceName": "", "ServiceTags": [],
    })]
}

fn is_passing(entry: &Value) -> bool {
    let mut checks = entry["Checks"].as_array().into_iter().flatten();
    checks.all(|check| check["Status"] == "passing")
}

fn has_tag(entry: &Value, tag: &str) -> bool {
    let mut tags = entry["Service"]["Tags"].as_array().into_iter().flatten();
    tags.any(|known| known.as_str().is_some_and(|known| known.eq_ignore_ascii_case(tag)))
}

fn null_if_empty(data: &Data, list: &mut Value) {
    let empty = list.as_array().is_some_and(Vec::is_empty)
        || list.as_object().is_some_and(serde_json::Map::is_empty);
    if data.rules.null_lists && empty {
        *list = Value::Null;
    }
}

fn refusal(data: &Data) -> Option<Response> {
    if data.rules.rate_limited {
        let text = "Your IP is issuing too many concurrent connections";
        return Some((StatusCode::TOO_MANY_REQUESTS, text).into_response());
    }
    let text = "No cluster leader";
    let lost = data.rules.leader_lost;
    lost.then(|| (StatusCode::INTERNAL_SERVER_ERROR, text).into_response())
}

/// Answers once the index is above the one given, or when the wait is over.
async fn blocking(
    data: &Shared,
    query: &HashMap<String, String>,
    look: impl Fn(&Data) -> (u64, Value),
) -> Response {
    let given: u64 = query.get("index").and_then(|v| v.parse().ok()).unwrap_or(0);
    let wait = query.get("wait").and_then(|v| duration::parse(v).ok());
    let wait = wait.unwrap_or(Duration::from_secs(300));
    let end = Instant::now() + wait + wait / 16;
    let mut changes = data.subscribe();
    loop {
        let (index, body, rules) = {
            let data = changes.borrow_and_update();
            if let Some(refusal) = refusal(&data) {
                return refusal;
            }
            let (index, body) = look(&data);
            (index, body, data.rules.clone())
        };
        let over = given == 0 || index > given || Instant::now() >= end;
        if over {
            let headers = [
                ("x-consul-index", index.to_string()),
                ("x-consul-knownleader", (!rules.no_leader).to_string()),
                ("x-consul-lastcontact", "0".to_owned()),
            ];
            return (headers, Json(body)).into_response();
        }
        tokio::time::timeout_at(end, changes.changed()).await.ok();
    }
}
