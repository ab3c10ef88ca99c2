//! Shapes that several nouns have.

use hub_registry_core::RegistryKind;
use hub_registry_core::id::{MAX_HOST, MAX_NAME};
use hub_registry_core::{HealthStatus, InstanceStatus, Protocol, Weight};
use serde_json::json;

use super::shape::{
    Shape, boolean, count, free_object, integer, line, list_of, map, object, pattern, text, time,
    word,
};
use crate::catalog::SourceState;
use crate::model::words::Flag;

/// The name of a group or service, by the rule of the hub's own registry.
pub(in crate::api) fn name() -> Shape {
    pattern("^[A-Za-z0-9._:-]{1,100}$")
}

/// The name of a group or service of any registry.
pub(in crate::api) fn known_name() -> Shape {
    line(MAX_NAME).min(1)
}

/// An id in a path.
pub(in crate::api) fn id() -> Shape {
    line(32).min(1)
}

/// The id of an instance.
pub(in crate::api) fn instance_id() -> Shape {
    pattern("^[0-9a-f]{32}$").example(json!("6f0c2b1d9a3e4f58871c0a2b3d4e5f60"))
}

/// The address of an instance of any registry.
pub(in crate::api) fn known_host() -> Shape {
    line(MAX_HOST).min(1)
}

/// A TCP port.
pub(in crate::api) fn port() -> Shape {
    integer(1..=65_535)
}

/// A port of any registry: some know instances without one.
pub(in crate::api) fn known_port() -> Shape {
    integer(0..=65_535)
}

/// The protocol of an instance.
pub(in crate::api) fn protocol() -> Shape {
    word(Protocol::ALL)
}

/// What an instance says of itself.
pub(in crate::api) fn instance_status() -> Shape {
    word(InstanceStatus::ALL)
}

/// What checks say of it.
pub(in crate::api) fn health_status() -> Shape {
    word(HealthStatus::ALL)
}

/// A share of traffic.
pub(in crate::api) fn weight() -> Shape {
    integer(0..=i64::from(Weight::MAX)).about("Share of traffic; 100 is the weight 1.0 of Nacos.")
}

/// `Y` or `N`.
pub(in crate::api) fn flag() -> Shape {
    word(Flag::ALL)
}

/// The kind of a registry; `SYSTEM` is the hub's own.
pub(in crate::api) fn registry_type() -> Shape {
    word(RegistryKind::ALL)
}

/// The state of a source.
pub(in crate::api) fn source_state() -> Shape {
    word(&SourceState::ALL).about(
        "LIVE: current. STALE: last known good, its registry does not answer. PROTECTED: current, \
         and removals are held. CONNECTING: nothing was read yet. DOWN: never read, and failing. \
         DISCONNECTED: by an operator.",
    )
}

/// How old what a source says is.
pub(in crate::api) fn age() -> Shape {
    count().or_null().about("Milliseconds since the source was last known to be current.")
}

/// Free pairs.
pub(in crate::api) fn metadata() -> Shape {
    map(text()).example(json!({ "version": "1.4.2", "zone": "a" }))
}

/// Free pairs, as they are taken.
pub(in crate::api) fn new_metadata() -> Shape {
    map(pattern(r"^[^\u0000]*$"))
        .keys(r"^[^\u0000-\u001f\u007f-\u009f]+$")
        .max(128)
        .about("At most 128 keys and 64 KiB in all.")
        .example(json!({ "version": "1.4.2", "zone": "a" }))
}

/// Free labels.
pub(in crate::api) fn tags() -> Shape {
    list_of(text())
}

/// Free labels, as they are taken.
pub(in crate::api) fn new_tags() -> Shape {
    list_of(line(255).min(1)).max(64)
}

/// The names of sources.
pub(in crate::api) fn source_names() -> Shape {
    list_of(text()).about("The sources that know it: `native`, or the name of a configuration.")
}

/// A JSON object, or its text.
pub(in crate::api) fn object_or_text() -> Shape {
    let about = "An object, or its JSON text.";
    super::shape::either([free_object(), text().holding_json()]).about(about)
}

