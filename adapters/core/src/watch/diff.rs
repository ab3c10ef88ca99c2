//! What turns one full state into another.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::change::{Change, ServiceState};
use crate::instance::{Instance, ServiceKey};

/// The `Put`s and `Gone`s that lead from `before` to `after`, in the order of their keys; empty
/// when nothing differs. `before` is left as `after`.
pub fn diff(
    before: &mut BTreeMap<ServiceKey, Vec<Arc<Instance>>>,
    after: Vec<ServiceState>,
) -> Vec<Change> {
    let after: BTreeMap<_, _> =
        after.into_iter().map(|state| (state.key, state.instances)).collect();
    let mut changes: Vec<_> = before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| Change::Gone(key.clone()))
        .collect();
    for (key, instances) in &after {
        if before.get(key) != Some(instances) {
            let state = ServiceState { key: key.clone(), instances: instances.clone() };
            changes.push(Change::Put(state));
        }
    }
    *before = after;
    changes
}
