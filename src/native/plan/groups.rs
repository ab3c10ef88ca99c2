//! Groups.

use std::sync::Arc;

use hub_registry_core::{GroupName, TenantId};

use super::expect;
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::group::{GroupPatch, NativeGroup, NewGroup};
use crate::native::draft::Draft;

impl Draft {
    /// The group, made with defaults where that is allowed.
    pub(super) fn need_group(
        &mut self,
        tenant: &TenantId,
        name: &GroupName,
        who: &str,
    ) -> Result<Arc<NativeGroup>> {
        if let Some(group) = self.next.group(tenant, name) {
            return Ok(Arc::clone(group));
        }
        if !self.settings.auto_create {
            return Err(no_group(name));
        }
        let audit = Audit::new(self.now, who);
        Ok(self.put_group(NativeGroup::new(tenant.clone(), name.clone(), audit)))
    }

    pub(in crate::native) fn create_group(
        &mut self,
        tenant: &TenantId,
        new: NewGroup,
        who: &str,
    ) -> Result<Arc<NativeGroup>> {
        if self.next.group(tenant, &new.name).is_some() {
            return Err(Error::conflict(format!("group {} exists", new.name)));
        }
        let audit = Audit::new(self.now, who);
        let mut group = NativeGroup::new(tenant.clone(), new.name, audit);
        new.fields.apply(&mut group);
        Ok(self.put_group(group))
    }

    pub(in crate::native) fn update_group(
        &mut self,
        tenant: &TenantId,
        name: &GroupName,
        patch: GroupPatch,
        who: &str,
    ) -> Result<Arc<NativeGroup>> {
        let before = Arc::clone(self.next.group(tenant, name).ok_or_else(|| no_group(name))?);
        expect(&before.audit, patch.version)?;
        let mut group = NativeGroup::clone(&before);
        patch.apply(&mut group);
        if group == *before {
            return Ok(before);
        }
        group.audit.touch(self.now, who);
        Ok(self.put_group(group))
    }

    pub(in crate::native) fn delete_group(
        &mut self,
        tenant: &TenantId,
        name: &GroupName,
        force: bool,
    ) -> Result<()> {
        self.next.group(tenant, name).ok_or_else(|| no_group(name))?;
        let services = self.next.tenant(tenant).map(|tenant| {
            tenant.services.keys().filter(|key| key.group == *name).cloned().collect::<Vec<_>>()
        });
        let services = services.unwrap_or_default();
        if !services.is_empty() && !force {
            let message = format!("group {name} has {} services", services.len());
            return Err(Error::conflict(message));
        }
        for key in &services {
            self.delete_service(tenant, key, force)?;
        }
        self.remove_group(tenant, name);
        Ok(())
    }
}

pub(in crate::native) fn no_group(name: &GroupName) -> Error {
    Error::not_found(format!("no group {name}"))
}
