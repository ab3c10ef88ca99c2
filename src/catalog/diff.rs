//! What changed between two states of a service. Pure.

use std::sync::Arc;

use hub_registry_core::ServiceKey;

use super::merge::Row;
use super::snapshot::ServiceView;

/// One changed row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// It was not there before.
    Added(Arc<Row>),
    /// Its content or its origins differ.
    Updated {
        /// As it was.
        before: Arc<Row>,
        /// As it is.
        after: Arc<Row>,
    },
    /// It is no more.
    Removed(Arc<Row>),
}

/// All that changed in one service at one revision.
#[derive(Clone, Debug)]
pub struct ServiceDelta {
    /// Which service.
    pub key: ServiceKey,
    /// The service appeared (`Some(true)`) or vanished (`Some(false)`).
    pub existence: Option<bool>,
    /// Its rows, in the order of their keys.
    pub rows: Vec<RowChange>,
    /// As it was.
    pub before: Option<Arc<ServiceView>>,
    /// As it is.
    pub after: Option<Arc<ServiceView>>,
}

/// The rows that differ, sorted by key as both lists are. Times at which origins last changed make
/// no difference.
#[must_use]
pub(super) fn rows(mut before: &[Arc<Row>], mut after: &[Arc<Row>]) -> Vec<RowChange> {
    let mut changes = Vec::new();
    loop {
        match (before, after) {
            ([], []) => return changes,
            ([old, rest @ ..], []) => {
                changes.push(RowChange::Removed(Arc::clone(old)));
                before = rest;
            }
            ([old, rest @ ..], [new, ..]) if old.key() < new.key() => {
                changes.push(RowChange::Removed(Arc::clone(old)));
                before = rest;
            }
            ([old, old_rest @ ..], [new, new_rest @ ..]) if old.key() == new.key() => {
                if !Arc::ptr_eq(old, new) && !old.same_content(new) {
                    let (before, after) = (Arc::clone(old), Arc::clone(new));
                    changes.push(RowChange::Updated { before, after });
                }
                (before, after) = (old_rest, new_rest);
            }
            (_, [new, rest @ ..]) => {
                changes.push(RowChange::Added(Arc::clone(new)));
                after = rest;
            }
        }
    }
}
