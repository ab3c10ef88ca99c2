//! The lists of the Eureka stub, with those of its remote regions where they are asked for
//! (eureka-core, `AbstractInstanceRegistry`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Data, Moods, Shared, lock};

/// How long a change stays in the delta.
const DELTA_REACH: Duration = Duration::from_secs(180);

pub(super) fn router() -> Router<Arc<Mutex<Data>>> {
    Router::new()
        .route("/apps", get(full))
        .route("/apps/", get(full))
        .route("/apps/delta", get(delta))
        .route("/apps/{app}", get(app))
        .route("/apps/{app}/{id}", get(one))
}

type Apps = BTreeMap<String, BTreeMap<String, Value>>;
type Parameters = Query<BTreeMap<String, String>>;

/// What of the remote regions goes into an answer.
enum Regions {
    /// Those of these names.
    Asked(Vec<String>),
    /// Nobody asked: that of all of them, or only the applications that are not here.
    Fallback,
}

impl Regions {
    /// The names in lower case, as they are looked up.
    fn of(query: &BTreeMap<String, String>) -> Self {
        match query.get("regions").filter(|names| !names.is_empty()) {
            Some(names) => {
                Self::Asked(names.to_lowercase().split(',').map(str::to_owned).collect())
            }
            None => Self::Fallback,
        }
    }
}

impl Data {
    fn hash(apps: &Apps) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in apps.values().flat_map(BTreeMap::values) {
            let status = instance["status"].as_str().unwrap_or("UNKNOWN");
            *counts.entry(status).or_default() += 1;
        }
        let parts = counts.iter();
        parts.map(|(word, n)| format!("{word}_{n}_")).collect()
    }

    /// The regions that are looked at.
    fn remote(&self, regions: &Regions) -> Vec<Arc<Mutex<Self>>> {
        let asked = |name: &String| match regions {
            Regions::Asked(names) => names.contains(name),
            Regions::Fallback => true,
        };
        self.regions.iter().filter(|(name, _)| asked(name)).map(|(_, data)| data.clone()).collect()
    }

    /// Everything, of here and of these regions; `only_new`: of applications that are not here.
    fn together(&self, regions: &Regions, only_new: bool) -> Apps {
        if self.moods.stale_lists {
            return Apps::new();
        }
        let mut apps = self.apps.clone();
        for data in self.remote(regions) {
            for (app, all) in lock(&data).apps.clone() {
                if !only_new || !self.apps.contains_key(&app) {
                    apps.entry(app).or_default().extend(all);
                }
            }
        }
        apps
    }

    /// The last changes, oldest first.
    fn changes(&mut self) -> Vec<Value> {
        if self.moods.forgetful {
            self.recent.clear();
        }
        self.recent.retain(|(at, _)| at.elapsed() < DELTA_REACH);
        self.recent.iter().map(|(_, instance)| instance.clone()).collect()
    }

    fn list(&self, mut list: Vec<Value>) -> Value {
        match list.len() {
            1 if self.moods.single_objects => list.remove(0),
            _ => Value::Array(list),
        }
    }

    fn applications(&self, apps: BTreeMap<String, Vec<Value>>, hash: Option<String>) -> Value {
        let apps = apps.into_iter();
        let apps = apps.map(|(name, all)| json!({"name": name, "instance": self.list(all)}));
        let list = self.list(apps.collect());
        let mut body = json!({"versions__delta": self.version.to_string(), "application": list});
        if let Some(hash) = hash {
            body["apps__hashcode"] = json!(hash);
        }
        json!({ "applications": body })
    }

    fn refuses(&self, regions: &Regions) -> bool {
        self.moods.warming_up || (self.moods.region_missing && matches!(regions, Regions::Asked(_)))
    }
}

/// The answer in the form asked for.
fn negotiated(headers: &HeaderMap, body: Value) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("json")) {
        return Json(body).into_response();
    }
    let xml = [(header::CONTENT_TYPE, "application/xml")];
    (xml, "<applications></applications>").into_response()
}

async fn full(State(data): Shared, Query(query): Parameters, headers: HeaderMap) -> Response {
    let mut data = lock(&data);
    data.asked.full += 1;
    let regions = Regions::of(&query);
    if data.refuses(&regions) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let apps = data.together(&regions, false);
    let hash = Data::hash(&apps);
    let apps = apps.into_iter().map(|(name, all)| (name, all.into_values().collect()));
    negotiated(&headers, data.applications(apps.collect(), Some(hash)))
}

async fn delta(State(data): Shared, Query(query): Parameters, headers: HeaderMap) -> Response {
    let mut data = lock(&data);
    data.asked.delta += 1;
    let regions = Regions::of(&query);
    if data.refuses(&regions) || data.moods.no_delta {
        return StatusCode::FORBIDDEN.into_response();
    }
    // Who does not ask for regions gets the hash of another list than the full one: where an
    // application is here and there, the two never agree.
    let only_new = matches!(regions, Regions::Fallback);
    let here: BTreeSet<String> = data.apps.keys().cloned().collect();
    let mut changes = data.changes();
    for remote in data.remote(&regions) {
        let app = |change: &Value| change["app"].as_str().unwrap_or_default().to_owned();
        let mut of_region = lock(&remote).changes();
        of_region.retain(|change| !only_new || !here.contains(&app(change)));
        changes.extend(of_region);
    }
    let mut apps: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for instance in changes {
        let app = instance["app"].as_str().unwrap_or_default().to_owned();
        apps.entry(app).or_default().push(instance);
    }
    let hash = match data.moods {
        Moods { no_hash: true, .. } => None,
        Moods { wrong_hash: true, .. } => Some("UP_999_".to_owned()),
        _ => Some(Data::hash(&data.together(&regions, only_new))),
    };
    negotiated(&headers, data.applications(apps, hash))
}

/// Of an application that is here never what the regions have.
async fn app(State(data): Shared, Path(app): Path<String>, headers: HeaderMap) -> Response {
    let data = lock(&data);
    if data.moods.warming_up {
        return StatusCode::FORBIDDEN.into_response();
    }
    let app = app.to_uppercase();
    let Some(all) = data.together(&Regions::Fallback, true).remove(&app) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let list = data.list(all.into_values().collect());
    negotiated(&headers, json!({"application": {"name": app, "instance": list}}))
}

/// Not in this region: what the first one that has the application knows.
async fn one(
    State(data): Shared,
    Path((app, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let (data, app) = (lock(&data), app.to_uppercase());
    let of_region = || {
        let of = |remote: &Arc<Mutex<Data>>| lock(remote).apps.get(&app).cloned();
        data.remote(&Regions::Fallback).iter().find_map(of)?.remove(&id)
    };
    let here = data.apps.get(&app).and_then(|all| all.get(&id)).cloned();
    match here.or_else(of_region) {
        Some(instance) => negotiated(&headers, json!({ "instance": instance })),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
