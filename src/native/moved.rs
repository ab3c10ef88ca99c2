//! Events of the health that leases moved: written with the rows they tell of.

use std::collections::HashMap;

use crate::model::names::InstanceId;
use crate::storage::{EventRow, NativeWrite};

pub(super) type Told = Vec<(InstanceId, EventRow)>;

/// Events that wait for their rows.
#[derive(Debug, Default)]
pub(super) struct Moved {
    waiting: HashMap<InstanceId, Vec<EventRow>>,
    /// Events of transactions that failed: all of one are on disk, or none.
    doubtful: Vec<Told>,
}

impl Moved {
    pub(super) fn add(&mut self, id: InstanceId, event: EventRow) {
        self.waiting.entry(id).or_default().push(event);
    }

    /// The events of these instances, which are about to be written.
    pub(super) fn take(&mut self, ids: impl Iterator<Item = InstanceId>) -> Told {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let mut told = Vec::new();
        for id in ids {
            let events = self.waiting.remove(&id).unwrap_or_default();
            told.extend(events.into_iter().map(|event| (id, event)));
        }
        told
    }

    /// The events of the instances that these write.
    pub(super) fn take_written(&mut self, writes: &[NativeWrite]) -> Told {
        self.take(writes.iter().filter_map(|write| {
            let id = match write {
                NativeWrite::PutInstance(row) => &row.service_instance_id,
                NativeWrite::DeleteInstance { service_instance_id, .. } => service_instance_id,
                _ => return None,
            };
            id.parse().ok()
        }))
    }

    /// The transaction that had these failed: it is unknown whether they are on disk.
    pub(super) fn doubt(&mut self, told: Told) {
        if !told.is_empty() {
            self.doubtful.push(told);
        }
    }

    pub(super) fn doubtful(&mut self) -> Option<Told> {
        self.doubtful.pop()
    }

    /// They are not on disk.
    pub(super) fn again(&mut self, told: Told) {
        for (id, event) in told.into_iter().rev() {
            self.waiting.entry(id).or_default().insert(0, event);
        }
    }
}
