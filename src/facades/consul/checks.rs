//! `agent/check`: checks beside those a service was registered with, and what those say that clients
//! run themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use hub_registry_consul::wire::NODE_MAINTENANCE;
use hub_registry_core::HealthStatus;
use serde::Deserialize;

use super::Face;
use super::call::{Answered, Call, Refused, read, text};
use super::check_definition::{self, CheckDefinition};
use super::filter::{fields, kept_by_id};
use super::places::{agent_of, is_of};
use super::register::decode;
use super::render::{self, term};
use crate::access::{Action, Caller};
use crate::error::{Error, ErrorCode};
use crate::model::check::{CheckStatus, Checks};
use crate::model::instance::{InstancePatch, NativeInstance};
use crate::model::terms;
use crate::model::words::HealthCheckType;

#[derive(Debug, Deserialize)]
struct Update {
    #[serde(alias = "Status")]
    status: String,
}

/// `PUT agent/check/pass/{id}`
pub(super) async fn pass(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.said(&call, CheckStatus::Passing).await
}

/// `PUT agent/check/warn/{id}`
pub(super) async fn warn(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.said(&call, CheckStatus::Warning).await
}

/// `PUT agent/check/fail/{id}`
pub(super) async fn fail(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.said(&call, CheckStatus::Critical).await
}

/// `PUT agent/check/update/{id}` with `{"Status": ...}`
pub(super) async fn update(
    State(face): State<Arc<Face>>,
    call: Call,
    body: Body,
) -> Answered<StatusCode> {
    let body = face.body(body).await?;
    let update: Update = serde_json::from_slice(&body)
        .map_err(|_| Refused::bad("Request decode failed: must be {\"Status\": ...}"))?;
    let said = update.status.parse().map_err(|_| {
        let shown: String = update.status.chars().take(60).collect();
        Refused::bad(format!("Invalid check status: '{shown}'"))
    })?;
    face.said(&call, said).await
}

/// `PUT agent/check/register`: a further check of a service that is registered here.
pub(super) async fn register(
    State(face): State<Arc<Face>>,
    call: Call,
    body: Body,
) -> Answered<StatusCode> {
    let mut new: CheckDefinition = decode(&face.body(body).await?)?;
    if new.name.is_empty() {
        return Err(Refused::bad("Missing check name"));
    }
    let service = std::mem::take(&mut new.serviceid);
    if service.is_empty() {
        let text = "ServiceID is required: a check of the hub is one of a service, not of a node";
        return Err(Refused::bad(text));
    }
    let name = new.name.clone();
    let new = new.with(name.clone(), || name);
    let id = new.checkid.clone();
    let turn = face.turns.of((call.caller.tenant(), &service)).await;
    let Some(known) = face.by_id(&call.caller, call.peer, &service) else {
        // As Consul 1.8 has it.
        let text = format!("ServiceID {service:?} does not exist");
        return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text));
    };
    if !known.native.contains_key(term::ID) {
        let text = format!(
            "ServiceID {service:?} did not register by Consul's API: healthCheckType {} decides on \
             its health",
            known.check
        );
        return Err(Refused::bad(text));
    }
    face.vet(&call.caller, call.peer, &service, std::slice::from_ref(&id))?;
    let new = new.check(face.native.now(), call.peer)?;
    let add = move |checks: &mut Checks| {
        let had = checks.clone();
        check_definition::add(checks, new, &had)
    };
    let now = face.change_checks(&call.caller, &known, add).await?;
    // As with an agent, a check begins when it is registered. One that the hub asks has no lease.
    face.native.heartbeat_of(&call.caller, now.id, &id).ok();
    face.native.heartbeat(&call.caller, &now.id.to_string()).ok();
    face.remember(&now);
    drop(turn);
    face.leave_to(&call.caller, &now, [id]).await;
    Ok(StatusCode::OK)
}

/// `PUT agent/check/deregister/{id}`: 200 also for one that is not there, as Consul 1.8 has it.
pub(super) async fn deregister(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let (id, caller) = (call.segment("id"), &call.caller);
    let mut known = face.with_check(caller, call.peer, id);
    // What one may not change is another's, as long as there is an own one.
    if known.last().is_some_and(|meant| face.may_write(caller, meant)) {
        known.retain(|one| face.may_write(caller, one));
    }
    if known.is_empty() {
        // That of the only one may be spoken for and taken away from anywhere.
        let only = face.by_check(caller, call.peer, id);
        known.extend(only.filter(|one| one.native.contains_key(term::ID)));
    }
    for known in known {
        face.drop_check(caller, &known, id).await?;
    }
    Ok(StatusCode::OK)
}

/// `GET agent/checks`: those of the services that registered here, by id.
pub(super) async fn list(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let filter = call.filter(&fields::CHECK)?;
    let mut checks = BTreeMap::new();
    for one in face.own_last(&call.caller, call.peer) {
        let Some((row, revision)) = face.row(&call, &one.key) else {
            continue;
        };
        for check in render::checks(&row, revision) {
            let id = check["CheckID"].as_str().unwrap_or_default().to_owned();
            // Another agent's maintenance says nothing of this one.
            if id != NODE_MAINTENANCE || is_of(&one, call.peer) {
                checks.insert(id, check);
            }
        }
    }
    Ok(read(1, true, text(&kept_by_id(checks, filter.as_ref()))))
}

