//! Instances.

use std::sync::Arc;

use hub_registry_core::{HealthStatus, InstanceStatus, carry};

use super::expect;
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::instance::{InstancePatch, NativeInstance, Registration};
use crate::model::labels::Metadata;
use crate::model::names::InstanceId;
use crate::model::words::Flag;
use crate::native::draft::Draft;
use crate::native::intake::Registered;

impl Draft {
    /// Registers an instance, or updates the one of that address: then what the registration
    /// leaves out stays. Either counts as a heartbeat.
    pub(in crate::native) fn register(
        &mut self,
        caller: &Caller,
        mut registration: Registration,
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
                let service = self.need_service(caller, key, protocol)?;
                // All instances share the text of its name, and are found the faster for it.
                registration.key.service = service.key.clone();
                self.new_instance(caller, id, registration)
            }
        };
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

    fn new_instance(&self, caller: &Caller, id: InstanceId, said: Registration) -> NativeInstance {
        let now = self.now;
        let check = said.check.unwrap_or_default();
        let mut audit = Audit::new(now, caller.user());
        (audit.note_text, audit.ext_property) = (said.note_text, said.ext_property);
        let mut instance = NativeInstance {
            id,
            tenant: caller.tenant().clone(),
            key: said.key,
            context_path: said.context_path,
            status: said.status.unwrap_or(InstanceStatus::Up),
            health: HealthStatus::Unknown,
            weight: said.weight.unwrap_or_default(),
            client_id: said.client_id,
            client_version: said.client_version,
            client_type: said.client_type.unwrap_or_default(),
            metadata: said.metadata.unwrap_or_default(),
            tags: said.tags.unwrap_or_default(),
            register_time: now,
            last_heartbeat: Some(now),
            last_health_check: None,
            check,
            lease_seconds: said.lease_seconds.unwrap_or(self.settings.lease_seconds),
            ephemeral: said.ephemeral.unwrap_or(Flag::Yes),
            audit,
        };
        self.state_health(&mut instance, said.health);
        instance
    }

    fn renewed(
        &self,
        before: &NativeInstance,
        said: Registration,
        caller: &Caller,
    ) -> NativeInstance {
        let mut instance = before.clone();
        let audit = &mut instance.audit;
        audit.note_text = said.note_text.or_else(|| audit.note_text.take());
        audit.ext_property = said.ext_property.or_else(|| audit.ext_property.take());
        instance.context_path = said.context_path.or(instance.context_path);
        instance.status = said.status.unwrap_or(instance.status);
        instance.weight = said.weight.unwrap_or(instance.weight);
        instance.client_id = said.client_id.or(instance.client_id);
        instance.client_version = said.client_version.or(instance.client_version);
        instance.client_type = said.client_type.unwrap_or(instance.client_type);
        instance.metadata = said.metadata.unwrap_or(instance.metadata);
        instance.tags = said.tags.unwrap_or(instance.tags);
        instance.check = said.check.unwrap_or(instance.check);
        instance.lease_seconds = said.lease_seconds.unwrap_or(instance.lease_seconds);
        instance.ephemeral = said.ephemeral.unwrap_or(instance.ephemeral);
        self.state_health(&mut instance, said.health);
        if instance != *before {
            instance.audit.touch(self.now, caller.user());
        }
        instance
    }

    /// The health after registering (docs/decisions/0002): what was said; else, registering being
    /// a heartbeat, healthy where heartbeats have the say; else as it was.
    fn state_health(&self, instance: &mut NativeInstance, said: Option<HealthStatus>) {
        let follows = instance.has_lease();
        match said {
            Some(HealthStatus::Healthy) | None if follows => {
                instance.health = HealthStatus::Healthy;
                instance.last_health_check = None;
            }
            Some(health) => {
                // Said again, it is no news: the same registration must stay without a write.
                if instance.health != health || instance.last_health_check.is_none() {
                    instance.last_health_check = Some(self.now);
                }
                instance.health = health;
            }
            None => {}
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
        instance.weight = patch.weight.unwrap_or(instance.weight);
        instance.status = patch.status.unwrap_or(instance.status);
        instance.metadata = patch.metadata.unwrap_or(instance.metadata);
        instance.tags = patch.tags.unwrap_or(instance.tags);
        instance.context_path = patch.context_path.unwrap_or(instance.context_path);
        let audit = &mut instance.audit;
        audit.note_text = patch.note_text.unwrap_or_else(|| audit.note_text.take());
        audit.ext_property = patch.ext_property.unwrap_or_else(|| audit.ext_property.take());
        if let Some(health) = patch.health {
            instance.health = health;
            instance.last_health_check = Some(self.now);
        }
        if instance == *before {
            return Ok(before);
        }
        instance.audit.touch(self.now, caller.user());
        instance.last_heartbeat = self.heard(&instance);
        self.put_instance(instance, false);
        let written = self.next.instance(caller.tenant(), id).ok_or_else(no_instance)?;
        Ok(Arc::clone(written))
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
    fn heard(&self, instance: &NativeInstance) -> Option<chrono::DateTime<chrono::Utc>> {
        self.leases.heard_at(instance, self.now)
    }

    pub(in crate::native) fn deregister(&mut self, caller: &Caller, id: InstanceId) -> Result<()> {
        let instance = self.writable(caller, id)?;
        self.remove_instance(&instance, caller.user(), None);
        Ok(())
    }
}

pub(in crate::native) fn no_instance() -> Error {
    Error::not_found("no such instance")
}
