//! Instances.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{HealthStatus, Instance, InstanceStatus, TenantId, carry};

use super::expect;
use crate::access::{Action, Caller, HUB};
use crate::error::{Error, ErrorCode, Result};
use crate::model::audit::Audit;
use crate::model::instance::{InstancePatch, NativeInstance, Registration, in_maintenance};
use crate::model::labels::Metadata;
use crate::model::names::InstanceId;
use crate::model::service::set;
use crate::model::terms;
use crate::model::words::{Flag, HealthCheckType};
use crate::native::draft::Draft;
use crate::native::intake::{Known, Registered};

/// The rules of an instance with checks of its own.
const NO_CHECKS: &str = "CHECKS goes with checks, which clients register by Consul's API";
const FOLLOWS: &str = "follows from the checks of the instance (healthCheckType CHECKS)";

impl Draft {
    /// Registers an instance, or updates the one of that address: then what the registration
    /// leaves out stays. Either counts as a heartbeat.
    pub(in crate::native) fn register(
        &mut self,
        caller: &Caller,
        registration: Registration,
    ) -> Result<Registered> {
        registration.check()?;
        self.allow(caller, Action::Write, &registration.key.service.group)?;
        let tenant = caller.tenant();
        let id = InstanceId::of(tenant, &registration.key);
        let owner = |metadata: &Metadata| metadata.contains_key(carry::OWNER);
        let is_copy = registration.metadata.as_ref().is_some_and(owner);
        // A client of its own takes nothing over from a copy that was there for it: neither that
        // it has no lease, nor whose it is.
        let before = self.next.instance(tenant, id).cloned();
        let before = before.filter(|before| is_copy || !owner(&before.metadata));
        let instance = match &before {
            Some(before) => self.renewed(before, registration, caller),
            None => {
                let (key, protocol) = (&registration.key.service, registration.protocol);
                self.need_service(caller, key, protocol)?;
                let mut instance = self.new_instance(caller, id, registration);
                self.next.share(&mut instance);
                instance
            }
        };
        if instance.check == HealthCheckType::Checks && !instance.native.contains_key(terms::CHECKS)
        {
            return Err(Error::invalid("healthCheckType", instance.check.as_str(), NO_CHECKS));
        }
        let lease_seconds = instance.lease_seconds;
        let registered = Registered { instance_id: id, created: before.is_none(), lease_seconds };
        // A client that registers again and again instead of beating costs no write.
        if before.is_some_and(|before| *before == instance) {
            self.touch(tenant, id, true);
        } else {
            self.put_instance(NativeInstance { last_heartbeat: Some(self.now), ..instance }, true);
        }
        Ok(registered)
    }

