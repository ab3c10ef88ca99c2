//! What every source says of one service, for those who ask why they see what they see.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::{InstanceKey, ServiceKey, TenantId};
use tokio::time::Instant;

use super::desk::Slot;
use super::holds::{Waiting, waiting_of};
use super::shelf::{Entry, ServiceShelf};
use super::source::{SourceCell, SourceId};
use super::writer::Catalog;

/// One source and what it holds of a service.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The source, its state and its rank.
    pub source: Arc<SourceCell>,
    /// What it holds of the service; `None`: it does not know it.
    pub shelf: Option<ServiceShelf>,
    /// Its held instances.
    pub waiting: BTreeMap<InstanceKey, Waiting>,
    /// A migration put it before all others.
    pub leads: bool,
}

impl Standing {
    /// What the source says of one instance.
    #[must_use]
    pub fn entry(&self, key: &InstanceKey) -> Option<&Entry> {
        let entries = &self.shelf.as_ref()?.entries;
        // They are sorted by key.
        let place = entries.binary_search_by(|entry| entry.instance.key.cmp(key)).ok()?;
        entries.get(place)
    }
}

impl Catalog {
    /// What one source holds of a service; `None`: it does not know it.
    #[must_use]
    pub fn shelf(
        &self,
        tenant: &TenantId,
        id: &SourceId,
        key: &ServiceKey,
    ) -> Option<ServiceShelf> {
        self.with_desk(tenant, |desk| desk.slots.get(id)?.shelf.service(key).cloned())?
    }

    /// What every source of the tenant holds of the service, in the order of origins.
    #[must_use]
    pub fn standings(&self, tenant: &TenantId, key: &ServiceKey) -> Vec<Standing> {
        let now = Instant::now();
        self.with_desk(tenant, |desk| {
            let lead = desk.lead(key).map(|lead| &lead.to);
            let standing = |slot: &Slot| {
                let shelf = slot.shelf.service(key).cloned();
                let entries = shelf.iter().flat_map(|shelf| &shelf.entries);
                let waiting = entries.filter_map(|entry| {
                    Some((entry.instance.key.clone(), waiting_of(slot, entry, now)?))
                });
                let waiting = waiting.collect();
                let leads = lead == Some(&slot.cell.info.id);
                Standing { source: Arc::clone(&slot.cell), shelf, waiting, leads }
            };
            let mut all: Vec<_> = desk.slots.values().map(standing).collect();
            all.sort_by_key(|standing| (!standing.leads, standing.source.info.rank()));
            all
        })
        .unwrap_or_default()
    }
}
