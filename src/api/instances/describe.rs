//! What the routes of instances take and answer.

use axum::http::StatusCode;
use serde_json::json;

use super::{MAX_BATCH, MAX_ID, SORT};
use crate::api::checks;
use crate::api::openapi::params::{Param, filter, group_of_new, group_or_all, page, sort};
use crate::api::openapi::shape::{
    Shape, anything, count, either, format, integer, line, list_of, named, object, pattern, text,
    time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::model::audit;
use crate::model::registration::{ANSWERED, MAX_LEASE_SECONDS, SETTABLE};
use crate::model::words::{ClientType, HealthCheckType};

/// An IP address or a host name by RFC 1123, the last label of which is no number.
const HOST: &str = r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*([0-9]*[A-Za-z_]([A-Za-z0-9_-]*[A-Za-z0-9_])?|[0-9]+-([A-Za-z0-9_-]*[A-Za-z0-9_]))\.?$";

/// Why a change is refused.
const CONFLICT: &str = "`currentVersion` is not that of the instance any more; or it is registered \
                        elsewhere and must be changed there (`details.code` is `not_native`).";

/// `GET /api/v1/instances`
pub(in crate::api) fn list_all() -> Describe {
    let answer = object([
        ("instances", list_of(shapes::instance())),
        ("count", shapes::total()),
        ("revision", shapes::revision()),
    ]);
    let host = Param::query("host", "Only at this address.", shapes::known_host());
    let service = Param::query("serviceName", "Only of this service.", text());
    describe(Tag::Instances, "listInstances", "Lists the instances of all registries")
        .takes([group_or_all("Only in this group."), service, host])
        .takes(filter())
        .takes([sort(SORT)])
        .takes(page())
        .answers(StatusCode::OK, "A page of the instances the caller may read.", answer)
        .tagged()
}

/// `POST /api/v1/instances`
pub(in crate::api) fn register() -> Describe {
    let example = json!({
        "instanceId": "6f0c2b1d9a3e4f58871c0a2b3d4e5f60",
        "leaseSeconds": 30,
        "heartbeatSeconds": 10,
        "message": "Instance registered successfully",
    });
    describe(Tag::Instances, "registerInstance", "Registers an instance, or updates it")
        .text(
            "What makes an instance is its tenant, group, service, host and port: the same again \
             is an update, in which what is left out stays as it is. Group and service are made \
             with their defaults if they are missing (unless `registry.autoCreate` is off). Send \
             heartbeats every `heartbeatSeconds`.",
        )
        .takes([group_of_new()])
        .body(registration(), registration_example())
        .answers(StatusCode::CREATED, "New, and on disk.", registered())
        .for_example(StatusCode::CREATED, example)
        .answers(StatusCode::OK, "It was there, and is updated on disk.", registered())
        .may(
            StatusCode::NOT_FOUND,
            "There is no such group or service, and `registry.autoCreate` is off.",
        )
}

/// `POST /api/v1/instances/batch`
pub(in crate::api) fn register_batch() -> Describe {
    let body = object([("instances", list_of(registration()).max(MAX_BATCH))]).closed();
    let failed =
        object([("status", integer(400..=599)), ("error", text()), ("details", anything())]);
    let done = registered().and([("status", integer(200..=201))]);
    let answer = object([("results", list_of(either([done, failed])))]);
    describe(Tag::Instances, "registerInstances", "Registers many instances")
        .text("One result per instance, in their order; one that fails does not stop the others.")
        .body(body, json!({ "instances": [registration_example()] }))
        .answers(StatusCode::OK, "What came of each.", answer)
}

/// `GET /api/v1/instances/{instanceId}`
pub(in crate::api) fn get() -> Describe {
    describe(Tag::Instances, "getInstance", "Reads an instance of any registry")
        .answers(StatusCode::OK, "The instance.", details())
        .tagged()
}

/// `PUT /api/v1/instances/{instanceId}`
pub(in crate::api) fn update() -> Describe {
    let settable = object([])
        .and_settable([
            ("weightValue", shapes::weight()),
            ("instanceStatus", shapes::instance_status()),
            ("metadata", shapes::new_metadata()),
            ("metadataJson", text().holding_json()),
            ("tags", shapes::new_tags()),
            ("tagsJson", text().holding_json()),
            ("contextPath", line(200)),
            ("noteText", line(500)),
            ("extProperty", shapes::object_or_text()),
            ("currentVersion", shapes::version()),
        ])
        .and_read_only(&SETTABLE)
        .and_read_only(&ANSWERED)
        .and_read_only(&audit::READ_ONLY)
        .closed();
    let about = "What is left out stays as it is. What an instance was registered with otherwise \
                 is changed by registering it again: here it is taken only as it was answered.";
    describe(Tag::Instances, "updateInstance", "Changes the fields that the body names")
        .body(named("InstancePatch", settable.about(about)), json!({ "weightValue": 50 }))
        .answers(StatusCode::OK, "Changed, and on disk.", done())
        .may(StatusCode::CONFLICT, CONFLICT)
}

/// `PUT /api/v1/instances/{instanceId}/heartbeat`
pub(in crate::api) fn heartbeat() -> Describe {
    let answer = object([
        ("message", shapes::message()),
        ("leaseSeconds", lease()),
        ("heartbeatSeconds", beat()),
    ]);
    describe(Tag::Instances, "heartbeat", "Renews the lease of an instance")
        .answers(StatusCode::OK, "Renewed.", answer)
        .may(StatusCode::NOT_FOUND, "There is no such instance any more: register again.")
}

/// `PUT /api/v1/heartbeats`
pub(in crate::api) fn heartbeats() -> Describe {
    let ids = list_of(text().max(MAX_ID)).max(MAX_BATCH);
    let body = object([("instanceIds", ids)]).closed();
    let answer = object([
        ("renewed", count().about("How many leases were renewed.")),
        ("unknown", list_of(text()).about("Those that are no more: register them again.")),
    ]);
    let example = json!({ "instanceIds": ["6f0c2b1d9a3e4f58871c0a2b3d4e5f60"] });
    describe(Tag::Instances, "heartbeats", "Renews the leases of many instances")
        .body(body, example)
        .answers(StatusCode::OK, "Renewed, but for those unknown.", answer)
}

/// `PUT /api/v1/instances/{instanceId}/health`
pub(in crate::api) fn set_health() -> Describe {
    let body = object([("healthStatus", shapes::health_status())]).closed();
    describe(Tag::Instances, "setHealth", "States the health of an instance")
        .body(body, json!({ "healthStatus": "HEALTHY" }))
        .answers(StatusCode::OK, "Stated, and on disk.", done())
        .may(StatusCode::CONFLICT, CONFLICT)
}

/// `PUT /api/v1/instances/{instanceId}/status`
pub(in crate::api) fn set_status() -> Describe {
    let body = object([("instanceStatus", shapes::instance_status())]).closed();
    describe(Tag::Instances, "setStatus", "Takes an instance in or out of traffic")
        .body(body, json!({ "instanceStatus": "OUT_OF_SERVICE" }))
        .answers(StatusCode::OK, "Set, and on disk.", done())
        .may(StatusCode::CONFLICT, CONFLICT)
}

/// `DELETE /api/v1/instances/{instanceId}`
pub(in crate::api) fn deregister() -> Describe {
    describe(Tag::Instances, "deregisterInstance", "Removes an instance")
        .answers(StatusCode::OK, "Removed, and on disk.", done())
        .may(StatusCode::CONFLICT, CONFLICT)
}

fn done() -> Shape {
    object([("instanceId", text()), ("message", shapes::message())])
}

fn lease() -> Shape {
    integer(1..=i64::from(MAX_LEASE_SECONDS))
        .about("Without a heartbeat for so long it is unhealthy, after three times that removed.")
}

fn beat() -> Shape {
    integer(1..=i64::from(MAX_LEASE_SECONDS)).about("Send a heartbeat so often.")
}

fn registered() -> Shape {
    object([
        ("instanceId", shapes::instance_id()),
        ("leaseSeconds", lease()),
        ("heartbeatSeconds", beat()),
        ("message", shapes::message()),
    ])
}

fn registration_example() -> serde_json::Value {
    json!({
        "serviceName": "order-service",
        "groupName": "DEFAULT_GROUP",
        "hostAddress": "10.0.0.11",
        "portNumber": 8080,
        "contextPath": "/api",
        "weightValue": 100,
        "metadata": { "version": "1.4.2", "zone": "a" },
        "tags": ["canary"],
    })
}

/// A registration: an instance as a client says it.
fn registration() -> Shape {
    let host = either([format("ipv4"), format("ipv6"), pattern(HOST).max(100)]);
    let registration = object([
        ("serviceName", shapes::name()),
        ("hostAddress", host.about("An IP address or a host name, without a port.")),
        ("portNumber", shapes::port()),
    ])
    .and_settable([
        ("groupName", pattern("^[A-Za-z0-9._:-]{0,100}$")),
        ("protocolType", shapes::protocol().about("Counts when its service is made for it.")),
        ("contextPath", line(200)),
        ("instanceStatus", shapes::instance_status()),
        ("healthStatus", shapes::health_status()),
        ("weightValue", shapes::weight()),
        ("clientId", line(100)),
        ("clientVersion", line(50)),
        ("clientType", word(ClientType::ALL)),
        ("metadata", shapes::new_metadata()),
        ("metadataJson", text().holding_json().about("`metadata` as JSON text.")),
        ("tags", shapes::new_tags()),
        ("tagsJson", text().holding_json().about("`tags` as JSON text.")),
        ("healthCheckType", word(HealthCheckType::CHOSEN)),
        ("leaseSeconds", lease()),
        ("ephemeral", shapes::flag().about("N: it is never removed for want of heartbeats.")),
        ("noteText", line(500)),
        ("extProperty", shapes::object_or_text()),
    ])
    .and_read_only(&ANSWERED)
    .and_read_only(&audit::READ_ONLY)
    .closed();
    named("Registration", registration.about("An instance as a client registers it."))
}

/// An instance with all that is known of it.
fn details() -> Shape {
    let details = shapes::instance_fields()
        .and([("metadataJson", text()), ("tagsJson", text())])
        .and_maybe([
            ("tenantId", text()),
            ("clientId", text().or_null()),
            ("clientVersion", text().or_null()),
            ("clientType", word(ClientType::ALL)),
            ("lastHeartbeatTime", time().or_null()),
            ("lastHealthCheckTime", time().or_null()),
            ("healthCheckType", word(HealthCheckType::ALL)),
            ("healthCheck", checks::describe::last_check().or_null()),
            ("checks", checks::describe::brought().or_null()),
            ("leaseSeconds", lease()),
            ("ephemeral", shapes::flag()),
        ])
        .and_maybe(shapes::audit());
    let about = "An instance with all that is known of it. Only native ones have more than \
                 discovery answers.";
    named("InstanceDetails", details.about(about))
}

/// The fields a body may have.
#[cfg(test)]
pub(in crate::api) fn bodies() -> [(&'static str, Vec<&'static str>); 2] {
    let known = [&SETTABLE[..], &ANSWERED, &audit::READ_ONLY].concat();
    [("Registration", known.clone()), ("InstancePatch", known)]
}
