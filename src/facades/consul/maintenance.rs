//! Taking services out of use, one by one or all of an agent's, and back.
//!
//! Either is remembered by a term of the instance, with the reason: who ends the one leaves the other.
//! What is out of use by another way has neither: clients see it as in maintenance by itself, and it is
//! back with the end of that. While its agent is in maintenance, too, it has one without a reason.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_registry_core::{InstanceStatus, Pairs};

use super::Face;
use super::call::{Answered, Call, Refused};
use super::render::term;
use crate::access::Action;
use crate::error::{Error, ErrorCode};
use crate::model::instance::{InstancePatch, NativeInstance, in_maintenance};
use crate::model::terms;

/// What is shown where none was given.
const NO_REASON: &str = "taken out of use, no reason was given";
/// A longer reason is cut.
const LONGEST: usize = 512;

/// `PUT agent/service/maintenance/{id}?enable=&reason=`
pub(super) async fn service(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let enable = enabled(&call)?;
    let id = call.segment("id");
    let unknown =
        || Refused::new(StatusCode::NOT_FOUND, format!("No service registered with ID {id:?}"));
    // One that moves takes it along.
    let _turn = face.turns.of((call.caller.tenant(), id)).await;
    let known = face.by_id(&call.caller, call.peer, id).ok_or_else(unknown)?;
    face.maintain(&call, &known, terms::MAINTENANCE, enable).await?;
    Ok(StatusCode::OK)
}

/// `PUT agent/maintenance?enable=&reason=`: all that registered from where the request comes from, as
/// with an agent beside the client. What registers later is not of it.
pub(super) async fn node(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let enable = enabled(&call)?;
    let own = face.all_of_agent(&call.caller, call.peer);
    // All or none: who may not do it for one is told so before anything is done.
    for one in &own {
        face.native.need(&call.caller, Action::Write, &one.key.service.group)?;
    }
    for one in &own {
        let id = one.native.get(term::ID).map_or("", String::as_str);
        let _turn = face.turns.of((call.caller.tenant(), id)).await;
        let moved = face.by_agent(&call.caller, call.peer, id);
        let one = moved.as_ref().unwrap_or(one);
        match face.maintain(&call, one, terms::NODE_MAINTENANCE, enable).await {
            // It left meanwhile.
            Err(error) if error.code == ErrorCode::NotFound => {}
            outcome => outcome?,
        }
    }
    Ok(StatusCode::OK)
}

fn enabled(call: &Call) -> Answered<bool> {
    match call.query("enable") {
        None => Err(Refused::bad("Missing value for enable")),
        // Whoever left it out did not mean "yes".
        Some("") => Err(Refused::bad("Invalid value for enable: \"\"")),
        Some(_) => call.switch("enable"),
    }
}

impl Face {
    async fn maintain(
        &self,
        call: &Call,
        known: &NativeInstance,
        mark: &'static str,
        enable: bool,
    ) -> Result<(), Error> {
        let reason = call.query("reason").unwrap_or_default();
        let reason = if reason.is_empty() { NO_REASON } else { reason };
        let reason: String = reason.chars().take(LONGEST).collect();
        let own = known.native.get(term::ID).cloned();
        let patch = move |now: &NativeInstance| match now.native.get(term::ID) == own.as_ref() {
            true => Ok(if enable { begins(now, mark, reason) } else { ends(now, mark) }),
            false => Err(Error::not_found("the service is not registered any more")),
        };
        let outcome = self.native.update_with(&call.caller, known.id, patch).await;
        self.metrics.native.ended("status", outcome.is_ok());
        outcome.map(drop)
    }
}

/// What is in maintenance keeps its reason (`agent/agent.go`, `EnableServiceMaintenance`).
fn begins(now: &NativeInstance, mark: &str, reason: String) -> InstancePatch {
    if now.native.contains_key(mark) {
        return InstancePatch::default();
    }
    let mut native = now.native.clone();
    // What was out of use by another way is to be so still when that of the agent ends.
    let is_out = now.status == InstanceStatus::OutOfService && !now.is_in_maintenance();
    if is_out && mark == terms::NODE_MAINTENANCE {
        native.insert(terms::MAINTENANCE.to_owned(), String::new());
    }
    native.insert(mark.to_owned(), reason);
    let status = Some(InstanceStatus::OutOfService);
    InstancePatch { status, native: Some(native), ..InstancePatch::default() }
}

fn ends(now: &NativeInstance, mark: &str) -> InstancePatch {
    let mut native = now.native.clone();
    let by_mark = native.remove(mark).is_some();
    let own = mark == terms::MAINTENANCE;
    let unsaid = own && now.status == InstanceStatus::OutOfService && !in_maintenance(&native);
    if !(by_mark || unsaid) {
        return InstancePatch::default();
    }
    if own && !in_maintenance(&native) {
        // It would be out of use again with the next registration of a client of Eureka.
        native.remove(terms::OVERRIDDEN);
    }
    let status = Some(status_without(&native));
    InstancePatch { status, native: Some(native), ..InstancePatch::default() }
}

/// The status that is left when a maintenance ends.
pub(super) fn status_without(native: &Pairs) -> InstanceStatus {
    if in_maintenance(native) {
        return InstanceStatus::OutOfService;
    }
    terms::overridden(native).unwrap_or(InstanceStatus::Up)
}
