//! Services.

use std::sync::Arc;

use hub_registry_core::{Protocol, ServiceKey};

use super::{closed, expect};
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::service::{NativeService, NewService, ServicePatch};
use crate::native::draft::Draft;

impl Draft {
    /// The service, made with its group's defaults where that is allowed.
    pub(super) fn need_service(
        &mut self,
        caller: &Caller,
        key: &ServiceKey,
        protocol: Option<Protocol>,
    ) -> Result<Arc<NativeService>> {
        if let Some(entry) = self.next.service(caller.tenant(), key) {
            return Ok(Arc::clone(&entry.service));
        }
        if self.next.is_service_closed(caller.tenant(), key) {
            return Err(closed("service", key.name.as_str()));
        }
        if !self.settings.auto_create {
            return Err(no_service(key));
        }
        let group = self.need_group(caller, &key.group)?;
        let mut service =
            NativeService::new(key.clone(), &group, Audit::new(self.now, caller.user()));
        service.protocol = protocol.unwrap_or(service.protocol);
        Ok(self.put_service(service))
    }

    pub(in crate::native) fn create_service(
        &mut self,
        caller: &Caller,
        new: NewService,
    ) -> Result<Arc<NativeService>> {
        self.allow(caller, Action::Write, &new.key.group)?;
        if self.next.service(caller.tenant(), &new.key).is_some() {
            return Err(Error::conflict(format!("service {} exists", new.key)));
        }
        if self.next.is_service_closed(caller.tenant(), &new.key) {
            return Err(closed("service", new.key.name.as_str()));
        }
        let group = self.need_group(caller, &new.key.group)?;
        let mut service = NativeService::new(new.key, &group, Audit::new(self.now, caller.user()));
        new.fields.apply(&mut service);
        Ok(self.put_service(service))
    }

    pub(in crate::native) fn update_service(
        &mut self,
        caller: &Caller,
        key: &ServiceKey,
        patch: ServicePatch,
    ) -> Result<Arc<NativeService>> {
        self.allow(caller, Action::Write, &key.group)?;
        let entry = self.next.service(caller.tenant(), key).ok_or_else(|| no_service(key))?;
        let before = Arc::clone(&entry.service);
        expect(&before.audit, patch.version)?;
        let mut service = NativeService::clone(&before);
        patch.apply(&mut service);
        if service == *before {
            return Ok(before);
        }
        service.audit.touch(self.now, caller.user());
        Ok(self.put_service(service))
    }

    pub(in crate::native) fn delete_service(
        &mut self,
        caller: &Caller,
        key: &ServiceKey,
        force: bool,
    ) -> Result<()> {
        self.allow(caller, Action::Write, &key.group)?;
        let entry = self.next.service(caller.tenant(), key).ok_or_else(|| no_service(key))?;
        let instances: Vec<_> = entry.instances().cloned().collect();
        if !instances.is_empty() && !force {
            let message = format!("service {key} has {} instances", instances.len());
            return Err(Error::conflict(message));
        }
        for instance in &instances {
            self.remove_instance(instance, caller.user(), None);
        }
        self.remove_service(caller.tenant(), key, caller.user());
        Ok(())
    }
}

pub(in crate::native) fn no_service(key: &ServiceKey) -> Error {
    Error::not_found(format!("no service {key}"))
}
