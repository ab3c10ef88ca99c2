//! What answers say of the hub's checks.

pub(super) mod describe;

use hub_registry_core::HealthStatus;
use serde_json::{Value, json};

use super::state::Api;
use crate::access::{Action, Caller};
use crate::clock::rfc3339;
use crate::health::{LastCheck, Outcome, Tone};
use crate::model::check::Check;
use crate::model::instance::NativeInstance;
use crate::model::names::CheckKey;

/// The last check of an instance: null when there is none, or none that counts.
pub(super) fn last_check(api: &Api, instance: &NativeInstance) -> Value {
    let own = CheckKey::own(instance.id);
    let last = instance.is_checked().then(|| api.health.last(own)).flatten();
    last.map_or(Value::Null, |last| last_json(&last))
}

/// The checks that an instance brought with it; null where it has none.
pub(super) fn brought(api: &Api, instance: &NativeInstance) -> Value {
    let checks = instance.checks();
    let shown = |check: &Check| {
        let last = api.health.last(CheckKey::of(instance.id, &check.id));
        json!({
            "checkId": check.id,
            "checkName": check.name,
            "notes": check.notes,
            "checkType": check.kind(),
            "status": check.status,
            "ttlSeconds": check.lease(),
            "deregisterAfterSeconds": check.deregister_after,
            "lastCheck": last.map_or(Value::Null, |last| last_json(&last)),
        })
    };
    let all: Vec<_> = checks.iter().map(shown).collect();
    if all.is_empty() { Value::Null } else { Value::from(all) }
}

/// Why an instance that brought checks with it has the health it has.
pub(super) fn reason_of_brought(api: &Api, instance: &NativeInstance) -> String {
    let checks = instance.checks();
    let Some(worst) = checks.worst() else { return "it has no checks".to_owned() };
    let count = checks.len();
    let named = checks.iter().filter(|check| check.status == worst).map(|check| {
        match api.health.last(CheckKey::of(instance.id, &check.id)) {
            Some(last) => format!("{} ({}: {})", check.id, check.kind(), last.outcome),
            None => format!("{} ({})", check.id, check.kind()),
        }
    });
    let named = named.collect::<Vec<_>>().join(", ");
    format!("the worst of its checks ({count}) decides: {worst}: {named}")
}

fn last_json(last: &LastCheck) -> Value {
    json!({
        "asked": &*last.asked,
        "time": rfc3339(last.time),
        "outcome": last.outcome.word(),
        "output": last.outcome.to_string(),
        "tookMs": millis(last.took),
        "failures": last.failures,
        "passes": last.passes,
        "intervalMs": last.interval.as_millis() as u64,
        "timeoutMs": last.timeout.as_millis() as u64,
        "flapping": last.flapping.is_some(),
        "calmInMs": last.flapping.map(|calm| calm.as_millis() as u64),
    })
}

fn millis(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Why an instance that is checked has the health it has.
pub(super) fn reason(api: &Api, instance: &NativeInstance) -> String {
    let stated = instance.last_health_check.is_some();
    let Some(last) = api.health.last(CheckKey::own(instance.id)) else {
        return match (api.health.is_enabled(), stated) {
            (false, true) => "healthCheck.enabled is false; stated by a check or a request before",
            (false, false) => "healthCheck.enabled is false: nobody stated it yet",
            (true, true) => "not checked since the start; stated by a check or a request before",
            (true, false) => "not checked yet",
        }
        .to_owned();
    };
    let found = |outcome: Outcome| format!("{}: {outcome}", instance.check);
    let in_a_row = |count: u32, what: &str| format!("{count} checks in a row {what}");
    match (instance.health, last.outcome.tone()) {
        (HealthStatus::Unhealthy, Tone::Passed | Tone::Warning) if last.flapping.is_some() => {
            "it flaps: kept unhealthy until its checks are calm".to_owned()
        }
        (HealthStatus::Healthy, Tone::Failed) => {
            format!(
                "{}; {}, not yet enough",
                found(last.outcome),
                in_a_row(last.failures, "failed")
            )
        }
        (HealthStatus::Unhealthy, Tone::Passed | Tone::Warning) => {
            format!("{}; {}, not yet enough", found(last.outcome), in_a_row(last.passes, "passed"))
        }
        _ => found(last.outcome),
    }
}

/// How the checks of the caller's tenant fare, in the groups it may read.
pub(super) fn numbers(api: &Api, caller: &Caller) -> Value {
    let visible = api.native.visible(caller);
    let numbers = api.health.numbers(caller.tenant(), |group| visible.sees(group));
    let made = numbers.checks - numbers.hindered;
    json!({
        "enabled": api.health.is_enabled(),
        "checks": numbers.checks,
        "hindered": numbers.hindered,
        "successRate": (made > 0).then(|| numbers.passed as f64 / made as f64),
        "meanMs": numbers.mean.map(millis),
        "p99Ms": numbers.p99.map(millis),
        "removalsHeld": removals_held(api, caller),
        "checker": checker(api, caller),
    })
}

/// Of the tenant, over all groups: for whoever runs it.
fn removals_held(api: &Api, caller: &Caller) -> Option<usize> {
    caller.need(Action::Operate).ok().map(|()| api.health.removals_held(caller.tenant()))
}

/// How the checker stands over all tenants: for whoever runs one.
fn checker(api: &Api, caller: &Caller) -> Value {
    if caller.need(Action::Operate).is_err() {
        return Value::Null;
    }
    let now = api.health.standing();
    json!({
        "instances": now.instances,
        "flapping": now.flapping,
        "inFlight": now.in_flight,
        "overdue": now.overdue,
        "lagMs": now.lag.as_millis() as u64,
        "lateMs": {
            "p50": millis(now.late.p50),
            "p99": millis(now.late.p99),
            "max": millis(now.late.max),
        },
        "concurrentChecks": now.places,
        "concurrentChecksNeeded": now.needed,
        "enough": now.needed <= now.places,
    })
}
