//! What the routes of external registries take and answer.

use axum::http::StatusCode;
use hub_registry_core::RegistryKind;
use serde_json::json;

use super::SORT;
use crate::api::openapi::params::{Param, force, page, sort};
use crate::api::openapi::shape::{
    Shape, anything, boolean, count, either, integer, line, list_of, map, named, object, pattern,
    text, time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};
use crate::api::removals;
use crate::federation::Waits;
use crate::model::external::READ_ONLY;

/// Why a change may want more.
const SECRETS: &str = "Malformed, or it breaks a rule; or it changes where the stored secrets \
                       would be sent and does not bring them (`details.code` is \
                       `secret_required`).";
/// Why a kind of registry is refused.
const NO_ADAPTER: &str = "This build has no adapter for that `registryType`.";

/// `GET /api/v1/external/configs`
pub(in crate::api) fn list() -> Describe {
    let answer = object([("configs", list_of(config())), ("count", shapes::total())]);
    let environment = Param::query("environmentName", "Only of this environment.", text());
    let kind = Param::query("registryType", "Only of this type.", text());
    describe(Tag::External, "listConfigs", "Lists the configurations")
        .takes([environment, kind, sort(SORT)])
        .takes(page())
        .answers(StatusCode::OK, "A page of the configurations, secrets masked.", answer)
        .tagged()
}

/// `POST /api/v1/external/configs`
pub(in crate::api) fn create() -> Describe {
    let answer = object([("configId", shapes::id()), ("message", shapes::message())]);
    describe(Tag::External, "createConfig", "Adds an external registry")
        .text("With `activeFlag` Y, the default, it is connected at once.")
        .body(named("NewConfig", settable(new())), example())
        .answers(StatusCode::CREATED, "Added, and on disk.", answer)
        .may(StatusCode::CONFLICT, "Its name is taken in that environment.")
        .may(StatusCode::UNPROCESSABLE_ENTITY, NO_ADAPTER)
}

/// `GET /api/v1/external/configs/{configId}`
pub(in crate::api) fn get() -> Describe {
    describe(Tag::External, "getConfig", "Reads a configuration")
        .answers(StatusCode::OK, "The configuration, secrets masked.", config())
        .tagged()
}

/// `PUT /api/v1/external/configs/{configId}`
pub(in crate::api) fn update() -> Describe {
    let answer = object([("configId", shapes::id()), ("message", shapes::message())]);
    describe(Tag::External, "updateConfig", "Changes the fields that the body names")
        .text(
            "A running connection is touched only if the change makes another one. A secret put \
             back as `***` stays as it is.",
        )
        .body(patch(), json!({ "readTimeout": 5000 }))
        .answers(StatusCode::OK, "Changed, and on disk.", answer)
        .may(StatusCode::BAD_REQUEST, SECRETS)
        .may(
            StatusCode::CONFLICT,
            "`currentVersion` is not that of the configuration any more; or its name is taken.",
        )
        .may(StatusCode::UNPROCESSABLE_ENTITY, NO_ADAPTER)
}

/// `DELETE /api/v1/external/configs/{configId}`
pub(in crate::api) fn delete() -> Describe {
    let answer = object([("configId", shapes::id()), ("message", shapes::message())]);
    describe(Tag::External, "deleteConfig", "Removes an external registry")
        .text("Its instances leave the view at once.")
        .answers(StatusCode::OK, "Removed, and on disk.", answer)
}

/// `GET /api/v1/external/configs/{configId}/status`
pub(in crate::api) fn status() -> Describe {
    describe(Tag::External, "getConfigStatus", "How an external registry fares").answers(
        StatusCode::OK,
        "Its state, and its counters since it was added.",
        standing(),
    )
}

/// `POST /api/v1/external/configs/{configId}/connect`
pub(in crate::api) fn connect() -> Describe {
    let answer = || named("Outcome", standing_fields().and([("message", shapes::message())]));
    describe(Tag::External, "connectConfig", "Connects an external registry")
        .text(
            "Writes `activeFlag` Y. Answers when the first full read is in, or at the latest \
             after `connectionTimeout` and `readTimeout`.",
        )
        .answers(StatusCode::OK, "It is read.", answer())
        .answers(StatusCode::ACCEPTED, "Not yet: it goes on trying.", answer())
        .may(StatusCode::BAD_REQUEST, "The configuration breaks a rule.")
        .may(StatusCode::UNPROCESSABLE_ENTITY, NO_ADAPTER)
        .may(
            StatusCode::SERVICE_UNAVAILABLE,
            "It cannot be read: the reason, and `details.code`; it goes on trying. Or \
             `external.enabled` is off; or not now.",
        )
}

/// `POST /api/v1/external/configs/{configId}/disconnect`
pub(in crate::api) fn disconnect() -> Describe {
    let answer = named("Outcome", standing_fields().and([("message", shapes::message())]));
    describe(Tag::External, "disconnectConfig", "Disconnects an external registry")
        .text("Writes `activeFlag` N, which holds over a restart. Its instances leave at once.")
        .answers(StatusCode::OK, "It is disconnected.", answer)
}

