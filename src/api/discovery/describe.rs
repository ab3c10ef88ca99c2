//! What the routes of discovery take and answer.

use axum::http::StatusCode;
use serde_json::json;

use super::{INDEX_HEADER, MAX_LIMIT};
use crate::api::openapi::params::{Param, filter, group_or_all};
use crate::api::openapi::shape::{
    boolean, count, duration, integer, list_of, named, object, text, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::api::services::describe::SEVERAL_GROUPS;
use crate::balance::Strategy;

/// `GET /api/v1/services/{serviceName}/instances`
pub(in crate::api) fn instances() -> Describe {
    let example = json!({
        "instances": [shapes::instance_example()],
        "count": 1,
        "revision": 42,
        "protected": false,
        "stale": false,
        "partial": false,
        "sources": [
            { "source": "native", "registryType": "SYSTEM", "state": "LIVE", "ageMs": 0 },
        ],
    });
    let answer = object([
        ("instances", list_of(shapes::instance())),
        ("count", count().about("How many there are: discovery is never paged.")),
        ("revision", shapes::revision()),
        (
            "protected",
            boolean().about(
                "The filter by health was lifted: the healthy share is under `protectThreshold`.",
            ),
        ),
        ("stale", boolean().about("A source of this answer is not current.")),
        ("partial", shapes::partial()),
        ("sources", list_of(shapes::source())),
    ]);
    let answer =
        named("Discovery", answer.about("The instances of a service over all registries."));
    let waiting = [
        Param::query(
            "index",
            "Waits until the revision of the service is above this one (`X-Registry-Index` of an \
             earlier answer). A return is no proof of change.",
            integer(0..=(1 << 53)),
        ),
        Param::query("wait", "How long at most, up to 10m [default: 5m].", duration()),
    ];
    let statuses =
        [StatusCode::OK, StatusCode::NOT_MODIFIED, StatusCode::NOT_FOUND, StatusCode::CONFLICT];
    choice(describe(Tag::Discovery, "discover", "The instances of a service over all registries"))
        .text(
            "Answered from memory. A service that is known and has no instances is 200 with an \
             empty list; one that is not known is 404 only when every registry was heard, else \
             503. With `strategy` the list is in the order to try, and has no entity tag.",
        )
        .takes([Param::query("limit", "The first so many.", integer(1..=MAX_LIMIT))])
        .takes(waiting)
        .answers(StatusCode::OK, "The instances, and how fresh they are.", answer)
        .for_example(StatusCode::OK, example)
        .tagged()
        .may(
            StatusCode::NOT_FOUND,
            "There is no such service; with `onPartial=use`, not in the sources that were heard.",
        )
        .header(
            &statuses,
            INDEX_HEADER.as_str(),
            "The revision to wait for a change of, as `index`.",
            integer(0..=(1 << 53)),
        )
}

/// `GET /api/v1/services/{serviceName}/select`
pub(in crate::api) fn select() -> Describe {
    choice(describe(Tag::Discovery, "select", "One instance to send a request to"))
        .text("By the strategy of the request, else of the service. It is up and not unhealthy.")
        .answers(StatusCode::OK, "The instance.", shapes::instance())
}

/// What both take.
fn choice(describe: Describe) -> Describe {
    let partial = "When a source was never heard: `use` what there is, or `fail` with 503.";
    describe
        .takes([group_or_all(
            "The group; `*`: all of them. Left out: `DEFAULT_GROUP` if it holds the name, else the \
             one group that does, else 409 with `details.groups`.",
        )])
        .takes(filter())
        .takes([
            Param::query("strategy", "The order of the instances.", word(Strategy::ALL)),
            Param::query("key", "What CONSISTENT_HASH hashes; needed with it.", text()),
            Param::query(
                "maxStaleness",
                "503 if what a source says is older than this, up to 168h.",
                duration(),
            ),
            Param::query("onPartial", partial, word(&["use", "fail"])),
        ])
        .may(StatusCode::CONFLICT, SEVERAL_GROUPS)
        .may(
            StatusCode::SERVICE_UNAVAILABLE,
            "The service is not known and a source that might know it was never heard; the answer \
             is older than `maxStaleness`, or partial with `onPartial=fail`; no instance is up and \
             healthy (select); or not now.",
        )
}
