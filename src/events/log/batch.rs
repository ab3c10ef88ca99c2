//! From change sets to what is written of them. Pure.

use std::collections::BTreeMap;

use crate::events::change::{ChangeSet, OnDisk};
use crate::storage::{EventMark, LogBatch, LogPosition};

/// How many rows a set means to the database.
pub(super) fn weight(set: &ChangeSet) -> usize {
    set.rows.len() + 1
}

/// What is written for these sets, in their order.
pub(super) fn batch<'s>(sets: impl Iterator<Item = &'s ChangeSet>) -> LogBatch {
    let mut batch = LogBatch::default();
    let mut positions: BTreeMap<&str, LogPosition> = BTreeMap::new();
    for set in sets {
        let tenant_id = set.tenant.as_str();
        let mark =
            |mark: &String| EventMark { tenant_id: tenant_id.to_owned(), mark: mark.clone() };
        let new = match &set.on_disk {
            OnDisk::Nothing => &set.rows[..],
            OnDisk::First(count, of) => {
                batch.number.push((mark(of), set.revision));
                set.rows.get(*count..).unwrap_or_default()
            }
            OnDisk::Others(of) => {
                batch.forget.push(mark(of));
                &set.rows[..]
            }
        };
        batch.rows.extend_from_slice(new);
        let floor = positions.get(tenant_id).map_or(0, |position| position.floor);
        let position = LogPosition {
            tenant_id: tenant_id.to_owned(),
            revision: set.revision,
            floor: if set.gap { set.revision } else { floor },
            view_print: set.prints.beyond_native().to_column(),
            native_print: set.prints.native.to_column(),
        };
        positions.insert(tenant_id, position);
    }
    batch.positions = positions.into_values().collect();
    batch
}
