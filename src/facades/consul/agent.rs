//! `agent/service`: what clients say of themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_registry_core::{InstanceKey, ServiceKey};
use serde_json::{Value, json};

use super::Face;
use super::call::{Answered, Call, Refused, read, text};
use super::filter::{fields, kept_by_id};
use super::places::{has_id, is_registered_as};
use super::register::{self, Defined};
use super::render;
use crate::catalog::Row;
use crate::facades::names::{key_of, qualified};
use crate::model::instance::NativeInstance;
use crate::model::names::{InstanceId, native_group, native_service};
use crate::native::Known;

/// How a service can be, the worst first (`HealthChecks.AggregatedStatus`).
const STATUSES: [&str; 4] = ["maintenance", "critical", "warning", "passing"];

/// `PUT agent/service/register`
pub(super) async fn register(
    State(face): State<Arc<Face>>,
    call: Call,
    body: Body,
) -> Answered<StatusCode> {
    let new = register::read(&face.body(body).await?)?;
    let (caller, tenant, id) = (&call.caller, call.caller.tenant(), new.id.clone());
    let named = key_of(&new.name).ok_or_else(|| Refused::bad("Name must be that of a service"))?;
    let service = ServiceKey::new(
        native_group("Name", named.group.as_str())?,
        native_service("Name", named.name.as_str())?,
    );
    let replace = call.switch("replace-existing-checks")?;
    let turn = face.turns.of((tenant, &id)).await;
    let new = Defined::of(service, new, call.peer, face.native.now())?;
    let (named, peer) = (new.names(), call.peer);
    face.vet(caller, peer, &id, &named)?;
    // By whatever way a request comes: of one id at one address it is the same.
    let there = InstanceId::of(tenant, new.key());
    let before = face.by_agent(caller, call.peer, &id).map_or(there, |before| before.id);
    let same = move |one: &NativeInstance| {
        is_registered_as(one, peer, &id) || one.id == there && has_id(one, &id)
    };
    let is_same = same.clone();
    let over = move |known: &Known<'_>| {
        new.over(known(before).filter(|before| is_same(before)), known(there), replace)
    };
    let outcome = face.native.register_with(caller, over).await;
    face.metrics.native.ended("register", outcome.is_ok());
    let registered = outcome?;
    // Its id is what makes a service of an agent's the same: it has moved.
    if before != registered.instance_id {
        let outcome = face.native.deregister_if(caller, before, same).await;
        face.metrics.native.ended("deregister", outcome.is_ok());
        if let Err(error) = outcome {
            tracing::warn!(instance = %before, %error,
                "a service moved, and is still at its old address");
        }
    }
    if let Ok(now) = face.native.get(tenant, &registered.instance_id.to_string()) {
        face.remember(&now);
        drop(turn);
        // As with an agent, the time of those begins anew that it names.
        for id in &named {
            face.native.heartbeat_of(caller, now.id, id).ok();
        }
        face.leave_to(&call.caller, &now, named).await;
    }
    Ok(StatusCode::OK)
}

/// `PUT agent/service/deregister/{id}`: 200 also for one that is not there, as Consul 1.8 has it.
pub(super) async fn deregister(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let id = call.segment("id");
    let _turn = face.turns.of((call.caller.tenant(), id)).await;
    let Some(known) = face.by_id(&call.caller, call.peer, id) else {
        return Ok(StatusCode::OK);
    };
    let outcome = face.native.deregister(&call.caller, &known.id.to_string()).await;
    face.metrics.native.ended("deregister", outcome.is_ok());
    outcome?;
    Ok(StatusCode::OK)
}

/// `GET agent/services`: what registered here, by id.
pub(super) async fn services(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let filter = call.filter(&fields::SERVICE)?;
    let mut services = BTreeMap::new();
    for one in face.own_last(&call.caller, call.peer) {
        if let Some((row, revision)) = face.row(&call, &one.key) {
            let service = local(&row, revision, &face.settings.datacenter);
            services.insert(render::id_of(&row), service);
        }
    }
    Ok(read(1, true, text(&kept_by_id(services, filter.as_ref()))))
}

