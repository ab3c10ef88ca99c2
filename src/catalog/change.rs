//! What a write did, for those who are told.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{Change, ServiceKey, TenantId};

use super::attributes::Attributes;
use super::desk::StateChange;
use super::diff::ServiceDelta;
use super::holds::RemovalsHeld;
use super::lead::Migrated;
use super::snapshot::Snapshot;
use super::standby::Handover;
use crate::events::{Facts, Load, Prints};
use crate::model::print::Print;

/// All that changed in a tenant's view at one revision.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    /// Whose view.
    pub tenant: TenantId,
    /// Its new revision.
    pub revision: i64,
    /// When.
    pub time: DateTime<Utc>,
    /// The source whose word it was, by name.
    pub source: String,
    /// Which services, and what in them.
    pub services: Vec<ServiceDelta>,
    /// Which sources changed their state.
    pub states: Vec<StateChange>,
    /// Removals that began to be held.
    pub held: Option<RemovalsHeld>,
    /// A source and its standby took a step.
    pub handover: Option<Handover>,
    /// A migration took a step.
    pub step: Option<Migrated>,
    /// What the native registry tells of it.
    pub facts: Facts,
    /// The view at this revision.
    pub after: Arc<Snapshot>,
    /// What there is at this revision.
    pub prints: Prints,
}

/// What the native registry did.
#[derive(Clone, Debug, Default)]
pub struct OwnChange {
    /// Services that are new, changed, or gone.
    pub changes: Vec<Change>,
    /// What it knows of services beyond their instances; `None`: they are no more.
    pub attributes: Vec<(ServiceKey, Option<Attributes>)>,
    /// What it tells of that.
    pub facts: Facts,
    /// The print of all it holds.
    pub print: Print,
}

impl Load for ChangeSet {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn revision(&self) -> i64 {
        self.revision
    }

    fn weight(&self) -> usize {
        let rows = self.services.iter().map(|service| service.rows.len());
        1 + self.facts.rows.len() + rows.sum::<usize>()
    }
}
