//! The agent's writing half.

use std::collections::{BTreeMap, HashMap};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Data, Registered, Shared};

/// What 1.8.7 accepts as the key of a metadata pair.
fn is_meta_key(key: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    !key.is_empty() && key.len() <= 128 && key.chars().all(legal) && !key.starts_with("consul-")
}

pub(super) async fn register(State(data): State<Shared>, body: String) -> Response {
    let bad = |text: &str| (StatusCode::BAD_REQUEST, text.to_owned()).into_response();
    let Ok(body) = serde_json::from_str::<Value>(&body) else {
        return bad("Request decode failed");
    };
    match put(&data, &body) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(problem) => bad(&problem),
    }
}

/// Registers a service, or says what is wrong with it.
pub(super) fn put(data: &Shared, body: &Value) -> Result<(), String> {
    let Some(name) = body["Name"].as_str().filter(|name| !name.is_empty()) else {
        return Err("Missing service name".to_owned());
    };
    let id = body["ID"].as_str().unwrap_or(name).to_owned();
    let meta = body["Meta"].as_object().cloned().unwrap_or_default();
    if let Some(key) = meta.keys().find(|key| !is_meta_key(key)) {
        return Err(format!("Invalid Service Meta: Key {key} is not valid"));
    }
    if let Some((key, _)) = meta.iter().find(|(_, v)| v.as_str().is_none_or(|v| v.len() > 512)) {
        return Err(format!("Invalid Service Meta: Value of {key} is too long"));
    }
    if meta.len() > 64 {
        return Err(
            "Invalid Service Meta: Node metadata cannot contain more than 64 key/value pairs"
                .to_owned(),
        );
    }
    let weights = match &body["Weights"] {
        Value::Null => json!({"Passing": 1, "Warning": 1}),
        weights => weights.clone(),
    };
    let service = json!({
        "ID": id, "Service": name, "Meta": meta, "Weights": weights,
        "Tags": body["Tags"].as_array().cloned().unwrap_or_default(),
        "Address": body["Address"].as_str().unwrap_or_default(),
        "Port": body["Port"].as_i64().unwrap_or_default(),
        "EnableTagOverride": false,
    });
    data.send_modify(|data| {
        let known = data.services.remove(&id);
        let known = known.map(|service| service.checks).unwrap_or_default();
        let registered = Registered {
            name: name.to_owned(),
            service,
            checks: checks(name, &id, body, &known),
            index: 0,
        };
        data.services.insert(id.clone(), registered);
        touched(data, &id);
    });
    Ok(())
}

/// The checks of a registration; one that was there keeps its status unless a new one is named.
/// Those set otherwise, such as maintenance, stay.
fn checks(
    name: &str,
    id: &str,
    body: &Value,
    known: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    let mut checks = known.clone();
    let mut given: Vec<_> = body["Checks"].as_array().cloned().unwrap_or_default();
    given.extend(Some(body["Check"].clone()).filter(|check| !check.is_null()));
    for (number, check) in (1..).zip(&given) {
        let default_id = if given.len() > 1 {
            format!("service:{id}:{number}")
        } else {
            format!("service:{id}")
        };
        let check_id = check["CheckID"].as_str().unwrap_or(&default_id).to_owned();
        let before = known.get(&check_id).and_then(|check| check["Status"].as_str());
        let status = check["Status"].as_str().or(before).unwrap_or("critical");
        let check = own_check(name, id, &check_id, status);
        checks.insert(check_id, check);
    }
    checks
}

fn own_check(name: &str, id: &str, check_id: &str, status: &str) -> Value {
    json!({
        "Node": "stub", "CheckID": check_id, "Name": format!("Service '{name}' check"),
        "Status": status, "Notes": "", "Output": "", "ServiceID": id, "ServiceName": name,
        "ServiceTags": [],
    })
}

fn touched(data: &mut Data, id: &str) {
    data.index += 1;
    (data.names_index, data.checks_index) = (data.index, data.index);
    if let Some(service) = data.services.get_mut(id) {
        service.index = data.index;
    }
}

pub(super) async fn deregister(State(data): State<Shared>, Path(id): Path<String>) -> Response {
    remove(&data, &id);
    StatusCode::OK.into_response()
}

/// Removes a service, if it is there.
pub(super) fn remove(data: &Shared, id: &str) {
    data.send_modify(|data| {
        let Some(service) = data.services.remove(id) else {
            return;
        };
        touched(data, id);
        data.extinction = data.index;
        let same = data.services.values_mut().filter(|other| other.name == service.name);
        for other in same {
            other.index = data.index;
        }
    });
}

pub(super) async fn maintenance(
    State(data): State<Shared>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    maintain(&data, &id, query.get("enable").is_some_and(|value| value == "true"))
}

/// Takes a service out, or back.
pub(super) fn maintain(data: &Shared, id: &str, enable: bool) -> Response {
    change_check(data, id, |service| {
        let check_id = format!("_service_maintenance:{id}");
        let changed = service.checks.contains_key(&check_id) != enable;
        if enable {
            let check = own_check(&service.name, id, &check_id, "critical");
            service.checks.insert(check_id, check);
        } else {
            service.checks.remove(&check_id);
        }
        changed
    })
}

pub(super) async fn update(
    State(data): State<Shared>,
    Path(check_id): Path<String>,
    body: String,
) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let owner = {
        let data = data.borrow();
        let mut all = data.services.iter();
        let owner = all.find(|(_, service)| service.checks.contains_key(&check_id));
        owner.map(|(id, _)| id.clone())
    };
    let Some(owner) = owner else {
        let text = format!("CheckID {check_id:?} does not have associated TTL");
        return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    };
    change_check(&data, &owner, |service| {
        let Some(check) = service.checks.get_mut(&check_id) else {
            return false;
        };
        let before = check.clone();
        check["Status"] = body["Status"].clone();
        check["Output"] = body["Output"].clone();
        *check != before
    })
}

/// Applies a change of checks, which moves the indexes of the service and of the checks, but not
/// that of the names.
fn change_check(data: &Shared, id: &str, change: impl FnOnce(&mut Registered) -> bool) -> Response {
    let mut found = false;
    data.send_if_modified(|data| {
        let Some(service) = data.services.get_mut(id) else {
            return false;
        };
        found = true;
        let changed = change(service);
        if changed {
            data.index += 1;
            service.index = data.index;
            data.checks_index = data.index;
        }
        changed
    });
    if found {
        return StatusCode::OK.into_response();
    }
    let text = format!("Unknown service {id:?}");
    (StatusCode::NOT_FOUND, text).into_response()
}
