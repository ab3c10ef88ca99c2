//! Services that are on their way from one registry to another, and whose word counts first there.

use std::collections::BTreeSet;

use hub_registry_core::{Mark, ServiceKey, TenantId};

use super::desk::Desk;
use super::source::SourceId;
use super::writer::{Catalog, Written};
use crate::model::migration::{MigrationId, MigrationState, Services};

/// What the target says of these services stands before all else, copies from the source included.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// Where they are moved from,
    pub from: SourceId,
    /// and where to.
    pub to: SourceId,
    /// They.
    pub services: Moved,
    /// Those of them that have arrived for good: a migration that still moves a service counts
    /// before one that did,
    pub over: Moved,
    /// and of several the one that changed last, in milliseconds since 1970.
    pub since: i64,
}

/// Services of a migration.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved {
    /// By their names at the source,
    pub at_source: Services,
    /// and at the target.
    pub at_target: Services,
}

impl Moved {
    fn contains(&self, service: &ServiceKey) -> bool {
        let (source, target) = (self.at_source.contains(service), self.at_target.contains(service));
        // A name may be that of one service at the source and of another at the target. One that is
        // left out is left out by either of its names.
        if self.at_source.all { source && target } else { source || target }
    }
}

impl Lead {
    /// Whether a copy of this source is shown at this place, and not only as its original: those
    /// from the source at the target; and those that were copied back, where the original's own
    /// group is another one.
    pub(super) fn shows(&self, place: &SourceId, mark: &Mark, source: &str) -> bool {
        let forth = *place == self.to && source == self.from.as_str();
        let back = *place == self.from && source == self.to.as_str() && mark.group.is_some();
        forth || back
    }
}

/// A step of a migration, as it is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Migrated {
    /// Which.
    pub id: MigrationId,
    /// Its name.
    pub name: String,
    /// Where from,
    pub from: String,
    /// and where to.
    pub to: String,
    /// The one service it is about, if it is not about all.
    pub service: Option<ServiceKey>,
    /// How far it was; nothing: it is new.
    pub before: Option<MigrationState>,
    /// How far it is; nothing: it is no more.
    pub after: Option<MigrationState>,
    /// Whether its copies stay as they are.
    pub paused: bool,
    /// Conditions that were not met, and overruled.
    pub forced: Vec<String>,
    /// Whose doing it is.
    pub who: String,
}

impl Desk {
    /// Who leads in a service: the target, and whose copies are shown there.
    pub(super) fn lead(&self, service: &ServiceKey) -> Option<&Lead> {
        let leads = self.leads.values().filter(|lead| lead.services.contains(service));
        leads.max_by_key(|lead| (!lead.over.contains(service), lead.since))
    }

    /// Notes who leads; which services may look another way.
    fn set_lead(&mut self, id: &MigrationId, lead: Option<Lead>) -> BTreeSet<ServiceKey> {
        let before = self.leads.get(id).cloned();
        if before == lead {
            return BTreeSet::new();
        }
        match lead.clone() {
            Some(lead) => self.leads.insert(id.clone(), lead),
            None => self.leads.remove(id),
        };
        let all: Vec<_> = before.into_iter().chain(lead).collect();
        let slots = self.slots.values();
        let keys = slots.flat_map(|slot| slot.shelf.services()).map(|(key, _)| key);
        keys.filter(|key| all.iter().any(|lead| lead.services.contains(key))).cloned().collect()
    }
}

impl Catalog {
    /// Says whose word counts first in a migration's services, `None`: it has no say. What readers
    /// see changes at once and as a whole, and they are told of `step` with it.
    pub fn set_lead(
        &self,
        tenant: &TenantId,
        id: &MigrationId,
        lead: Option<Lead>,
        step: Option<Migrated>,
    ) {
        let by = lead.as_ref().map_or(SourceId::Native, |lead| lead.to.clone());
        self.write_told(tenant, &by, |desk, _| {
            let changed = desk.set_lead(id, lead);
            Written { changed, step, ..Written::default() }
        });
    }
}
