//! Writing.

use std::sync::Arc;

use futures_util::future::join_all;
use hub_registry_core::{GroupName, HealthStatus, InstanceStatus, ServiceKey, TenantId};

use super::draft::Draft;
use super::events::Cause;
use super::job::job;
use super::plan::no_instance;
use super::start::Native;
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::model::group::{GroupPatch, NativeGroup, NewGroup};
use crate::model::instance::{InstancePatch, NativeInstance, Registration};
use crate::model::names::{CheckKey, InstanceId};
use crate::model::service::{NativeService, NewService, ServicePatch};
use crate::model::terms;
use crate::storage::EventRow;

/// What a registration led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The instance's id.
    pub instance_id: InstanceId,
    /// It is new; else one of that address was updated.
    pub created: bool,
    /// How long it stays healthy without a heartbeat.
    pub lease_seconds: u32,
}

/// The instances of a tenant, by their ids.
pub type Known<'k> = dyn Fn(InstanceId) -> Option<&'k NativeInstance> + 'k;

/// Every method answers when its change is on disk and published. What fails with `Unavailable`
/// was not done, as far as readers of the hub can tell.
impl Native {
    /// Registers an instance, or updates the one of that address; either counts as a heartbeat.
    ///
    /// # Errors
    /// `Invalid`; `NotFound` when group or service is missing and is not to be made; `Unavailable`.
    pub async fn register(
        &self,
        caller: &Caller,
        registration: Registration,
    ) -> Result<Registered> {
        let caller = caller.clone();
        self.write(move |draft| draft.register(&caller, registration)).await
    }

    /// Registers what follows from other instances of the tenant, as they are when all that was to be
    /// written before it is.
    ///
    /// # Errors
    /// As those of [`register`](Self::register), and what `registration` says.
    pub async fn register_with(
        &self,
        caller: &Caller,
        registration: impl FnOnce(&Known<'_>) -> Result<Registration> + Send + 'static,
    ) -> Result<Registered> {
        let caller = caller.clone();
        self.write(move |draft| draft.register_with(&caller, registration)).await
    }

    /// Registers each on its own account: one that is refused does not hinder the others.
    pub async fn register_batch(
        &self,
        caller: &Caller,
        registrations: Vec<Registration>,
    ) -> Vec<Result<Registered>> {
        join_all(registrations.into_iter().map(|one| self.register(caller, one))).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version moved on; `Unavailable`.
    pub async fn update(
        &self,
        caller: &Caller,
        id: &str,
        patch: InstancePatch,
    ) -> Result<Arc<NativeInstance>> {
        let (caller, id) = (caller.clone(), parse(id)?);
        self.write(move |draft| draft.update_instance(&caller, id, patch)).await
    }

    /// Changes an instance by what it is when all that was to be written before it is: nothing that
    /// others make of it meanwhile is lost.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`, and what `change` says.
    pub async fn update_with(
        &self,
        caller: &Caller,
        id: InstanceId,
        change: impl FnOnce(&NativeInstance) -> Result<InstancePatch> + Send + 'static,
    ) -> Result<Arc<NativeInstance>> {
        let caller = caller.clone();
        self.write(move |draft| draft.update_with(&caller, id, change)).await
    }

    /// Sets what the instance says of itself.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn set_status(
        &self,
        caller: &Caller,
        id: &str,
        status: InstanceStatus,
    ) -> Result<Arc<NativeInstance>> {
        // Said again, it is said by whoever says it now.
        let change = move |now: &NativeInstance| {
            let mut native = now.native.clone();
            terms::told(&mut native, status);
            let (status, native) = (Some(status), Some(native));
            Ok(InstancePatch { status, native, ..InstancePatch::default() })
        };
        self.update_with(caller, parse(id)?, change).await
    }

    /// States the instance's health; an `UNHEALTHY` that was stated stays over heartbeats.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn set_health(
        &self,
        caller: &Caller,
        id: &str,
        health: HealthStatus,
    ) -> Result<Arc<NativeInstance>> {
        let patch = InstancePatch { health: Some(health), ..InstancePatch::default() };
        self.update(caller, id, patch).await
    }

