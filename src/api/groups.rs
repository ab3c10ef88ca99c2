//! Groups: the unified list, and the native ones' settings.

pub(super) mod describe;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hub_registry_core::GroupName;
use serde_json::{Value, json};
use wildmatch::WildMatch;

use super::error::{ApiError, ApiResult};
use super::extract::Segment;
use super::json_body::JsonObject;
use super::params::Params;
use super::sort::{Fields, Sort};
use super::state::Api;
use super::tagged::tagged;
use super::{names, services};
use crate::access::{Action, Caller};
use crate::catalog::GroupChoice;
use crate::error::{Error, ErrorCode, Result};
use crate::model::group::{GroupPatch, NativeGroup, NewGroup};
use crate::model::words::GroupType;

/// A group as readers see it.
#[derive(Debug)]
struct Group {
    name: GroupName,
    native: Option<Arc<NativeGroup>>,
    sources: BTreeSet<String>,
    services: usize,
    instances: usize,
}

impl AsRef<Self> for Group {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// What `sort` takes.
const SORT: &Fields<Group> = &[
    ("groupName", |a, b| a.name.cmp(&b.name)),
    ("groupType", |a, b| by_native(a, b, |group| group.group_type.as_str())),
    ("serviceCount", |a, b| a.services.cmp(&b.services)),
    ("instanceCount", |a, b| a.instances.cmp(&b.instances)),
    ("addTime", |a, b| by_native(a, b, |group| group.audit.add_time)),
    ("editTime", |a, b| by_native(a, b, |group| group.audit.edit_time)),
];

fn by_native<'a, K: Ord>(
    a: &'a Group,
    b: &'a Group,
    key: impl Fn(&'a NativeGroup) -> K,
) -> Ordering {
    a.native.as_deref().map(&key).cmp(&b.native.as_deref().map(&key))
}

/// `GET /api/v1/groups`: native groups and those seen in registries.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let name = params.take("name")?.map(|pattern| WildMatch::new(&pattern));
    let source = params.take("source")?;
    let group_type: Option<GroupType> = params.word("groupType")?;
    let sort = Sort::take(&mut params, SORT)?;
    let page = params.page()?;
    params.finish()?;
    let mut groups: Vec<_> = all(&api, &caller)
        .into_values()
        .filter(|group| {
            let of_type =
                |wanted| group.native.as_ref().is_some_and(|group| group.group_type == wanted);
            name.as_ref().is_none_or(|name| name.matches(group.name.as_str()))
                && source.as_ref().is_none_or(|source| group.sources.contains(source))
                && group_type.is_none_or(of_type)
        })
        .collect();
    sort.apply(&mut groups);
    let count = groups.len();
    let groups: Vec<_> = page.of(groups).iter().map(group_json).collect();
    let partial = !api.view.unloaded(caller.tenant()).is_empty();
    Ok(tagged(&headers, &json!({ "groups": groups, "count": count, "partial": partial })))
}

