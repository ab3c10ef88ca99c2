//! A second look at what a watch no longer lists.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::error::{Error, Result};
use crate::instance::{Instance, ServiceKey};
use crate::registry::{Registry, Scope};
use crate::watch::Reading;

/// Services asked for at a time.
const PARALLEL: usize = 8;
/// Up to this many services are asked for one by one, without the list of names before.
const FEW: usize = 8;

/// What a second look at an instance found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The registry has it.
    Listed,
    /// The registry answered, and does not have it.
    Absent,
    /// Nothing was learnt: the read failed, or the answer confirms no removal (a Consul without a
    /// leader, a list with things hidden from the token, a cache older than the question).
    Unknown,
}

/// What lists alone say: each service is read whole. Where many are concerned, the names come
/// first, and a service that is not among them has no instances.
///
/// # Errors
/// When no read succeeded.
pub async fn by_lists<R: Registry + ?Sized>(
    registry: &R,
    missing: &[Arc<Instance>],
) -> Result<Vec<Presence>> {
    let mut places = by_service(missing);
    let mut found = vec![Presence::Unknown; missing.len()];
    if places.len() > FEW {
        let names = registry.services(&Scope::all()).await?;
        let names: std::collections::BTreeSet<_> = names.into_iter().collect();
        for (_, gone) in places.extract_if(.., |service, _| !names.contains(service)) {
            gone.into_iter().for_each(|place| found[place] = Presence::Absent);
        }
    }
    let reads =
        |service: ServiceKey| async move { registry.instances(&service).await.map(Reading::Whole) };
    by_readings(missing, places, found, reads).await
}

/// What one reading of each concerned service says.
///
/// # Errors
/// When no read succeeded.
pub async fn by_services<F, Fut>(missing: &[Arc<Instance>], read: F) -> Result<Vec<Presence>>
where
    F: FnMut(ServiceKey) -> Fut,
    Fut: Future<Output = Result<Reading>>,
{
    let found = vec![Presence::Unknown; missing.len()];
    by_readings(missing, by_service(missing), found, read).await
}

type Places = BTreeMap<ServiceKey, Vec<usize>>;

fn by_service(missing: &[Arc<Instance>]) -> Places {
    let mut places = Places::new();
    for (place, instance) in missing.iter().enumerate() {
        places.entry(instance.key.service.clone()).or_default().push(place);
    }
    places
}

async fn by_readings<F, Fut>(
    missing: &[Arc<Instance>],
    places: Places,
    mut found: Vec<Presence>,
    mut read: F,
) -> Result<Vec<Presence>>
where
    F: FnMut(ServiceKey) -> Fut,
    Fut: Future<Output = Result<Reading>>,
{
    let mut failure: Option<Error> = None;
    let mut reads = stream::iter(places)
        .map(|(service, places)| {
            let reading = read(service);
            async move { (places, reading.await) }
        })
        .buffer_unordered(PARALLEL);
    while let Some((places, reading)) = reads.next().await {
        let (list, not_listed) = match reading {
            Ok(Reading::Whole(list)) => (list, Presence::Absent),
            Ok(Reading::Partial(list)) => (list, Presence::Unknown),
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        for place in places {
            let key = &missing[place].key;
            let listed = list.binary_search_by(|instance| instance.key.cmp(key)).is_ok();
            found[place] = if listed { Presence::Listed } else { not_listed };
        }
    }
    drop(reads);
    match failure {
        Some(error) if found.iter().all(|one| *one == Presence::Unknown) => Err(error),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::{GroupName, Host, InstanceKey, ServiceName};

    fn instance(service: &str, port: u16) -> Instance {
        let name = ServiceName::parse(service).unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        Instance::new(InstanceKey { service, host: Host::parse("10.0.0.1").unwrap(), port })
    }

    #[tokio::test]
    async fn few_and_many_are_found_or_missed_in_their_order() {
        let registry = Memory::new("m");
        for number in 1..=20 {
            registry.register(&instance(&format!("s{number}"), 1)).await.unwrap();
        }
        for count in [2, 30] {
            let asked: Vec<_> = (1..=count)
                .flat_map(|n| [instance(&format!("s{n}"), 1), instance(&format!("s{n}"), 2)])
                .map(Arc::new)
                .collect();
            let found = registry.look_again(&asked).await.unwrap();
            for (instance, found) in asked.iter().zip(found) {
                let known = instance.key.port == 1
                    && instance.key.service.name.as_str()[1..].parse::<u16>().unwrap() <= 20;
                let expected = if known { Presence::Listed } else { Presence::Absent };
                assert_eq!(found, expected, "{}", instance.key);
            }
        }
        registry.set_up(false);
        assert!(registry.look_again(&[Arc::new(instance("s1", 1))]).await.is_err());
    }
}