/// A list's `count`.
pub(in crate::api) fn total() -> Shape {
    count().about("How many there are on all pages.")
}

/// A revision of the view.
pub(in crate::api) fn revision() -> Shape {
    integer(0..=(1 << 53)).about("The revision of the view at the last change; it never falls.")
}

/// The version of a row.
pub(in crate::api) fn version() -> Shape {
    count().about("Counts the changes. In a PUT it makes a compare-and-set: 409 if it moved on.")
}

/// `partial`.
pub(in crate::api) fn partial() -> Shape {
    boolean().about("Whether a source that is enabled was never read: there may be more.")
}

/// A sentence for people.
pub(in crate::api) fn message() -> Shape {
    text().about("A sentence for people.")
}

/// The columns that every native thing has.
pub(in crate::api) fn audit() -> [(&'static str, Shape); 9] {
    [
        ("addTime", time()),
        ("addWho", text()),
        ("editTime", time()),
        ("editWho", text()),
        ("oprSeqFlag", text().or_null()),
        ("currentVersion", version()),
        ("activeFlag", flag()),
        ("noteText", text().or_null()),
        ("extProperty", super::shape::anything().about("Free JSON.")),
    ]
}

/// A source of an answer.
pub(in crate::api) fn source() -> Shape {
    let source = object([
        ("source", text().about("`native`, or the name of the configuration.")),
        ("registryType", registry_type()),
        ("state", source_state()),
        ("ageMs", age()),
    ]);
    super::shape::named("Source", source.about("A registry behind an answer, and how it is."))
}

/// An instance as discovery and lists answer it.
pub(in crate::api) fn instance() -> Shape {
    let about = "An instance, once, however many registries know it. The first origin gives its \
                 fields; status and health are those of the first that is current.";
    let instance = instance_fields().about(about).example(instance_example());
    super::shape::named("Instance", instance)
}

/// What every instance has.
pub(in crate::api) fn instance_fields() -> Shape {
    let origin = object([
        ("source", text().about("`native`, or the name of the configuration.")),
        ("registryType", registry_type()),
        ("nativeId", text().or_null().about("Its id in that registry.")),
        ("observedAt", time().about("When this origin last said something else.")),
        ("instanceStatus", instance_status()),
        ("healthStatus", health_status()),
        ("weightValue", weight()),
    ]);
    let origin = super::shape::named("Origin", origin.about("What one registry says of it."));
    object([
        ("instanceId", instance_id()),
        ("serviceName", known_name()),
        ("groupName", known_name()),
        ("hostAddress", known_host()),
        ("portNumber", known_port()),
        ("protocolType", protocol()),
        ("contextPath", text().or_null()),
        ("instanceStatus", instance_status()),
        ("healthStatus", health_status()),
        ("weightValue", weight()),
        ("metadata", metadata()),
        ("tags", tags()),
        ("registerTime", time().or_null()),
        ("registryType", registry_type()),
        ("held", boolean().about("Its removal is being confirmed: a careful reader may skip it.")),
        ("sources", list_of(origin)),
    ])
}

/// An instance that two registries know.
pub(in crate::api) fn instance_example() -> serde_json::Value {
    json!({
        "instanceId": "6f0c2b1d9a3e4f58871c0a2b3d4e5f60",
        "serviceName": "order-service",
        "groupName": "DEFAULT_GROUP",
        "hostAddress": "10.0.0.11",
        "portNumber": 8080,
        "protocolType": "HTTP",
        "contextPath": "/api",
        "instanceStatus": "UP",
        "healthStatus": "HEALTHY",
        "weightValue": 100,
        "metadata": { "version": "1.4.2", "zone": "a" },
        "tags": ["canary"],
        "registerTime": "2026-01-31T12:00:00.000Z",
        "registryType": "SYSTEM",
        "held": false,
        "sources": [{
            "source": "native",
            "registryType": "SYSTEM",
            "nativeId": "6f0c2b1d9a3e4f58871c0a2b3d4e5f60",
            "observedAt": "2026-01-31T12:00:00.000Z",
            "instanceStatus": "UP",
            "healthStatus": "HEALTHY",
            "weightValue": 100,
        }],
    })
}
