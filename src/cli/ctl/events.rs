//! `ctl events`

use super::verb::{GROUPS, Kind, Noun, Shows, Take, Verb, Watched, query};

/// The columns of events.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("TIME", "eventTime"),
    ("TYPE", "eventType"),
    ("GROUP", "groupName"),
    ("SERVICE", "serviceName"),
    ("HOST", "hostAddress"),
    ("PORT", "portNumber"),
    ("SOURCE", "source"),
    ("USER", "user"),
    ("ID", "id"),
];

const TYPES: Take =
    query("type", "eventType", Kind::Many, "Only of this type; may be given several times");
const SERVICE: Take = query("service", "serviceName", Kind::Text, "Only of services of this name");
const SOURCE: Take = query("source", "source", Kind::Text, "Only what this source told");
const SINCE: Take =
    query("since", "afterId", Kind::Text, "Only what came after this event, or revision");
const FROM: Take = query("from", "startTime", Kind::Text, "Only what happened then or later");
const TO: Take = query("to", "endTime", Kind::Text, "Only what happened before");
const LIMIT: Take = query("limit", "limit", Kind::Number, "How many at most [default: 100]");

/// `ctl events`, which needs no verb: nobody changes what happened.
pub(super) const NOUN: Noun = Noun {
    name: "events",
    about: "What happened in all registries; with --watch what happens",
    verbs: &[Verb {
        name: "events",
        about: "Lists what happened in all registries; with --watch shows what happens",
        route: ("GET", "/api/v1/events"),
        takes: &[TYPES, GROUPS, SERVICE, SOURCE, SINCE, FROM, TO, LIMIT],
        shows: Shows::Rows("events", COLUMNS),
        watched: Watched::Following,
    }],
};
