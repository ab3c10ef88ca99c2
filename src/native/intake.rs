//! Writing.

use std::sync::Arc;

use futures_util::future::join_all;
use hub_registry_core::{GroupName, HealthStatus, InstanceStatus, ServiceKey, TenantId};
use tokio::sync::oneshot;

use super::draft::Draft;
use super::keeper::{Ack, Job};
use super::plan::no_instance;
use super::start::Native;
use crate::error::{Error, Result};
use crate::model::group::{GroupPatch, NativeGroup, NewGroup};
use crate::model::instance::{InstancePatch, NativeInstance, Registration};
use crate::model::names::InstanceId;
use crate::model::service::{NativeService, NewService, ServicePatch};

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

/// Every method answers when its change is on disk and published. What fails with `Unavailable`
/// was not done, as far as readers of the hub can tell.
impl Native {
    /// Registers an instance, or updates the one of that address; either counts as a heartbeat.
    ///
    /// # Errors
    /// `Invalid`; `NotFound` when group or service is missing and is not to be made; `Unavailable`.
    pub async fn register(
        &self,
        tenant: &TenantId,
        registration: Registration,
        who: &str,
    ) -> Result<Registered> {
        let (tenant, who) = (tenant.clone(), who.to_owned());
        self.write(move |draft| draft.register(&tenant, registration, &who)).await
    }

    /// Registers each on its own account: one that is refused does not hinder the others.
    pub async fn register_batch(
        &self,
        tenant: &TenantId,
        registrations: Vec<Registration>,
        who: &str,
    ) -> Vec<Result<Registered>> {
        join_all(registrations.into_iter().map(|one| self.register(tenant, one, who))).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version moved on; `Unavailable`.
    pub async fn update(
        &self,
        tenant: &TenantId,
        id: &str,
        patch: InstancePatch,
        who: &str,
    ) -> Result<Arc<NativeInstance>> {
        let (tenant, id, who) = (tenant.clone(), parse(id)?, who.to_owned());
        self.write(move |draft| draft.update_instance(&tenant, id, patch, &who)).await
    }

    /// Sets what the instance says of itself.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn set_status(
        &self,
        tenant: &TenantId,
        id: &str,
        status: InstanceStatus,
        who: &str,
    ) -> Result<Arc<NativeInstance>> {
        let patch = InstancePatch { status: Some(status), ..InstancePatch::default() };
        self.update(tenant, id, patch, who).await
    }

    /// States the instance's health; an `UNHEALTHY` that was stated stays over heartbeats.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn set_health(
        &self,
        tenant: &TenantId,
        id: &str,
        health: HealthStatus,
        who: &str,
    ) -> Result<Arc<NativeInstance>> {
        let patch = InstancePatch { health: Some(health), ..InstancePatch::default() };
        self.update(tenant, id, patch, who).await
    }

    /// Removes an instance; its service stays.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn deregister(&self, tenant: &TenantId, id: &str) -> Result<()> {
        let (tenant, id) = (tenant.clone(), parse(id)?);
        self.write(move |draft| draft.deregister(&tenant, id)).await
    }

    /// Renews an instance's lease, in memory; the length of the lease in seconds.
    ///
    /// # Errors
    /// `NotFound`: register again. `Unavailable` when the registry has stopped.
    pub fn heartbeat(&self, tenant: &TenantId, id: &str) -> Result<u32> {
        if self.shared.ended.is_cancelled() {
            return Err(stopped());
        }
        let lease = self.shared.leases.beat(tenant, parse(id)?).ok_or_else(no_instance)?;
        let seconds = lease.seconds();
        if lease.revives() {
            // No room: the keeper finds it when its deadline comes, or with the next heartbeat.
            drop(self.shared.revived.try_send(lease));
        }
        Ok(seconds)
    }

    /// Renews many leases; how many there were, and which ids are unknown.
    ///
    /// # Errors
    /// `Unavailable` when the registry has stopped.
    pub fn heartbeats(&self, tenant: &TenantId, ids: &[String]) -> Result<(usize, Vec<String>)> {
        if self.shared.ended.is_cancelled() {
            return Err(stopped());
        }
        let unknown = ids.iter().filter(|id| self.heartbeat(tenant, id).is_err());
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
        tenant: &TenantId,
        new: NewService,
        who: &str,
    ) -> Result<Arc<NativeService>> {
        let (tenant, who) = (tenant.clone(), who.to_owned());
        self.write(move |draft| draft.create_service(&tenant, new, &who)).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version moved on; `Unavailable`.
    pub async fn update_service(
        &self,
        tenant: &TenantId,
        key: &ServiceKey,
        patch: ServicePatch,
        who: &str,
    ) -> Result<Arc<NativeService>> {
        let (tenant, key, who) = (tenant.clone(), key.clone(), who.to_owned());
        self.write(move |draft| draft.update_service(&tenant, &key, patch, &who)).await
    }

    /// Removes a service, with `force` its instances too.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has instances; `Unavailable`.
    pub async fn delete_service(
        &self,
        tenant: &TenantId,
        key: &ServiceKey,
        force: bool,
    ) -> Result<()> {
        let (tenant, key) = (tenant.clone(), key.clone());
        self.write(move |draft| draft.delete_service(&tenant, &key, force)).await
    }

    /// Makes a group.
    ///
    /// # Errors
    /// `Conflict` when it exists; `Unavailable`.
    pub async fn create_group(
        &self,
        tenant: &TenantId,
        new: NewGroup,
        who: &str,
    ) -> Result<Arc<NativeGroup>> {
        let (tenant, who) = (tenant.clone(), who.to_owned());
        self.write(move |draft| draft.create_group(&tenant, new, &who)).await
    }

    /// Changes what the patch names.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the version moved on; `Unavailable`.
    pub async fn update_group(
        &self,
        tenant: &TenantId,
        name: &GroupName,
        patch: GroupPatch,
        who: &str,
    ) -> Result<Arc<NativeGroup>> {
        let (tenant, name, who) = (tenant.clone(), name.clone(), who.to_owned());
        self.write(move |draft| draft.update_group(&tenant, &name, patch, &who)).await
    }

    /// Removes a group, with `force` its services and their instances too.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it has services; `Unavailable`.
    pub async fn delete_group(
        &self,
        tenant: &TenantId,
        name: &GroupName,
        force: bool,
    ) -> Result<()> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.write(move |draft| draft.delete_group(&tenant, &name, force)).await
    }

    /// Hands the work to the keeper and waits for its commit.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Draft) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        let job = Job(Box::new(move |draft: &mut Draft| -> Ack {
            // A caller that has gone away is not served: nothing was done for it yet.
            if tell.is_closed() {
                return Box::new(|_| ());
            }
            let outcome = draft.attempt(work);
            Box::new(move |error| {
                let outcome = error.map_or(outcome, |error| Err(error.clone()));
                // Fails when the caller went away meanwhile.
                drop(tell.send(outcome));
            })
        }));
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
