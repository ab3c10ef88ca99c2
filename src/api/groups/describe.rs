//! What the routes of groups take and answer.

use axum::http::StatusCode;
use serde_json::json;

use super::SORT;
use crate::api::openapi::params::{Param, force, page, sort};
use crate::api::openapi::shape::{
    Shape, anything, count, either, integer, line, list_of, named, object, text, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::api::services::describe::services;
use crate::model::audit;
use crate::model::group::ANSWERED;
use crate::model::words::{GroupType, LoadBalanceStrategy};

/// `GET /api/v1/groups`
pub(in crate::api) fn list() -> Describe {
    let answer = object([
        ("groups", list_of(group())),
        ("count", shapes::total()),
        ("partial", shapes::partial()),
    ]);
    describe(Tag::Groups, "listGroups", "Lists native groups and those seen in registries")
        .takes([
            Param::query("name", "Only names that match this glob.", text()),
            Param::query("source", "Only groups this source knows.", text()),
            Param::query("groupType", "Only native groups of this type.", word(GroupType::ALL)),
            sort(SORT),
        ])
        .takes(page())
        .answers(StatusCode::OK, "A page of the groups the caller may read.", answer)
        .tagged()
}

/// `POST /api/v1/groups`
pub(in crate::api) fn create() -> Describe {
    let body = settable(object([("groupName", shapes::name())]));
    let example = json!({
        "groupName": "payments",
        "groupDescription": "Everything that moves money",
        "ownerUserId": "alice",
        "adminUserIds": ["bob"],
        "readUserIds": ["carol"],
        "accessControlEnabled": "Y",
    });
    let answer = object([("groupName", shapes::name()), ("message", shapes::message())]);
    describe(Tag::Groups, "createGroup", "Makes a group")
        .body(named("NewGroup", body), example)
        .answers(StatusCode::CREATED, "Made, and on disk.", answer)
        .may(StatusCode::CONFLICT, "A group of that name is there already.")
}

/// `GET /api/v1/groups/{groupName}`
pub(in crate::api) fn get() -> Describe {
    describe(Tag::Groups, "getGroup", "Reads a group")
        .answers(StatusCode::OK, "The group.", group())
        .tagged()
}

/// `PUT /api/v1/groups/{groupName}`
pub(in crate::api) fn update() -> Describe {
    let body = settable(object([])).and_settable([("groupName", shapes::name())]);
    let answer = object([
        ("groupName", shapes::known_name()),
        ("currentVersion", shapes::version()),
        ("message", shapes::message()),
    ]);
    describe(Tag::Groups, "updateGroup", "Changes the fields of a group that the body names")
        .body(named("GroupPatch", body), json!({ "groupDescription": "Moves money" }))
        .answers(StatusCode::OK, "Changed, and on disk.", answer)
        .may(
            StatusCode::CONFLICT,
            "`currentVersion` is not that of the group any more; or the group is not native \
             (`details.code` is `not_native`).",
        )
}

/// `DELETE /api/v1/groups/{groupName}`
pub(in crate::api) fn delete() -> Describe {
    let answer = object([("groupName", shapes::known_name()), ("message", shapes::message())]);
    describe(Tag::Groups, "deleteGroup", "Removes a native group")
        .takes([force("Removes its native services and instances too.")])
        .answers(StatusCode::OK, "Removed, and on disk.", answer)
        .may(
            StatusCode::CONFLICT,
            "The group has services and `force` was not said; or it is not native \
             (`details.code` is `not_native`).",
        )
}

/// `GET /api/v1/groups/{groupName}/services`
pub(in crate::api) fn list_services() -> Describe {
    services(describe(Tag::Groups, "listServicesOfGroup", "Lists the services of a group"))
}

fn group() -> Shape {
    let ids = || anything().about("A list of user ids, or `null`.");
    let group = object([
        ("groupName", shapes::known_name()),
        ("sources", shapes::source_names()),
        ("serviceCount", count()),
        ("instanceCount", count()),
    ])
    .and_maybe([
        ("serviceGroupId", shapes::id()),
        ("tenantId", text()),
        ("groupDescription", text().or_null()),
        ("groupType", word(GroupType::ALL)),
        ("ownerUserId", text().or_null()),
        ("adminUserIds", ids()),
        ("readUserIds", ids()),
        ("accessControlEnabled", shapes::flag()),
        ("defaultProtocolType", shapes::protocol()),
        ("defaultLoadBalanceStrategy", word(LoadBalanceStrategy::ALL)),
        ("defaultHealthCheckUrl", text()),
        ("defaultHealthCheckIntervalSeconds", integer(1..=86_400)),
    ])
    .and_maybe(shapes::audit());
    let about = "A group of services. Only native ones have more than a name, sources and counts.";
    named("Group", group.about(about))
}

/// What can be said of a group but its name.
fn settable(shape: Shape) -> Shape {
    let ids = || {
        either([list_of(text()), text().holding_json()])
            .about("User ids: a list, or its JSON text.")
    };
    shape
        .and_settable([
            ("groupDescription", line(500)),
            ("groupType", word(GroupType::ALL)),
            ("ownerUserId", line(32).about("Who may change the group, with its administrators.")),
            ("adminUserIds", ids()),
            ("readUserIds", ids()),
            (
                "accessControlEnabled",
                shapes::flag().about("Y: only those named may read and write what is in it."),
            ),
            ("defaultProtocolType", shapes::protocol()),
            ("defaultLoadBalanceStrategy", word(LoadBalanceStrategy::ALL)),
            ("defaultHealthCheckUrl", line(500)),
            ("defaultHealthCheckIntervalSeconds", integer(1..=86_400)),
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
    use crate::model::group::SETTABLE;

    let known = [&SETTABLE[..], &ANSWERED, &audit::READ_ONLY].concat();
    [("NewGroup", known.clone()), ("GroupPatch", known)]
}
