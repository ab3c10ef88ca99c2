//! `ctl services`

use super::verb::{
    FORCE, GROUP, GROUPS, HEALTH, Kind, NAME, Noun, PAGE, PAGE_SIZE, PROTOCOLS, SORT, SOURCE,
    STATUS, STRATEGIES, Shows, TAG, Take, Verb, Watched, body, query,
};

const STRATEGY: Take =
    query("strategy", "strategy", Kind::Word(STRATEGIES), "The order of the instances");
const KEY: Take = query("key", "key", Kind::Text, "What CONSISTENT_HASH hashes");
const LIMIT: Take = query("limit", "limit", Kind::Number, "The first so many");
const ZONE: Take =
    query("zone", "zone", Kind::Text, "Only, or with ZONE_AFFINITY first, this zone");
const MAX_STALENESS: Take =
    query("max-staleness", "maxStaleness", Kind::Text, "Refuse what is older than this, as 30s");
const HEALTHY_ONLY: Take =
    query("healthy-only", "healthyOnly", Kind::Switch, "Only services with a healthy instance");
const SETTINGS: &[Take] = &[
    GROUP,
    body("description", "serviceDescription", Kind::Text, "What it is"),
    body("protocol", "protocolType", Kind::Word(PROTOCOLS), "How to speak to its instances"),
    body("context-path", "contextPath", Kind::Text, "Path prefix of its API"),
    body("strategy", "loadBalanceStrategy", Kind::Word(STRATEGIES), "The order of its instances"),
    body("metadata", "metadata", Kind::Pairs, "A pair, KEY=VALUE; may be given several times"),
    body("tag", "tags", Kind::Many, "A tag; may be given several times"),
];
const CREATE: &[Take] = &[
    super::verb::must(body("name", "serviceName", Kind::Text, "Its name")),
    GROUP,
    SETTINGS[1],
    SETTINGS[2],
    SETTINGS[3],
    SETTINGS[4],
    SETTINGS[5],
    SETTINGS[6],
];

/// The columns of services.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("GROUP", "groupName"),
    ("SERVICE", "serviceName"),
    ("INSTANCES", "instanceCount"),
    ("HEALTHY", "healthyCount"),
    ("SOURCES", "sources"),
    ("REVISION", "revision"),
];

/// `ctl services`
pub(super) const NOUN: Noun = Noun {
    name: "services",
    about: "The services of all registries; native ones can be changed",
    verbs: &[
        Verb {
            name: "list",
            about: "Lists the services of all registries",
            route: ("GET", "/api/v1/services"),
            takes: &[GROUPS, NAME, SOURCE, HEALTHY_ONLY, SORT, PAGE, PAGE_SIZE],
            shows: Shows::Rows("services", COLUMNS),
            watched: Watched::Asking,
        },
        Verb {
            name: "get",
            about: "Shows a service with its settings",
            route: ("GET", "/api/v1/services/{serviceName}"),
            takes: &[GROUP],
            shows: Shows::Fields,
            watched: Watched::Asking,
        },
        Verb {
            name: "instances",
            about: "Lists the instances of a service as its clients get them",
            route: ("GET", "/api/v1/services/{serviceName}/instances"),
            takes: &[
                GROUPS,
                STATUS,
                HEALTH,
                SOURCE,
                TAG,
                ZONE,
                STRATEGY,
                KEY,
                LIMIT,
                MAX_STALENESS,
            ],
            shows: Shows::Rows("instances", super::instances::COLUMNS),
            watched: Watched::Waiting,
        },
        Verb {
            name: "select",
            about: "Picks one instance to send a request to",
            route: ("GET", "/api/v1/services/{serviceName}/select"),
            takes: &[GROUPS, SOURCE, TAG, ZONE, STRATEGY, KEY],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "explain",
            about: "Says why each instance is shown as it is; -o yaml has every origin",
            route: ("GET", "/api/v1/services/{serviceName}/explain"),
            takes: &[GROUP],
            shows: Shows::Rows(
                "instances",
                &[
                    ("HOST", "hostAddress"),
                    ("PORT", "portNumber"),
                    ("STATUS", "instanceStatus"),
                    ("HEALTH", "healthStatus"),
                    ("HELD", "held"),
                    ("FIELDS FROM", "/fields/fields/source"),
                    ("HEALTH BECAUSE", "/healthReason/reason"),
                    ("HINDRANCES", "hindrances"),
                ],
            ),
            watched: Watched::No,
        },
        Verb {
            name: "create",
            about: "Makes a native service",
            route: ("POST", "/api/v1/services"),
            takes: CREATE,
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "update",
            about: "Changes the settings of a native service that are given",
            route: ("PUT", "/api/v1/services/{serviceName}"),
            takes: SETTINGS,
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "delete",
            about: "Removes a native service",
            route: ("DELETE", "/api/v1/services/{serviceName}"),
            takes: &[GROUP, FORCE],
            shows: Shows::Message,
            watched: Watched::No,
        },
    ],
};
