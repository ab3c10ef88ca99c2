//! What changed between two states of a service. Pure.

use std::collections::BTreeMap;

use hub_registry_core::ServiceKey;

use super::merge::Row;

/// One changed row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// It was not there before.
    Added(Row),
    /// Its content or its origins differ.
    Updated {
        /// As it was.
        before: Row,
        /// As it is.
        after: Row,
    },
    /// It is no more.
    Removed(Row),
}

/// All that changed in one service at one revision.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceDelta {
    /// Which service.
    pub key: ServiceKey,
    /// The service appeared (`Some(true)`) or vanished (`Some(false)`).
    pub existence: Option<bool>,
    /// Its rows, in the order of their keys.
    pub rows: Vec<RowChange>,
}

/// The rows that differ, sorted by key. Times at which origins last changed make no difference.
#[must_use]
pub(super) fn rows(before: &[Row], after: &[Row]) -> Vec<RowChange> {
    let mut old: BTreeMap<_, _> = before.iter().map(|row| (row.key(), row)).collect();
    let mut changes = BTreeMap::new();
    for row in after {
        match old.remove(row.key()) {
            None => {
                changes.insert(row.key(), RowChange::Added(row.clone()));
            }
            Some(was) if !was.same_content(row) => {
                let change = RowChange::Updated { before: was.clone(), after: row.clone() };
                changes.insert(row.key(), change);
            }
            Some(_) => {}
        }
    }
    for (key, row) in old {
        changes.insert(key, RowChange::Removed(row.clone()));
    }
    changes.into_values().collect()
}