/// `POST /api/v1/external/configs/{configId}/failover`
pub(in crate::api) fn fail_over() -> Describe {
    switch("failOverConfig", "Has the standby serve", "its standby is not LIVE")
}

/// `POST /api/v1/external/configs/{configId}/failback`
pub(in crate::api) fn fail_back() -> Describe {
    switch("failBackConfig", "Has the primary serve again", "it is not LIVE itself")
}

fn switch(id: &'static str, about: &'static str, why_not: &str) -> Describe {
    let answer = || named("Outcome", standing_fields().and([("message", shapes::message())]));
    let conflict = format!(
        "It has no standby, `external.enableFailover` is off, or {why_not} and `force` was not said."
    );
    describe(Tag::External, id, about)
        .text("What an operator decides stays until an operator decides otherwise.")
        .takes([force("Does it in any state.")])
        .answers(StatusCode::OK, "Done, and on disk.", answer())
        .answers(StatusCode::ACCEPTED, "Done, and not on disk yet.", answer())
        .may(StatusCode::CONFLICT, &conflict)
}

/// `POST /api/v1/external/configs/{configId}/test`
pub(in crate::api) fn test_stored() -> Describe {
    describe(Tag::External, "testConfig", "Tries a configuration, changed or not")
        .text("Tries login, ping and a read, once each. The body says what is to be different.")
        .maybe_body(patch(), json!({ "serverAddress": "consul-2:8500", "password": "secret" }))
        .answers(StatusCode::OK, "What came of it.", probe())
        .may(StatusCode::BAD_REQUEST, SECRETS)
        .may(StatusCode::UNPROCESSABLE_ENTITY, NO_ADAPTER)
}

/// `POST /api/v1/external/configs/test`
pub(in crate::api) fn test_body() -> Describe {
    let body = settable(object([("registryType", registry_type()), ("serverAddress", address())]))
        .and_maybe([("configName", name())]);
    describe(Tag::External, "testNewConfig", "Tries a configuration without adding it")
        .text("Tries login, ping and a read, once each.")
        .body(body, example())
        .answers(StatusCode::OK, "What came of it.", probe())
        .may(StatusCode::UNPROCESSABLE_ENTITY, NO_ADAPTER)
}

fn example() -> serde_json::Value {
    json!({
        "configName": "consul-a",
        "registryType": "CONSUL",
        "serverAddress": "consul-1:8500,consul-2:8500",
        "authEnabled": "Y",
        "accessToken": "secret",
        "specificConfig": { "datacenter": "dc1", "priority": 10 },
    })
}

fn name() -> Shape {
    line(100).min(1).about("What readers see as the source; unique in its environment.")
}

fn registry_type() -> Shape {
    word(RegistryKind::ALL)
}

fn address() -> Shape {
    line(500).min(1).about("host or host:port, several separated by commas.")
}

fn new() -> Shape {
    object([
        ("configName", name()),
        ("registryType", registry_type()),
        ("serverAddress", address()),
    ])
}

fn patch() -> Shape {
    let optional = object([]).and_maybe([
        ("configName", name()),
        ("registryType", registry_type()),
        ("serverAddress", address()),
    ]);
    named("ConfigPatch", settable(optional))
}

fn millis() -> Shape {
    integer(1..=600_000)
}

fn secret(max: usize) -> Shape {
    line(max).write_only().about("Read as `***`; put back so, it stays.")
}

fn settable(shape: Shape) -> Shape {
    let mapping = either([map(text()), text().holding_json()]);
    let specific = "An object, or its JSON text. Common keys: `priority`, `services`, \
                    `defaultGroup`, `removalGuard`, `failover`, `sync`, `allowedGroups`, `caPem`, \
                    `caName`, `insecureSkipVerify`. NACOS: `namespace`, `groups`, `clusters`, \
                    `grpcPortOffset`. CONSUL: `datacenter`, `namespace`, `partition`, `tag`, \
                    `onlyPassing`, `write`. EUREKA: `pollInterval`, `useDelta`, `hostPreference`, \
                    `regions`.";
    shape
        .and_settable([
            ("configDescription", line(500)),
            ("environmentName", line(50).min(1)),
            ("serverPort", shapes::port()),
            ("serverPath", pattern(r"^[^\s?#\u0000-\u001f\u007f-\u009f]*$").max(200)),
            ("serverScheme", word(&["http", "https"])),
            ("authEnabled", shapes::flag()),
            ("username", line(100)),
            ("password", secret(500)),
            ("accessToken", secret(2000)),
            ("secretKey", secret(500)),
            ("connectionTimeout", millis()),
            ("readTimeout", millis()),
            ("maxRetries", integer(0..=100)),
            ("retryInterval", millis()),
            ("specificConfig", shapes::object_or_text().about(specific)),
            ("fieldMapping", mapping.about("From a foreign path to one of our fields.")),
            ("failoverEnabled", shapes::flag()),
            ("failoverConfigId", line(32)),
            ("failoverStrategy", word(&["MANUAL", "AUTO"])),
            ("syncEnabled", shapes::flag()),
            ("syncInterval", integer(1..=86_400).about("Seconds.")),
            ("conflictResolution", word(&["primary_wins", "secondary_wins", "merge"])),
            ("activeFlag", shapes::flag().about("Whether it is connected.")),
            ("noteText", line(500)),
            ("extProperty", shapes::object_or_text()),
        ])
        .and_read_only(&READ_ONLY)
        .closed()
}

