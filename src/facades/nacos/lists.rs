//! What there is.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{GroupName, InstanceKey, ServiceKey};
use serde_json::{Value, json};

use super::Face;
use super::call::{Answered, Call, GROUP_END};
use super::render;
use super::version::{Code, Version};
use crate::access::Caller;
use crate::catalog::{Found, GroupChoice, Looked, Row, ServiceView};
use crate::error::{Error, ErrorCode};
use crate::facades::doors::names;

/// The longest list of clusters, in bytes.
const MAX_CLUSTERS: usize = 4096;
/// The largest page.
const MAX_PAGE: usize = 10_000;

/// `GET instance/list`: the instances that are enabled, in these `clusters`, `healthyOnly` or all. In v3
/// in one cluster, whatever their health, and nobody is told of changes (`InstanceListForm.validate`,
/// `InstanceOpenApiController.list`).
pub(super) async fn instances(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let key = call.service()?;
    let is_v3 = call.version == Version::V3;
    let healthy = !is_v3 && call.switch("healthyOnly", false);
    let named = if call.version == Version::V1 { "clusters" } else { "clusterName" };
    let usual = if is_v3 { render::DEFAULT_CLUSTER } else { "" };
    let clusters = clusters_of(call.said(named).unwrap_or(usual));
    let clusters: Vec<_> = clusters.map_err(|error| call.failed(error))?.collect();
    let found = face.find(&call.caller, &key).map_err(|error| call.unheard(&error.0))?;
    let hosts = face.hosts(&call.caller, &key, &found);
    found.is_whole(&clusters).map_err(|error| call.unheard(&error.0))?;
    let port =
        call.said("udpPort").and_then(|port| port.parse().ok()).filter(|port| *port > 0 && !is_v3);
    if let (Some(peer), Some(port)) = (call.peer, port) {
        let at = (peer, port);
        face.subscribers.put(&call.caller, &key, &clusters, at, found.revision);
    }
    if call.version == Version::V1 && clusters.is_empty() && !call.carried {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        return Ok((kind, hosts.written(healthy)).into_response());
    }
    let mut value = hosts.value(&clusters, healthy, call.carried);
    if is_v3 {
        // Of that version the list alone.
        value = value["hosts"].take();
    }
    Ok(call.version.answer(value))
}

/// `GET service/list`: the names of a group's services.
pub(super) async fn services(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let group = call.group()?;
    let names = face.names(&call.caller, &group).map_err(|error| call.unheard(&error.0))?;
    let count = names.len();
    let doms = page(&call, names)?;
    Ok(call.version.answer(match call.version {
        Version::V1 => json!({ "count": count, "doms": doms }),
        Version::V2 | Version::V3 => json!({ "count": count, "services": doms }),
    }))
}

/// `GET catalog/services`: what the console shows.
pub(super) async fn catalog(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let like = |name: &str, text: &str| call.said(name).is_none_or(|part| text.contains(part));
    let mut views = face.all(&call.caller).map_err(|error| call.unheard(&error.0))?;
    views.retain(|view| {
        like("serviceNameParam", view.key.name.as_str())
            && like("groupNameParam", view.key.group.as_str())
    });
    let count = views.len();
    let shown = page(&call, views)?;
    let shown: Vec<_> = shown.iter().map(|view| summary(view)).collect();
    Ok(call.version.answer(json!({ "count": count, "serviceList": shown })))
}

fn summary(view: &ServiceView) -> Value {
    let clusters = clusters(view);
    let healthy = view.rows.iter().filter(|row| render::is_healthy(&row.instance)).count();
    json!({
        "name": view.key.name, "groupName": view.key.group, "clusterCount": clusters.len(),
        "ipCount": view.rows.len(), "healthyInstanceCount": healthy, "triggerFlag": "false",
    })
}

/// `GET catalog/instances`: of a cluster, the disabled ones too.
pub(super) async fn catalog_instances(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let view = face.view(&call, &call.service()?)?;
    let cluster = call.said("clusterName");
    let rows = view.iter().flat_map(|view| &view.rows);
    let hosts: Vec<_> = rows
        .filter(|row| cluster.is_none_or(|name| render::cluster(&row.instance) == name))
        .map(|row| render::host(row, false))
        .collect();
    let count = hosts.len();
    let list = page(&call, hosts)?;
    Ok(call.version.answer(match call.version {
        Version::V1 => json!({ "count": count, "list": list }),
        Version::V2 | Version::V3 => json!({ "count": count, "instances": list }),
    }))
}

/// `GET catalog/service`: a service and its clusters.
pub(super) async fn catalog_service(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let key = call.service()?;
    let grouped = format!("{}{GROUP_END}{}", key.group, key.name);
    let Some(view) = face.view(&call, &key)? else {
        let text = format!("service {grouped} is not found!");
        return Err(call.refused(StatusCode::NOT_FOUND, Code::NoResource, text));
    };
    let clusters = clusters(&view).into_iter().map(|name| {
        json!({
            "serviceName": grouped, "name": name, "healthChecker": { "type": "NONE" },
            "defaultPort": 80, "defaultCheckPort": 80, "useIPPort4Check": true, "metadata": {},
        })
    });
    let clusters: Vec<_> = clusters.collect();
    let service = json!({
        "name": key.name, "groupName": key.group, "protectThreshold": view.attributes.protect_threshold,
        "selector": { "type": "none" }, "metadata": {},
    });
    Ok(call.version.answer(json!({ "service": service, "clusters": clusters })))
}

fn clusters(view: &ServiceView) -> BTreeSet<&str> {
    view.rows.iter().map(|row| render::cluster(&row.instance)).collect()
}

