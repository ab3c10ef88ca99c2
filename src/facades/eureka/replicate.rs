//! What Eurekas send to each other: many calls in one body
//! (`com.netflix.eureka.cluster.protocol.ReplicationList`).

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use hub_registry_eureka::wire::InstanceInfo;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Face;
use super::call::{Answered, Call, Refused};
use super::render::UNKNOWN;
use crate::access::Caller;

/// The registrations that a body has, for fuzzing.
#[cfg(any(fuzzing, test))]
pub(super) fn registrations(body: &[u8]) -> Vec<InstanceInfo> {
    let batch = serde_json::from_slice::<Batch>(body);
    let all = batch.map(|batch| batch.replication_list).unwrap_or_default();
    all.into_iter().filter_map(|one| one.instance_info).collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    replication_list: Vec<One>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    app_name: String,
    id: String,
    #[serde(default)]
    last_dirty_timestamp: Option<i64>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    instance_info: Option<InstanceInfo>,
    action: Action,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum Action {
    Register,
    Heartbeat,
    Cancel,
    StatusUpdate,
    DeleteStatusOverride,
}

/// `POST peerreplication/batch`: each on its own account, one after the other.
pub(super) async fn batch(
    State(face): State<Arc<Face>>,
    call: Call,
    body: Body,
) -> Answered<Json<Value>> {
    let body = face.body(body).await?;
    let batch: Batch = serde_json::from_slice(&body).map_err(|error| {
        let shown: String = error.to_string().chars().take(300).collect();
        Refused::new(StatusCode::BAD_REQUEST, format!("body is not a replication list: {shown}"))
    })?;
    let mut answers = Vec::with_capacity(batch.replication_list.len());
    for one in batch.replication_list {
        let outcome = face.replicated(&call.caller, one).await;
        let status = outcome.unwrap_or_else(|refused| refused.status());
        // The real server says 200 of a registration here.
        let status = if status == StatusCode::NO_CONTENT { StatusCode::OK } else { status };
        answers.push(json!({ "statusCode": status.as_u16() }));
    }
    Ok(Json(json!({ "responseList": answers })))
}

impl Face {
    async fn replicated(&self, caller: &Caller, one: One) -> Answered<StatusCode> {
        let (app, id) = (&*one.app_name, &*one.id);
        let dirty = one.last_dirty_timestamp.map(|time| time.to_string());
        let status = one.status.as_deref();
        match one.action {
            Action::Register => {
                let missing = || Refused::new(StatusCode::BAD_REQUEST, "Missing instanceInfo");
                self.register(caller, app, one.instance_info.ok_or_else(missing)?).await?;
                Ok(StatusCode::NO_CONTENT)
            }
            Action::Heartbeat => self.renew(caller, app, id, dirty.as_deref()),
            Action::Cancel => self.cancel(caller, app, id).await,
            Action::StatusUpdate => {
                let word = status.unwrap_or(UNKNOWN);
                self.set_status(caller, (app, id), (word, true), dirty.as_deref()).await
            }
            Action::DeleteStatusOverride => {
                let word = status.unwrap_or(UNKNOWN);
                self.set_status(caller, (app, id), (word, false), dirty.as_deref()).await
            }
        }
    }
}
