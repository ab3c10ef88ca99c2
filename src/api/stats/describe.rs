//! What the routes of numbers take and answer.

use axum::http::StatusCode;

use crate::api::checks;
use crate::api::openapi::params::page;
use crate::api::openapi::shape::{
    Shape, boolean, count, list_of, map, named, object, share, text, time,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};

/// `GET /api/v1/stats`
pub(in crate::api) fn totals() -> Describe {
    let answer = object([
        ("tenantId", text()),
        ("groups", count()),
        ("services", count()),
        ("instances", count()),
        ("held", count()),
        ("sources", count()),
        ("byStatus", by_word()),
        ("byHealth", by_word()),
        ("byGroup", by_group()),
        ("bySource", by_source()),
        ("leases", leases()),
        ("partial", shapes::partial()),
        ("revision", shapes::revision()),
        ("uptimeSeconds", count()),
    ]);
    stats("stats", "How much there is, in all", answer)
}

/// `GET /api/v1/stats/instances`
pub(in crate::api) fn instances() -> Describe {
    let answer = object([
        ("tenantId", text()),
        ("instances", count()),
        ("held", count()),
        ("byStatus", by_word()),
        ("byHealth", by_word()),
        ("byProtocol", by_word()),
        ("groups", count()),
        ("byGroup", by_group()),
        ("bySource", by_source()),
        ("leases", leases()),
        ("revision", shapes::revision()),
    ]);
    stats("statsOfInstances", "How many instances there are, by what they are", answer)
}

/// `GET /api/v1/stats/health`
pub(in crate::api) fn health() -> Describe {
    let answer = object([
        ("tenantId", text()),
        ("instances", count()),
        ("healthy", count()),
        ("unhealthy", count()),
        ("unknown", count()),
        ("healthyShare", share().or_null()),
        ("groups", count()),
        ("byGroup", by_group()),
        ("checks", checks::describe::numbers()),
        ("leases", leases()),
        ("revision", shapes::revision()),
    ]);
    stats("statsOfHealth", "How healthy the instances are", answer)
}

fn stats(id: &str, summary: &str, answer: Shape) -> Describe {
    describe(Tag::Statistics, id, summary)
        .text("Of the caller's tenant, in the groups the caller may read. Pages are of `byGroup`.")
        .takes(page())
        .answers(StatusCode::OK, "The numbers.", answer)
}

fn by_word() -> Shape {
    map(count())
}

fn by_group() -> Shape {
    let group = object([
        ("groupName", shapes::known_name()),
        ("services", count()),
        ("instances", count()),
        ("byStatus", by_word()),
        ("byHealth", by_word()),
        ("healthyShare", share().or_null()),
    ]);
    list_of(named("GroupNumbers", group))
}

fn by_source() -> Shape {
    let source = object([
        ("source", text()),
        ("registryType", shapes::registry_type()),
        ("state", shapes::source_state()),
        ("ageMs", shapes::age()),
        ("services", count()),
        ("instances", count()),
        ("held", count()),
        ("byStatus", by_word()),
        ("byHealth", by_word()),
    ]);
    list_of(named("SourceNumbers", source))
}

fn leases() -> Shape {
    let leases = object([
        ("heartBeating", count()),
        ("overdue", count()),
        ("held", count()),
        ("selfPreservation", boolean()),
        ("preservingSince", time().or_null()),
        ("sweeping", boolean()),
        ("sweeps", count()),
        ("expired", count()),
    ]);
    let about = "The leases of native instances; `null` to who does not run the tenant.";
    named("Leases", leases).or_null().about(about)
}
