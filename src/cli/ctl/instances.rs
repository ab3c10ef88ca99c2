//! `ctl instances`

use super::verb::{
    GROUPS, HEALTH, HEALTHS, Kind, Noun, PAGE, PAGE_SIZE, PROTOCOLS, SORT, SOURCE, STATUS,
    STATUSES, Shows, TAG, Take, Verb, Watched, body, must, query,
};

/// The columns of instances.
pub(super) const COLUMNS: &[(&str, &str)] = &[
    ("GROUP", "groupName"),
    ("SERVICE", "serviceName"),
    ("HOST", "hostAddress"),
    ("PORT", "portNumber"),
    ("STATUS", "instanceStatus"),
    ("HEALTH", "healthStatus"),
    ("WEIGHT", "weightValue"),
    ("SOURCES", "/sources/*/source"),
    ("HELD", "held"),
    ("ID", "instanceId"),
];

const SERVICE: Take = query("service", "serviceName", Kind::Text, "Only of this service");
const HOST: Take = query("host", "host", Kind::Text, "Only at this address");
const ZONE: Take = query("zone", "zone", Kind::Text, "Only of this zone");
const WEIGHT: Take = body("weight", "weightValue", Kind::Number, "Share of traffic; 100 is usual");
const PATH: Take = body("context-path", "contextPath", Kind::Text, "Path prefix of its API");
const METADATA: Take =
    body("metadata", "metadata", Kind::Pairs, "A pair, KEY=VALUE; may be given several times");
const TAGS: Take = body("tag", "tags", Kind::Many, "A tag; may be given several times");
const CHECKS: &[&str] = &["HEARTBEAT", "HTTP", "TCP", "GRPC", "NONE"];

/// `ctl instances`
pub(super) const NOUN: Noun = Noun {
    name: "instances",
    about: "Instances of all registries; native ones can be registered and changed",
    verbs: &[
        Verb {
            name: "list",
            about: "Lists the instances of all registries",
            route: ("GET", "/api/v1/instances"),
            takes: &[
                GROUPS, SERVICE, STATUS, HEALTH, SOURCE, HOST, TAG, ZONE, SORT, PAGE, PAGE_SIZE,
            ],
            shows: Shows::Rows("instances", COLUMNS),
            watched: Watched::Asking,
        },
        Verb {
            name: "get",
            about: "Shows an instance with all that is known of it",
            route: ("GET", "/api/v1/instances/{instanceId}"),
            takes: &[],
            shows: Shows::Fields,
            watched: Watched::Asking,
        },
        Verb {
            name: "register",
            about: "Registers an instance, or updates it; a file may hold a list of them",
            route: ("POST", "/api/v1/instances"),
            takes: &[
                must(body("service", "serviceName", Kind::Text, "The service")),
                must(body("host", "hostAddress", Kind::Text, "IP address or host name")),
                must(body("port", "portNumber", Kind::Number, "The port")),
                body("group", "groupName", Kind::Text, "The group [default: DEFAULT_GROUP]"),
                body(
                    "protocol",
                    "protocolType",
                    Kind::Word(PROTOCOLS),
                    "How to speak to it; counts when its service is made for it",
                ),
                WEIGHT,
                PATH,
                METADATA,
                TAGS,
                body(
                    "check",
                    "healthCheckType",
                    Kind::Word(CHECKS),
                    "What decides on its health [default: HEARTBEAT]",
                ),
                body(
                    "lease",
                    "leaseSeconds",
                    Kind::Number,
                    "Seconds without a heartbeat after which it is unhealthy",
                ),
                body(
                    "ephemeral",
                    "ephemeral",
                    Kind::Word(&["Y", "N"]),
                    "N: it is never removed for want of heartbeats",
                ),
            ],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "update",
            about: "Changes what is given of a native instance",
            route: ("PUT", "/api/v1/instances/{instanceId}"),
            takes: &[WEIGHT, PATH, METADATA, TAGS],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "set-status",
            about: "Takes a native instance in or out of traffic",
            route: ("PUT", "/api/v1/instances/{instanceId}/status"),
            takes: &[must(body(
                "status",
                "instanceStatus",
                Kind::Word(STATUSES),
                "What it is to say of itself",
            ))],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "set-health",
            about: "States the health of a native instance",
            route: ("PUT", "/api/v1/instances/{instanceId}/health"),
            takes: &[must(body(
                "health",
                "healthStatus",
                Kind::Word(HEALTHS),
                "What is to be said of it",
            ))],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "heartbeat",
            about: "Renews the lease of a native instance",
            route: ("PUT", "/api/v1/instances/{instanceId}/heartbeat"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "deregister",
            about: "Removes a native instance",
            route: ("DELETE", "/api/v1/instances/{instanceId}"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
    ],
};
