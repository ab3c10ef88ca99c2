//! What a watch yields.

use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::instance::{Instance, ServiceKey};

/// A service with *all* its instances. An empty list says: the service exists and has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Which service.
    pub key: ServiceKey,
    /// All its instances, sorted by key, each key once.
    pub instances: Vec<Instance>,
}

impl ServiceState {
    /// A state in canonical order: sorted by key; of two instances with one key the first stays.
    #[must_use]
    pub fn new(key: ServiceKey, mut instances: Vec<Instance>) -> Self {
        instances.sort_by(|a, b| a.key.cmp(&b.key));
        instances.dedup_by(|a, b| a.key == b.key);
        Self { key, instances }
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
    /// A good look at the registry that found nothing new. It carries no data, but it renews the
    /// age of what is known.
    Unchanged,
}

/// The stream of a watch; dropping it stops the watch.
pub type ChangeStream = BoxStream<'static, Result<Change>>;
