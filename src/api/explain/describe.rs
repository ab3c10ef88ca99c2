//! What `explain` takes and answers.

use axum::http::StatusCode;

use crate::api::checks;
use crate::api::openapi::params::group;
use crate::api::openapi::shape::{
    Shape, boolean, count, integer, list_of, map, named, number, object, share, text, time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::api::removals;
use crate::api::services::describe::{SEVERAL_GROUPS, UNHEARD};
use crate::balance::Strategy;
use crate::model::words::HealthCheckType;

/// `GET /api/v1/services/{serviceName}/explain`
pub(in crate::api) fn explain() -> Describe {
    let protection = object([
        ("protectThreshold", number()),
        ("healthy", count()),
        ("instances", count()),
        ("healthyShare", share().or_null()),
        ("protected", boolean()),
        ("reason", text()),
    ]);
    let answer = object([
        ("serviceName", shapes::known_name()),
        ("groupName", shapes::known_name()),
        ("revision", shapes::revision()),
        ("native", boolean()),
        ("loadBalanceStrategy", word(Strategy::ALL)),
        ("protection", protection),
        ("orderOfOrigins", text()),
        ("sources", list_of(standing())),
        ("missingSources", list_of(object(source()))),
        ("partial", shapes::partial()),
        ("instances", list_of(instance())),
        ("count", count()),
    ]);
    describe(Tag::Discovery, "explain", "Why a service is answered as it is")
        .text("Every origin of every instance: its state, its age, and the rule that won.")
        .takes([group()])
        .answers(StatusCode::OK, "Why.", named("Explanation", answer))
        .may(StatusCode::CONFLICT, SEVERAL_GROUPS)
        .may(StatusCode::SERVICE_UNAVAILABLE, UNHEARD)
}

fn source() -> [(&'static str, Shape); 5] {
    [
        ("source", text()),
        ("configId", text()),
        ("registryType", shapes::registry_type()),
        ("state", shapes::source_state()),
        ("ageMs", shapes::age()),
    ]
}

fn standing() -> Shape {
    object(source()).and(order()).and([
        ("order", count().about("Its place in the order of origins, from 1.")),
        ("leads", boolean().about("A migration put it before all others.")),
        ("current", boolean()),
        ("contributes", boolean()),
        ("listed", boolean()),
        ("instances", count()),
        ("held", count()),
    ])
}

fn order() -> [(&'static str, Shape); 2] {
    let resolutions = word(&["primary_wins", "secondary_wins", "merge"]);
    [
        ("priority", integer(i64::from(i32::MIN)..=i64::from(i32::MAX))),
        ("conflictResolution", resolutions),
    ]
}

fn instance() -> Shape {
    object([
        ("instanceId", shapes::instance_id()),
        ("hostAddress", shapes::known_host()),
        ("portNumber", shapes::known_port()),
        ("instanceStatus", shapes::instance_status()),
        ("healthStatus", shapes::health_status()),
        ("weightValue", shapes::weight()),
        ("held", boolean()),
        ("shown", boolean()),
        ("selectable", boolean()),
        ("hindrances", list_of(text())),
        ("healthReason", health_reason()),
        ("fields", fields().or_null()),
        ("load", load().or_null()),
        ("origins", list_of(origin())),
    ])
}

fn health_reason() -> Shape {
    object([("decidedBy", word(&["registry", "native"])), ("reason", text())]).and_maybe([
        ("healthCheckType", word(HealthCheckType::ALL)),
        ("leaseSeconds", count()),
        ("ephemeral", shapes::flag()),
        ("lastHeartbeatTime", time().or_null()),
        ("lastHealthCheckTime", time().or_null()),
        ("healthCheck", checks::describe::last_check().or_null()),
        ("checks", checks::describe::brought().or_null()),
    ])
}

fn fields() -> Shape {
    let giver = || object([("source", text()), ("rule", text())]);
    let about = "By key: the source it came from.";
    object([
        ("fields", giver()),
        ("states", giver()),
        ("metadata", map(text().or_null()).about(about)),
    ])
}

fn load() -> Shape {
    object([("reported", count().or_null()), ("picksSince", count()), ("sinceMs", count())])
}

fn copy() -> Shape {
    object([("owner", text())]).and_maybe([
        ("source", text()),
        ("group", text()),
        ("service", text()),
        ("id", text()),
    ])
}

fn origin() -> Shape {
    let hold = object([
        ("why", removals::describe::why()),
        ("missingMs", count()),
        ("reads", count()),
        ("readsNeeded", count()),
        ("leavesInMs", count().or_null()),
        ("reason", text()),
    ]);
    object(source()).and(order()).and([
        ("nativeId", text().or_null()),
        ("native", map(text()).about("What else its registry says of it; see docs/adapters.md.")),
        ("copy", copy().or_null().about("Set on a copy that a hub wrote: whose, and from where.")),
        ("observedAt", time()),
        ("instanceStatus", shapes::instance_status()),
        ("healthStatus", shapes::health_status()),
        ("weightValue", shapes::weight()),
        ("hold", hold.or_null()),
    ])
}
