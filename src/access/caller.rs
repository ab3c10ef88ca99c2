//! One caller's rights.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use hub_registry_core::{GroupName, TenantId};
use serde_json::json;

use super::credential::Tenants;
use super::role::{Action, Role};
use crate::error::{Error, ErrorCode, Result};
use crate::model::group::NativeGroup;

/// What a credential grants in the caller's tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its role.
    pub role: Role,
    /// The groups it is for; `None`: all of them.
    pub groups: Option<BTreeSet<GroupName>>,
    /// The tenants it is for; the caller's is one of them.
    pub tenants: Tenants,
}

#[derive(Clone, Debug)]
enum Rights {
    /// Security is off, or it is the hub itself.
    Unlimited,
    Granted(Arc<Grant>),
}

/// Who asks, for whose data, and what they may do with it.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: TenantId,
    user: Arc<str>,
    rights: Rights,
}

/// Changes the hub makes by itself are signed with this, and so are those of nobody in particular.
pub const HUB: &str = "system";

static SHARED_HUB: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(HUB));

impl Caller {
    /// Anybody, where security is off: every right, and the lists of groups do not count.
    #[must_use]
    pub fn unlimited(tenant: TenantId, user: &str) -> Self {
        let user = if user == HUB { Arc::clone(&SHARED_HUB) } else { Arc::from(user) };
        Self { tenant, user, rights: Rights::Unlimited }
    }

    /// The hub itself, on behalf of a tenant.
    #[must_use]
    pub fn hub(tenant: TenantId) -> Self {
        Self { tenant, user: Arc::clone(&SHARED_HUB), rights: Rights::Unlimited }
    }

    /// The holder of a credential.
    #[must_use]
    pub fn granted(tenant: TenantId, user: Arc<str>, grant: Arc<Grant>) -> Self {
        Self { tenant, user, rights: Rights::Granted(grant) }
    }

    /// Whose data.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who it is.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The tenants the caller could have asked for.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        match &self.rights {
            Rights::Unlimited => &Tenants::All,
            Rights::Granted(grant) => &grant.tenants,
        }
    }

    /// Whether nothing is forbidden, so that nobody needs to ask.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        matches!(self.rights, Rights::Unlimited)
    }

    /// Whether this is the same user, with the same rights to the same data.
    #[must_use]
    pub fn has_rights_of(&self, other: &Self) -> bool {
        let same = match (&self.rights, &other.rights) {
            (Rights::Unlimited, Rights::Unlimited) => true,
            (Rights::Granted(own), Rights::Granted(others)) => own == others,
            _ => false,
        };
        same && self.tenant == other.tenant && self.user == other.user
    }

    /// Whether the role allows the action in some group.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn need(&self, action: Action) -> Result<()> {
        let Rights::Granted(grant) = &self.rights else { return Ok(()) };
        // What is not about groups is for those who have them all.
        let beyond_groups = !matches!(action, Action::Read | Action::Write | Action::Manage);
        let reaches = (grant.groups.is_none() || !beyond_groups)
            && (grant.tenants == Tenants::All || !action.concerns_all_tenants());
        if grant.role.allows(action) && reaches {
            return Ok(());
        }
        Err(forbidden(action, json!({ "role": grant.role, "action": action.as_str() })))
    }

    /// Whether the caller may do this in the group. `settings`: the group as the native registry
    /// has it, if it does; its lists hold for everything of that name.
    #[must_use]
    pub fn may(&self, action: Action, name: &GroupName, settings: Option<&NativeGroup>) -> bool {
        let Rights::Granted(grant) = &self.rights else { return true };
        let in_scope = grant.groups.as_ref().is_none_or(|groups| groups.contains(name));
        in_scope && grant.role.allows(action) && self.is_let_in(action, grant.role, settings)
    }

    fn is_let_in(&self, action: Action, role: Role, settings: Option<&NativeGroup>) -> bool {
        if role == Role::Admin {
            return true;
        }
        let Some(group) = settings else { return true };
        let runs_it = group.is_run_by(&self.user);
        match (action, group.access_control.is_yes()) {
            // Else any writer could give itself a group.
            (Action::Manage, controlled) => runs_it || (!controlled && role == Role::Operator),
            (_, false) => true,
            (Action::Read, true) => runs_it || group.is_read_by(&self.user),
            (_, true) => runs_it,
        }
    }

    /// [`may`](Self::may), as an error that says who may not do what where.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn need_in(
        &self,
        action: Action,
        name: &GroupName,
        settings: Option<&NativeGroup>,
    ) -> Result<()> {
        if self.may(action, name, settings) {
            return Ok(());
        }
        let details = json!({ "groupName": name, "action": action.as_str(), "user": self.user() });
        Err(forbidden(action, details))
    }
}

fn forbidden(action: Action, details: serde_json::Value) -> Error {
    let message = format!("this credential does not allow to {} here", action.as_str());
    Error::new(ErrorCode::Forbidden, message).with_details(details)
}
