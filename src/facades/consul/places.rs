//! Where instances are whose ids clients name. An id of a service says nothing of its address, and is
//! unique with one agent only: two hosts may have the same.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::http::StatusCode;
use dashmap::DashMap;
use hub_registry_core::TenantId;
use parking_lot::Mutex;

use super::Face;
use super::call::{Answered, Refused};
use super::render::term;
use crate::access::{Action, Caller};
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;

/// Ids of those that are gone are dropped when they are more than those that are there, and than this.
const SPARE: usize = 1000;

/// The ids of each tenant.
#[derive(Debug, Default)]
pub(super) struct Places(DashMap<TenantId, Arc<Mutex<Ids>>>);

/// By service id and by check id: the instances that have it, and where they registered from, since
/// many hosts may have the same.
#[derive(Debug, Default)]
struct Ids {
    known: HashMap<String, Vec<(Option<IpAddr>, InstanceId)>>,
    filled: bool,
    /// How many there may be before it is filled anew.
    most: usize,
}

fn of_check(id: &str) -> String {
    format!("check {id}")
}

impl Ids {
    fn add(&mut self, instance: &NativeInstance) {
        let Some(id) = instance.native.get(term::ID) else { return };
        let (checks, place) = (instance.checks().iter(), (agent_of(instance), instance.id));
        for key in checks.map(|check| of_check(&check.id)).chain([id.clone()]) {
            let known = self.known.entry(key).or_default();
            if !known.contains(&place) {
                known.push(place);
            }
        }
    }
}

impl Face {
    /// Remembers an instance that has an id of Consul's.
    pub(super) fn remember(&self, instance: &NativeInstance) {
        let ids = Arc::clone(&self.places.0.entry(instance.tenant.clone()).or_default());
        ids.lock().add(instance);
    }

    /// The hub's own instance with this service id, as this caller means it: what it may not see is
    /// not there; of several, that of the agent beside it.
    pub(super) fn by_id(&self, caller: &Caller, peer: IpAddr, id: &str) -> Option<NativeInstance> {
        if let Some(own) = self.by_agent(caller, peer, id) {
            return Some(own);
        }
        let mut found = self.known(caller, id, None);
        found.retain(|one| has_id(one, id));
        if found.is_empty() {
            // One that registered by another way has no id but the hub's.
            let visible = self.native.visible(caller);
            let plain = self.native.get(caller.tenant(), id).ok();
            return plain.filter(|one| {
                !one.native.contains_key(term::ID) && visible.sees(&one.key.service.group)
            });
        }
        only(found)
    }

    /// The one that registered under this id from there.
    pub(super) fn by_agent(
        &self,
        caller: &Caller,
        peer: IpAddr,
        id: &str,
    ) -> Option<NativeInstance> {
        let found = self.known(caller, id, Some(peer));
        let found = found.into_iter().filter(|one| is_registered_as(one, peer, id));
        found.max_by_key(|one| self.is_meant(caller, one))
    }

    /// Ids are unique with an agent: one that is, there, of a service that the caller sees and may not change
    /// is not to be had (`agent/acl.go`, `vetServiceRegister`, `vetCheckRegister`). What it does not see is
    /// not there: then two have one id, and whoever sees both means the own one.
    ///
    /// # Errors
    /// 403.
    pub(super) fn vet(
        &self,
        caller: &Caller,
        agent: IpAddr,
        id: &str,
        checks: &[String],
    ) -> Answered<()> {
        let own = self.by_agent(caller, agent, id).into_iter();
        let with = |check: &String| self.with_check(caller, agent, check).pop();
        let mut taken = own.chain(checks.iter().filter_map(with));
        if taken.any(|one| !self.may_write(caller, &one)) {
            let text = "Permission denied: the id is of another service of this agent";
            return Err(Refused::new(StatusCode::FORBIDDEN, text));
        }
        Ok(())
    }

    pub(super) fn may_write(&self, caller: &Caller, one: &NativeInstance) -> bool {
        self.native.need(caller, Action::Write, &one.key.service.group).is_ok()
    }

    /// Of several with one id: the largest is the one that the caller means.
    fn is_meant(&self, caller: &Caller, one: &NativeInstance) -> (bool, bool) {
        (self.may_write(caller, one), *one.audit.add_who == *caller.user())
    }