/// `GET operator/metrics`
pub(super) async fn metrics(State(_): State<Arc<Face>>, call: Call) -> Answered {
    Ok(call.version.answer(json!({ "status": "UP" })))
}

/// `GET console/server/state`: which version is spoken.
pub(super) async fn state(_: Call) -> Response {
    let body =
        json!({ "standalone_mode": "standalone", "function_mode": "naming", "version": "2.2.4" });
    axum::Json(body).into_response()
}

fn page<T>(call: &Call, mut all: Vec<T>) -> Answered<Vec<T>> {
    let (number, size) = (call.number("pageNo", 1)?, call.number("pageSize", 10)?);
    cut(&mut all, number, size);
    Ok(all)
}

/// Leaves the page of this number, from 1, of this size.
pub(super) fn cut<T>(all: &mut Vec<T>, number: usize, size: usize) {
    let size = size.min(MAX_PAGE);
    let from = number.saturating_sub(1).saturating_mul(size).min(all.len());
    all.drain(..from);
    all.truncate(size);
}

/// A service as a caller finds it.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// `None`: there is none, or none that has anybody.
    pub(super) view: Option<Arc<ServiceView>>,
    pub(super) revision: i64,
    /// Whether the caller may see the group at all.
    pub(super) is_visible: bool,
    /// Those that were never heard, before it was looked.
    unheard: Option<Unheard>,
}

impl Look {
    /// Nobody, as far as it goes.
    pub(super) const fn nothing() -> Self {
        Self { view: None, revision: 0, is_visible: false, unheard: None }
    }

    /// That nobody of it is in these clusters is only told if all were heard that might know one. Who is
    /// there and may not be used is nobody to keep a client waiting for.
    pub(super) fn is_whole(&self, clusters: &[&str]) -> Result<(), Unheard> {
        let is_in = |row: &Row| clusters.contains(&render::cluster(&row.instance));
        let mut rows = self.view.iter().flat_map(|view| &view.rows);
        match &self.unheard {
            Some(unheard) if !rows.any(|row| clusters.is_empty() || is_in(row)) => {
                Err(unheard.clone())
            }
            _ => Ok(()),
        }
    }

    /// The one at an address, if it is in this cluster.
    pub(super) fn one(&self, at: &InstanceKey, cluster: &str) -> Result<Option<&Row>, Unheard> {
        let view = self.view.as_ref();
        let row = view.and_then(|view| {
            let row = view.rows.binary_search_by(|row| row.key().cmp(at)).ok()?;
            Some(&*view.rows[row]).filter(|row| render::cluster(&row.instance) == cluster)
        });
        match (row, &self.unheard) {
            (None, Some(unheard)) => Err(unheard.clone()),
            (row, _) => Ok(row),
        }
    }
}

/// The names of clusters, which are kept as long as somebody wants them.
pub(super) fn clusters_of(said: &str) -> Result<impl Iterator<Item = &str>, Error> {
    if said.len() > MAX_CLUSTERS {
        let text = format!("Param 'clusters' must be at most {MAX_CLUSTERS} bytes");
        return Err(Error::new(ErrorCode::Invalid, text));
    }
    Ok(said.split(',').filter(|name| !name.is_empty()))
}

/// What is asked for is not known, and these sources that might know it were never heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unheard(pub(super) String);

impl Face {
    /// A service by HTTP.
    pub(super) fn view(&self, call: &Call, key: &ServiceKey) -> Answered<Option<Arc<ServiceView>>> {
        let found = self.find(&call.caller, key).map_err(|error| call.unheard(&error.0))?;
        Ok(found.view)
    }

    /// A service; nothing is "there is none" only if all that might know it were heard.
    pub(super) fn find(&self, caller: &Caller, key: &ServiceKey) -> Result<Look, Unheard> {
        // Before it is looked: who is heard meanwhile is in what is found.
        let silent = self.unheard(caller.tenant()).map(Unheard);
        let visible = self.native.visible(caller);
        let group = GroupChoice::Named(key.group.clone());
        let looked = self.view.look(caller.tenant(), &key.name, &group, &visible);
        let Looked { found, unheard, index } = looked;
        let view = match found {
            Found::One(view) if !view.rows.is_empty() => Some(view),
            // It is there, and has no instances that anybody told of.
            Found::One(_) => match &silent {
                Some(unheard) => return Err(unheard.clone()),
                None => None,
            },
            _ if unheard.is_empty() => None,
            _ => return Err(Unheard(names(&unheard))),
        };
        let is_visible = visible.sees(&key.group);
        Ok(Look { view, revision: index, is_visible, unheard: silent })
    }

    fn heard(&self, caller: &Caller) -> Result<(), Unheard> {
        self.unheard(caller.tenant()).map_or(Ok(()), |names| Err(Unheard(names)))
    }

    /// All services that may be seen and have instances, sorted; whoever takes them for all drops
    /// what they lack.
    pub(super) fn all(&self, caller: &Caller) -> Result<Vec<Arc<ServiceView>>, Unheard> {
        self.heard(caller)?;
        let visible = self.native.visible(caller);
        let mut views = self.view.snapshot(caller.tenant()).sorted();
        views.retain(|view| !view.rows.is_empty() && visible.sees(&view.key.group));
        Ok(views)
    }

    /// The names of a group's services, sorted.
    pub(super) fn names(&self, caller: &Caller, group: &GroupName) -> Result<Vec<String>, Unheard> {
        let views = self.all(caller)?;
        let views = views.iter().filter(|view| view.key.group == *group);
        let mut names: Vec<_> = views.map(|view| view.key.name.to_string()).collect();
        names.sort();
        Ok(names)
    }
}
