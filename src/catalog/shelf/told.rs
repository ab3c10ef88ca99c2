//! What came together, service by service.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::{Change, Instance, ServiceKey, ServiceState};

/// What a registry said of one service.
#[derive(Debug)]
pub(super) enum Said {
    /// These are all its instances.
    All(Vec<Arc<Instance>>),
    /// There is no such service.
    Gone,
}

/// What a registry said, each service once: of several items about one the last counts, since
/// none of them was shown to anybody.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// It tells of every service there is.
    pub full: bool,
    /// The services it tells of.
    pub services: BTreeMap<ServiceKey, Said>,
}

impl Told {
    /// What these items say together.
    pub(super) fn new(items: Vec<Change>) -> Self {
        let mut told = Self::default();
        for item in items {
            match item {
                Change::Unchanged => {}
                Change::Reset(states) => {
                    let all =
                        states.into_iter().map(|state| (state.key, Said::All(state.instances)));
                    told = Self { full: true, services: all.collect() };
                }
                Change::Put(ServiceState { key, instances }) => {
                    told.services.insert(key, Said::All(instances));
                }
                Change::Gone(key) => {
                    told.services.insert(key, Said::Gone);
                }
            }
        }
        told
    }
}