    /// The hub's own instance whose check this is.
    pub(super) fn by_check(
        &self,
        caller: &Caller,
        peer: IpAddr,
        check: &str,
    ) -> Option<NativeInstance> {
        if let Some(own) = self.with_check(caller, peer, check).pop() {
            return Some(own);
        }
        let mut found = self.known(caller, &of_check(check), None);
        found.retain(|one| one.checks().get(check).is_some());
        if found.is_empty() {
            // That of one that registered by another way is named after its id.
            let of_service = self.by_id(caller, peer, check.strip_prefix("service:")?);
            return of_service.filter(|one| !one.native.contains_key(term::ID));
        }
        only(found)
    }

    /// All that registered from there and have a check of this id, the one that is meant last.
    pub(super) fn with_check(
        &self,
        caller: &Caller,
        agent: IpAddr,
        check: &str,
    ) -> Vec<NativeInstance> {
        let mut found = self.known(caller, &of_check(check), Some(agent));
        found.retain(|one| is_of(one, agent) && one.checks().get(check).is_some());
        found.sort_by_key(|one| self.is_meant(caller, one));
        found
    }

    /// What had this id when it was last seen; if that is said, from this agent.
    fn known(&self, caller: &Caller, key: &str, agent: Option<IpAddr>) -> Vec<NativeInstance> {
        let tenant = caller.tenant();
        let ids = match self.places.0.get(tenant) {
            Some(ids) => Arc::clone(&ids),
            // Names of tenants are free: for those that have nothing there is nothing to keep.
            None if self.view.snapshot(tenant).services.is_empty() => return Vec::new(),
            None => Arc::clone(&self.places.0.entry(tenant.clone()).or_default()),
        };
        let mut found: Vec<_> = {
            // After a start all come at once: one looks through all instances, the others wait.
            let mut ids = ids.lock();
            if !ids.filled || ids.known.len() > ids.most {
                ids.known.clear();
                self.registered(tenant).iter().for_each(|one| ids.add(one));
                ids.filled = true;
                ids.most = 2 * ids.known.len() + SPARE;
            }
            let known = ids.known.get(key).into_iter().flatten();
            let known = known.filter(|(from, _)| agent.is_none() || *from == agent);
            known.map(|(_, id)| *id).collect()
        };
        // One may have registered from several.
        found.sort_unstable();
        found.dedup();
        let visible = self.native.visible(caller);
        let found = found.iter().filter_map(|id| self.native.get(tenant, &id.to_string()).ok());
        found.filter(|one| visible.sees(&one.key.service.group)).collect()
    }

    /// All that registered from there, and that the caller may see.
    pub(super) fn all_of_agent(&self, caller: &Caller, peer: IpAddr) -> Vec<Arc<NativeInstance>> {
        let mut all = self.registered_seen(caller);
        all.retain(|one| is_of(one, peer));
        all
    }

    /// All that registered as services of an agent, and that the caller may see: those of the agent
    /// beside it last, for of one id theirs is the one that is meant.
    pub(super) fn own_last(&self, caller: &Caller, peer: IpAddr) -> Vec<Arc<NativeInstance>> {
        let mut all = self.registered_seen(caller);
        all.sort_by_key(|one| is_of(one, peer));
        all
    }

    /// All that registered as services of an agent, and that the caller may see.
    pub(super) fn registered_seen(&self, caller: &Caller) -> Vec<Arc<NativeInstance>> {
        let visible = self.native.visible(caller);
        let mut all = self.registered(caller.tenant());
        all.retain(|one| visible.sees(&one.key.service.group));
        all
    }

    /// All that registered as services of an agent.
    pub(super) fn registered(&self, tenant: &TenantId) -> Vec<Arc<NativeInstance>> {
        let mut all = self.native.list(tenant);
        all.retain(|one| one.native.contains_key(term::ID));
        all
    }
}

/// Where it registered from.
pub(super) fn agent_of(instance: &NativeInstance) -> Option<IpAddr> {
    instance.native.get(term::AGENT).and_then(|text| text.parse().ok())
}

pub(super) fn is_of(instance: &NativeInstance, peer: IpAddr) -> bool {
    agent_of(instance) == Some(peer)
}

/// Whether it is what registered under this id from there.
pub(super) fn is_registered_as(instance: &NativeInstance, peer: IpAddr, id: &str) -> bool {
    has_id(instance, id) && is_of(instance, peer)
}

/// Whether this is its id.
pub(super) fn has_id(instance: &NativeInstance, id: &str) -> bool {
    instance.native.get(term::ID).is_some_and(|own| own == id)
}

/// The only one.
fn only(found: Vec<NativeInstance>) -> Option<NativeInstance> {
    let mut found = found.into_iter();
    found.next().filter(|_| found.next().is_none())
}
