//! `ctl groups`

use super::verb::{
    FORCE, Kind, NAME, Noun, PAGE, PAGE_SIZE, SORT, SOURCE, Shows, Take, Verb, Watched, body, must,
};

const DESCRIPTION: Take = body("description", "groupDescription", Kind::Text, "What it is");
const OWNER: Take = body("owner", "ownerUserId", Kind::Text, "Who owns it");
const ADMINS: Take =
    body("admin", "adminUserIds", Kind::Many, "Who may change it; may be given several times");
const READERS: Take =
    body("reader", "readUserIds", Kind::Many, "Who may read it; may be given several times");
const CONTROL: Take = body(
    "access-control",
    "accessControlEnabled",
    Kind::Word(&["Y", "N"]),
    "Y: only those named may read and write what is in it",
);

/// `ctl groups`
pub(super) const NOUN: Noun = Noun {
    name: "groups",
    about: "Groups of services; native ones can be changed",
    verbs: &[
        Verb {
            name: "list",
            about: "Lists native groups and those seen in registries",
            route: ("GET", "/api/v1/groups"),
            takes: &[NAME, SOURCE, SORT, PAGE, PAGE_SIZE],
            shows: Shows::Rows(
                "groups",
                &[
                    ("GROUP", "groupName"),
                    ("TYPE", "groupType"),
                    ("SERVICES", "serviceCount"),
                    ("INSTANCES", "instanceCount"),
                    ("SOURCES", "sources"),
                    ("OWNER", "ownerUserId"),
                    ("CONTROLLED", "accessControlEnabled"),
                ],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "get",
            about: "Shows a group with its settings",
            route: ("GET", "/api/v1/groups/{groupName}"),
            takes: &[],
            shows: Shows::Fields,
            watched: Watched::Asking,
        },
        Verb {
            name: "services",
            about: "Lists the services of a group",
            route: ("GET", "/api/v1/groups/{groupName}/services"),
            takes: &[NAME, SOURCE, SORT, PAGE, PAGE_SIZE],
            shows: Shows::Rows("services", super::services::COLUMNS),
            watched: Watched::Asking,
        },
        Verb {
            name: "create",
            about: "Makes a group",
            route: ("POST", "/api/v1/groups"),
            takes: &[
                must(body("name", "groupName", Kind::Text, "Its name")),
                DESCRIPTION,
                OWNER,
                ADMINS,
                READERS,
                CONTROL,
            ],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "update",
            about: "Changes the settings of a native group that are given",
            route: ("PUT", "/api/v1/groups/{groupName}"),
            takes: &[DESCRIPTION, OWNER, ADMINS, READERS, CONTROL],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "delete",
            about: "Removes a native group",
            route: ("DELETE", "/api/v1/groups/{groupName}"),
            takes: &[FORCE],
            shows: Shows::Message,
            watched: Watched::No,
        },
    ],
};
