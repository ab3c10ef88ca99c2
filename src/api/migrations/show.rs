//! How a migration is written as JSON.

use hub_registry_core::ServiceKey;
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::sync::migration::{Difference, Gate, Place, Report, Sample, ServiceParity, Totals};

/// Addresses of a service that are named, of each kind.
const NAMED: usize = 100;
/// Instances at the source alone that are named.
const LEFT: usize = 1000;
/// Points of the history that are answered: what lies between them is left out.
const POINTS: usize = 1000;

/// A migration and how it stands.
pub(super) fn report(report: &Report) -> Value {
    let Report { migration, totals, .. } = report;
    let plan = &migration.plan;
    let services: Vec<_> = report
        .parity
        .iter()
        .map(|(key, parity)| {
            let totals = parity.totals();
            json!({
                "groupName": key.group,
                "serviceName": key.name,
                "state": migration.state_of(key),
                "parityPercent": percent(totals),
                "instances": totals.equal + totals.missing + totals.different,
            })
        })
        .collect();
    let left: Vec<_> = report
        .left
        .iter()
        .take(LEFT)
        .map(|one| {
            json!({
                "groupName": one.key.service.group,
                "serviceName": one.key.service.name,
                "hostAddress": one.key.host,
                "portNumber": one.key.port,
                "source": if one.at == migration.from { &plan.from } else { one.at.as_str() },
            })
        })
        .collect();
    let audit = &migration.audit;
    json!({
        "migrationId": migration.id,
        "name": plan.name,
        "from": plan.from,
        "to": plan.to,
        "plan": {
            "services": plan.services,
            "groupMap": plan.group_map,
            "gates": plan.gates,
            "orphan": plan.orphan,
        },
        "state": migration.state,
        "paused": migration.paused,
        "parityPercent": percent(*totals),
        "services": services,
        "progress": {
            "done": totals.equal,
            "total": totals.equal + totals.missing + totals.different,
            "pending": report.pending,
            "copies": report.copies,
            "ratePerSecond": rounded(report.rate),
        },
        "nextState": migration.state.next(),
        "gates": report.gates.iter().map(gate).collect::<Vec<_>>(),
        "left": left,
        "leftCount": report.left.len(),
        "addTime": rfc3339(audit.add_time),
        "addWho": audit.add_who,
        "editTime": rfc3339(audit.edit_time),
        "editWho": audit.edit_who,
        "currentVersion": audit.version,
    })
}

fn gate(gate: &Gate) -> Value {
    json!({ "name": gate.name, "met": gate.met, "detail": gate.detail })
}

/// In percent, of which never 100 when something is amiss.
pub(super) fn percent(totals: Totals) -> f64 {
    (totals.percent() * 100.0).floor() / 100.0
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// How equal source and target are, and were.
pub(super) fn parity(report: &Report, history: &[Sample]) -> Value {
    let Totals { equal, missing, extra, different } = report.totals;
    let services: Vec<_> = report.parity.iter().map(|(key, parity)| service(key, parity)).collect();
    let history: Vec<_> = thinned(history)
        .map(|sample| json!({ "time": rfc3339(sample.time), "percent": percent(sample.totals) }))
        .collect();
    json!({
        "migrationId": report.migration.id,
        "percent": percent(report.totals),
        "equal": equal,
        "missing": missing,
        "extra": extra,
        "different": different,
        "services": services,
        "history": history,
    })
}

/// So many of the samples that they can be shown, the last one among them.
pub(super) fn thinned(history: &[Sample]) -> impl Iterator<Item = &Sample> {
    let step = history.len().div_ceil(POINTS).max(1);
    let first = history.len().saturating_sub(1) % step;
    history.iter().skip(first).step_by(step)
}

fn service(key: &ServiceKey, parity: &ServiceParity) -> Value {
    let places = |places: &[Place]| -> Vec<Value> {
        let named = places.iter().take(NAMED);
        named.map(|(host, port)| json!({ "hostAddress": host, "portNumber": port })).collect()
    };
    let totals = parity.totals();
    let differences: Vec<_> = parity.differences.iter().take(NAMED).map(difference).collect();
    json!({
        "groupName": key.group,
        "serviceName": key.name,
        "percent": percent(totals),
        "equal": totals.equal,
        "missingCount": totals.missing,
        "extraCount": totals.extra,
        "differentCount": totals.different,
        "missing": places(&parity.missing),
        "extra": places(&parity.extra),
        "different": differences,
    })
}

fn difference(difference: &Difference) -> Value {
    let (host, port) = &difference.place;
    json!({
        "hostAddress": host,
        "portNumber": port,
        "field": difference.field,
        "from": difference.from,
        "to": difference.to,
    })
}
