//! Secrets that must not come out.

use futures_util::StreamExt;
use hub_registry_core::{Error, Registry, Scope, ServiceKey};

/// What the errors of every read say, in each way an error can be written; reads that succeed say
/// nothing.
pub async fn complaints(registry: &dyn Registry, service: &ServiceKey) -> String {
    let (ping, services) = (registry.ping().await, registry.services(&Scope::all()).await);
    let instances = registry.instances(service).await;
    let first = registry.watch(Scope::all()).next().await;
    let errors = [ping.err(), services.err(), instances.err(), first.and_then(Result::err)];
    let written = |error: Error| format!("{error}\n{error:?}\n{error:#?}\n");
    errors.into_iter().flatten().map(written).collect()
}
