//! `ctl migration`

use super::external::ACTIONS;
use super::verb::{Kind, Noun, PAGE, PAGE_SIZE, Shows, Take, Verb, Watched, body, must, query};

const NAME: Take = body("name", "name", Kind::Text, "What it is called");
const FROM: Take = body("from", "from", Kind::Text, "The registry it moves from, or native");
const TO: Take = body("to", "to", Kind::Text, "The registry it moves to, or native");
const INCLUDE: Take =
    body("include", "services.include", Kind::Many, "Only services that match this glob; several");
const EXCLUDE: Take =
    body("exclude", "services.exclude", Kind::Many, "But none that match this one; several");
const GROUP_MAP: Take = body(
    "map-group",
    "groupMap",
    Kind::Pairs,
    "From a group at the source to that at the target; several",
);
const PARITY: Take = body(
    "parity-minutes",
    "gates.parityMinutes",
    Kind::Number,
    "So long both must have been equal before a step [default: 5]",
);
const LAG: Take = body(
    "max-lag-ms",
    "gates.maxLagMs",
    Kind::Number,
    "So late 99 of 100 copies may be [default: 10000]",
);
const ORPHAN: Take =
    body("orphan", "orphan", Kind::Word(&["EXPIRE", "KEEP"]), "What becomes of copies in the end");
const SERVICE: Take = query("service", "serviceName", Kind::Text, "Only this service");
const GROUP: Take = query("group", "groupName", Kind::Text, "Its group at the source");
const FORCE: Take = query("force", "force", Kind::Switch, "Also if conditions are not met");
const COPIES: Take =
    query("copies", "copies", Kind::Word(&["keep", "remove"]), "What becomes of its copies");

/// `ctl migration`
pub(super) const NOUN: Noun = Noun {
    name: "migration",
    about: "Moves services from one registry to another, named by their id or their name",
    verbs: &[
        Verb {
            name: "list",
            about: "Lists the migrations and how they stand",
            route: ("GET", "/api/v1/migrations"),
            takes: &[PAGE, PAGE_SIZE],
            shows: Shows::Rows(
                "migrations",
                &[
                    ("NAME", "name"),
                    ("FROM", "from"),
                    ("TO", "to"),
                    ("STATE", "state"),
                    ("PAUSED", "paused"),
                    ("PARITY %", "parityPercent"),
                    ("PENDING", "/progress/pending"),
                    ("ID", "migrationId"),
                ],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "create",
            about: "Plans a migration; nothing is written anywhere before the first advance",
            route: ("POST", "/api/v1/migrations"),
            takes: &[
                must(NAME),
                must(FROM),
                must(TO),
                INCLUDE,
                EXCLUDE,
                GROUP_MAP,
                PARITY,
                LAG,
                ORPHAN,
            ],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "get",
            about: "Shows how far a migration is, service by service",
            route: ("GET", "/api/v1/migrations/{migrationId}"),
            takes: &[],
            shows: Shows::Progress(
                "services",
                &[
                    ("GROUP", "groupName"),
                    ("SERVICE", "serviceName"),
                    ("STATE", "state"),
                    ("INSTANCES", "instances"),
                    ("PARITY %", "parityPercent"),
                ],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "gates",
            about: "Shows the conditions of the next step",
            route: ("GET", "/api/v1/migrations/{migrationId}"),
            takes: &[],
            shows: Shows::Rows(
                "gates",
                &[("CONDITION", "name"), ("MET", "met"), ("DETAIL", "detail")],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "left",
            about: "Shows what lives at the source alone, while that is waited for",
            route: ("GET", "/api/v1/migrations/{migrationId}"),
            takes: &[],
            shows: Shows::Rows(
                "left",
                &[
                    ("GROUP", "groupName"),
                    ("SERVICE", "serviceName"),
                    ("HOST", "hostAddress"),
                    ("PORT", "portNumber"),
                    ("SOURCE", "source"),
                ],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "plan",
            about: "Says what the next step would do to copies",
            route: ("GET", "/api/v1/migrations/{migrationId}/plan"),
            takes: &[],
            shows: ACTIONS,
            watched: Watched::No,
        },
        Verb {
            name: "advance",
            about: "Takes the next step; exit code 1 and the reasons if its conditions are not met",
            route: ("POST", "/api/v1/migrations/{migrationId}/advance"),
            takes: &[SERVICE, GROUP, FORCE],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "rollback",
            about: "Takes the last step back",
            route: ("POST", "/api/v1/migrations/{migrationId}/rollback"),
            takes: &[SERVICE, GROUP],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "pause",
            about: "Has its copies stay as they are",
            route: ("POST", "/api/v1/migrations/{migrationId}/pause"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "resume",
            about: "Has its copies follow their originals again",
            route: ("POST", "/api/v1/migrations/{migrationId}/resume"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "parity",
            about: "Shows how equal source and target are, service by service",
            route: ("GET", "/api/v1/migrations/{migrationId}/parity"),
            takes: &[],
            shows: Shows::Rows(
                "services",
                &[
                    ("GROUP", "groupName"),
                    ("SERVICE", "serviceName"),
                    ("PARITY %", "percent"),
                    ("EQUAL", "equal"),
                    ("MISSING", "missingCount"),
                    ("DIFFERENT", "differentCount"),
                    ("EXTRA", "extraCount"),
                ],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "delete",
            about: "Removes a migration; --copies must be said while it has some",
            route: ("DELETE", "/api/v1/migrations/{migrationId}"),
            takes: &[COPIES],
            shows: Shows::Message,
            watched: Watched::No,
        },
    ],
};