/// `POST /api/v1/groups`
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    params.finish()?;
    names::same_tenant(&caller, &body)?;
    let new = NewGroup::from_value(Value::Object(body))?;
    let snapshot = api.view.snapshot(caller.tenant());
    if snapshot.services.values().any(|groups| groups.contains_key(&new.name)) {
        // Its lists would hold for what others have in a group of that name.
        caller.need(Action::Operate)?;
    }
    let group = api.native.create_group(&caller, new).await?;
    let message = "Service group created successfully";
    let answer = json!({ "groupName": group.name, "message": message });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET /api/v1/groups/{groupName}`
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.finish()?;
    let group = find(&api, &caller, &names::group(&name)?)?;
    Ok(tagged(&headers, &group_json(&group)))
}

/// `GET /api/v1/groups/{groupName}/services`
pub(super) async fn list_services(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let group = find(&api, &caller, &names::group(&name)?)?;
    let answer = services::page(&api, &caller, params, Some(GroupChoice::Named(group.name)))?;
    Ok(tagged(&headers, &answer))
}

/// `PUT /api/v1/groups/{groupName}`
pub(super) async fn update(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    params: Params,
    JsonObject(body): JsonObject,
) -> ApiResult<Json<Value>> {
    params.finish()?;
    let name = names::group(&name)?;
    names::same_tenant(&caller, &body)?;
    names::same(&body, "groupName", name.as_str())?;
    let patch = GroupPatch::from_value(Value::Object(body))?;
    let group = find(&api, &caller, &name)?;
    let updated = api.native.update_group(&caller, &name, patch).await;
    let updated = updated.map_err(|error| native_error(&group, error))?;
    Ok(Json(json!({
        "groupName": name,
        "currentVersion": updated.audit.version,
        "message": "Service group updated successfully",
    })))
}

/// `DELETE /api/v1/groups/{groupName}`
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let force = params.flag("force")?;
    params.finish()?;
    let name = names::group(&name)?;
    let group = find(&api, &caller, &name)?;
    api.native.need(&caller, Action::Manage, &name)?;
    // Those of other registries count too: the lists of a group hold for them as well.
    if group.native.is_some() && group.services > 0 && !force {
        let message = format!("group {name} has {} services", group.services);
        let details = json!({ "services": group.services, "sources": group.sources });
        return Err(Error::conflict(message).with_details(details).into());
    }
    let deleted = api.native.delete_group(&caller, &name, force).await;
    deleted.map_err(|error| native_error(&group, error))?;
    Ok(Json(json!({ "groupName": name, "message": "Service group deleted successfully" })))
}

/// Every group the caller may read, by name.
fn all(api: &Api, caller: &Caller) -> BTreeMap<GroupName, Group> {
    let visible = api.native.visible(caller);
    let mut groups: BTreeMap<GroupName, Group> = BTreeMap::new();
    for native in api.native.list_groups(caller.tenant()) {
        if visible.sees(&native.name) {
            groups.insert(native.name.clone(), Group::new(native.name.clone(), Some(native)));
        }
    }
    let snapshot = api.view.snapshot(caller.tenant());
    for (name, view) in snapshot.services.values().flat_map(|groups| groups.iter()) {
        if visible.sees(name) {
            let group = groups.entry(name.clone());
            group.or_insert_with(|| Group::new(name.clone(), None)).count(view);
        }
    }
    groups
}

impl Group {
    fn new(name: GroupName, native: Option<Arc<NativeGroup>>) -> Self {
        let sources = native.iter().map(|_| "native".to_owned()).collect();
        Self { name, native, sources, services: 0, instances: 0 }
    }

    fn count(&mut self, view: &crate::catalog::ServiceView) {
        self.services += 1;
        self.instances += view.rows.len();
        for cell in view.sources.cells() {
            if !self.sources.contains(&cell.info.name) {
                self.sources.insert(cell.info.name.clone());
            }
        }
    }
}

/// One group, native or seen in a registry.
fn find(api: &Api, caller: &Caller, name: &GroupName) -> Result<Group> {
    api.native.visible(caller).need(name)?;
    let native = api.native.get_group(caller.tenant(), name).ok();
    let mut group = Group::new(name.clone(), native);
    let snapshot = api.view.snapshot(caller.tenant());
    for groups in snapshot.services.values() {
        if let Some(view) = groups.get(name) {
            group.count(view);
        }
    }
    if group.native.is_none() && group.services == 0 {
        return Err(unknown(api, caller, name));
    }
    Ok(group)
}

fn unknown(api: &Api, caller: &Caller, name: &GroupName) -> Error {
    let error = Error::not_found(format!("no group {name}"));
    let unheard = api.view.unloaded(caller.tenant());
    if unheard.is_empty() {
        return error;
    }
    let sources: Vec<_> = unheard.iter().map(|cell| cell.info.name.as_str()).collect();
    error.with_details(json!({ "partial": true, "sources": sources }))
}

fn native_error(group: &Group, error: Error) -> ApiError {
    if error.code != ErrorCode::NotFound || group.native.is_some() {
        return error.into();
    }
    let message = "this group is in other registries only; change it there";
    let details = json!({ "code": "not_native", "sources": group.sources });
    Error::conflict(message).with_details(details).into()
}

fn group_json(group: &Group) -> Value {
    let mut answer = group.native.as_ref().map_or_else(|| json!({}), |group| group.to_value());
    answer["groupName"] = json!(group.name);
    answer["sources"] = json!(group.sources);
    answer["serviceCount"] = json!(group.services);
    answer["instanceCount"] = json!(group.instances);
    answer
}
