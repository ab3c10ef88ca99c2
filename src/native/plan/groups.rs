//! Groups.

use std::sync::Arc;

use hub_registry_core::GroupName;

use super::{closed, expect};
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::group::{GroupPatch, NativeGroup, NewGroup};
use crate::native::draft::Draft;

impl Draft {
    /// The group, made with defaults where that is allowed.
    pub(super) fn need_group(
        &mut self,
        caller: &Caller,
        name: &GroupName,
    ) -> Result<Arc<NativeGroup>> {
        if let Some(group) = self.next.group(caller.tenant(), name) {
            return Ok(Arc::clone(group));
        }
        self.not_closed(caller, name)?;
        if !self.settings.auto_create {
            return Err(no_group(name));
        }
        let audit = Audit::new(self.now, caller.user());
        Ok(self.put_group(NativeGroup::new(caller.tenant().clone(), name.clone(), audit)))
    }

    fn not_closed(&self, caller: &Caller, name: &GroupName) -> Result<()> {
        match self.next.is_group_closed(caller.tenant(), name) {
            true => Err(closed("group", name.as_str())),
            false => Ok(()),
        }
    }

    pub(in crate::native) fn create_group(
        &mut self,
        caller: &Caller,
        new: NewGroup,
    ) -> Result<Arc<NativeGroup>> {
        self.allow(caller, Action::Write, &new.name)?;
        if new.name == GroupName::default_group() {
            // Everybody registers there who names no group.
            caller.need(Action::Operate)?;
        }
        self.not_closed(caller, &new.name)?;
        if self.next.group(caller.tenant(), &new.name).is_some() {
            return Err(Error::conflict(format!("group {} exists", new.name)));
        }
        let audit = Audit::new(self.now, caller.user());
        let mut group = NativeGroup::new(caller.tenant().clone(), new.name, audit);
        new.fields.apply(&mut group);
        if group.owner_user_id.is_none() && !caller.is_unlimited() {
            // Else who made it could not change it.
            group.owner_user_id = Some(caller.user().to_owned());
        }
        Ok(self.put_group(group))
    }

    pub(in crate::native) fn update_group(
        &mut self,
        caller: &Caller,
        name: &GroupName,
        patch: GroupPatch,
    ) -> Result<Arc<NativeGroup>> {
        let before =
            Arc::clone(self.next.group(caller.tenant(), name).ok_or_else(|| no_group(name))?);
        self.allow(caller, Action::Manage, name)?;
        expect(&before.audit, patch.version)?;
        let mut group = NativeGroup::clone(&before);
        patch.apply(&mut group);
        if group == *before {
            return Ok(before);
        }
        group.audit.touch(self.now, caller.user());
        Ok(self.put_group(group))
    }

    pub(in crate::native) fn delete_group(
        &mut self,
        caller: &Caller,
        name: &GroupName,
        force: bool,
    ) -> Result<()> {
        self.next.group(caller.tenant(), name).ok_or_else(|| no_group(name))?;
        self.allow(caller, Action::Manage, name)?;
        self.allow(caller, Action::Write, name)?;
        let services = self.next.tenant(caller.tenant()).map(|tenant| {
            tenant.services.keys().filter(|key| key.group == *name).cloned().collect::<Vec<_>>()
        });
        let services = services.unwrap_or_default();
        if !services.is_empty() && !force {
            let message = format!("group {name} has {} services", services.len());
            return Err(Error::conflict(message));
        }
        for key in &services {
            self.delete_service(caller, key, force)?;
        }
        self.remove_group(caller.tenant(), name, caller.user());
        Ok(())
    }
}

pub(in crate::native) fn no_group(name: &GroupName) -> Error {
    Error::not_found(format!("no group {name}"))
}
