//! What every source says of one service, for those who ask why they see what they see.

use std::sync::Arc;

use hub_registry_core::{InstanceKey, ServiceKey, TenantId};
use tokio::time::Instant;

use super::shelf::{Entry, ServiceShelf};
use super::source::SourceCell;
use super::writer::Catalog;

/// One source and what it holds of a service.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The source, its state and its rank.
    pub source: Arc<SourceCell>,
    /// What it holds of the service; `None`: it does not know it.
    pub shelf: Option<ServiceShelf>,
}

/// How a held instance is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For how long it has been missing, in milliseconds.
    pub missing_ms: u64,
    /// In how many milliseconds it leaves; `None`: not while its registry does not answer.
    pub leaves_in_ms: Option<u64>,
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

impl Entry {
    /// How it is being waited for, if it is.
    #[must_use]
    pub fn waiting(&self, now: Instant) -> Option<Waiting> {
        let hold = self.hold?;
        let ms = |duration: std::time::Duration| duration.as_millis() as u64;
        Some(Waiting {
            missing_ms: ms(now.saturating_duration_since(hold.since)),
            leaves_in_ms: hold.until.map(|until| ms(until.saturating_duration_since(now))),
        })
    }
}

impl Catalog {
    /// What every source of the tenant holds of the service, in the order of origins.
    #[must_use]
    pub fn standings(&self, tenant: &TenantId, key: &ServiceKey) -> Vec<Standing> {
        self.with_desk(tenant, |desk| {
            let mut all: Vec<_> = desk
                .slots
                .values()
                .map(|slot| Standing {
                    source: Arc::clone(&slot.cell),
                    shelf: slot.shelf.service(key).cloned(),
                })
                .collect();
            all.sort_by_key(|standing| standing.source.info.rank());
            all
        })
        .unwrap_or_default()
    }
}
