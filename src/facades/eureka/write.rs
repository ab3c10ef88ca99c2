//! Registering, renewing, changing and removing.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use dashmap::DashMap;
use hub_registry_core::{Pairs, ServiceKey, TenantId};
use hub_registry_eureka::wire::InstanceInfo;

use super::Face;
use super::call::{Answered, Call, Refused};
use super::list::views;
use super::register::{self, check, name_of, registration};
use super::render::{UNKNOWN, id_of, term};
use crate::access::{Action, Caller};
use crate::catalog::ServiceView;
use crate::error::{Error, Result};
use crate::facades::names::key_of;
use crate::model::instance::{InstancePatch, NativeInstance};
use crate::model::labels::check_metadata;
use crate::model::names::{InstanceId, native_group, native_service};

/// How many places are remembered.
const MAX_PLACES: usize = 100_000;

/// Where instances are that renew their leases: an id of Eureka's says nothing of their address.
#[derive(Debug, Default)]
pub(super) struct Places(DashMap<(TenantId, String, String), InstanceId>);

/// `POST apps/{app}`: 204 when it is on disk.
pub(super) async fn register(
    State(face): State<Arc<Face>>,
    call: Call,
    body: Body,
) -> Answered<StatusCode> {
    let form = call.form_given()?;
    let info = form.read(&face.body(body).await?)?;
    face.register(&call.caller, call.segment("app"), info).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT apps/{app}/{id}`: the heartbeat. 404: register again.
pub(super) async fn heartbeat(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let dirty = call.query("lastDirtyTimestamp");
    face.renew(&call.caller, call.segment("app"), call.segment("id"), dirty)
}

/// `DELETE apps/{app}/{id}`
pub(super) async fn cancel(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    face.cancel(&call.caller, call.segment("app"), call.segment("id")).await
}

/// `PUT apps/{app}/{id}/status?value=`: overrides what the instance says of itself.
pub(super) async fn set_status(State(face): State<Arc<Face>>, call: Call) -> Answered<StatusCode> {
    let Some(value) = call.query("value") else {
        return Err(Error::invalid("value", "", "is required").into());
    };
    let (app, id, dirty) =
        (call.segment("app"), call.segment("id"), call.query("lastDirtyTimestamp"));
    face.set_status(&call.caller, (app, id), (value, true), dirty).await
}

/// `DELETE apps/{app}/{id}/status?value=`: the override ends. What the instance says now is
/// `value`; where nobody says it, it is asked to register again.
pub(super) async fn clear_status(
    State(face): State<Arc<Face>>,
    call: Call,
) -> Answered<StatusCode> {
    let value = call.query("value").unwrap_or(UNKNOWN);
    let (app, id, dirty) =
        (call.segment("app"), call.segment("id"), call.query("lastDirtyTimestamp"));
    face.set_status(&call.caller, (app, id), (value, false), dirty).await
}

/// `PUT apps/{app}/{id}/metadata?key=value`: adds pairs, and replaces those that are there.
pub(super) async fn add_metadata(
    State(face): State<Arc<Face>>,
    call: Call,
) -> Answered<StatusCode> {
    let caller = call.caller.clone();
    let (app, id) = (call.segment("app").to_owned(), call.segment("id").to_owned());
    let _turn = face.turns.of((caller.tenant(), &app.to_uppercase(), &id)).await;
    let now = face.own(&caller, &app, &id)?;
    let pairs = call.pairs();
    // What others write of it meanwhile is not lost.
    let patch = move |now: &NativeInstance| {
        let mut metadata = now.metadata.clone();
        for (key, value) in pairs {
            metadata.insert(key, value);
        }
        check_metadata("metadata", &metadata)?;
        Ok(InstancePatch { metadata: Some(metadata), ..InstancePatch::default() })
    };
    let outcome = face.native.update_with(&caller, now.id, patch).await;
    face.metrics.native.ended("update", outcome.is_ok());
    outcome?;
    Ok(StatusCode::OK)
}

impl Face {
    /// Registers, by the rules of a Eureka.
    pub(super) async fn register(
        &self,
        caller: &Caller,
        app: &str,
        info: InstanceInfo,
    ) -> Answered<()> {
        check(app, &info)?;
        let app = app.to_uppercase();
        let (id, dirty) = (info.id().to_owned(), info.last_dirty_timestamp);
        let _turn = self.turns.of((caller.tenant(), &app, &id)).await;
        let before = self.known(caller, &app, &id);
        if let Some(before) = &before {
            // One that was sent earlier and came late (`AbstractInstanceRegistry.register`).
            if dirty.is_some_and(|dirty| dirty_of(before).is_some_and(|known| known > dirty)) {
                self.native.heartbeat(caller, &before.id.to_string())?;
                return Ok(());
            }
        }
        let overridden = before.as_ref().and_then(|before| before.native.get(term::OVERRIDDEN));
        let service = self.service(caller.tenant(), &app, &info)?;
        let new = registration(service, info, overridden.map(String::as_str))?;
        let outcome = self.native.register(caller, new).await;
        self.metrics.native.ended("register", outcome.is_ok());
        let registered = outcome?;
        // Its id is what makes an instance of Eureka's the same: it has moved.
        if let Some(before) = before.filter(|before| before.id != registered.instance_id) {
            let outcome = self.native.deregister(caller, &before.id.to_string()).await;
            self.metrics.native.ended("deregister", outcome.is_ok());
            if let Err(error) = outcome {
                let instance = before.key.to_string();
                tracing::warn!(%instance, %error, "an instance moved, and is still at its old address");
            }
        }
        self.places.remember(caller.tenant(), &app, &id, registered.instance_id);
        Ok(())
    }

    /// The service that an application is: one that is there, whatever the case of its name; else
    /// a new one.
    fn service(&self, tenant: &TenantId, app: &str, info: &InstanceInfo) -> Result<ServiceKey> {
        let known = views(&self.view.snapshot(tenant), app);
        let own = |view: &&Arc<ServiceView>| self.native.get_service(tenant, &view.key).is_ok();
        if let Some(view) = known.iter().find(own).or_else(|| known.first()) {
            return Ok(view.key.clone());
        }
        let wanted = key_of(&name_of(app, info));
        let wanted =
            wanted.ok_or_else(|| Error::invalid("app", app, "must be that of a service"))?;
        // A group that is there has its own case.
        let groups = self.native.list_groups(tenant);
        let same = |name: &str| name.to_uppercase() == wanted.group.as_str().to_uppercase();
        let group = groups.iter().map(|group| group.name.as_str()).find(|name| same(name));
        let group = group.unwrap_or(wanted.group.as_str());
        let name = native_service("app", wanted.name.as_str())?;
        Ok(ServiceKey::new(native_group("app", group)?, name))
    }

    /// Renews a lease.
    pub(super) fn renew(
        &self,
        caller: &Caller,
        app: &str,
        id: &str,
        dirty: Option<&str>,
    ) -> Answered<StatusCode> {
        let outcome = self.renewed(caller, app, id, dirty);
        self.metrics.native.ended("heartbeat", outcome.is_ok());
        outcome.map(|()| StatusCode::OK)
    }

    fn renewed(&self, caller: &Caller, app: &str, id: &str, dirty: Option<&str>) -> Answered<()> {
        let app = app.to_uppercase();
        let known = self.known(caller, &app, id).ok_or_else(Refused::not_found)?;
        let dirty = dirty.and_then(|text| text.parse::<i64>().ok());
        let changed = dirty.is_some_and(|dirty| dirty_of(&known).is_some_and(|own| dirty > own));
        // What it says now is not known: it is to say it (`InstanceResource.renewLease`).
        if changed || known.native.get(term::STATUS).is_some_and(|word| word == UNKNOWN) {
            return Err(Refused::not_found());
        }
        self.native.heartbeat(caller, &known.id.to_string())?;
        Ok(())
    }

    pub(super) async fn cancel(
        &self,
        caller: &Caller,
        app: &str,
        id: &str,
    ) -> Answered<StatusCode> {
        let _turn = self.turns.of((caller.tenant(), &app.to_uppercase(), &id.to_owned())).await;
        let now = self.own(caller, app, id)?;
        let outcome = self.native.deregister(caller, &now.id.to_string()).await;
        self.metrics.native.ended("deregister", outcome.is_ok());
        outcome?;
        Ok(StatusCode::OK)
    }

    /// Sets what an instance is said to be; `stays`: whatever it says itself.
    pub(super) async fn set_status(
        &self,
        caller: &Caller,
        (app, id): (&str, &str),
        (word, stays): (&str, bool),
        dirty: Option<&str>,
    ) -> Answered<StatusCode> {
        let (status, is_whole) = register::status(word)?;
        let _turn = self.turns.of((caller.tenant(), &app.to_uppercase(), &id.to_owned())).await;
        let now = self.own(caller, app, id)?;
        self.native.need(caller, Action::Write, &now.key.service.group)?;
        let (word, dirty) = (word.to_owned(), dirty.map(str::to_owned));
        // What is found of it meanwhile is not written over.
        let patch = move |now: &NativeInstance| {
            // Where there is none, none ends (`AbstractInstanceRegistry.deleteStatusOverride`).
            if !stays && !now.native.contains_key(term::OVERRIDDEN) {
                return Ok(InstancePatch::default());
            }
            let mut native: Pairs = now.native.clone();
            let mut put = |key: &str, value: Option<&str>| {
                native.remove(key);
                if let Some(value) = value {
                    native.insert(key.to_owned(), value.to_owned());
                }
            };
            put(term::OVERRIDDEN, stays.then_some(&word));
            put(term::STATUS, (!is_whole).then_some(&word));
            let newer = dirty.as_deref().and_then(|text| text.parse::<i64>().ok());
            if newer.is_some_and(|newer| dirty_of(now).is_none_or(|known| newer > known)) {
                put(term::DIRTY, dirty.as_deref());
            }
            let status = Some(status);
            Ok(InstancePatch { status, native: Some(native), ..InstancePatch::default() })
        };
        let outcome = self.native.update_with(caller, now.id, patch).await;
        self.metrics.native.ended("status", outcome.is_ok());
        outcome?;
        Ok(StatusCode::OK)
    }

    /// The instance, if it is the hub's own.
    fn own(&self, caller: &Caller, app: &str, id: &str) -> Answered<NativeInstance> {
        let app = app.to_uppercase();
        if let Some(own) = self.known(caller, &app, id) {
            return Ok(own);
        }
        let other = self.app(caller, &app);
        let row = other.as_ref().and_then(|app| app.find(id)).ok_or_else(Refused::not_found)?;
        let sources: Vec<_> = row.origins.iter().map(|origin| &*origin.source).collect();
        let text =
            format!("this instance is registered in {}: change it there", sources.join(", "));
        Err(Refused::new(StatusCode::CONFLICT, text))
    }

    /// The hub's own instance of this id, if the caller may see it; `app` in upper case.
    fn known(&self, caller: &Caller, app: &str, id: &str) -> Option<NativeInstance> {
        let tenant = caller.tenant();
        let sees = |own: &NativeInstance| self.native.visible(caller).sees(&own.key.service.group);
        let remembered = self.places.find(tenant, app, id);
        let remembered = remembered.and_then(|own| self.native.get(tenant, &own.to_string()).ok());
        let is_it = |own: &NativeInstance| own.native.get(term::ID).is_some_and(|it| it == id);
        if let Some(own) = remembered.filter(|own| is_it(own) && sees(own)) {
            return Some(own);
        }
        let known = self.app(caller, app)?;
        let row = known.find(id)?;
        let own = self.native.get(tenant, &row.id.to_string()).ok()?;
        // The row may be another registry's that has the same address and an id of its own.
        let is_it = own.native.get(term::ID).is_none_or(|it| it == id) && id_of(row) == id;
        is_it.then(|| {
            self.places.remember(tenant, app, id, own.id);
            own
        })
    }
}

impl Places {
    fn find(&self, tenant: &TenantId, app: &str, id: &str) -> Option<InstanceId> {
        self.0.get(&(tenant.clone(), app.to_owned(), id.to_owned())).map(|found| *found)
    }

    fn remember(&self, tenant: &TenantId, app: &str, id: &str, own: InstanceId) {
        if self.0.len() >= MAX_PLACES {
            self.0.clear();
        }
        self.0.insert((tenant.clone(), app.to_owned(), id.to_owned()), own);
    }
}

fn dirty_of(instance: &NativeInstance) -> Option<i64> {
    instance.native.get(term::DIRTY)?.parse().ok()
}
