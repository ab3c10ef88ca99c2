//! Taking services out of use, one by one or all of an agent's, and back.
//!
//! Either is remembered by a term of the instance, with the reason: who ends the one leaves the other.
//! What is out of use by another way has neither, and is back with the end of its maintenance.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_registry_core::InstanceStatus;

use super::Face;
use super::call::{Answered, Call, Refused};
use super::render::term;
use crate::access::Action;
use crate::model::instance::{InstancePatch, NativeInstance};

/// A longer reason is cut.
const LONGEST: usize = 512;

/// `PUT agent/service/maintenance/{id}?enable=&reason=`
pub(super) async fn service(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let enable = enabled(&call)?;
    let id = call.segment("id");
    let unknown =
        || Refused::new(StatusCode::NOT_FOUND, format!("No service registered with ID {id:?}"));
    let known = face.by_id(&call.caller, call.peer, id).ok_or_else(unknown)?;
    face.maintain(&call, &known, term::MAINTENANCE, enable).await?;
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
        let is_in = one.native.contains_key(term::NODE_MAINTENANCE);
        if enable != is_in {
            face.maintain(&call, one, term::NODE_MAINTENANCE, enable).await?;
        }
    }
    Ok(StatusCode::OK)
}

fn enabled(call: &Call) -> Answered<bool> {
    if call.query("enable").is_none() {
        return Err(Refused::bad("Missing value for enable"));
    }
    call.switch("enable")
}

impl Face {
    async fn maintain(
        &self,
        call: &Call,
        known: &NativeInstance,
        mark: &'static str,
        enable: bool,
    ) -> Answered<()> {
        let reason = call.query("reason").unwrap_or_default();
        let reason: String = reason.chars().take(LONGEST).collect();
        let patch = move |now: &NativeInstance| {
            let mut native = now.native.clone();
            native.remove(mark);
            if enable {
                native.insert(mark.to_owned(), reason);
            }
            let out = [term::MAINTENANCE, term::NODE_MAINTENANCE];
            let out = out.into_iter().any(|mark| native.contains_key(mark));
            let status = if out { InstanceStatus::OutOfService } else { InstanceStatus::Up };
            Ok(InstancePatch {
                status: Some(status),
                native: Some(native),
                ..InstancePatch::default()
            })
        };
        let outcome = self.native.update_with(&call.caller, known.id, patch).await;
        self.metrics.native.ended("status", outcome.is_ok());
        outcome?;
        Ok(())
    }
}
