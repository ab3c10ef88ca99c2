//! What is somebody else's at the target by now: read once more, past the view.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use hub_registry_core::{Error, Instance, InstanceKey, Registry, ServiceKey};
use tokio::time::Instant;

use super::{PARALLEL, Worker};
use crate::sync::decide::Act;
use crate::sync::queue::Action;

impl Worker {
    /// These without what would hit an instance that somebody else has at the address meanwhile,
    /// and whose copies those are that are there no more: what a watch shows is a moment old, and
    /// where instances have no ids of their own a copy would be written over them, and they removed
    /// in its place.
    pub(super) async fn not_taken(
        &mut self,
        target: &Arc<dyn Registry>,
        actions: Vec<Action>,
        ids: bool,
    ) -> Result<(Vec<Action>, Vec<InstanceKey>), Error> {
        let doubtful = |action: &Action| action.act == Act::Register || !ids;
        let services = actions.iter().filter(|a| doubtful(a)).map(|a| a.key.service.clone());
        let taken = match self.of_others(target, services.collect()).await {
            Ok(taken) => taken,
            Err(error) => {
                let now = Instant::now();
                for mut action in actions {
                    action.failed(now);
                    self.queue.put(action);
                }
                return Err(error);
            }
        };
        let is_taken = |action: &Action| doubtful(action) && taken.contains(&action.key);
        let (left_alone, free): (Vec<_>, Vec<_>) = actions.into_iter().partition(is_taken);
        let way = self.route.key();
        let ours = left_alone.iter().filter(|a| self.house.ledger.get(&way, &a.key).is_some());
        let ours: Vec<_> = ours.map(|action| action.key.clone()).collect();
        ours.iter().for_each(|key| self.beats.forget(key));
        let why = "it is registered there itself";
        let left_alone: Vec<_> = left_alone.into_iter().map(|action| (action.key, why)).collect();
        self.report.skipped(&left_alone, false);
        Ok((free, ours))
    }

    /// These without those that the target, read once more, does not show to be another's: of two
    /// hubs that write one copy at the same moment each sees the other's for a moment, and if both
    /// let go of it nobody would ever remove it.
    pub(super) async fn confirmed(
        &self,
        yielded: Vec<(InstanceKey, &'static str)>,
    ) -> Vec<(InstanceKey, &'static str)> {
        let Some((target, _)) = self.target.as_ref().filter(|_| !yielded.is_empty()) else {
            return Vec::new();
        };
        let services = yielded.iter().map(|(key, _)| key.service.clone()).collect();
        let others = match self.of_others(target, services).await {
            Ok(others) => others,
            Err(error) => {
                // The next comparison looks again.
                tracing::debug!(%error, to = self.route.to.name, "cannot see whose a copy is");
                return Vec::new();
            }
        };
        yielded.into_iter().filter(|(key, _)| others.contains(key)).collect()
    }

    /// What the target has in these services that is not marked as ours.
    async fn of_others(
        &self,
        target: &Arc<dyn Registry>,
        services: BTreeSet<ServiceKey>,
    ) -> Result<BTreeSet<InstanceKey>, Error> {
        let reads = stream::iter(services.into_iter().map(|service| {
            let target = Arc::clone(target);
            async move { target.instances(&service).await }
        }));
        let reads: Vec<_> = reads.buffer_unordered(PARALLEL).collect().await;
        let own = &self.house.ledger.owner;
        let is_own = |i: &Instance| i.mark.as_ref().is_some_and(|m| m.owner == *own);
        let mut others = BTreeSet::new();
        for read in reads {
            others.extend(read?.into_iter().filter(|i| !is_own(i)).map(|i| i.key));
        }
        Ok(others)
    }
}