    /// Registers what follows from other instances of the tenant, as they are then.
    pub(in crate::native) fn register_with(
        &mut self,
        caller: &Caller,
        registration: impl FnOnce(&Known<'_>) -> Result<Registration>,
    ) -> Result<Registered> {
        let new = registration(&|id| self.next.instance(caller.tenant(), id).map(AsRef::as_ref))?;
        self.register(caller, new)
    }

    fn new_instance(&self, caller: &Caller, id: InstanceId, new: Registration) -> NativeInstance {
        let now = self.now;
        let mut audit = Audit::new(now, caller.user());
        audit.note(|notes| {
            (notes.note_text, notes.ext_property) = (new.note_text, new.ext_property);
        });
        let check = new.check.unwrap_or_default();
        let (health, stated) = self.health_said(check, (HealthStatus::Unknown, None), new.health);
        let said = Instance {
            context_path: new.context_path.filter(|path| !path.is_empty()),
            status: new.status.unwrap_or(InstanceStatus::Up),
            health,
            weight: new.weight.unwrap_or_default(),
            metadata: new.metadata.unwrap_or_default(),
            tags: new.tags.unwrap_or_default().into(),
            native: new.native.unwrap_or_default(),
            ..NativeInstance::unsaid(id, new.key, now)
        };
        let mut instance = NativeInstance {
            id,
            tenant: caller.tenant().clone(),
            said: Arc::new(said),
            client_id: new.client_id.map(Into::into),
            client_version: new.client_version.map(Into::into),
            client_type: new.client_type.unwrap_or_default(),
            last_heartbeat: Some(now),
            last_health_check: stated,
            check,
            brought: None,
            lease_seconds: new.lease_seconds.unwrap_or(self.settings.lease_seconds),
            ephemeral: new.ephemeral.unwrap_or(Flag::Yes),
            audit,
        };
        instance.settle();
        instance
    }

    fn renewed(
        &self,
        before: &NativeInstance,
        new: Registration,
        caller: &Caller,
    ) -> NativeInstance {
        let mut instance = before.clone();
        // Another one's maintenance, which ends with it.
        let ends = before.is_in_maintenance()
            && new.native.as_ref().is_some_and(|native| !in_maintenance(native));
        let status = new.status.or_else(|| ends.then_some(InstanceStatus::Up));
        instance.audit.note(|notes| {
            notes.note_text = new.note_text.or_else(|| notes.note_text.take());
            notes.ext_property = new.ext_property.or_else(|| notes.ext_property.take());
        });
        instance.client_id = new.client_id.map(Into::into).or(instance.client_id);
        instance.client_version = new.client_version.map(Into::into).or(instance.client_version);
        instance.client_type = new.client_type.unwrap_or(instance.client_type);
        instance.check = new.check.unwrap_or(instance.check);
        instance.lease_seconds = new.lease_seconds.unwrap_or(instance.lease_seconds);
        instance.ephemeral = new.ephemeral.unwrap_or(instance.ephemeral);
        let known = (before.health, before.last_health_check);
        let (health, stated) = self.health_said(instance.check, known, new.health);
        instance.last_health_check = stated;
        instance.say(|said| {
            // One that is empty is none, and one that is not said stays.
            let path = new.context_path.or_else(|| said.context_path.take());
            said.context_path = path.filter(|path| !path.is_empty());
            said.health = health;
            set(&mut said.status, status);
            set(&mut said.weight, new.weight);
            set(&mut said.metadata, new.metadata);
            set(&mut said.tags, new.tags.map(Into::into));
            // Whoever registers it now is not on that connection, unless it says so.
            said.native.remove(terms::CONNECTION);
            set(&mut said.native, new.native);
        });
        instance.settle();
        if instance != *before {
            instance.audit.touch(self.now, caller.user());
        }
        instance
    }

    /// The health after registering (docs/decisions/0002), and when it was stated: what was said;
    /// else, registering being a heartbeat, healthy where heartbeats have the say; else as it was.
    fn health_said(
        &self,
        check: HealthCheckType,
        (known, stated): (HealthStatus, Option<DateTime<Utc>>),
        said: Option<HealthStatus>,
    ) -> (HealthStatus, Option<DateTime<Utc>>) {
        match said {
            Some(HealthStatus::Healthy) | None if check == HealthCheckType::Heartbeat => {
                (HealthStatus::Healthy, None)
            }
            // Said again, it is no news: the same registration must stay without a write.
            Some(health) if health == known && stated.is_some() => (health, stated),
            Some(health) => (health, Some(self.now)),
            None => (known, stated),
        }
    }

    pub(in crate::native) fn update_instance(
        &mut self,
        caller: &Caller,
        id: InstanceId,
        patch: InstancePatch,
    ) -> Result<Arc<NativeInstance>> {
        let before = self.writable(caller, id)?;
        expect(&before.audit, patch.version)?;
        let mut instance = NativeInstance::clone(&before);
        instance.say(|said| {
            set(&mut said.weight, patch.weight);
            set(&mut said.status, patch.status);
            set(&mut said.health, patch.health);
            set(&mut said.metadata, patch.metadata);
            set(&mut said.tags, patch.tags.map(Into::into));
            set(&mut said.context_path, patch.context_path);
            match (patch.native, patch.status) {
                (Some(native), _) => said.native = native,
                (None, Some(status)) if status != before.status => {
                    terms::told(&mut said.native, status);
                }
                (None, _) => {}
            }
        });
        instance.audit.note(|notes| {
            set(&mut notes.note_text, patch.note_text);
            set(&mut notes.ext_property, patch.ext_property);
        });
        set(&mut instance.check, patch.check);
        if let Some(health) = patch.health {
            if instance.check == HealthCheckType::Checks {
                return Err(Error::invalid("healthStatus", health.as_str(), FOLLOWS));
            }
            instance.last_health_check = Some(self.now);
        }
        instance.settle();
        if instance == *before {
            return Ok(before);
        }
        instance.audit.touch(self.now, caller.user());
        instance.last_heartbeat = self.heard(&instance);
        self.put_instance(instance, false);
        let written = self.next.instance(caller.tenant(), id).ok_or_else(no_instance)?;
        Ok(Arc::clone(written))
    }

    /// Changes what is found to be changed in the instance as it is then.
    pub(in crate::native) fn update_with(
        &mut self,
        caller: &Caller,
        id: InstanceId,
        change: impl FnOnce(&NativeInstance) -> Result<InstancePatch>,
    ) -> Result<Arc<NativeInstance>> {
        let patch = change(&*self.writable(caller, id)?)?;
        self.update_instance(caller, id, patch)
    }

    /// The instance, if the caller may change it. One it may not even see is not there.
    fn writable(&self, caller: &Caller, id: InstanceId) -> Result<Arc<NativeInstance>> {
        let instance = self.next.instance(caller.tenant(), id).ok_or_else(no_instance)?;
        let group = &instance.key.service.group;
        self.allow(caller, Action::Read, group).map_err(|_| no_instance())?;
        self.allow(caller, Action::Write, group)?;
        Ok(Arc::clone(instance))
    }

    /// The last heartbeat: the row written must not be older than what a flush wrote before.
    fn heard(&self, instance: &NativeInstance) -> Option<DateTime<Utc>> {
        self.leases.heard_at(instance, self.now)
    }

    pub(in crate::native) fn deregister(&mut self, caller: &Caller, id: InstanceId) -> Result<()> {
        let instance = self.writable(caller, id)?;
        self.remove_instance(&instance, caller.user(), None);
        Ok(())
    }

    pub(in crate::native) fn deregister_if(
        &mut self,
        caller: &Caller,
        id: InstanceId,
        still: impl FnOnce(&NativeInstance) -> bool,
    ) -> Result<bool> {
        let instance = match self.writable(caller, id) {
            Err(error) if error.code == ErrorCode::NotFound => return Ok(false),
            found => found?,
        };
        let removes = still(&instance);
        if removes {
            self.remove_instance(&instance, caller.user(), None);
        }
        Ok(removes)
    }

    /// Removes an instance that nobody asked to remove, unless it was heard of meanwhile.
    pub(in crate::native) fn remove_if(
        &mut self,
        tenant: &TenantId,
        id: InstanceId,
        still: impl FnOnce(&NativeInstance) -> bool,
        why: String,
    ) -> bool {
        let found = self.next.instance(tenant, id).cloned();
        let Some(instance) = found.filter(|found| !self.hears(id) && still(found)) else {
            return false;
        };
        self.remove_instance(&instance, HUB, Some(why));
        true
    }
}

pub(in crate::native) fn no_instance() -> Error {
    Error::not_found("no such instance")
}
