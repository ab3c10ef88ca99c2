//! What happened to a tenant's view at one revision, as it is told.

use hub_registry_core::TenantId;

use crate::model::print::Print;
use crate::storage::EventRow;

/// What the native registry tells of what it did for one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The events, in their order; without revision, their places those of this list.
    pub rows: Vec<EventRow>,
    /// They are on disk already, with this mark.
    pub mark: Option<String>,
}

/// What is on disk of a change set before it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnDisk {
    /// Nothing.
    Nothing,
    /// So many of the first of its events, with this mark, to be numbered.
    First(usize, String),
    /// Others, with this mark, that it takes the place of.
    Others(String),
}

/// What a tenant's view and the native registry hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prints {
    /// The view.
    pub view: Print,
    /// The native registry's part, as if there were no others.
    pub native: Print,
}

impl Prints {
    /// What the view holds that is not just the native registry's: what registries told, and what
    /// is waited for.
    #[must_use]
    pub fn beyond_native(self) -> Print {
        self.view - self.native
    }
}

/// All that is told of one revision of a tenant's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeSet {
    /// The tenant.
    pub tenant: TenantId,
    /// The revision.
    pub revision: i64,
    /// The events, each with its revision and its place in it.
    pub rows: Vec<EventRow>,
    /// What is on disk of it.
    pub on_disk: OnDisk,
    /// What there was after it.
    pub prints: Prints,
    /// Changes of this revision or before were lost: whoever follows must begin anew.
    pub gap: bool,
}

/// A tenant's view as a start found it, before anything new happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The tenant.
    pub tenant: TenantId,
    /// Its revision.
    pub revision: i64,
    /// What it holds.
    pub prints: Prints,
}
