//! The answers about one service that most ask for, written once per change of it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use hub_registry_core::TenantId;
use serde_json::Value;

use super::Face;
use super::call::text;
use super::render;
use crate::catalog::ServiceView;

/// How many services' answers are kept.
const MAX_KEPT: usize = 100_000;

#[derive(Debug)]
pub(super) struct Entries {
    view: Arc<ServiceView>,
    all: OnceLock<Bytes>,
    passing: OnceLock<Bytes>,
}

impl Entries {
    /// All, or those that pass.
    pub(super) fn health(&self, passing: bool, datacenter: &str) -> Bytes {
        let made = if passing { &self.passing } else { &self.all };
        let bytes = made.get_or_init(|| {
            let rows = self.view.rows.iter();
            let rows = rows.filter(|row| !passing || render::is_passing(&row.instance));
            let entries = rows.map(|row| render::entry(row, datacenter, self.view.revision));
            text(&entries.collect::<Vec<Value>>())
        });
        bytes.clone()
    }
}

impl Face {
    pub(super) fn entries(&self, tenant: &TenantId, view: &Arc<ServiceView>) -> Arc<Entries> {
        let key = (tenant.clone(), view.key.clone());
        let known = self.entries.get(&key).map(|known| Arc::clone(&known));
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.view, view)) {
            return known;
        }
        if self.entries.len() >= MAX_KEPT {
            self.entries.clear();
        }
        let (all, passing) = (OnceLock::new(), OnceLock::new());
        let entries = Arc::new(Entries { view: Arc::clone(view), all, passing });
        self.entries.insert(key, Arc::clone(&entries));
        entries
    }
}