impl Face {
    async fn said(&self, call: &Call, said: CheckStatus) -> Answered<StatusCode> {
        let id = call.segment("id");
        let known = self.by_check(&call.caller, call.peer, id);
        let spoken_for = |known: &NativeInstance| match known.checks().get(id) {
            Some(check) => check.lease().is_some(),
            None => known.has_lease(),
        };
        let Some(known) = known.filter(spoken_for) else {
            // As Consul 1.8 has it: it is the client's fault, and it is to register again.
            let text = format!("CheckID {id:?} does not have associated TTL");
            return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text));
        };
        self.native.need(&call.caller, Action::Write, &known.key.service.group)?;
        let Some(check) = known.checks().get(id) else {
            return self.stated(call, &known, said).await;
        };
        // That it is critical is news where nobody said so: it was so from the beginning.
        let is_known =
            check.status == said && (said != CheckStatus::Critical || check.stated.is_some());
        let outcome = self.native.heartbeat_of(&call.caller, known.id, id);
        self.metrics.native.ended("heartbeat", outcome.is_ok());
        outcome?;
        if is_known {
            return Ok(StatusCode::OK);
        }
        // One that moves is spoken for where it is then.
        let service = known.native.get(term::ID).cloned().unwrap_or_default();
        let _turn = self.turns.of((call.caller.tenant(), &service)).await;
        let known = self.by_check(&call.caller, call.peer, id).unwrap_or(known);
        let (check, now) = (id.to_owned(), self.native.now().timestamp_millis());
        let state = move |checks: &mut Checks| {
            // Somebody may have taken it away meanwhile.
            if let Some(check) = checks.get_mut(&check) {
                (check.status, check.stated) = (said, Some(now));
            }
            Ok(())
        };
        self.change_checks(&call.caller, &known, state).await?;
        Ok(StatusCode::OK)
    }

    /// Of one that registered by another way: its heartbeats are its check.
    async fn stated(
        &self,
        call: &Call,
        known: &NativeInstance,
        said: CheckStatus,
    ) -> Answered<StatusCode> {
        let (caller, id) = (&call.caller, known.id.to_string());
        let health = match said {
            CheckStatus::Critical => HealthStatus::Unhealthy,
            CheckStatus::Passing | CheckStatus::Warning => {
                let outcome = self.native.heartbeat(caller, &id);
                self.metrics.native.ended("heartbeat", outcome.is_ok());
                outcome?;
                HealthStatus::Healthy
            }
        };
        if known.health != health {
            let outcome = self.native.set_health(caller, &id, health).await;
            self.metrics.native.ended("health", outcome.is_ok());
            outcome?;
        }
        Ok(StatusCode::OK)
    }

    /// Changes the checks of an instance as they are when it is written: what is found of others
    /// meanwhile is not written over.
    async fn change_checks(
        &self,
        caller: &Caller,
        known: &NativeInstance,
        change: impl FnOnce(&mut Checks) -> Result<(), Error> + Send + 'static,
    ) -> Result<Arc<NativeInstance>, Error> {
        let own = known.native.get(term::ID).cloned();
        let patch = move |now: &NativeInstance| {
            // Another one has its address by now.
            if now.native.get(term::ID) != own.as_ref() {
                return Err(Error::not_found("the service is not registered any more"));
            }
            let had = now.checks();
            let (mut checks, mut native) = (had.clone(), now.native.clone());
            change(&mut checks)?;
            if checks == *had {
                return Ok(InstancePatch::default());
            }
            checks.write(&mut native);
            // Of one that somebody made too large by SQL can be said how it is, all the same.
            if terms::size(&native) > terms::size(&now.native) {
                terms::check(&native)?;
            }
            let none = checks.is_empty();
            Ok(InstancePatch {
                check: Some(if none { HealthCheckType::None } else { HealthCheckType::Checks }),
                health: none.then_some(HealthStatus::Unknown),
                native: Some(native),
                ..InstancePatch::default()
            })
        };
        let outcome = self.native.update_with(caller, known.id, patch).await;
        self.metrics.native.ended("checks", outcome.is_ok());
        outcome
    }

    /// Takes a check away from an instance, if it is there and has it still.
    async fn drop_check(
        &self,
        caller: &Caller,
        known: &NativeInstance,
        id: &str,
    ) -> Result<(), Error> {
        let id = id.to_owned();
        let drop = move |checks: &mut Checks| {
            checks.remove(&id);
            Ok(())
        };
        match self.change_checks(caller, known, drop).await {
            Err(error) if error.code != ErrorCode::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Ids of checks are unique with an agent, whatever service they are of: those of this instance
    /// leave the others of its agent.
    pub(super) async fn leave_to(
        &self,
        caller: &Caller,
        owner: &NativeInstance,
        ids: impl IntoIterator<Item = String>,
    ) {
        let Some(agent) = agent_of(owner) else { return };
        for id in ids {
            // Of two that take it at once one keeps it.
            let _turn = self.check_turns.of((caller.tenant(), &id)).await;
            let all = self.with_check(caller, agent, &id);
            if !all.iter().any(|one| one.id == owner.id) {
                continue;
            }
            // Two of one id do not see one another: each has checks of its own.
            let service = owner.native.get(term::ID);
            let others = all.iter().filter(|one| one.native.get(term::ID) != service);
            for other in others {
                let (instance, to) = (other.key.to_string(), owner.key.to_string());
                match self.drop_check(caller, other, &id).await {
                    Ok(()) => tracing::info!(%instance, check = %id, %to,
                        "another service of its agent took the id of its check: it has it no more"),
                    Err(error) => tracing::warn!(%instance, check = %id, %to, %error,
                        "a check is another service's now, and stays here too"),
                }
            }
        }
    }
}