/// `GET agent/service/{id}`
pub(super) async fn service(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let id = call.segment("id");
    let unknown = || Refused::new(StatusCode::NOT_FOUND, format!("unknown service ID: {id}"));
    let known = face.by_id(&call.caller, call.peer, id).ok_or_else(unknown)?;
    let (row, revision) = face.row(&call, &known.key).ok_or_else(unknown)?;
    Ok(read(1, true, text(&local(&row, revision, &face.settings.datacenter))))
}

/// `GET agent/health/service/id/{id}`: a service of the agent with its checks; the status of the answer
/// says how it is (`AgentHealthServiceByID`).
pub(super) async fn health_by_id(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let known = face.by_id(&call.caller, call.peer, call.segment("id"));
    let row = known.and_then(|known| face.row(&call, &known.key));
    let Some((row, revision)) = row else {
        let none = json!({ "AggregatedStatus": "critical", "Service": null, "Checks": null });
        return Ok(how(&call, StatusCode::NOT_FOUND, "critical", &none));
    };
    let (status, whole) = aggregated(&row, revision, &face.settings.datacenter);
    Ok(how(&call, code_of(status), status, &whole))
}

/// `GET agent/health/service/name/{name}`: all of the agent's of this name; the worst of them is the
/// status of the answer (`AgentHealthServiceByName`).
pub(super) async fn health_by_name(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let name = call.segment("name");
    let mut all = BTreeMap::new();
    for one in face.own_last(&call.caller, call.peer) {
        if qualified(&one.key.service).eq_ignore_ascii_case(name)
            && let Some((row, revision)) = face.row(&call, &one.key)
        {
            let whole = aggregated(&row, revision, &face.settings.datacenter);
            all.insert(render::id_of(&row), whole);
        }
    }
    let (code, status) = match worst(all.values().map(|(status, _)| *status)) {
        Some(status) => (code_of(status), status),
        None => (StatusCode::NOT_FOUND, "critical"),
    };
    let all: Vec<_> = all.into_values().map(|(_, whole)| whole).collect();
    Ok(how(&call, code, status, &json!(all)))
}

fn how(call: &Call, code: StatusCode, status: &'static str, whole: &Value) -> Response {
    let as_text = call.query("format") == Some("text");
    let mut answer = if as_text { status.into_response() } else { read(1, true, text(whole)) };
    *answer.status_mut() = code;
    answer
}

fn code_of(status: &str) -> StatusCode {
    match status {
        "passing" => StatusCode::OK,
        "warning" => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn worst<'a>(all: impl Iterator<Item = &'a str> + Clone) -> Option<&'static str> {
    STATUSES.into_iter().find(|status| all.clone().any(|one| one == *status))
}

/// The worst of its checks, and all of it.
fn aggregated(row: &Row, revision: i64, datacenter: &str) -> (&'static str, Value) {
    let checks = render::checks(row, revision);
    let word = |check: &'_ Value| match check["Type"] == "maintenance" {
        true => "maintenance",
        false => worst(check["Status"].as_str().into_iter()).unwrap_or("passing"),
    };
    let status = worst(checks.iter().map(word)).unwrap_or("passing");
    let service = local(row, revision, datacenter);
    (status, json!({ "AggregatedStatus": status, "Service": service, "Checks": checks }))
}

/// As an agent shows its own.
fn local(row: &Row, revision: i64, datacenter: &str) -> Value {
    let mut service = render::service(row, revision);
    if let Value::Object(fields) = &mut service {
        fields.remove("CreateIndex");
        fields.remove("ModifyIndex");
        fields.insert("Datacenter".to_owned(), json!(datacenter));
    }
    service
}

impl Face {
    /// The row of an instance, and the revision of its service.
    pub(super) fn row(&self, call: &Call, key: &InstanceKey) -> Option<(Arc<Row>, i64)> {
        let snapshot = self.view.snapshot(call.caller.tenant());
        let view = snapshot.service(&key.service)?;
        let place = view.rows.binary_search_by(|row| row.key().cmp(key)).ok()?;
        Some((Arc::clone(&view.rows[place]), view.revision))
    }
}
