//! `ctl external`

use super::verb::{
    Kind, Noun, PAGE, PAGE_SIZE, SORT, Shows, Take, Verb, Watched, body, must, query,
};

const KINDS: &[&str] = &["CONSUL", "NACOS", "EUREKA"];
const NAME: Take = body("name", "configName", Kind::Text, "What readers see as the source");
const TYPE: Take = body("type", "registryType", Kind::Word(KINDS), "What kind of registry");
const ADDRESS: Take =
    body("address", "serverAddress", Kind::Text, "host or host:port, several with commas");
const ENVIRONMENT: Take = body("environment", "environmentName", Kind::Text, "Its environment");
const SCHEME: Take =
    body("scheme", "serverScheme", Kind::Word(&["http", "https"]), "How to reach it");
const AUTH: Take = body("auth", "authEnabled", Kind::Word(&["Y", "N"]), "Whether to log in");
const USER: Take = body("username", "username", Kind::Text, "Who logs in; secrets go into --file");
const ACTIVE: Take = body("active", "activeFlag", Kind::Word(&["Y", "N"]), "Whether to connect it");

const ANY_STATE: Take =
    query("force", "force", Kind::Switch, "Also if it is not LIVE who is to serve");

const DRY_RUN: Take = query("dry-run", "dryRun", Kind::Switch, "Only says what would be done");

/// What is, or would be, copied.
pub(super) const ACTIONS: Shows = Shows::Rows(
    "actions",
    &[
        ("ACTION", "action"),
        ("TARGET", "target"),
        ("GROUP", "groupName"),
        ("SERVICE", "serviceName"),
        ("HOST", "hostAddress"),
        ("PORT", "portNumber"),
        ("REASON", "reason"),
    ],
);

const ROUTES: Shows = Shows::Rows(
    "routes",
    &[
        ("SOURCE", "source"),
        ("TARGET", "target"),
        ("COPIES", "copies"),
        ("PENDING", "pending"),
        ("WRITTEN", "written"),
        ("FAILED", "failed"),
        ("LAG P50 MS", "lagP50Ms"),
        ("LAG P99 MS", "lagP99Ms"),
        ("LAST ERROR", "lastErrorMessage"),
    ],
);

const STEPS: Shows = Shows::Rows(
    "steps",
    &[("STEP", "step"), ("OK", "ok"), ("TOOK MS", "tookMs"), ("MESSAGE", "message")],
);

/// `ctl external`
pub(super) const NOUN: Noun = Noun {
    name: "external",
    about: "External registries (Nacos, Consul, Eureka), named by their id or their name",
    verbs: &[
        Verb {
            name: "list",
            about: "Lists the configurations; secrets are shown as ***",
            route: ("GET", "/api/v1/external/configs"),
            takes: &[
                query("environment", "environmentName", Kind::Text, "Only of this environment"),
                query("type", "registryType", Kind::Word(KINDS), "Only of this kind"),
                SORT,
                PAGE,
                PAGE_SIZE,
            ],
            shows: Shows::Rows(
                "configs",
                &[
                    ("NAME", "configName"),
                    ("TYPE", "registryType"),
                    ("ENVIRONMENT", "environmentName"),
                    ("ADDRESS", "serverAddress"),
                    ("ACTIVE", "activeFlag"),
                    ("ID", "configId"),
                ],
            ),
            watched: Watched::Asking,
        },
        Verb {
            name: "get",
            about: "Shows a configuration",
            route: ("GET", "/api/v1/external/configs/{configId}"),
            takes: &[],
            shows: Shows::Fields,
            watched: Watched::Asking,
        },
        Verb {
            name: "status",
            about: "Shows how a registry fares",
            route: ("GET", "/api/v1/external/configs/{configId}/status"),
            takes: &[],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "create",
            about: "Adds a registry and connects it; give secrets and specificConfig in a file",
            route: ("POST", "/api/v1/external/configs"),
            takes: &[
                must(NAME),
                must(TYPE),
                must(ADDRESS),
                ENVIRONMENT,
                SCHEME,
                AUTH,
                USER,
                ACTIVE,
            ],
            shows: Shows::Fields,
            watched: Watched::No,
        },
        Verb {
            name: "update",
            about: "Changes what is given of a configuration",
            route: ("PUT", "/api/v1/external/configs/{configId}"),
            takes: &[NAME, ADDRESS, ENVIRONMENT, SCHEME, AUTH, USER, ACTIVE],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "delete",
            about: "Removes a registry; its instances leave the view at once",
            route: ("DELETE", "/api/v1/external/configs/{configId}"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "connect",
            about: "Connects a registry, and says why if it cannot be read",
            route: ("POST", "/api/v1/external/configs/{configId}/connect"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "disconnect",
            about: "Disconnects a registry; its instances leave the view at once",
            route: ("POST", "/api/v1/external/configs/{configId}/disconnect"),
            takes: &[],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "failover",
            about: "Has the standby serve, until failback",
            route: ("POST", "/api/v1/external/configs/{configId}/failover"),
            takes: &[ANY_STATE],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "failback",
            about: "Has the registry serve again whose standby does",
            route: ("POST", "/api/v1/external/configs/{configId}/failback"),
            takes: &[ANY_STATE],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "accept-removals",
            about: "Lets go of all that the registry no longer lists and that is held",
            route: ("POST", "/api/v1/external/configs/{configId}/accept-removals"),
            takes: &[must(body("seen", "heldRevision", Kind::Number, "As the status shows it"))],
            shows: Shows::Message,
            watched: Watched::No,
        },
        Verb {
            name: "copies",
            about: "How what is copied from and to a registry fares",
            route: ("GET", "/api/v1/external/configs/{configId}/sync"),
            takes: &[],
            shows: ROUTES,
            watched: Watched::Asking,
        },
        Verb {
            name: "sync",
            about: "Compares everything and copies what differs, now; --dry-run only says what",
            route: ("POST", "/api/v1/external/configs/{configId}/sync"),
            takes: &[DRY_RUN],
            shows: ACTIONS,
            watched: Watched::No,
        },
        Verb {
            name: "test",
            about: "Tries login, ping and a read; exit code 1 if one fails",
            route: ("POST", "/api/v1/external/configs/{configId}/test"),
            takes: &[],
            shows: STEPS,
            watched: Watched::No,
        },
        Verb {
            name: "test-new",
            about: "The same for a registry that is not added",
            route: ("POST", "/api/v1/external/configs/test"),
            takes: &[must(TYPE), must(ADDRESS), SCHEME, AUTH, USER],
            shows: STEPS,
            watched: Watched::No,
        },
    ],
};
