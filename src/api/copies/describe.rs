//! What is taken and answered about copies between registries.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::openapi::params::Param;
use crate::api::openapi::shape::{
    Shape, boolean, count, integer, list_of, named, object, text, time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};

/// `GET /api/v1/external/configs/{configId}/sync`
pub(in crate::api) fn status() -> Describe {
    let answer = object([
        ("configId", shapes::id()),
        ("syncEnabled", shapes::flag()),
        ("routes", list_of(named("SyncRoute", route()))),
        ("problems", list_of(text()).about("Why a rule, or a part of it, does nothing.")),
    ]);
    describe(Tag::External, "getConfigSync", "How what is copied from and to it fares").answers(
        StatusCode::OK,
        "One entry for each way.",
        answer,
    )
}

/// `POST /api/v1/external/configs/{configId}/sync`
pub(in crate::api) fn run() -> Describe {
    let dry_run =
        Param::query("dryRun", "Only says what would be done.", boolean().default(json!(false)));
    describe(Tag::External, "syncConfig", "Compares everything and copies what differs, now")
        .text("Waits for what that asks for, at most half a minute.")
        .takes([dry_run])
        .answers(StatusCode::OK, "What was, or would be, done.", actions())
        .may(
            StatusCode::SERVICE_UNAVAILABLE,
            "`external.enableSync` is off, a registry cannot be written to; or not now.",
        )
}

/// What is, or would be, done.
pub(in crate::api) fn actions() -> Shape {
    object([("actions", list_of(named("SyncAction", action()))), ("count", shapes::total())])
}

fn address() -> Shape {
    object([
        ("groupName", shapes::known_name()),
        ("serviceName", shapes::known_name()),
        ("hostAddress", shapes::known_host()),
        ("portNumber", shapes::known_port()),
    ])
}

fn action() -> Shape {
    address().and([
        ("action", word(&["REGISTER", "UPDATE", "DEREGISTER", "SKIP"])),
        ("target", text().about("The name of the configuration, or `native`.")),
        ("reason", text()),
        ("lost", list_of(text()).about("What of the original finds no room: `metadata.KEY`, ...")),
    ])
}

fn route() -> Shape {
    let left = |name: &'static str| {
        list_of(named(name, address().and([("reason", text())]))).about("At most a hundred.")
    };
    let lost = address().and([("fields", list_of(text()))]);
    let ms = || integer(0..=i64::MAX).or_null();
    object([
        ("source", text()),
        ("target", text()),
        (
            "mode",
            word(&["COPYING", "FROZEN", "ENDED"]).about(
                "FROZEN: its rule cannot be acted on, and the copies are renewed and left as they \
                 are. ENDED: its rule is no more, and they are removed.",
            ),
        ),
        ("orphan", word(&["EXPIRE", "KEEP"])),
        ("rate", count().about("Writes in a second, at most.")),
        ("copies", count().about("Copies that the hub owns.")),
        ("pending", count().about("Writes that wait.")),
        ("removalsOverBudget", count().about("Of these, removals beyond a fifth in a minute.")),
        ("written", count()),
        ("failed", count()),
        ("lagP50Ms", ms().about("From a change at the source to its copy, of the last 1,024.")),
        ("lagP99Ms", ms()),
        ("lastReconcileTime", time().or_null()),
        ("lastWriteTime", time().or_null()),
        ("lastErrorMessage", text().or_null()),
        ("skipped", left("SyncSkipped")),
        ("refused", left("SyncRefused")),
        ("lost", list_of(named("SyncLost", lost)).about("At most a hundred.")),
    ])
}
