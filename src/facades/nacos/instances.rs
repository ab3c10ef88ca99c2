//! One instance: registering, reading, changing and removing it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use hub_registry_core::InstanceKey;
use serde_json::{Value, json};

use super::Face;
use super::beat::renewed;
use super::call::{Answered, Call};
use super::lists::Unheard;
use super::register::{Change, Extent, key, registration};
use super::render::{self, DEFAULT_CLUSTER};
use super::version::{Code, Version};
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;
use crate::model::terms::CONNECTION;

/// `POST instance`; in v3 with `heartBeat=true` a heartbeat.
pub(super) async fn register(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let at = key(&call, call.service()?)?;
    if call.version == Version::V3 && call.switch("heartBeat", false) {
        if renewed(&face, &call, &at)?.is_none() {
            // Nothing went wrong: it is told to register (`InstanceOpenApiController.register`).
            return Err(call.refused(StatusCode::OK, Code::NoInstance, "instance not found"));
        }
        return Ok(call.version.answer(json!("ok")));
    }
    let _turn = face.turns.of((call.caller.tenant(), &at)).await;
    let outcome = face.native.register(&call.caller, registration(&call, at)?).await;
    face.metrics.native.ended("register", outcome.is_ok());
    outcome.map_err(|error| call.failed(error))?;
    Ok(call.version.answer(json!("ok")))
}

/// `PUT instance`: what is not said has its usual value (`InstanceOperatorClientImpl.updateInstance`),
/// except for metadata.
pub(super) async fn update(State(face): State<Arc<Face>>, call: Call) -> Answered {
    face.change(&call, Extent::Whole).await?;
    Ok(call.version.answer(json!("ok")))
}

/// `PATCH instance`: what is not said stays.
pub(super) async fn patch(State(face): State<Arc<Face>>, call: Call) -> Answered {
    face.change(&call, Extent::Said).await?;
    // In no version it has an envelope (`InstanceControllerV2.patch`).
    Ok(Version::V1.answer(json!("ok")))
}

/// `DELETE instance`: `ok` also for one that is not there, or that is of the other kind: at a Nacos what
/// beats and what stays are told apart by who keeps them.
pub(super) async fn deregister(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let at = key(&call, call.service()?)?;
    let _turn = face.turns.of((call.caller.tenant(), &at)).await;
    let ephemeral = call.switch("ephemeral", true);
    let now = face.own(&call, &at).filter(|now| render::is_ephemeral(now) == ephemeral);
    // What a connection registered is not for others to remove.
    if let Some(now) = now.filter(|now| !now.native.contains_key(CONNECTION)) {
        let outcome = face.native.deregister(&call.caller, &now.id.to_string()).await;
        face.metrics.native.ended("deregister", outcome.is_ok());
        outcome.map_err(|error| call.failed(error))?;
    }
    Ok(call.version.answer(json!("ok")))
}

/// `GET instance`
pub(super) async fn get(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let at = key(&call, call.service()?)?;
    let cluster = call.said("clusterName").unwrap_or(DEFAULT_CLUSTER);
    let unheard = |error: Unheard| call.unheard(&error.0);
    let found = face.find(&call.caller, &at.service).map_err(unheard)?;
    let Some(row) = found.one(&at, cluster).map_err(unheard)? else {
        let text = "no matched ip found!";
        return Err(call.refused(StatusCode::NOT_FOUND, Code::NoResource, text));
    };
    let mut host = json!(render::host(row, false));
    // The first version has a name of its own for it.
    if let (Version::V1, Value::Object(fields)) = (call.version, &mut host) {
        let service = fields.remove("serviceName").unwrap_or_default();
        fields.insert("service".to_owned(), service);
    }
    Ok(call.version.answer(host))
}

impl Face {
    async fn change(&self, call: &Call, extent: Extent) -> Answered<()> {
        let at = key(call, call.service()?)?;
        let change = Change::of(call, extent)?;
        let _turn = self.turns.of((call.caller.tenant(), &at)).await;
        let now = self.own(call, &at).ok_or_else(|| {
            let text = format!("instance not found, ip={}, port={}", at.host, at.port);
            call.refused(StatusCode::NOT_FOUND, Code::NoInstance, text)
        })?;
        let change = move |now: &NativeInstance| change.patch(now);
        let outcome = self.native.update_with(&call.caller, now.id, change).await;
        self.metrics.native.ended("update", outcome.is_ok());
        outcome.map(drop).map_err(|error| call.failed(error))
    }

    /// The hub's own instance at an address, if the caller may see it.
    pub(super) fn own(&self, call: &Call, at: &InstanceKey) -> Option<NativeInstance> {
        let tenant = call.caller.tenant();
        let visible = self.native.visible(&call.caller);
        if !visible.sees(&at.service.group) {
            return None;
        }
        self.native.get(tenant, &InstanceId::of(tenant, at).to_string()).ok()
    }
}
