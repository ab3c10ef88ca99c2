//! The registry under test, as its own clients see it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::{GroupName, HealthStatus, Instance, InstanceKey, InstanceStatus, Registry};

/// What of an instance the registry can hold, so that the suite expects no more.
#[derive(Clone, Debug)]
pub struct Traits {
    /// The groups in which the suite may register; at least one.
    pub groups: Vec<GroupName>,
    /// The states a client can bring an instance into through the registry's own API.
    pub states: Vec<(InstanceStatus, HealthStatus)>,
    /// The state of an instance that was registered and says nothing more.
    pub initial: (InstanceStatus, HealthStatus),
    /// A weight per instance.
    pub weight: bool,
    /// Tags.
    pub tags: bool,
    /// Within this time a change made by a client is seen by a watch and by reads.
    pub lag: Duration,
    /// Its data outlives [`Subject::fail`] and [`Subject::mend`].
    pub keeps_data: bool,
}

/// A running registry with its own plain API.
#[async_trait]
pub trait Subject: Send + Sync {
    /// For messages.
    fn name(&self) -> &str;

    /// What it can hold.
    fn traits(&self) -> Traits;

    /// A new connection of the hub's to it.
    async fn connect(&self) -> Arc<dyn Registry>;

    /// Registers the instance, or updates it in place, *by the registry's own API*, and brings it
    /// into its state.
    async fn put(&self, instance: &Instance);

    /// Deregisters it by the registry's own API.
    async fn remove(&self, instance: &InstanceKey);

    /// Makes the registry unreachable, as a crash does.
    async fn fail(&self);

    /// Brings it back.
    async fn mend(&self);
}

/// How long changes took to be seen.
#[derive(Debug, Default)]
pub struct Lags(Mutex<Vec<Duration>>);

impl Lags {
    /// Adds one measurement.
    pub fn add(&self, lag: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(lag);
    }

    /// Median and worst, or nothing when nothing was measured.
    #[must_use]
    pub fn median_and_worst(&self) -> Option<(Duration, Duration)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort();
        Some((*all.get(all.len() / 2)?, *all.last()?))
    }

    /// Prints median and worst.
    pub fn print(&self, name: &str) {
        if let Some((median, worst)) = self.median_and_worst() {
            println!("contract {name}: change seen after {median:?} (median), {worst:?} (worst)");
        }
    }
}
