//! The shapes of what answers say of the hub's checks.

use crate::api::openapi::shape::{
    Shape, boolean, count, list_of, named, number, object, share, text, time, word,
};
use crate::health::Outcome;
use crate::model::check::CheckStatus;

/// The last check of an instance.
pub(in crate::api) fn last_check() -> Shape {
    let check = object([
        ("asked", text().about("What was asked: `GET` and a URL, or `TCP` and an address.")),
        ("time", time()),
        ("outcome", word(&Outcome::WORDS)),
        ("output", text().about("The outcome in words: `HTTP 500`, `connect timed out`.")),
        ("tookMs", number()),
        ("failures", count().about("In a row.")),
        ("passes", count().about("In a row.")),
        ("intervalMs", count()),
        ("timeoutMs", count()),
        ("flapping", boolean().about("It failed too often of late, and is kept unhealthy.")),
        ("calmInMs", count().about("About how long still.").or_null()),
    ]);
    named("HealthCheck", check.about("The last check of an instance since the start of the hub."))
}

/// The checks that an instance brought with it.
pub(in crate::api) fn brought() -> Shape {
    let check = object([
        ("checkId", text()),
        ("checkName", text()),
        ("notes", text()),
        ("checkType", word(&["ttl", "http", "tcp", "grpc"])),
        ("status", word(CheckStatus::ALL)),
        ("ttlSeconds", count().about("Its client says its status so often.").or_null()),
        ("deregisterAfterSeconds", count().about("Critical for so long, it is removed.").or_null()),
        ("lastCheck", last_check().or_null()),
    ]);
    let check = named("BroughtCheck", check.about("A check that an instance brought with it."));
    list_of(check)
        .about("The checks that it brought with it (`healthCheckType` CHECKS): the worst decides.")
}

/// How checks fare.
pub(in crate::api) fn numbers() -> Shape {
    let late = object([("p50", number()), ("p99", number()), ("max", number())]);
    let checker = object([
        ("instances", count()),
        ("flapping", count()),
        ("inFlight", count()),
        ("overdue", count().about("Checks whose time has come and that wait for a place.")),
        ("lagMs", count().about("How long the first of these has waited.")),
        ("lateMs", late.about("How long after their time checks began of late.")),
        ("concurrentChecks", count()),
        ("concurrentChecksNeeded", count()),
        ("enough", boolean()),
    ]);
    object([
        ("enabled", boolean()),
        ("checks", count().about("Since the start of the hub.")),
        ("hindered", count().about("Those that the hub itself could not make.")),
        ("successRate", share().or_null()),
        ("meanMs", number().about("Over the last five to ten minutes.").or_null()),
        ("p99Ms", number().about("Over the last five to ten minutes.").or_null()),
        (
            "removalsHeld",
            count()
                .about(
                    "Critical checks of the tenant for which no instance is removed, since too many are \
                     silent together to be believed; for operators.",
                )
                .or_null(),
        ),
        ("checker", checker.about("Over all tenants; for operators.").or_null()),
    ])
}