    /// Removes an instance; its service stays.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn deregister(&self, caller: &Caller, id: &str) -> Result<()> {
        let (caller, id) = (caller.clone(), parse(id)?);
        self.write(move |draft| draft.deregister(&caller, id)).await
    }

    /// Removes an instance if it still is what the caller takes it for: this is asked when all that
    /// was to be written before it is. Whether it was removed; what is not there is not.
    ///
    /// # Errors
    /// `Forbidden`, `Unavailable`.
    pub async fn deregister_if(
        &self,
        caller: &Caller,
        id: InstanceId,
        still: impl Fn(&NativeInstance) -> bool + Send + 'static,
    ) -> Result<bool> {
        let caller = caller.clone();
        self.write(move |draft| draft.deregister_if(&caller, id, still)).await
    }

    /// Removes an instance that nobody asked to remove, as [`deregister_if`](Self::deregister_if), unless
    /// a request that is on its way to disk heard of it. `why`: for people.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn remove_if(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        still: impl Fn(&NativeInstance) -> bool + Send + 'static,
        why: String,
    ) -> Result<bool> {
        let tenant = tenant.clone();
        self.write(move |draft| Ok(draft.remove_if(&tenant, id, still, why))).await
    }

    /// Renews an instance's lease, in memory; the length of the lease in seconds.
    ///
    /// # Errors
    /// `NotFound`: register again. `Unavailable` when the registry has stopped.
    pub fn heartbeat(&self, caller: &Caller, id: &str) -> Result<u32> {
        let id = parse(id)?;
        self.heard(caller, CheckKey::own(id))
    }

    /// Renews the lease of a check that an instance brought with it, in memory; its length in
    /// seconds. It says nothing of the check's status.
    ///
    /// # Errors
    /// `NotFound`: there is no such check. `Unavailable` when the registry has stopped.
    pub fn heartbeat_of(&self, caller: &Caller, id: InstanceId, check: &str) -> Result<u32> {
        self.heard(caller, CheckKey::of(id, check))
    }

    fn heard(&self, caller: &Caller, key: CheckKey) -> Result<u32> {
        if self.shared.ended.is_cancelled() {
            return Err(stopped());
        }
        let id = key.instance;
        if !caller.is_unlimited() {
            self.allow_beat(caller, id)?;
        }
        let lease = self.shared.leases.beat(caller.tenant(), key).ok_or_else(no_instance)?;
        let seconds = lease.seconds();
        self.tell_beat(caller, id);
        if lease.revives() {
            // No room: the keeper finds it when its deadline comes, or with the next heartbeat.
            drop(self.shared.revived.try_send(lease));
        }
        Ok(seconds)
    }

    /// Tells of a heartbeat, if anybody asked for those of the tenant.
    fn tell_beat(&self, caller: &Caller, id: InstanceId) {
        let Some(events) = self.shared.beats.get() else { return };
        events.beat(caller.tenant(), || {
            let state = self.shared.state.load();
            let instance = state.instance(caller.tenant(), id)?;
            let cause = Cause { time: self.shared.clock.now(), who: caller.user() };
            let rules = state.rules(caller.tenant(), &instance.key.service.group);
            let readers = rules.and_then(|group| group.readers());
            Some(EventRow { readers, ..cause.heard(instance) })
        });
    }

    /// Whether the caller may speak for the instance; one it may not read is not there.
    fn allow_beat(&self, caller: &Caller, id: InstanceId) -> Result<()> {
        let state = self.shared.state.load();
        let instance = state.instance(caller.tenant(), id).ok_or_else(no_instance)?;
        let group = &instance.key.service.group;
        self.need(caller, Action::Read, group).map_err(|_| no_instance())?;
        self.need(caller, Action::Write, group)
    }

    /// Renews many leases; how many there were, and which ids are unknown.
    ///
    /// # Errors
    /// `Unavailable` when the registry has stopped.
    pub fn heartbeats(&self, caller: &Caller, ids: &[String]) -> Result<(usize, Vec<String>)> {
        if self.shared.ended.is_cancelled() {
            return Err(stopped());
        }
        let unknown = ids.iter().filter(|id| self.heartbeat(caller, id).is_err());
        let unknown: Vec<_> = unknown.cloned().collect();
        Ok((ids.len() - unknown.len(), unknown))
    }

    /// Makes a service.
    ///
    /// # Errors
    /// `Conflict` when it exists; `NotFound` when its group does not and is not to be made;
    /// `Unavailable`.
    pub async fn create_service(
        &self,
        caller: &Caller,
        new: NewService,
    ) -> Result<Arc<NativeService>> {
        let caller = caller.clone();
        self.write(move |draft| draft.create_service(&caller, new)).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version moved on; `Unavailable`.
    pub async fn update_service(
        &self,
        caller: &Caller,
        key: &ServiceKey,
        patch: ServicePatch,
    ) -> Result<Arc<NativeService>> {
        let (caller, key) = (caller.clone(), key.clone());
        self.write(move |draft| draft.update_service(&caller, &key, patch)).await
    }

    /// Removes a service, with `force` its instances too.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has instances; `Unavailable`.
    pub async fn delete_service(
        &self,
        caller: &Caller,
        key: &ServiceKey,
        force: bool,
    ) -> Result<()> {
        let (caller, key) = (caller.clone(), key.clone());
        self.write(move |draft| draft.delete_service(&caller, &key, force)).await
    }

    /// Makes a group.
    ///
    /// # Errors
    /// `Conflict` when it exists; `Unavailable`.
    pub async fn create_group(&self, caller: &Caller, new: NewGroup) -> Result<Arc<NativeGroup>> {
        let caller = caller.clone();
        self.write(move |draft| draft.create_group(&caller, new)).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version moved on; `Unavailable`.
    pub async fn update_group(
        &self,
        caller: &Caller,
        name: &GroupName,
        patch: GroupPatch,
    ) -> Result<Arc<NativeGroup>> {
        let (caller, name) = (caller.clone(), name.clone());
        self.write(move |draft| draft.update_group(&caller, &name, patch)).await
    }

    /// Removes a group, with `force` its services and their instances too.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has services; `Unavailable`.
    pub async fn delete_group(&self, caller: &Caller, name: &GroupName, force: bool) -> Result<()> {
        let (caller, name) = (caller.clone(), name.clone());
        self.write(move |draft| draft.delete_group(&caller, &name, force)).await
    }

    /// Hands the work to the keeper and waits for its commit.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Draft) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (job, told) = job(work);
        self.jobs.send(job).await.map_err(|_| stopped())?;
        told.await.map_err(|_| stopped())?
    }
}

pub(super) fn parse(id: &str) -> Result<InstanceId> {
    id.parse().map_err(|_| no_instance())
}

pub(super) fn stopped() -> Error {
    Error::unavailable("the native registry has stopped")
}
