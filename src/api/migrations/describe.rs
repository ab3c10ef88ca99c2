//! What is taken and answered about migrations.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::copies::describe::actions;
use crate::api::openapi::params::{Param, force, page as pages};
use crate::api::openapi::shape::{
    Shape, anything, boolean, count, integer, line, list_of, map, named, number, object, text,
    time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::model::migration::MigrationState;

/// `GET /api/v1/migrations`
pub(in crate::api) fn list() -> Describe {
    let answer = object([("migrations", list_of(migration())), ("count", shapes::total())]);
    describe(Tag::Migrations, "listMigrations", "Lists the migrations and how they stand")
        .takes(pages())
        .answers(StatusCode::OK, "A page of them, by name.", answer)
}

/// `POST /api/v1/migrations`
pub(in crate::api) fn create() -> Describe {
    let answer = object([("migrationId", shapes::id()), ("message", shapes::message())]);
    let new = object([
        ("name", line(100).min(1)),
        ("from", text().about("The name of a configuration, or `native`.")),
        ("to", text().about("The name of another one, or `native`.")),
    ])
    .and_settable([
        ("services", names().about("Which services; left out: all.")),
        ("groupMap", groups().about("From a group at the source to that at the target.")),
        ("gates", gate_rules()),
        ("orphan", orphan()),
    ])
    .closed();
    let example = json!({
        "name": "orders to nacos", "from": "eureka-a", "to": "nacos-a",
        "services": { "include": ["order-*"] },
        "gates": { "parityMinutes": 5, "maxLagMs": 10_000 },
    });
    describe(Tag::Migrations, "createMigration", "Plans a migration")
        .text("Nothing is written anywhere before the first `advance`.")
        .body(named("NewMigration", new), example)
        .answers(StatusCode::CREATED, "Planned, and on disk.", answer)
        .may(StatusCode::CONFLICT, "Its name is taken, or there are a hundred already.")
}

/// `GET /api/v1/migrations/{migrationId}`
pub(in crate::api) fn get() -> Describe {
    describe(Tag::Migrations, "getMigration", "How a migration stands").answers(
        StatusCode::OK,
        "It.",
        migration(),
    )
}

/// `GET /api/v1/migrations/{migrationId}/plan`
pub(in crate::api) fn plan() -> Describe {
    describe(Tag::Migrations, "planMigration", "What the next step would do to copies")
        .answers(
            StatusCode::OK,
            "Each register, update and deregister, with its reason.",
            actions(),
        )
        .may(StatusCode::CONFLICT, "There is no next step, or a registry is not there.")
        .may(
            StatusCode::SERVICE_UNAVAILABLE,
            "`external.enableSync` is off, a registry cannot be written to; or not now.",
        )
}

/// `POST /api/v1/migrations/{migrationId}/advance`
pub(in crate::api) fn advance() -> Describe {
    step("advanceMigration", "Takes the next step")
        .takes([force("Also if conditions are not met; who did so is an event.")])
        .text(
            "PLANNED, MIRROR (the source is copied to the target), DUAL (both ways), CUTOVER \
             (readers see the target first, what registers through the hub goes there), DRAIN \
             (what lives at the source alone is waited for), DONE (nothing is copied any more).",
        )
        .may(
            StatusCode::CONFLICT,
            "There is no next step, or its conditions are not met: `details.reasons`.",
        )
}

/// `POST /api/v1/migrations/{migrationId}/rollback`
pub(in crate::api) fn rollback() -> Describe {
    step("rollbackMigration", "Takes the last step back")
        .takes([force("Taken for the sake of `advance`; a way back has no conditions.")])
        .may(StatusCode::CONFLICT, "There is no way back from PLANNED and from DONE.")
}

fn step(id: &str, summary: &str) -> Describe {
    let answer = object([("migrationId", shapes::id()), ("state", state())]);
    describe(Tag::Migrations, id, summary)
        .takes([
            Param::query("serviceName", "Only this service.", shapes::known_name()),
            Param::query(
                "groupName",
                "Its group at the source; need not be said where the name is in one only.",
                shapes::known_name(),
            ),
        ])
        .answers(StatusCode::OK, "How far it is now, on disk.", answer)
}

/// `POST /api/v1/migrations/{migrationId}/pause`
pub(in crate::api) fn pause() -> Describe {
    paused("pauseMigration", "Has its copies stay as they are")
        .may(StatusCode::CONFLICT, "It is DONE: there is nothing left to pause.")
}

/// `POST /api/v1/migrations/{migrationId}/resume`
pub(in crate::api) fn resume() -> Describe {
    paused("resumeMigration", "Has its copies follow their originals again")
}

fn paused(id: &str, summary: &str) -> Describe {
    let answer = object([
        ("migrationId", shapes::id()),
        ("state", state()),
        ("paused", boolean()),
        ("message", shapes::message()),
    ]);
    describe(Tag::Migrations, id, summary).answers(StatusCode::OK, "Done, and on disk.", answer)
}

/// `DELETE /api/v1/migrations/{migrationId}`
pub(in crate::api) fn delete() -> Describe {
    let answer = object([
        ("migrationId", shapes::id()),
        ("copies", count()),
        ("message", shapes::message()),
    ]);
    let copies = "What becomes of its copies; must be said while there are any.";
    describe(Tag::Migrations, "deleteMigration", "Removes a migration")
        .takes([Param::query("copies", copies, word(&["keep", "remove"]))])
        .answers(StatusCode::OK, "Removed, and on disk.", answer)
}

/// `GET /api/v1/migrations/{migrationId}/parity`
pub(in crate::api) fn parity() -> Describe {
    describe(Tag::Migrations, "getMigrationParity", "How equal source and target are")
        .text("`Accept: text/html` gives a page with a plot, for people.")
        .answers(StatusCode::OK, "Service by service, and over time.", parity_answer())
        .answers_as("text/html", StatusCode::OK, "The same.", text())
}

fn state() -> Shape {
    word(MigrationState::ALL)
}

fn orphan() -> Shape {
    word(&["EXPIRE", "KEEP"]).about("What becomes of copies that are not needed any more.")
}

fn names() -> Shape {
    let patterns = || list_of(text().min(1)).max(1000);
    object([]).and_settable([("include", patterns()), ("exclude", patterns())]).closed()
}

fn groups() -> Shape {
    map(shapes::name())
}

fn gate_rules() -> Shape {
    object([])
        .and_settable([
            (
                "parityMinutes",
                integer(0..=10_080)
                    .default(json!(5))
                    .about("So long source and target must have been equal before a step."),
            ),
            (
                "maxLagMs",
                integer(1..=3_600_000)
                    .default(json!(10_000))
                    .about("Within this time 99 of 100 changes must be copied."),
            ),
        ])
        .closed()
}

fn percent() -> Shape {
    number().about("0 to 100; 100 only if nothing is missing or different.")
}

fn migration() -> Shape {
    let service = object([
        ("groupName", shapes::known_name()),
        ("serviceName", shapes::known_name()),
        ("state", state()),
        ("parityPercent", percent()),
        ("instances", count()),
    ]);
    let left = object([
        ("groupName", shapes::known_name()),
        ("serviceName", shapes::known_name()),
        ("hostAddress", shapes::known_host()),
        ("portNumber", shapes::known_port()),
        ("source", text()),
    ]);
    let gate = object([("name", text()), ("met", boolean()), ("detail", text())]);
    let plan = object([
        ("services", object([("include", list_of(text())), ("exclude", list_of(text()))])),
        ("groupMap", map(text())),
        ("gates", object([("parityMinutes", count()), ("maxLagMs", count())])),
        ("orphan", orphan()),
    ]);
    let progress = object([
        ("done", count().about("Instances that are the same on both sides.")),
        ("total", count().about("Instances of the source.")),
        ("pending", count().about("Writes that wait.")),
        ("copies", count().about("Copies that the hub owns.")),
        ("ratePerSecond", number().about("Writes, over the last ten seconds.")),
    ]);
    let all = object([
        ("migrationId", shapes::id()),
        ("name", text()),
        ("from", text()),
        ("to", text()),
        ("plan", plan),
        ("state", state()),
        ("paused", boolean()),
        ("parityPercent", percent()),
        ("services", list_of(named("MigrationService", service))),
        ("progress", progress),
        ("nextState", state().or_null()),
        ("gates", list_of(named("MigrationGate", gate)).about("Conditions of the next step.")),
        (
            "left",
            list_of(named("MigrationLeft", left))
                .about("What lives at the source alone, or came through the hub; in DRAIN."),
        ),
        ("leftCount", count()),
        ("addTime", time()),
        ("addWho", text()),
        ("editTime", time()),
        ("editWho", text()),
        ("currentVersion", shapes::version()),
    ]);
    named("Migration", all)
}

fn parity_answer() -> Shape {
    let place =
        || object([("hostAddress", shapes::known_host()), ("portNumber", shapes::known_port())]);
    let different = place().and([("field", text()), ("from", anything()), ("to", anything())]);
    let service = object([
        ("groupName", shapes::known_name()),
        ("serviceName", shapes::known_name()),
        ("percent", percent()),
        ("equal", count()),
        ("missingCount", count()),
        ("extraCount", count()),
        ("differentCount", count()),
        ("missing", list_of(place()).about("At most a hundred.")),
        ("extra", list_of(place()).about("At most a hundred.")),
        ("different", list_of(different).about("Field by field, at most a hundred.")),
    ]);
    object([
        ("migrationId", shapes::id()),
        ("percent", percent()),
        ("equal", count()),
        ("missing", count()),
        ("extra", count()),
        ("different", count()),
        ("services", list_of(named("ServiceParity", service))),
        ("history", list_of(object([("time", time()), ("percent", percent())]))),
    ])
}
