//! A second look, past the server's caches.
//!
//! Its lists are answers that were made before: they are up to 30 s old (`responseCacheUpdateIntervalMs`),
//! and those with regions, which no change in a region renews, 180 s more
//! (`responseCacheAutoExpirationInSeconds`; seen on the real server). One instance is looked up when
//! it is asked for (eureka-core, `InstanceResource.getInstanceInfo`).

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use hub_registry_core::{Instance, Presence};

use crate::client::Client;
use crate::convert::Rules;
use crate::wire::Application;

/// Instances asked for at a time.
const PARALLEL: usize = 8;

/// Asks for each of those that the lists lack. One without an id, or of a name that no path can
/// hold, is as the lists say.
pub(crate) async fn past_caches(
    client: &Client,
    rules: &Rules,
    missing: &[Arc<Instance>],
    mut found: Vec<Presence>,
) -> Vec<Presence> {
    let pairs = missing.iter().zip(&found).enumerate();
    let absent: Vec<_> = pairs
        .filter(|(_, (_, presence))| **presence == Presence::Absent)
        .map(|(place, (instance, _))| (place, Arc::clone(instance)))
        .collect();
    let mut asked = stream::iter(absent)
        .map(|(place, instance)| async move { (place, one(client, rules, &instance).await) })
        .buffer_unordered(PARALLEL);
    while let Some((place, presence)) = asked.next().await {
        found[place] = presence;
    }
    found
}

async fn one(client: &Client, rules: &Rules, instance: &Instance) -> Presence {
    let app = instance.key.service.name.as_str().to_uppercase();
    let Some(id) = instance.native_id.as_deref() else {
        return Presence::Absent;
    };
    let info = match client.instance(&app, id).await {
        Ok(Some(info)) => info,
        Ok(None) => return Presence::Absent,
        Err(_) => return Presence::Unknown,
    };
    let alone = Application { name: app, instance: vec![info] };
    let Ok((_, all)) = rules.application(alone) else {
        return Presence::Unknown;
    };
    // The same id can be of another address by now.
    let same = |found: &Instance| {
        (&found.key.host, found.key.port) == (&instance.key.host, instance.key.port)
    };
    let is_there = all.values().any(|one| one.instance.as_ref().is_ok_and(same));
    if is_there { Presence::Listed } else { Presence::Absent }
}