/// Rows may be written with plain SQL, so that what ought to be a word is any text here.
fn config() -> Shape {
    let masked = || text().or_null().about("`***` if there is one.");
    let config = object([
        ("configId", text()),
        ("externalConfigId", text()),
        ("tenantId", text()),
        ("configName", text()),
        ("configDescription", text().or_null()),
        ("registryType", text()),
        ("environmentName", text()),
        ("serverAddress", text()),
        ("serverPort", count_or_null()),
        ("serverPath", text().or_null()),
        ("serverScheme", text()),
        ("authEnabled", text()),
        ("username", text().or_null()),
        ("password", masked()),
        ("accessToken", masked()),
        ("secretKey", masked()),
        ("connectionTimeout", any_integer()),
        ("readTimeout", any_integer()),
        ("maxRetries", any_integer()),
        ("retryInterval", any_integer()),
        ("specificConfig", anything()),
        ("fieldMapping", anything()),
        ("failoverEnabled", text()),
        ("failoverConfigId", text().or_null()),
        ("failoverStrategy", text()),
        ("syncEnabled", text()),
        ("syncInterval", any_integer()),
        ("conflictResolution", text()),
        ("addTime", time().or_null()),
        ("addWho", text().or_null()),
        ("editTime", time().or_null()),
        ("editWho", text().or_null()),
        ("oprSeqFlag", text().or_null()),
        ("currentVersion", count_or_null()),
        ("activeFlag", shapes::flag()),
        ("noteText", text().or_null()),
        ("extProperty", anything()),
    ]);
    named("Config", config.about("The configuration of an external registry."))
}

fn any_integer() -> Shape {
    integer(i64::MIN..=i64::MAX)
}

fn count_or_null() -> Shape {
    any_integer().or_null()
}

fn capability() -> Shape {
    let capability = object([
        ("push", boolean()),
        ("register", boolean()),
        ("heartbeat", boolean()),
        ("groups", boolean()),
        ("weight", boolean()),
        ("tags", boolean()),
        ("emptyServices", boolean()),
        ("caseSensitive", boolean()),
        ("settleSeconds", count()),
    ]);
    named("Capability", capability.about("What a registry can do."))
}

fn standing() -> Shape {
    named("Standing", standing_fields().about("How an external registry fares."))
}

/// How one fares.
pub(in crate::api) fn standing_fields() -> Shape {
    object([
        ("configId", text()),
        ("configName", text()),
        ("registryType", text()),
        ("activeFlag", shapes::flag()),
        ("state", shapes::source_state()),
        ("ageMs", shapes::age()),
        ("services", count()),
        ("instances", count()),
        ("heldRemovals", count()),
        ("heldRevision", removals::describe::revision()),
        ("held", removals::describe::held()),
        ("capability", capability().or_null()),
        ("servedBy", text().or_null()),
        ("failover", failover().or_null()),
        ("insecureSkipVerify", boolean()),
        ("connectionStatus", text()),
        ("healthStatus", text()),
        ("lastConnectTime", time().or_null()),
        ("lastDisconnectTime", time().or_null()),
        ("lastHealthCheckTime", time().or_null()),
        ("responseTime", any_integer().or_null().about("Milliseconds.")),
        ("successCount", any_integer()),
        ("errorCount", any_integer()),
        ("timeoutCount", any_integer()),
        ("failoverStatus", text()),
        ("failoverTime", time().or_null()),
        ("failoverCount", any_integer()),
        ("recoverTime", time().or_null()),
        ("syncStatus", text()),
        ("lastSyncTime", time().or_null()),
        ("syncSuccessCount", any_integer()),
        ("syncErrorCount", any_integer()),
        ("lastErrorMessage", text().or_null()),
        ("lastErrorTime", time().or_null()),
        ("errorDetails", anything()),
    ])
}

/// How one and its standby fare.
fn failover() -> Shape {
    let words: Vec<_> = Waits::ALL.iter().map(|one| one.as_str()).collect();
    object([
        ("failoverConfigId", text().about("The standby.")),
        ("failoverStrategy", word(&["MANUAL", "AUTO"])),
        ("waitsFor", word(&words).about("What the next step waits for.")),
        ("byOperator", boolean().about("An operator had the standby serve.")),
        ("holdDownMs", count().about("How long it must be read well before it serves again.")),
    ])
    .about("How it and its standby fare; `null`: it has none.")
}

fn probe() -> Shape {
    let steps = word(&["login", "ping", "read"]);
    let step = object([
        ("step", steps.clone()),
        ("ok", boolean()),
        ("tookMs", count()),
        ("message", text()),
    ])
    .and_maybe([("code", text().about("The class of its error."))]);
    let probe = object([
        ("success", boolean()),
        ("failedStep", steps.or_null()),
        ("message", shapes::message()),
        ("steps", list_of(step)),
    ]);
    named("Probe", probe)
}
