//! Roles, and which actions each allows.

use hub_registry_core::words;

/// What a request wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Look.
    Read,
    /// Look at the server as a whole, all tenants together.
    Observe,
    /// Register, change and remove instances and services.
    Write,
    /// Change or remove a group, and with it who may read and write it.
    Manage,
    /// Run the external registries of a tenant.
    Operate,
    /// Make and revoke tokens.
    Administer,
    /// Change the server as a whole, all tenants together.
    Maintain,
}

impl Action {
    /// The word for error messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Observe => "observe",
            Self::Write => "write",
            Self::Manage => "manage",
            Self::Operate => "operate",
            Self::Administer => "administer",
            Self::Maintain => "maintain",
        }
    }

    /// Whether it is about the server as a whole, and so for nobody who has some tenants only.
    #[must_use]
    pub const fn concerns_all_tenants(self) -> bool {
        matches!(self, Self::Observe | Self::Maintain)
    }
}

words!(
    /// What a credential is for. Each role may do what the ones below it may.
    Role {
        /// Everything, whatever the lists of a group say.
        Admin = "admin",
        /// External registries too.
        Operator = "operator",
        /// Register, change, remove.
        Writer = "writer",
        /// Look.
        #[default]
        Reader = "reader",
    }
);

impl Role {
    /// Whether the role allows the action somewhere; which groups is another question. A writer
    /// manages the groups it owns.
    #[must_use]
    pub const fn allows(self, action: Action) -> bool {
        match self {
            Self::Admin => true,
            Self::Operator => !matches!(action, Action::Administer | Action::Maintain),
            Self::Writer => {
                !matches!(action, Action::Operate | Action::Administer | Action::Maintain)
            }
            Self::Reader => matches!(action, Action::Read | Action::Observe),
        }
    }
}
