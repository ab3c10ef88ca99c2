//! What the routes of services take and answer.

use axum::http::StatusCode;
use serde_json::json;

use super::SORT;
use crate::api::openapi::params::{Param, force, group, group_of_new, group_or_all, page, sort};
use crate::api::openapi::shape::{
    Shape, boolean, count, integer, line, list_of, named, object, pattern, text, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::model::audit;
use crate::model::service::ANSWERED;
use crate::model::words::LoadBalanceStrategy;

/// `GET /api/v1/services`
pub(in crate::api) fn list() -> Describe {
    services(describe(Tag::Services, "listServices", "Lists the services of all registries"))
        .takes([group_or_all("Only services of this group.")])
}

/// A list of services, of one group or all.
pub(in crate::api) fn services(describe: Describe) -> Describe {
    let answer = object([
        ("services", list_of(service())),
        ("count", shapes::total()),
        ("revision", shapes::revision()),
        ("partial", shapes::partial()),
    ]);
    describe
        .takes([
            Param::query("name", "Only names that match this glob.", text()),
            Param::query("source", "Only services this source knows.", text()),
            Param::query("healthyOnly", "Only services with a healthy instance.", boolean()),
            sort(SORT),
        ])
        .takes(page())
        .answers(StatusCode::OK, "A page of the services the caller may read.", answer)
        .tagged()
}

/// `POST /api/v1/services`
pub(in crate::api) fn create() -> Describe {
    let body = settable(object([("serviceName", shapes::name())]))
        .and_settable([("groupName", pattern("^[A-Za-z0-9._:-]{0,100}$"))]);
    let example = json!({
        "serviceName": "order-service",
        "groupName": "DEFAULT_GROUP",
        "serviceDescription": "Takes orders",
        "protocolType": "HTTP",
        "contextPath": "/api",
        "loadBalanceStrategy": "ROUND_ROBIN",
        "metadata": { "protectThreshold": "0.3" },
    });
    let answer = object([
        ("serviceName", shapes::name()),
        ("groupName", shapes::name()),
        ("message", shapes::message()),
    ]);
    describe(Tag::Services, "createService", "Makes a service")
        .takes([group_of_new()])
        .body(named("NewService", body), example)
        .answers(StatusCode::CREATED, "Made, and on disk.", answer)
        .may(StatusCode::NOT_FOUND, "There is no such group, and `registry.autoCreate` is off.")
        .may(StatusCode::CONFLICT, "A service of that name is in the group already.")
}

/// `GET /api/v1/services/{serviceName}`
pub(in crate::api) fn get() -> Describe {
    describe(Tag::Services, "getService", "Reads a service")
        .takes([group()])
        .answers(StatusCode::OK, "The service.", service())
        .tagged()
        .may(StatusCode::CONFLICT, SEVERAL_GROUPS)
        .may(StatusCode::SERVICE_UNAVAILABLE, UNHEARD)
}

/// `PUT /api/v1/services/{serviceName}`
pub(in crate::api) fn update() -> Describe {
    let body = settable(object([]))
        .and_settable([("serviceName", shapes::name()), ("groupName", shapes::known_name())]);
    let answer = object([
        ("serviceName", shapes::known_name()),
        ("groupName", shapes::known_name()),
        ("currentVersion", shapes::version()),
        ("message", shapes::message()),
    ]);
    describe(Tag::Services, "updateService", "Changes the fields of a service that the body names")
        .takes([group()])
        .body(named("ServicePatch", body), json!({ "loadBalanceStrategy": "LEAST_CONNECTIONS" }))
        .answers(StatusCode::OK, "Changed, and on disk.", answer)
        .may(
            StatusCode::CONFLICT,
            "Several groups hold the name; `currentVersion` is not that of the service any more; \
             or the service is not native (`details.code` is `not_native`).",
        )
        .may(StatusCode::SERVICE_UNAVAILABLE, UNHEARD)
}

/// `DELETE /api/v1/services/{serviceName}`
pub(in crate::api) fn delete() -> Describe {
    let answer = object([
        ("serviceName", shapes::known_name()),
        ("groupName", shapes::known_name()),
        ("message", shapes::message()),
    ]);
    describe(Tag::Services, "deleteService", "Removes a native service")
        .takes([group(), force("Removes its native instances too.")])
        .answers(StatusCode::OK, "Removed, and on disk.", answer)
        .may(
            StatusCode::CONFLICT,
            "Several groups hold the name; the service has instances and `force` was not said; \
             or it is not native (`details.code` is `not_native`).",
        )
        .may(StatusCode::SERVICE_UNAVAILABLE, UNHEARD)
}

/// Why a name alone may not be enough.
pub(in crate::api) const SEVERAL_GROUPS: &str =
    "Several groups hold the name (`details.groups`): name one.";
/// Why "not found" is not said.
pub(in crate::api) const UNHEARD: &str = "The service is not known, and a source that might know it was never heard \
     (`details.sources`); or not now.";

fn service() -> Shape {
    let service = object([
        ("serviceName", shapes::known_name()),
        ("groupName", shapes::known_name()),
        ("sources", shapes::source_names()),
        ("instanceCount", count()),
        ("healthyCount", count()),
        ("revision", shapes::revision()),
    ])
    .and_maybe([
        ("tenantId", text()),
        ("serviceDescription", text().or_null()),
        ("protocolType", shapes::protocol()),
        ("contextPath", text().or_null()),
        ("loadBalanceStrategy", word(LoadBalanceStrategy::ALL)),
        ("healthCheckUrl", text()),
        ("healthCheckIntervalSeconds", seconds()),
        ("healthCheckTimeoutSeconds", seconds()),
        ("metadata", shapes::metadata()),
        ("metadataJson", text().or_null()),
        ("tags", shapes::tags()),
        ("tagsJson", text().or_null()),
    ])
    .and_maybe(shapes::audit());
    let about = "A service. Only native ones have settings.";
    named("Service", service.about(about))
}

fn seconds() -> Shape {
    integer(1..=86_400)
}

/// What can be said of a service but its name.
fn settable(shape: Shape) -> Shape {
    shape
        .and_settable([
            ("serviceDescription", line(500)),
            ("protocolType", shapes::protocol()),
            ("contextPath", line(200)),
            ("loadBalanceStrategy", word(LoadBalanceStrategy::ALL)),
            ("healthCheckUrl", line(500)),
            ("healthCheckIntervalSeconds", seconds()),
            ("healthCheckTimeoutSeconds", seconds()),
            (
                "metadata",
                shapes::new_metadata().about(
                    "Free pairs, at most 128 and 64 KiB in all. `protectThreshold`, 0 to 1: under \
                     this healthy share readers get unhealthy instances too.",
                ),
            ),
            ("metadataJson", text().holding_json().about("`metadata` as JSON text.")),
            ("tags", shapes::new_tags()),
            ("tagsJson", text().holding_json().about("`tags` as JSON text.")),
            ("noteText", line(500)),
            ("extProperty", shapes::object_or_text()),
            ("currentVersion", shapes::version()),
        ])
        .and_read_only(&ANSWERED)
        .and_read_only(&audit::READ_ONLY)
        .closed()
}

/// The fields a body may have.
#[cfg(test)]
pub(in crate::api) fn bodies() -> [(&'static str, Vec<&'static str>); 2] {
    use crate::model::service::SETTABLE;

    let known = [&SETTABLE[..], &ANSWERED, &audit::READ_ONLY].concat();
    [("NewService", known.clone()), ("ServicePatch", known)]
}
