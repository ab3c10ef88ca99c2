//! What is said by gRPC: a type's name, headers, and JSON
//! (`nacos_grpc_service.proto` of Nacos; packages and services have no prefix).

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorCode, Result};
use crate::facades::nacos::register::Told;

/// What a message is, and with which headers it comes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(string, tag = "8")]
    client_ip: String,
    #[prost(map = "string, string", tag = "7")]
    headers: HashMap<String, String>,
}

/// `google.protobuf.Any`, holding JSON; its type counts for nothing.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Body {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// Every message.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    body: Option<Body>,
}

/// The label that asks for what Nacos has no word for: libraries let their users say labels, and no
/// headers.
const CARRY: &str = "registry-carry";
/// The header of a credential.
const TOKEN: &str = "accessToken";

impl Payload {
    fn new(kind: &str, body: &impl Serialize) -> Self {
        // Of texts, numbers and JSON there is nothing that cannot be written.
        let value = serde_json::to_vec(body).unwrap_or_default().into();
        let metadata = Metadata { kind: kind.to_owned(), ..Metadata::default() };
        Self { metadata: Some(metadata), body: Some(Body { type_url: String::new(), value }) }
    }

    /// The name of its type.
    pub(super) fn kind(&self) -> &str {
        self.metadata.as_ref().map_or("", |metadata| &metadata.kind)
    }

    /// The credential in its headers.
    pub(super) fn token(&self) -> Option<&str> {
        let token = self.metadata.as_ref()?.headers.get(TOKEN)?;
        Some(token.as_str()).filter(|token| !token.is_empty())
    }

    /// What it says.
    pub(super) fn read(&self) -> Result<Said> {
        let body = self.body.as_ref().map_or(&b"{}"[..], |body| &body.value);
        serde_json::from_slice(body).map_err(|error| {
            let shown: String = error.to_string().chars().take(200).collect();
            Error::new(
                ErrorCode::Invalid,
                format!("the body of the request is no such JSON: {shown}"),
            )
        })
    }
}

/// What requests say, each a part of it. Clients write null for what they do not know.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Said {
    pub(super) request_id: Option<String>,
    pub(super) result_code: Option<i64>,
    pub(super) namespace: Option<String>,
    pub(super) group_name: Option<String>,
    pub(super) service_name: Option<String>,
    #[serde(rename = "type")]
    pub(super) what: Option<String>,
    pub(super) instance: Option<Instance>,
    pub(super) instances: Option<Vec<Instance>>,
    pub(super) subscribe: Option<bool>,
    /// Of a subscription.
    pub(super) clusters: Option<String>,
    /// Of a query.
    pub(super) cluster: Option<String>,
    pub(super) healthy_only: Option<bool>,
    pub(super) page_no: Option<i64>,
    pub(super) page_size: Option<i64>,
    pub(super) client_version: Option<String>,
    pub(super) ability_table: Option<Value>,
    labels: Option<Value>,
}

impl Said {
    /// Whether it asks for what Nacos has no word for: a label `registry-carry` that is `true`.
    pub(super) fn asks_for_carried(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels[CARRY] == "true")
    }
}

/// An instance, as a client says it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Instance {
    pub(super) ip: Option<String>,
    pub(super) port: Option<u64>,
    weight: Option<f64>,
    healthy: Option<bool>,
    enabled: Option<bool>,
    cluster_name: Option<String>,
    metadata: Option<HashMap<String, Option<String>>>,
}

impl Instance {
    pub(super) fn told(self) -> Told {
        let metadata = self.metadata.unwrap_or_default().into_iter();
        Told {
            enabled: self.enabled.unwrap_or(true),
            healthy: self.healthy.unwrap_or(true),
            weight: self.weight,
            cluster: self.cluster_name,
            metadata: metadata.map(|(key, value)| (key, value.unwrap_or_default())).collect(),
        }
    }
}

/// An answer: what all have, and what one of them has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a, T: Serialize> {
    result_code: u16,
    error_code: u16,
    success: bool,
    // Clients in Python take no null.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(flatten)]
    more: T,
}

/// `com.alibaba.nacos.api.remote.response.ResponseCode`
const SUCCESS: u16 = 200;
const FAIL: u16 = 500;
/// `NacosException`: the connection said nothing of itself yet; the client begins anew.
pub(super) const UNREGISTERED: u16 = 301;
/// There is no such request.
pub(super) const NO_HANDLER: u16 = 302;
/// `ConfigQueryResponse`: there is no such configuration.
pub(super) const NO_CONFIG: u16 = 300;

/// What was asked for.
pub(super) fn answer(kind: &str, request_id: Option<&str>, more: impl Serialize) -> Payload {
    let (result_code, error_code, success, message) = (SUCCESS, 0, true, None);
    let answer = Answer { result_code, error_code, success, message, request_id, more };
    Payload::new(kind, &answer)
}

/// What went wrong, in an answer of this type.
pub(super) fn refusal(kind: &str, request_id: Option<&str>, code: u16, message: &str) -> Payload {
    let (result_code, error_code, success, message) = (FAIL, code, false, Some(message));
    let more = Nothing {};
    let answer = Answer { result_code, error_code, success, message, request_id, more };
    Payload::new(kind, &answer)
}

/// The answer of a request that failed. Clients try again what ends in this type, and some of
/// them nothing else.
pub(super) fn failed(request_id: Option<&str>, error: &Error) -> Payload {
    let code = match error.code {
        ErrorCode::Invalid | ErrorCode::TooLarge | ErrorCode::UnsupportedMediaType => 400,
        ErrorCode::Unauthorized | ErrorCode::Forbidden => 403,
        ErrorCode::NotFound => 404,
        _ => 500,
    };
    refusal("ErrorResponse", request_id, code, &error.sentence())
}

/// Nothing besides.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Nothing {}

/// The instances of a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info<'a> {
    pub(super) service_info: &'a RawValue,
}

/// What is pushed: instances of a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Push<'a> {
    pub(super) request_id: &'a str,
    /// Some clients insist on them.
    pub(super) headers: Nothing,
    pub(super) module: &'static str,
    pub(super) namespace: &'a str,
    pub(super) group_name: &'a str,
    pub(super) service_name: &'a str,
    pub(super) service_info: &'a RawValue,
}

impl Push<'_> {
    pub(super) fn payload(&self) -> Payload {
        Payload::new("NotifySubscriberRequest", self)
    }
}

/// A request of the hub that says nothing else.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plain<'a, T: Serialize> {
    request_id: &'a str,
    headers: Nothing,
    module: &'static str,
    #[serde(flatten)]
    more: T,
}

/// Asks whether somebody is there.
pub(super) fn detection(request_id: &str) -> Payload {
    let (headers, module, more) = (Nothing {}, "internal", Nothing {});
    Payload::new("ClientDetectionRequest", &Plain { request_id, headers, module, more })
}

/// What a server that was told what its client can do says it can do itself.
pub(super) fn set_up(request_id: &str) -> Payload {
    let (headers, module) = (Nothing {}, "internal");
    let more = serde_json::json!({ "abilityTable": { "supportPersistentInstanceByGrpc": true } });
    Payload::new("SetupAckRequest", &Plain { request_id, headers, module, more })
}
