//! What a watch yields.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::instance::{Instance, ServiceKey};

/// A service with *all* its instances. An empty list says: the service exists and has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Which service.
    pub key: ServiceKey,
    /// All its instances, sorted by key, each key once. Shared: whoever keeps or passes on a state
    /// copies no instance.
    pub instances: Vec<Arc<Instance>>,
}

impl ServiceState {
    /// A state in canonical order: sorted by key; of two instances with one key the first stays.
    #[must_use]
    pub fn new(
        key: ServiceKey,
        instances: impl IntoIterator<Item = impl Into<Arc<Instance>>>,
    ) -> Self {
        let mut instances: Vec<Arc<Instance>> = instances.into_iter().map(Into::into).collect();
        instances.sort_by(|a, b| a.key.cmp(&b.key));
        instances.dedup_by(|a, b| a.key == b.key);
        Self { key, instances }
    }

    /// Its instances, each for itself.
    #[must_use]
    pub fn into_instances(self) -> Vec<Instance> {
        self.instances.into_iter().map(Arc::unwrap_or_clone).collect()
    }
}

/// One item of a watch. See [`Registry::watch`](crate::Registry::watch) for what may follow what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything there is: what it does not list does not exist.
    Reset(Vec<ServiceState>),
    /// One service, whole: replaces what was known of it.
    Put(ServiceState),
    /// There is no such service any more.
    Gone(ServiceKey),
    /// Of one service, what the registry shows while it says itself that it hides more. What is
    /// listed is there and counts like a `Put`; what is not listed may be there all the same, so
    /// nothing is removed by it and no removal is confirmed. An empty list says nothing at all.
    ///
    /// It comes only for a service that was told of whole before, and the next `Put`, `Gone` or
    /// `Reset` ends the doubt.
    Partial(ServiceState),
    /// A good look at the registry that found nothing new. It carries no data, but it renews the
    /// age of what is known.
    Unchanged,
}

impl Change {
    /// The instances it tells of.
    pub fn instances_mut(&mut self) -> impl Iterator<Item = &mut Arc<Instance>> {
        let states = match self {
            Self::Reset(states) => states.as_mut_slice(),
            Self::Put(state) | Self::Partial(state) => std::slice::from_mut(state),
            Self::Gone(_) | Self::Unchanged => &mut [],
        };
        states.iter_mut().flat_map(|state| &mut state.instances)
    }
}

/// The stream of a watch; dropping it stops the watch.
pub type ChangeStream = BoxStream<'static, Result<Change>>;
